//! What a developer of pm runs: `cargo xtask test` before a change lands, `cargo xtask loom` for the models alone.

use std::process::{Command, ExitCode};
use std::time::Instant;

const HELP: &str = "\
usage: cargo xtask COMMAND

  test   all that must pass before a change lands: format, clippy, docs, loom, tests
  loom   the models of the races in pm-core; LOOM_MAX_PREEMPTIONS says how thorough (default 2)";

/// A step: what it is called, the environment it needs, and the words for cargo.
type Step = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const LOOM: Step = (
    "loom",
    &[("RUSTFLAGS", "--cfg loom")],
    &["test", "--package=pm-core", "--release", "--test=loom", "--target-dir=target/loom", "--locked"],
);

const ALL: &[Step] = &[
    ("format", &[], &["fmt", "--all", "--check"]),
    ("clippy", &[], &["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny=warnings"]),
    ("docs", &[("RUSTDOCFLAGS", "--deny=warnings")], &["doc", "--workspace", "--no-deps", "--locked", "--quiet"]),
    LOOM,
    ("tests", &[], &["test", "--workspace", "--locked"]),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["test"] => run(ALL),
        ["loom"] => run(&[LOOM]),
        _ => {
            eprintln!("{HELP}");
            ExitCode::from(2)
        }
    }
}

fn run(steps: &[Step]) -> ExitCode {
    for (name, environment, words) in steps {
        println!("== {name}: cargo {}", words.join(" "));
        let begin = Instant::now();
        let status = Command::new(env!("CARGO")).args(*words).envs(environment.iter().copied()).status();
        match status {
            Ok(status) if status.success() => println!("== {name}: passed in {:.0} s", begin.elapsed().as_secs_f64()),
            Ok(_) => {
                eprintln!("== {name}: failed");
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("== {name}: cargo could not be started: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
