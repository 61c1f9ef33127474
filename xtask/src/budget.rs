//! Limits of the source: third-party crates, places of `unsafe`, and which modules may use which.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::step::{Outcome, cargo, output, settle};
use crate::{files, layers, source};

/// The most third-party crates that each of ours may bring. A library goes into other people's programs, the command
/// does not; `pm-core` may have one clock crate, should it ever earn its place.
const LIMITS: [(&str, usize); 5] = [("pm-core", 1), ("pm", 45), ("pm-server", 45), ("pm-client", 45), ("pm-cli", 125)];

/// The only place that may have `unsafe`.
const UNSAFE_HOME: &str = "crates/pm-core/src";

pub(crate) fn check() -> Outcome {
    let ours = crates(&["--workspace", "--depth=0"])?;
    let mut errors = Vec::new();
    println!("{:<12}{:>8}{:>8}  third-party crates, default features, this machine", "crate", "brings", "limit");
    for (name, limit) in LIMITS {
        let brings = crates(&["--package", name])?.difference(&ours).count();
        println!("{name:<12}{brings:>8}{limit:>8}");
        if brings > limit {
            errors.push(format!("{name} brings {brings} crates, its limit is {limit} (cargo tree --package {name})"));
        }
    }
    let mut homes = Vec::new();
    for path in files::with_extensions(&["rs"])? {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if let Some(line) = source::first_unsafe(&text) {
            match may_be_unsafe(&path, &text) {
                Ok(()) => homes.push(path.display().to_string()),
                Err(why) => errors.push(format!("{}:{line}: `unsafe` in a file that {why}", path.display())),
            }
        }
    }
    println!("unsafe: {}", if homes.is_empty() { "nowhere".into() } else { homes.join(", ") });
    errors.extend(layers::errors());
    settle(&errors)
}

/// Names with versions, as `cargo tree` finds them.
fn crates(which: &[&str]) -> Result<BTreeSet<String>, String> {
    let mut command = cargo(&["tree", "--prefix=none", "--edges=normal", "--locked"]);
    let tree = output(command.args(which))?;
    // A line is `name v1.2.3`, and then perhaps what it is and where.
    let name_and_version = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ok(tree.lines().filter(|line| !line.is_empty()).map(name_and_version).collect())
}

fn may_be_unsafe(path: &Path, text: &str) -> Result<(), &'static str> {
    if !path.starts_with(UNSAFE_HOME) {
        return Err("is not in the sources of pm-core");
    }
    let top = || text.lines().take_while(|line| line.is_empty() || line.starts_with("//") || line.starts_with("#!["));
    if !top().any(|line| line.starts_with("#![allow(unsafe_code")) {
        return Err("does not say #![allow(unsafe_code)] at its top");
    }
    if !top().any(|line| line.starts_with("//!") && line.contains("`unsafe`")) {
        return Err("does not say why at its top (`//! Contains `unsafe`: ...`)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: &str = "//! Contains `unsafe`: memory from the allocator.\n\n#![allow(unsafe_code)]\n";

    #[test]
    fn unsafe_needs_a_reason_and_leave_at_the_top_of_a_file_of_the_core() {
        let home = Path::new("crates/pm-core/src/chunk.rs");
        assert_eq!(may_be_unsafe(home, TOP), Ok(()));
        assert!(may_be_unsafe(Path::new("crates/pm/src/lib.rs"), TOP).is_err());
        assert!(may_be_unsafe(home, "//! Contains `unsafe`: why.\nfn f() {}\n#![allow(unsafe_code)]").is_err());
        assert!(may_be_unsafe(home, "#![allow(unsafe_code)]\n").is_err());
    }
}
