//! The races of the slots, each tried in all orders that matter: `cargo xtask loom`.
//!
//! A model is named after its race. Texts tell whose they are, so that a mixture of two tasks is seen.
#![cfg(loom)]

use loom::thread;
use pm_core::{CancelError, Clock, Options, ProcessList, Snapshot, Task};

fn list(options: Options) -> ProcessList {
    ProcessList::with_options(options.clock(Clock::manual().0).max_bytes(1 << 12))
}

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    if builder.preemption_bound.is_none() {
        builder.preemption_bound = Some(2);
    }
    builder.check(f);
}

fn rows(snapshot: &Snapshot) -> Vec<(String, String)> {
    let check = |task: pm_core::TaskView<'_>| {
        // Of the texts that are recorded, none is missing and none is there too early.
        assert_eq!(task.history_len() > 1, task.status() != pm_core::StatusText::Init);
        (task.id().to_string(), task.status().to_string())
    };
    snapshot.iter().map(check).collect()
}

fn row(id: &str, status: &str) -> (String, String) {
    (id.to_owned(), status.to_owned())
}

/// Entries of a task, without their times.
fn statuses(list: &ProcessList, task: &Task) -> Vec<String> {
    list.history(task.serial()).unwrap().entries.into_iter().map(|entry| entry.status).collect()
}

#[test]
fn publish_races_with_read() {
    model(|| {
        let list = list(Options::new());
        let other = list.clone();
        let writer = thread::spawn(move || {
            let task = other.start("a");
            task.status("b").unwrap();
            task
        });
        let seen = rows(&list.snapshot());
        assert!(seen.is_empty() || seen == [row("a", "init")] || seen == [row("a", "b")], "{seen:?}");
        let task = writer.join().unwrap();
        assert_eq!(rows(&list.snapshot()), [row("a", "b")]);
        drop(task);
        assert!(list.snapshot().is_empty());
    });
}

#[test]
fn end_and_reuse_race_with_read() {
    model(|| {
        let list = list(Options::new());
        let old = list.start("old");
        let serial = old.serial();
        let other = list.clone();
        let writer = thread::spawn(move || {
            drop(old);
            other.start("new")
        });
        for seen in list.snapshot().iter() {
            assert_eq!(seen.id().as_str(), if seen.serial() == serial { "old" } else { "new" });
        }
        let new = writer.join().unwrap();
        assert_eq!(rows(&list.snapshot()), [row("new", "init")]);
        drop(new);
    });
}

#[test]
fn cancel_races_with_end_and_reuse() {
    model(|| {
        let list = list(Options::new());
        let old = list.start("old");
        let serial = old.serial();
        let other = list.clone();
        let writer = thread::spawn(move || {
            drop(old);
            other.start("new")
        });
        let result = list.cancel_serial(serial, "why");
        assert!(matches!(result, Ok(()) | Err(CancelError::NotFound)), "{result:?}");
        let new = writer.join().unwrap();
        assert_eq!(new.checkpoint(), Ok(()));
        assert_eq!(statuses(&list, &new), ["init"]);
    });
}

#[test]
fn cancel_races_with_checkpoint() {
    model(|| {
        let list = list(Options::new());
        let task = list.start("a");
        let serial = task.serial();
        let worker = thread::spawn(move || {
            if let Err(cancelled) = task.checkpoint() {
                assert_eq!(cancelled.reason(), "why");
            }
            task
        });
        list.cancel_serial(serial, "why").unwrap();
        let task = worker.join().unwrap();
        assert_eq!(task.checkpoint().unwrap_err().reason(), "why");
    });
}

#[test]
fn two_cancels_race() {
    model(|| {
        let list = list(Options::new());
        let task = list.start("a");
        let serial = task.serial();
        let other = list.clone();
        let canceller = thread::spawn(move || other.cancel_serial(serial, "one").unwrap());
        list.cancel_serial(serial, "two").unwrap();
        canceller.join().unwrap();
        let reason = task.checkpoint().unwrap_err().reason().to_owned();
        assert_eq!(statuses(&list, &task), ["init".to_owned(), format!("[cancel request: {reason}]")]);
    });
}

#[test]
fn two_handles_race() {
    model(|| {
        let list = list(Options::new());
        let task = list.start("a");
        let handle = task.handle();
        let other = thread::spawn(move || handle.status("one").unwrap());
        task.status("two").unwrap();
        other.join().unwrap();
        let mut seen = statuses(&list, &task);
        seen.sort();
        assert_eq!(seen, ["init", "one", "two"]);
    });
}

#[test]
fn a_late_handle_races_with_end_and_reuse() {
    model(|| {
        let list = list(Options::new());
        let old = list.start("old");
        let handle = old.handle();
        let late = thread::spawn(move || handle.status("late").unwrap());
        drop(old);
        let new = list.start("new");
        late.join().unwrap();
        assert_eq!(statuses(&list, &new), ["init"]);
    });
}

/// A text that takes a chunk of a chain for itself.
fn long(letter: &str) -> String {
    letter.repeat(60)
}

#[test]
fn ring_recycling_races_with_read() {
    model(|| {
        let list = list(Options::new().history(1, 2));
        let task = list.start("a");
        task.status(&long("b")).unwrap();
        task.status(&long("c")).unwrap();
        let serial = task.serial();
        let writer = thread::spawn(move || {
            // The chunk of `b` is used again.
            task.status(&long("d")).unwrap();
            task
        });
        let history = list.history(serial).unwrap();
        for entry in &history.entries[1..] {
            assert!(["b", "c", "d"].iter().any(|letter| entry.status == long(letter)), "{entry:?}");
        }
        let newest = &history.entries.last().unwrap().status;
        assert!(*newest == long("c") || *newest == long("d"), "{newest}");
        writer.join().unwrap();
    });
}

#[test]
fn compaction_races_with_read() {
    model(|| {
        let list = list(Options::new());
        let task = list.start("a");
        task.set("x", &long("b"));
        let writer = thread::spawn(move || {
            task.set("x", &long("c"));
            task.set("x", &long("d"));
            task
        });
        let snapshot = list.snapshot();
        if let Some(row) = snapshot.get(0) {
            for (_, value) in row.attrs() {
                let pm_core::ValueView::Text(value) = value else { panic!("{value:?}") };
                assert!(["b", "c", "d"].iter().any(|letter| value.as_str() == long(letter)), "{value}");
            }
        }
        writer.join().unwrap();
    });
}

#[test]
fn growth_of_the_slab_races_with_read() {
    model(|| {
        let list = list(Options::new());
        let full: Vec<_> = (0..4).map(|_| list.start("a")).collect();
        let other = list.clone();
        let writer = thread::spawn(move || other.start("b"));
        let seen = list.snapshot().len();
        assert!(seen == 4 || seen == 5, "{seen}");
        let task = writer.join().unwrap();
        assert_eq!(list.snapshot().len(), 5);
        drop((full, task));
    });
}

#[test]
fn thread_exit_races_with_start() {
    model(|| {
        let list = list(Options::new());
        let other = list.clone();
        let leaving = thread::spawn(move || drop(other.start("gone")));
        let one = list.start("one");
        leaving.join().unwrap();
        let more: Vec<_> = (0..4).map(|_| list.start("more")).collect();
        let mut serials: Vec<_> = list.snapshot().iter().map(|task| task.serial()).collect();
        serials.sort();
        serials.dedup();
        assert_eq!(serials.len(), 5, "no slot is given to two tasks");
        drop((one, more));
        assert!(list.snapshot().is_empty());
    });
}
