//! The steps that are one call of cargo each, and the list of all steps.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::step::{Done, Outcome, Step, cargo, output, pass, pass_within};
use crate::{budget, deny, model};

/// Processors besides the developer's own: one with words of 32 bits, one without a strong order of memory.
const TARGETS: [&str; 2] = ["i686-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// What must pass before a change lands, cheap things first.
pub(crate) fn all() -> Vec<Step> {
    let mut steps: Vec<Step> = vec![
        ("format", format),
        ("clippy", clippy),
        ("docs", docs),
        ("no features", no_features),
        ("processors", processors),
        ("budget", budget::check),
        ("deny", deny::check),
        ("loom", model::loom),
        ("miri", model::miri),
        ("tests", tests),
    ];
    let metadata = output(&mut cargo(&["metadata", "--no-deps", "--format-version=1"]));
    if metadata.is_ok_and(|metadata| metadata.contains("\"pm-bench\"")) {
        steps.push(("bench smoke", bench_smoke));
    }
    steps
}

fn format() -> Outcome {
    pass(&mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Outcome {
    pass(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny=warnings"]))
}

fn docs() -> Outcome {
    let words = ["doc", "--workspace", "--no-deps", "--locked", "--quiet"];
    pass(cargo(&words).env("RUSTDOCFLAGS", "--deny=warnings"))
}

fn no_features() -> Outcome {
    pass(&mut cargo(&["clippy", "--package=pm", "--no-default-features", "--locked", "--", "--deny=warnings"]))
}

fn processors() -> Outcome {
    let mut left_out = Vec::new();
    for target in TARGETS {
        if let Err(why) = ensure_target(target) {
            left_out.push(format!("{target} is not installed ({why}); rustup target add {target}"));
            continue;
        }
        pass(&mut cargo(&["check", "--package=pm-core", "--locked", "--target", target]))?;
    }
    Ok(match left_out.len() {
        0 => Done::Whole,
        n if n == TARGETS.len() => Done::LeftOut(left_out.join("; ")),
        _ => Done::Partly(left_out),
    })
}

fn ensure_target(target: &str) -> Result<(), String> {
    if is_installed(target) {
        return Ok(());
    }
    pass_within(Command::new("rustup").args(["target", "add", target]), Duration::from_secs(120))?;
    if is_installed(target) { Ok(()) } else { Err("it is for another toolchain".into()) }
}

fn is_installed(target: &str) -> bool {
    // The directory may be there, but empty.
    let lib = output(Command::new("rustc").args(["--print=target-libdir", "--target", target]));
    lib.is_ok_and(|lib| Path::new(lib.trim()).read_dir().is_ok_and(|mut files| files.next().is_some()))
}

fn tests() -> Outcome {
    pass(&mut cargo(&["test", "--workspace", "--locked"]))
}

fn bench_smoke() -> Outcome {
    pass(&mut bench_command(&["--quick"]))
}

/// Measures, with the words of the caller.
pub(crate) fn bench(words: &[&str]) -> ExitCode {
    match pass(&mut bench_command(words)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn bench_command(words: &[&str]) -> Command {
    let mut command = cargo(&["run", "--release", "--package=pm-bench", "--locked", "--"]);
    command.args(words);
    command
}
