//! Other toolchains than the one that runs us, installed by rustup.

use std::process::Command;
use std::time::Duration;

use crate::step::{pass_within, works};

/// How long a toolchain may take to install.
const LIMIT: Duration = Duration::from_secs(600);

/// A program of a toolchain that may not be there.
pub(crate) fn program(toolchain: &str, name: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, name]);
    // They name the toolchain that runs us.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}

/// Installs a toolchain with these components unless `is_there` returns `true`; an error says that it is missing.
pub(crate) fn ensure(toolchain: &str, components: &[&str], is_there: impl Fn() -> bool) -> Result<(), String> {
    if is_there() {
        return Ok(());
    }
    let mut words = vec!["toolchain", "install", toolchain, "--profile=minimal", "--no-self-update"];
    components.iter().for_each(|component| words.extend(["--component", component]));
    let installed = pass_within(Command::new("rustup").args(&words), LIMIT);
    match installed {
        Ok(()) if is_there() => Ok(()),
        Ok(()) => Err(format!("rustup {} did not bring it", words.join(" "))),
        Err(why) => Err(format!("it is missing and could not be installed: {why}")),
    }
}

/// Returns `true` if a toolchain has this program, and it starts.
pub(crate) fn has(toolchain: &str, name: &str) -> bool {
    works(program(toolchain, name).arg("--version"))
}
