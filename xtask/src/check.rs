//! The steps that are one call of cargo each, and the list of all steps.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::step::{
    Done, Outcome, Plan, Step, cargo, output, packages, pass, pass_all, pass_within, settle, target_dir, works,
};
use crate::{budget, instructions, layers, lines, model, page, words};

/// Processors besides the developer's own: one with words of 32 bits, one without a strong order of memory.
const TARGETS: [&str; 2] = ["i686-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// All that tests have in common, so that each of their builds reuses the others.
pub(crate) const WORKSPACE: [&str; 3] = ["--workspace", "--all-features", "--locked"];

/// The tests that take longest, by words in their names.
const LONG: &[&str] = &[
    "greedy",
    "the_list_agrees_with_a_plain_map",
    "other_threads_and_a_cancelling_reader_affect_only_their_own_tasks",
    "readers_see_every_value_whole_while_tasks_come_and_go",
    "a_cancel_returns_where_an_unwind_would_abort_the_program",
    "tls::",
];

/// Returns the steps for a change that is being made: what finds most errors in the least time.
pub(crate) fn quick() -> Plan {
    let steps: [Step; 6] = [
        ("format", format),
        ("lines", lines::check),
        ("words", words::check),
        ("layers", layers::check),
        ("clippy", clippy),
        ("tests", quick_tests),
    ];
    Plan { steps: steps.into(), ..Plan::default() }
}

/// Returns the steps that must pass before a change lands, cheap ones first.
pub(crate) fn all() -> Plan {
    let steps: [Step; 12] = [
        ("format", format),
        ("lines", lines::check),
        ("words", words::check),
        ("budget", budget::check),
        ("clippy", clippy),
        ("docs", docs),
        ("features", features),
        ("processors", processors),
        ("miri", model::miri),
        ("sanitizers", model::sanitizers),
        ("tests", tests),
        ("page", page::check),
    ];
    // They build in directories of their own, or wait for others while one processor is idle.
    let beside = vec!["deny", "msrv", "minimal", "loom", "api", "contract", "browser"];
    let has_bench = packages().is_ok_and(|packages| packages.iter().any(|package| package["name"] == "pm-bench"));
    let last: &[Step] =
        if has_bench { &[("instructions", instructions::check), ("bench smoke", bench_smoke)] } else { &[] };
    Plan { steps: steps.into(), beside, last: last.to_vec() }
}

fn format() -> Outcome {
    pass(&mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Outcome {
    pass(&mut cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--locked", "--", "--deny=warnings"]))
}

fn docs() -> Outcome {
    let words = ["doc", "--workspace", "--all-features", "--no-deps", "--locked", "--quiet"];
    pass(cargo(&words).env("RUSTDOCFLAGS", "--deny=warnings"))
}

/// Each feature of `pm` and `pm-server` by itself, and none.
fn features() -> Outcome {
    let packages = packages()?;
    let mut commands = Vec::new();
    for name in ["pm", "pm-server"] {
        let package = packages.iter().find(|package| package["name"] == name);
        let features = package.and_then(|package| package["features"].as_object()).ok_or(format!("no crate {name}"))?;
        let features = features.keys().map(String::as_str).filter(|feature| *feature != "default");
        let pairs = ["", "server,tracing"].into_iter().filter(|pair| name == "pm" || pair.is_empty());
        for feature in features.chain(pairs) {
            let words = ["clippy", "--package", name, "--no-default-features", "--features", feature, "--locked"];
            let mut command = cargo(&words);
            command.args(["--", "--deny=warnings"]);
            commands.push(command);
        }
    }
    pass_all(commands)
}

fn processors() -> Outcome {
    let (mut left_out, mut errors) = (Vec::new(), Vec::new());
    for target in TARGETS {
        if let Err(why) = ensure_target(target) {
            left_out.push(format!("{target} is not installed ({why}); rustup target add {target}"));
            continue;
        }
        errors.extend(pass(&mut cargo(&["check", "--package=pm-core", "--locked", "--target", target])).err());
    }
    settle(&errors)?;
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
    let tests = tests_without(&[]);
    if !has_nextest() {
        return pass_all([tests]);
    }
    let mut docs = cargo(&["test", "--doc", "--no-fail-fast"]);
    docs.args(WORKSPACE);
    pass_all([tests, docs])
}

fn quick_tests() -> Outcome {
    pass(&mut tests_without(LONG))
}

/// The tests of the workspace but those with one of these words in their names. cargo-nextest runs the tests of all
/// programs side by side, and does not know those of docs.
fn tests_without(words: &[&str]) -> Command {
    let test: &[&str] = if has_nextest() { &["nextest", "run", "--status-level=slow"] } else { &["test"] };
    let mut command = cargo(test);
    command.args(WORKSPACE).args(["--no-fail-fast", "--"]);
    command.args(words.iter().flat_map(|word| ["--skip", word]));
    command
}

fn has_nextest() -> bool {
    works(&mut cargo(&["nextest", "--version"]))
}

fn bench_smoke() -> Outcome {
    pass(&mut bench_command(&["--quick"]))
}

/// Measures, with the words of the caller.
pub(crate) fn bench(words: &[&str]) -> ExitCode {
    let mut command = bench_command(words);
    if wants_console(words) {
        match console() {
            Ok(program) => {
                command.env("PM_BENCH_CONSOLE", program);
            }
            // One row the less: the bench says so, too.
            Err(why) => eprintln!("pm-bench-console could not be built: {why}"),
        }
    }
    match pass(&mut command) {
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

/// Returns `true` if spawns are measured at length: in a full run of all sections, or when asked for.
fn wants_console(words: &[&str]) -> bool {
    let (mut all, mut words) = (true, words.iter());
    while let Some(&word) = words.next() {
        match word {
            "spawns" => return true,
            "--json" => drop(words.next()),
            _ => all = false,
        }
    }
    all
}

/// Builds the program that measures console-subscriber: apart, as tokio must be another one for it.
fn console() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let target = root.join(target_dir("console"));
    let mut build = cargo(&["build", "--release", "--package=pm-bench-console", "--locked", "--target-dir"]);
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default() + " --cfg tokio_unstable";
    pass(build.arg(&target).env("RUSTFLAGS", flags.trim_start()))?;
    Ok(target.join("release").join(format!("pm-bench-console{}", std::env::consts::EXE_SUFFIX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_is_built_for_full_runs_and_when_asked_for() {
        for (words, wanted) in [
            (&[][..], true),
            (&["--json", "spawns.json"], true),
            (&["spawns", "--quick"], true),
            (&["--quick"], false),
            (&["--json", "spawns", "polls"], false),
            (&["--help"], false),
        ] {
            assert_eq!(wants_console(words), wanted, "{words:?}");
        }
    }
}
