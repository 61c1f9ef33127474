//! Two versions of this crate in one program would be two lists: cargo refuses them.
#![cfg(not(any(loom, miri)))]

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn two_versions_in_one_build_are_refused() {
    let Some(cargo) = std::env::var_os("CARGO") else {
        println!("left out: not run by cargo");
        return;
    };
    let this = env!("CARGO_MANIFEST_DIR");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("two-versions");
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        &format!(
            "[package]\nname = \"program\"\nversion = \"1.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
             pm-core = {{ path = {this:?} }}\nlater = {{ package = \"pm-core\", path = \"later\" }}\n"
        ),
    );
    write("src/main.rs", "fn main() {}\n");
    let manifest = fs::read_to_string(Path::new(this).join("Cargo.toml")).unwrap();
    let links = manifest.lines().find(|line| line.starts_with("links")).unwrap();
    write(
        "later/Cargo.toml",
        &format!("[package]\nname = \"pm-core\"\nversion = \"77.0.0\"\nedition = \"2024\"\n{links}\n"),
    );
    write("later/build.rs", "fn main() {}\n");
    write("later/src/lib.rs", "");
    let output = Command::new(cargo).args(["generate-lockfile", "--offline"]).current_dir(&folder).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("links"), "{error}");
}
