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
    model_of(2, f);
}

/// A model in which a thread is interrupted so many times at most, unless LOOM_MAX_PREEMPTIONS says otherwise.
fn model_of(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
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
    // With two interruptions it takes more than a minute.
    model_of(1, || {
        let list = list(Options::new());
        let task = list.start("a");
        let serial = task.serial();
        // Each too long for what is left of the slot; three of them fill a chunk of the chain.
        let value = |letter: &str| letter.repeat(12);
        for letter in ["b", "c", "d"] {
            task.set("x", &value(letter));
        }
        let writer = thread::spawn(move || {
            // Old values are most of the chunk by now: the chain is written anew.
            task.set("x", &value("e"));
            task
        });
        let seen = list.view(serial, |task| task.attrs().map(|(_, value)| format!("{value:?}")).collect::<Vec<_>>());
        let text = |letter: &str| format!("Text({:?})", value(letter));
        assert!([vec![text("d")], vec![text("e")]].contains(seen.as_ref().unwrap()), "{seen:?}");
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
