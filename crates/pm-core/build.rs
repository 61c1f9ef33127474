//! There is one list per process only if there is one `pm-core` in the build. `links` in `Cargo.toml` makes cargo
//! refuse a second version, and cargo wants a build script beside it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
