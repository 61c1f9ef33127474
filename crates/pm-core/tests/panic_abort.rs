//! A program that is built with `panic = "abort"`: no cancel ends it.
#![cfg(not(any(loom, miri)))]

use std::path::Path;
use std::process::Command;

const PROGRAM: &str = r#"
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn main() {
    let list = pm_core::ProcessList::new();
    let deep_below = || {
        let task = pm_core::current();
        task.cancel("too slow").unwrap();
        task.checkpoint_or_unwind();
        7
    };
    assert_eq!(list.run_sync("job", |_| Ok(deep_below())), Ok(7));
    let mut running = pin!(list.task("future").run(async { deep_below() }));
    assert_eq!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(7)));
    assert_eq!(list.counters().not_unwound, 2);
}
"#;

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_cancel_returns_where_an_unwind_would_abort_the_program() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic-abort");
    std::fs::create_dir_all(&folder).unwrap();
    let (library, source, program) =
        (folder.join("libpm_core.rlib"), folder.join("program.rs"), folder.join("program"));
    std::fs::write(&source, PROGRAM).unwrap();
    let rustc = || {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition", "2024", "-C", "panic=abort"]);
        rustc
    };
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    run(rustc().args(["--crate-type", "rlib", "--crate-name", "pm_core"]).arg(crate_root).arg("-o").arg(&library));
    run(rustc().arg("--extern").arg(format!("pm_core={}", library.display())).arg(&source).arg("-o").arg(&program));
    run(&mut Command::new(&program));
}
