//! The help in `docs/cli.md` match the command. `PM_BLESS=1` updates them.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use common::{command, out};

const VERBS: &str = "## Verbs\n";

fn help(args: &[&str]) -> String {
    // With the default width.
    let output = command(args).env_remove("COLUMNS").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<&str> = out(&output).lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// The verbs in the help of the command.
fn verbs(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    list.lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_page_has_the_help_text_of_every_verb() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let page = fs::read_to_string(&path).unwrap();
    let whole = help(&["--help"]);
    let mut expected = format!("\n```text\n$ pm --help\n{whole}\n```\n");
    let verbs = verbs(&whole);
    assert!(verbs.iter().any(|verb| verb == "kill") && verbs.len() > 10, "{verbs:?}");
    for verb in verbs {
        let _ = write!(expected, "\n### pm {verb}\n\n```text\n$ pm {verb} -h\n{}\n```\n", help(&[&verb, "-h"]));
    }
    let at = page.find(VERBS).unwrap() + VERBS.len();
    if std::env::var_os("PM_BLESS").is_some() {
        fs::write(&path, format!("{}{expected}", &page[..at])).unwrap();
        return;
    }
    let differs = page[at..].lines().zip(expected.lines()).find(|(page, help)| page != help);
    assert_eq!(differs, None, "docs/cli.md differs from --help; PM_BLESS=1 updates it");
    assert_eq!(page[at..].len(), expected.len(), "docs/cli.md differs from --help; PM_BLESS=1 updates it");
}
