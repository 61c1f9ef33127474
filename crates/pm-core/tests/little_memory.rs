//! A program that has little memory left: it learns what is missing, and continues.

#![cfg(target_os = "linux")]

use std::process::Command;

use pm_core::ProcessList;

/// The variable with which this test runs itself as a child.
const CHILD: &str = "PM_TEST_LITTLE_MEMORY";

#[test]
fn a_snapshot_for_which_there_is_no_memory_counts_the_tasks_that_it_lacks() {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let me = std::env::current_exe().unwrap();
    let this = "a_snapshot_for_which_there_is_no_memory_counts_the_tasks_that_it_lacks";
    // In KiB. Threads of the test harness have an address space of their own within it.
    let script = format!("ulimit -v 600000; exec \"$0\" {this} --exact --nocapture");
    let output = Command::new("sh").args(["-c", &script]).arg(me).env(CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("continues"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

fn child() {
    let list = ProcessList::new();
    let tasks: Vec<_> = (0..100_000).map(|number| list.start(&number.to_string())).collect();
    assert_eq!((list.snapshot().len(), list.snapshot().not_copied()), (tasks.len(), 0));
    // All that is left, but some MiB for the rest of the program.
    let mut ballast: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(1 << 20).is_err() {
            break;
        }
        ballast.push(piece);
    }
    ballast.truncate(ballast.len() - 4);
    let snapshot = list.snapshot();
    assert!(snapshot.not_copied() > 0, "{} tasks", snapshot.len());
    assert_eq!(snapshot.len() as u64 + snapshot.not_copied(), tasks.len() as u64);
    assert_eq!(snapshot.iter().count(), snapshot.len());
    drop((snapshot, ballast));
    assert_eq!(list.snapshot().not_copied(), 0);
    println!("continues");
}
