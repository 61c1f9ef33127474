//! The steps that are one call of cargo each, and the list of all steps.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::step::{Done, Outcome, Step, cargo, output, packages, pass, pass_within, target_dir};
use crate::{api, browser, budget, contract, deny, instructions, lines, model, page, versions, words};

/// Processors besides the developer's own: one with words of 32 bits, one without a strong order of memory.
const TARGETS: [&str; 2] = ["i686-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// Returns the steps that must pass before a change lands, cheap ones first.
pub(crate) fn all() -> Vec<Step> {
    let mut steps: Vec<Step> = vec![
        ("format", format),
        ("clippy", clippy),
        ("docs", docs),
        ("features", features),
        ("processors", processors),
        ("budget", budget::check),
        ("lines", lines::check),
        ("words", words::check),
        ("api", api::check),
        ("deny", deny::check),
        ("msrv", versions::msrv),
        ("minimal", versions::minimal),
        ("loom", model::loom),
        ("miri", model::miri),
        ("sanitizers", model::sanitizers),
        ("tests", tests),
        ("contract", contract::check),
        ("browser", browser::check),
        ("page", page::check),
    ];
    if packages().is_ok_and(|packages| packages.iter().any(|package| package["name"] == "pm-bench")) {
        steps.push(("instructions", instructions::check));
        steps.push(("bench smoke", bench_smoke));
    }
    steps
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
    for name in ["pm", "pm-server"] {
        let package = packages.iter().find(|package| package["name"] == name);
        let features = package.and_then(|package| package["features"].as_object()).ok_or(format!("no crate {name}"))?;
        let features = features.keys().map(String::as_str).filter(|feature| *feature != "default");
        let pairs = ["", "server,tracing"].into_iter().filter(|pair| name == "pm" || pair.is_empty());
        for feature in features.chain(pairs) {
            let words = ["clippy", "--package", name, "--no-default-features", "--features", feature, "--locked"];
            pass(cargo(&words).args(["--", "--deny=warnings"]))?;
        }
    }
    Ok(Done::Whole)
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
    pass(&mut cargo(&["test", "--workspace", "--all-features", "--locked"]))
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
