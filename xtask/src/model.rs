//! Programs that find errors which a test meets only by luck: loom tries the interleavings of threads, Miri and the
//! sanitizers detect undefined behaviour and races.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::step::{Done, Outcome, cargo, output, pass, pass_all, pass_and_look, target_dir, works};
use crate::toolchain::{self, program};

const NIGHTLY: &str = "nightly";
/// Its components that Miri and the thread sanitizer need.
const COMPONENTS: [&str; 2] = ["miri", "rust-src"];

/// Tests of pm-core beside the unit tests that are small enough for Miri, which is some hundred times slower.
const MIRI_TESTS: [&str; 1] = ["promises"];

/// `-Zmiri-disable-isolation` lets tests read the clocks. Strict provenance holds the few raw pointers to the letter.
/// The memory of lists is never freed, and the thread of the timer outlives the tests: both count as leaks.
const MIRI_FLAGS: &str = "-Zmiri-strict-provenance -Zmiri-disable-isolation -Zmiri-ignore-leaks";

/// The sanitizers and cargo's flags for them: the thread sanitizer has to see into the locks of the standard library.
const SANITIZERS: [(&str, &[&str]); 2] = [("address", &[]), ("thread", &["-Zbuild-std"])];

/// Tests of pm-core beside the unit tests that run under the sanitizers: those with many threads.
const SANITIZED_TESTS: [&str; 6] = ["behaviour", "kill", "drain", "waits", "whole_values", "million_kills"];

/// Tests of pm that run under the sanitizers: servers under load and attack.
const SANITIZED_SERVERS: [&str; 2] = ["--test=hostile", "--test=events"];

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

/// Runs tests of pm-core under Miri, if it is installed.
pub(crate) fn miri() -> Outcome {
    if !has_miri() {
        return Ok(Done::LeftOut("no nightly toolchain with Miri; cargo xtask miri installs it".into()));
    }
    let mut command = program(NIGHTLY, "cargo");
    command.args(["miri", "test", "--package=pm-core", "--locked", "--lib"]);
    command.args(MIRI_TESTS.map(|test| format!("--test={test}"))).arg("--target-dir").arg(target_dir("miri"));
    pass(command.env("MIRIFLAGS", MIRI_FLAGS))
}

/// Installs Miri if it is missing, and runs it.
pub(crate) fn miri_with_install() -> Outcome {
    match toolchain::ensure(NIGHTLY, &COMPONENTS, has_miri) {
        Ok(()) => miri(),
        Err(why) => Ok(Done::LeftOut(format!("Miri: {why}"))),
    }
}

fn has_miri() -> bool {
    works(program(NIGHTLY, "cargo").args(["miri", "--version"]))
}

/// Runs tests of pm-core, pm-server and servers of pm under the address sanitizer, which looks for leaks as well, and
/// the thread sanitizer, if their toolchain is installed.
pub(crate) fn sanitizers() -> Outcome {
    let host = match output(Command::new("rustc").arg("--print=host-tuple")) {
        Ok(host) if ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"].contains(&host.trim()) => host,
        _ => return Ok(Done::LeftOut("they are for Linux with glibc on x86-64 and aarch64".into())),
    };
    if !has_source() {
        let why = "no nightly toolchain with the source of the standard library; cargo xtask sanitizers installs it";
        return Ok(Done::LeftOut(why.into()));
    }
    let mut commands = Vec::new();
    for (sanitizer, flags) in SANITIZERS {
        let sanitized = |words: &[&str]| {
            let mut command = program(NIGHTLY, "cargo");
            command
                .args(["test", "--locked", "--config=profile.dev.opt-level=1", "--target", host.trim(), "--target-dir"])
                .arg(target_dir(sanitizer));
            command.args(flags).args(words).env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"));
            // The address sanitizer looks for leaks, too. One test starts a thread in the child of a fork, on purpose.
            command.env("ASAN_OPTIONS", "detect_leaks=1").env("TSAN_OPTIONS", "die_after_fork=0");
            command
        };
        let tests = SANITIZED_TESTS.map(|test| format!("--test={test}"));
        let (mut core, mut servers) = (sanitized(&["--package=pm-core", "--lib"]), sanitized(&["--package=pm"]));
        core.args(tests);
        servers.args(SANITIZED_SERVERS);
        commands.extend([core, sanitized(&["--package=pm-server", "--all-features", "--lib"]), servers]);
    }
    pass_all(commands)
}

/// Installs a toolchain for the sanitizers if it is missing, and runs them.
pub(crate) fn sanitizers_with_install() -> Outcome {
    match toolchain::ensure(NIGHTLY, &COMPONENTS, has_source) {
        Ok(()) => sanitizers(),
        Err(why) => Ok(Done::LeftOut(format!("a nightly toolchain with rust-src: {why}"))),
    }
}

fn has_source() -> bool {
    let root = output(program(NIGHTLY, "rustc").arg("--print=sysroot"));
    root.is_ok_and(|root| Path::new(root.trim()).join("lib/rustlib/src/rust/library/std").exists())
}
