//! Hooks that block, as many as the timer has threads for. A process of its own, as all lists of a process share them.
#![cfg(not(loom))]

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use pm_core::ProcessList;

/// More would be delayed: one thread has to be left.
const HOOKS: usize = 3;

#[test]
fn a_hook_that_blocks_delays_no_deadline() {
    let list = ProcessList::new();
    let (go, blocked) = mpsc::channel::<()>();
    let (enters, entered) = mpsc::channel();
    let blocked = Mutex::new(blocked);
    let hook = list.on_stuck(Duration::from_millis(1), move |_| {
        enters.send(()).unwrap();
        // Until `go` is dropped; one holds the lock in the meantime.
        let _ = blocked.lock().map(|blocked| blocked.recv());
    });
    let stuck: Vec<_> = (0..HOOKS).map(|number| list.start(&format!("stuck-{number}"))).collect();
    for task in &stuck {
        list.cancel(task.serial().unwrap(), "").unwrap();
    }
    (0..HOOKS).for_each(|_| entered.recv().unwrap());
    let (other, wakes) = (ProcessList::new(), mpsc::channel());
    let timer = other.on_cancel(move |_| wakes.0.send(()).unwrap());
    let task = other.task("import").deadline(Duration::from_millis(1)).start();
    wakes.1.recv().unwrap();
    assert_eq!(task.checkpoint().unwrap_err().reason(), "deadline");
    drop((go, hook, timer));
}
