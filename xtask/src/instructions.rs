//! Counts the instructions of operations by `pm-bench-instructions`, against those of the last change.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{Done, Outcome, cargo, install_on_debian, pass_and_look, works};

/// How the program begins the line that says why it compares nothing, or not all.
const NOT_COMPARED: &str = "not compared: ";

/// Fails if an operation executes more instructions than before.
pub(crate) fn check() -> Outcome {
    look(&[])
}

/// Counts with the words of the caller, against the counts in the repository unless they name others.
pub(crate) fn look(words: &[&str]) -> Outcome {
    let (home, arch) = (home(), std::env::consts::ARCH);
    if words.contains(&"--against") || words.contains(&"--help") {
        return run(words);
    }
    if home.exists() {
        return run(&[words, &["--against", &home.to_string_lossy()]].concat());
    }
    match run(words)? {
        Done::Whole => {
            Ok(Done::Partly(vec![format!("no counts of {arch} before; cargo xtask bench --bless sets them")]))
        }
        done => Ok(done),
    }
}

/// Makes the counts of now those that later ones are compared with.
pub(crate) fn bless() -> Outcome {
    run(&["--json", &home().to_string_lossy()])
}

/// The counts of this architecture.
fn home() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    root.join("crates/pm-bench/instructions").join(std::env::consts::ARCH).with_extension("json")
}

fn run(words: &[&str]) -> Outcome {
    let has_valgrind = || works(Command::new("valgrind").arg("--version"));
    if !has_valgrind()
        && let Err(why) = install_on_debian("valgrind")
    {
        return Ok(Done::LeftOut(format!("no valgrind; install it, as by apt-get install valgrind ({why})")));
    }
    let program = ["run", "--release", "--package=pm-bench", "--bin=pm-bench-instructions", "--locked", "--"];
    let mut left_out = Vec::new();
    pass_and_look(&mut cargo(&[&program, words].concat()), |line| {
        left_out.extend(line.strip_prefix(NOT_COMPARED).map(str::to_owned));
    })?;
    Ok(if left_out.is_empty() { Done::Whole } else { Done::Partly(left_out) })
}
