//! Checks that lines and files are short enough to be read.

use std::fs;

use crate::files;
use crate::step::{Outcome, settle};

/// This file.
const HOME: &str = "xtask/src/lines.rs";
/// The longest line. rustfmt does not break comments and strings.
const MAX_COLUMNS: usize = 120;
/// The longest file, unless it is in [`LONG`].
const MAX_LINES: usize = 600;

/// Files that are longer because they hold one idea, each with the idea.
const LONG: &[(&str, &str)] = &[
    ("crates/pm-core/tests/behaviour.rs", "the list at its limits, a test for each"),
    ("crates/pm-core/tests/kill.rs", "a test for each promise about cancellation"),
    ("crates/pm-core/tests/model_limits.rs", "one model, its operations and the comparison"),
    ("crates/pm/tests/access.rs", "a table of every operation with every credential"),
    ("crates/pm/tests/posture.rs", "a test for each default"),
    ("crates/pm/tests/tower.rs", "a test for each promise of the layers for requests and calls"),
    ("crates/pm/tests/tracing.rs", "a test for each promise of the layer for spans"),
    ("crates/pm/tests/v1.rs", "a test for each promise of the routes that read"),
];

/// Prints the counts, and fails on a line or a file that is too long.
pub(crate) fn check() -> Outcome {
    let (mut errors, mut files, mut lines) = (Vec::new(), Vec::new(), 0);
    for path in files::with_extensions(&["rs"])? {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.to_string_lossy().replace('\\', "/");
        lines += text.lines().count();
        errors.extend(examine(&name, &text, LONG));
        files.push(name);
    }
    for (name, _) in LONG.iter().filter(|(name, _)| !files.iter().any(|file| file == name)) {
        errors.push(format!("{HOME}: there is no file {name}"));
    }
    println!("{} files of Rust, {lines} lines; over {MAX_LINES} lines: {}", files.len(), LONG.len());
    for (name, idea) in LONG {
        println!("  {name}: {idea}");
    }
    settle(&errors)
}

/// Returns what is too long in a file.
fn examine(name: &str, text: &str, long: &[(&str, &str)]) -> Vec<String> {
    let wide = text.lines().enumerate().filter_map(|(at, line)| {
        let columns = line.chars().count();
        (columns > MAX_COLUMNS).then(|| format!("{name}:{}: {columns} columns, at most {MAX_COLUMNS}", at + 1))
    });
    let mut errors: Vec<String> = wide.collect();
    let count = text.lines().count();
    let is_listed = long.iter().any(|(listed, _)| *listed == name);
    if count > MAX_LINES && !is_listed {
        errors.push(format!("{name}: {count} lines, at most {MAX_LINES}; split it, or name its idea in {HOME}"));
    } else if count <= MAX_LINES && is_listed {
        errors.push(format!("{HOME}: {name} has {count} lines and need not be listed"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_have_120_columns() {
        let text = format!("{}\n{}\n", "é".repeat(120), "x".repeat(121));
        assert_eq!(examine("a.rs", &text, &[]), ["a.rs:2: 121 columns, at most 120"]);
    }

    #[test]
    fn a_file_over_600_lines_needs_a_reason_and_a_shorter_one_has_none() {
        let (short, long) = ("\n".repeat(600), "\n".repeat(601));
        let listed = [("a.rs", "one table")];
        assert!(examine("a.rs", &short, &[]).is_empty());
        assert!(examine("a.rs", &long, &listed).is_empty());
        assert_eq!(examine("a.rs", &long, &[]).len(), 1);
        assert_eq!(examine("a.rs", &short, &listed).len(), 1);
    }
}
