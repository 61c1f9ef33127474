//! The promises of the manifests: the oldest compiler and the lowest versions of dependencies that they allow.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::step::{Done, Outcome, cargo, packages, pass, target_dir};
use crate::toolchain;

/// The published libraries.
const LIBRARIES: [&str; 7] = ["pm-core", "pm-wire", "pm-server", "pm-macros", "pm", "pm-client", "pm-actix"];
/// The parts of a crate that its build needs, besides the manifest.
const PARTS: [&str; 4] = ["src", "build.rs", "page", "openapi.json"];

/// Checks the published crates with the oldest supported compiler, which `rust-version` names.
pub(crate) fn msrv() -> Outcome {
    let packages = packages()?;
    let version = packages
        .first()
        .and_then(|package| package["rust_version"].as_str())
        .ok_or("the workspace has no rust-version")?;
    if let Err(why) = toolchain::ensure(version, &[], || toolchain::has(version, "rustc")) {
        return Ok(Done::LeftOut(format!("Rust {version}: {why}")));
    }
    let mut check = toolchain::program(version, "cargo");
    check.args(["check", "--all-features", "--locked", "--target-dir"]).arg(target_dir("msrv"));
    pass(check.arg("--package=pm-cli").args(LIBRARIES.map(|name| format!("--package={name}"))))
}

/// Checks the published libraries with the lowest versions of their dependencies that the manifests allow: a program
/// whose lock file holds old versions gets these.
///
/// The requirements of tests and of the command are left out, as they would raise those of the libraries.
pub(crate) fn minimal() -> Outcome {
    let root = target_dir("minimal");
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    // Of the last time. What was built stays.
    let _ = fs::remove_dir_all(root.join("crates"));
    let _ = fs::remove_file(root.join("Cargo.lock"));
    let workspace = read(Path::new("Cargo.toml"))?;
    let workspace = workspace.lines().filter(|line| !line.starts_with("default-members"));
    let workspace: String = workspace.flat_map(|line| [line, "\n"]).collect();
    write(&root.join("Cargo.toml"), &workspace.replace(r#"["crates/*", "xtask"]"#, r#"["crates/*"]"#))?;
    for name in LIBRARIES {
        let from = Path::new("crates").join(name);
        let to = root.join(&from);
        write(&to.join("Cargo.toml"), &without_tests(&read(&from.join("Cargo.toml"))?))?;
        for part in PARTS.iter().filter(|part| from.join(part).exists()) {
            let (from, to) = (fs::canonicalize(from.join(part)), to.join(part));
            from.and_then(|from| symlink(from, &to)).map_err(|error| format!("{}: {error}", to.display()))?;
        }
    }
    // The option is unstable; what is built is not.
    let mut choose = cargo(&["-Zdirect-minimal-versions", "generate-lockfile", "--quiet"]);
    pass(choose.env("RUSTC_BOOTSTRAP", "1").current_dir(&root))?;
    let check = ["check", "--workspace", "--all-features", "--locked", "--target-dir=build"];
    pass(cargo(&check).current_dir(&root))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir).and_then(|()| fs::write(path, text)).map_err(|error| format!("{}: {error}", path.display()))
}

/// Returns a manifest without the tables of tests and examples.
fn without_tests(manifest: &str) -> String {
    let mut is_kept = true;
    let lines = manifest.lines().filter(|line| {
        if line.starts_with('[') {
            is_kept = !["dev-dependencies", "[[test]]", "[[example]]", "[[bench]]"].iter().any(|of| line.contains(of));
        }
        is_kept
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_keeps_what_its_users_build() {
        let manifest = "\
[package]
name = \"a\"
[dev-dependencies]
tokio = \"2\"
[dependencies]
tokio = \"1\"
[target.'cfg(unix)'.dev-dependencies]
b = \"1\"
[[test]]
name = \"t\"
[lints]
workspace = true
";
        let kept = "[package]\nname = \"a\"\n[dependencies]\ntokio = \"1\"\n[lints]\nworkspace = true\n";
        assert_eq!(without_tests(manifest), kept);
    }
}
