//! Programs that find errors which a test meets only by luck: loom tries the interleavings of threads, Miri detects
//! undefined behaviour.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::step::{Done, Outcome, cargo, pass, pass_and_look, pass_within, target_dir, works};

/// Tests of pm-core beside the unit tests that are small enough for Miri, which is some hundred times slower.
const MIRI_TESTS: [&str; 1] = ["promises"];

/// `-Zmiri-disable-isolation` lets tests read the clocks. Strict provenance holds the few raw pointers to the letter.
const MIRI_FLAGS: &str = "-Zmiri-strict-provenance -Zmiri-disable-isolation";

pub(crate) fn loom() -> Outcome {
    let dir = target_dir("loom");
    let mut command = cargo(&["test", "--package=pm-core", "--release", "--test=loom", "--locked", "--target-dir"]);
    command.arg(dir).env("RUSTFLAGS", "--cfg loom");
    let (mut models, mut begin) = (0, Instant::now());
    pass_and_look(&mut command, |line| {
        // `running 11 tests` comes when all is built.
        if line.starts_with("running ") {
            begin = Instant::now();
        }
        let passed = line.strip_prefix("test result: ok. ").and_then(|rest| rest.split(' ').next());
        models += passed.and_then(|number| number.parse().ok()).unwrap_or(0);
    })?;
    if models == 0 {
        return Err("there were no models to try".into());
    }
    println!("{models} models tried in {:.1} s", begin.elapsed().as_secs_f64());
    Ok(Done::Whole)
}

/// Runs Miri if it is there.
pub(crate) fn miri() -> Outcome {
    if !has_miri() {
        return Ok(Done::LeftOut(
            "no nightly toolchain with Miri; rustup toolchain install nightly --profile minimal --component miri"
                .into(),
        ));
    }
    let tests = MIRI_TESTS.iter().filter(|test| Path::new("crates/pm-core/tests").join(format!("{test}.rs")).exists());
    let tests = tests.map(|test| format!("--test={test}"));
    let mut command = nightly();
    command.args(["miri", "test", "--package=pm-core", "--locked", "--lib"]).args(tests);
    pass(command.env("MIRIFLAGS", MIRI_FLAGS))
}

/// Tries once to install Miri if it is not there.
pub(crate) fn miri_with_install() -> Outcome {
    if !has_miri() {
        let words = ["toolchain", "install", "nightly", "--profile=minimal", "--component=miri"];
        if let Err(why) = pass_within(Command::new("rustup").args(words), Duration::from_secs(300)) {
            eprintln!("{why}");
        }
    }
    miri()
}

fn has_miri() -> bool {
    works(nightly().args(["miri", "--version"]))
}

fn nightly() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]);
    // They name the toolchain that runs us.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}
