//! Passes the version of the compiler on, as counts of instructions depend on it.

use std::process::Command;

fn main() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    println!("cargo::rustc-env=PM_BENCH_COMPILER={}", version.as_deref().unwrap_or("unknown"));
    println!("cargo::rerun-if-changed=build.rs");
}
