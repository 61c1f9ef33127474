//! Checks third-party crates: their licences, their sources, and advisories. The rules are in `deny.toml`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::step::{Done, Outcome, cargo, pass, pass_within, target_dir, works};

/// The cargo-deny to install. Another one on the path is as good.
const VERSION: &str = "0.20.2";

pub(crate) fn check() -> Outcome {
    let tool = find()?;
    pass(Command::new(&tool).args(["--locked", "check", "bans", "licenses", "sources"]))?;
    // The database is somewhere else than the crates, and may be out of reach where they are not.
    if let Err(why) = pass_within(Command::new(&tool).args(["--locked", "fetch", "db"]), Duration::from_secs(60)) {
        return Ok(Done::Partly(vec![format!("advisories, as their database could not be fetched ({why})")]));
    }
    pass(Command::new(&tool).args(["--locked", "check", "--disable-fetch", "advisories"]))
}

/// A cargo-deny that runs, made if need be.
fn find() -> Result<PathBuf, String> {
    let root = target_dir("tools");
    let ours = root.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    for tool in [PathBuf::from("cargo-deny"), ours.clone()] {
        if works(Command::new(&tool).arg("--version")) {
            return Ok(tool);
        }
    }
    println!("cargo-deny is missing and is being built; this takes minutes, once");
    let mut install = cargo(&["install", "cargo-deny", "--version", VERSION, "--locked", "--debug", "--root"]);
    // Built apart, so that nothing of it mixes with ours.
    install.arg(&root).arg("--target-dir").arg(root.join("build"));
    pass_within(&mut install, Duration::from_secs(1800))
        .map_err(|why| format!("cargo-deny {VERSION} could not be installed, nothing was checked: {why}"))?;
    Ok(ours)
}
