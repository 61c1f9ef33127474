//! The races of the slots, each explored in all relevant orders: `cargo xtask loom`.
//!
//! A model is named after its race. Strings name their owner, so that a mixture of two tasks is detected.
#![cfg(loom)]

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::thread;
use pm_core::{CancelError, CancelPolicy, CancelRequest, Clock, Options, ProcessList, Snapshot, Task, Verdict};

/// Retains no ended tasks, so that slots are reused at once.
fn list(options: Options) -> ProcessList {
    keeping(options.keep_ended(0))
}

fn keeping(options: Options) -> ProcessList {
    ProcessList::with_options(small(options).clock(Clock::manual().0))
}

/// Keeps lists small: those of models live as long as the process, and there are millions of them.
fn small(options: Options) -> Options {
    options.max_bytes(1 << 12).max_kinds(0).max_statuses(0)
}

fn model(f: impl Fn() + Sync + Send + 'static) {
    model_of(2, f);
}

/// A model with at most so many preemptions of a thread, unless LOOM_MAX_PREEMPTIONS is set.
fn model_of(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(f);
}

fn rows(snapshot: &Snapshot) -> Vec<(String, String)> {
    let check = |task: pm_core::TaskView<'_>| {
        // No recorded string is missing, and none appears too early.
        assert_eq!(task.history_len() > 1, task.status() != pm_core::StatusText::Init);
        (task.id().to_string(), task.status().to_string())
    };
    snapshot.iter().map(check).collect()
}

fn row(id: &str, status: &str) -> (String, String) {
    (id.to_owned(), status.to_owned())
}

/// The history entries of a task, without their times.
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
    // With two preemptions it takes minutes.
    model_of(1, || {
        let list = list(Options::new());
        let old = list.start("old");
        let serial = old.serial();
        let other = list.clone();
        let writer = thread::spawn(move || {
            drop(old);
            other.start("new")
        });
        // One task is enough: a snapshot reads each slot in the same way.
        list.view(serial, |seen| assert_eq!(seen.id().as_str(), "old"));
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
        let result = list.cancel(serial, "why");
        assert!(matches!(result, Ok(_) | Err(CancelError::NotFound)), "{result:?}");
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
        list.cancel(serial, "why").unwrap();
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
        let canceller = thread::spawn(move || other.cancel(serial, "one").unwrap());
        list.cancel(serial, "two").unwrap();
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
fn a_stale_handle_races_with_end_and_reuse() {
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

/// A string that fills a chunk of a chain.
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
            // The chunk of `b` is reused.
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
    // With two preemptions it takes more than a minute.
    model_of(1, || {
        let list = list(Options::new());
        let task = list.start("a");
        let serial = task.serial();
        // Each is too long for the rest of the slot; three of them fill a chunk of the chain.
        let value = |letter: &str| letter.repeat(12);
        for letter in ["b", "c", "d"] {
            task.set("x", &value(letter));
        }
        let writer = thread::spawn(move || {
            // Most of the chunk holds old values by now: the chain is compacted.
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
fn overwriting_a_text_races_with_read() {
    model_of(1, || {
        let list = list(Options::new());
        let task = list.start("a");
        let serial = task.serial();
        // Two words.
        let value = |letter: &str| letter.repeat(8);
        task.set("x", &value("b"));
        let writer = thread::spawn(move || {
            // The second is shorter, and has spare space.
            task.set("x", &value("c"));
            task.set("x", "d");
            task
        });
        let read = || list.view(serial, |task| task.attrs().map(|(_, value)| format!("{value:?}")).collect::<Vec<_>>());
        let text = |value: &str| Some(vec![format!("Text({value:?})")]);
        let hidden = [text("????????"), text("?")];
        let whole = [text(&value("b")), text(&value("c")), text("d")];
        let seen = read();
        assert!(whole.contains(&seen) || hidden.contains(&seen), "{seen:?}");
        let _task = writer.join().unwrap();
        assert_eq!(read(), text("d"));
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

#[test]
fn a_start_races_with_a_search_for_its_id() {
    // With two preemptions it takes minutes.
    model_of(1, || {
        let list = list(Options::new());
        let one = list.start("one");
        assert_eq!(list.find("one"), [one.serial().unwrap()]);
        let other = list.clone();
        let starting = thread::spawn(move || {
            // In a slot that the index has already.
            drop(other.start("gone"));
            other.start("two")
        });
        let found = list.find("two");
        assert!(found.len() <= 1, "{found:?}");
        let two = starting.join().unwrap();
        assert_eq!(list.find("two"), [two.serial().unwrap()]);
        assert_eq!(list.find("one"), [one.serial().unwrap()]);
    });
}

#[test]
fn threads_that_take_serials_race() {
    model_of(1, || {
        let list = list(Options::new());
        let other = list.clone();
        // More than the places of the smallest array, so that it doubles.
        let starting = thread::spawn(move || [(); 3].map(|()| other.start("a")));
        let mut tasks: Vec<_> = (0..3).map(|_| list.start("a")).collect();
        tasks.extend(starting.join().unwrap());
        for task in &tasks {
            assert!(list.view(task.serial(), |_| ()).is_some(), "each is found by its serial");
        }
    });
}

/// Counts how often it is woken. Not one of the model's atomics, as it is read after all threads are done.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>, bell: &Arc<Bell>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
}

#[test]
fn a_cancel_races_with_the_start_of_a_child() {
    model(|| {
        let list = list(Options::new());
        let parent = list.start("parent");
        let (other, handle) = (list.clone(), parent.handle());
        let mother = thread::spawn(move || other.task("child").parent(handle).start());
        list.cancel(parent.serial(), "why").unwrap();
        let child = mother.join().unwrap();
        assert_eq!(child.checkpoint().unwrap_err().reason(), "why");
    });
}

#[test]
fn a_cancel_races_with_the_start_of_a_grandchild() {
    model_of(1, || {
        let list = list(Options::new());
        let root = list.start("root");
        let (other, handle) = (list.clone(), root.handle());
        let mother = thread::spawn(move || {
            let child = other.task("child").parent(handle).start();
            let grandchild = other.task("grandchild").parent(&child).start();
            (child, grandchild)
        });
        list.cancel(root.serial(), "why").unwrap();
        let (child, grandchild) = mother.join().unwrap();
        assert!(child.checkpoint().is_err() && grandchild.checkpoint().is_err());
    });
}

#[test]
fn a_cancel_and_the_end_of_a_parent_race_with_the_start_of_its_child() {
    model_of(1, || {
        let list = list(Options::new());
        let parent = list.start("parent");
        let handle = parent.handle();
        list.cancel(parent.serial(), "why").unwrap();
        let other = list.clone();
        let mother = thread::spawn(move || other.task("child").parent(handle).start());
        drop(parent);
        let another = list.start("in the slot of its parent, perhaps");
        let child = mother.join().unwrap();
        assert!(another.checkpoint().is_ok(), "a cancel of its parent reached another task");
        assert!(child.checkpoint().is_err(), "the child escaped");
    });
}

#[test]
fn a_kill_races_with_poll_and_wake() {
    model(|| {
        let list = list(Options::new());
        let bell = Arc::new(Bell::default());
        let mut running = Box::pin(list.task("a").run(pending::<()>()));
        let serial = running.handle().serial();
        let ringing = Arc::clone(&bell);
        let worker = thread::spawn(move || {
            let polled = poll(running.as_mut(), &ringing);
            (running, polled)
        });
        list.cancel(serial, "why").unwrap();
        let (mut running, polled) = worker.join().unwrap();
        if polled.is_pending() {
            assert_eq!(bell.0.load(Ordering::SeqCst), 1, "the cancellation was lost");
            assert!(poll(running.as_mut(), &bell).is_ready());
        }
        assert_eq!((list.counters().cancelled, list.counters().forced), (1, 1));
    });
}

#[test]
fn a_kill_races_with_a_new_waker() {
    model(|| {
        let list = list(Options::new());
        let bell = Arc::new(Bell::default());
        let mut running = Box::pin(list.task("a").run(pending::<()>()));
        assert!(poll(running.as_mut(), &Arc::default()).is_pending());
        let serial = running.handle().serial();
        let other = list.clone();
        let canceller = thread::spawn(move || other.cancel(serial, "why").unwrap());
        if poll(running.as_mut(), &bell).is_pending() {
            canceller.join().unwrap();
            assert_eq!(bell.0.load(Ordering::SeqCst), 1, "the cancellation woke the old waker");
            assert!(poll(running.as_mut(), &bell).is_ready());
        } else {
            canceller.join().unwrap();
        }
    });
}

#[test]
fn a_cancel_races_with_a_listener() {
    model(|| {
        let list = list(Options::new());
        let task = list.start("a");
        let (other, serial) = (list.clone(), task.serial());
        let canceller = thread::spawn(move || other.cancel(serial, "why").unwrap());
        let bell = Arc::new(Bell::default());
        let mut cancelled = pin!(task.cancelled());
        let observed = poll(cancelled.as_mut(), &bell).is_ready();
        canceller.join().unwrap();
        assert!(observed || bell.0.load(Ordering::SeqCst) == 1);
        assert!(observed || poll(cancelled.as_mut(), &bell).is_ready());
    });
}

#[test]
fn a_waiter_for_an_end_races_with_the_end() {
    model(|| {
        let list = list(Options::new());
        let task = list.start("a");
        let asked = list.cancel(task.serial(), CancelRequest::new("")).unwrap();
        let worker = thread::spawn(move || drop(task));
        let bell = Arc::new(Bell::default());
        let mut within = pin!(asked.wait(Duration::from_secs(1)));
        let first = poll(within.as_mut(), &bell);
        worker.join().unwrap();
        if first.is_pending() {
            assert_eq!(bell.0.load(Ordering::SeqCst), 1, "the end was lost");
            assert!(matches!(poll(within.as_mut(), &bell), Poll::Ready(Verdict::Finished { .. })));
        }
    });
}

#[test]
fn the_end_of_a_grace_period_races_with_the_end_of_its_task() {
    model_of(1, || {
        let (clock, hand) = Clock::manual();
        let list = ProcessList::with_options(small(Options::new()).clock(clock).keep_ended(0));
        let mut running =
            Box::pin(list.task("a").on_cancel(CancelPolicy::AskThenDrop(Duration::from_secs(1))).run(pending::<()>()));
        let (bell, handle) = (Arc::new(Bell::default()), running.handle());
        assert!(poll(running.as_mut(), &bell).is_pending());
        handle.cancel("why").unwrap();
        assert!(poll(running.as_mut(), &bell).is_pending());
        let other = list.clone();
        let owner = thread::spawn(move || {
            drop(running);
            // In the slot of the one that ended, perhaps.
            other.run("b", pending::<()>())
        });
        hand.advance(Duration::from_secs(1));
        let next = owner.join().unwrap();
        assert!(bell.0.load(Ordering::SeqCst) <= 2 && next.handle().checkpoint().is_ok());
        assert_eq!(list.counters().cancelled, 1);
    });
}

#[test]
fn eviction_of_ended_tasks_races_with_read() {
    model_of(1, || {
        let list = keeping(Options::new().keep_ended(2));
        let a = list.start("a");
        let first = a.serial();
        drop(a);
        drop(list.start("b"));
        let (c, d) = (list.start("c"), list.start("d"));
        let other = list.clone();
        let writer = thread::spawn(move || {
            // The batch of the first two is evicted when this one arrives.
            drop(c);
            drop(d);
            other.start("e")
        });
        list.view(first, |seen| {
            assert_eq!((seen.id().as_str(), seen.outcome()), ("a", Some(pm_core::Outcome::Finished)));
        });
        let task = writer.join().unwrap();
        assert_eq!(rows(&list.snapshot()), [row("e", "init")]);
        drop(task);
    });
}

#[test]
fn a_full_list_takes_what_another_thread_has_gathered() {
    model_of(1, || {
        // Four chunks.
        let list = ProcessList::with_options(small(Options::new()).max_bytes(1).clock(Clock::manual().0));
        drop(list.start("a"));
        let b = list.start("b");
        let other = list.clone();
        let worker = thread::spawn(move || {
            let tasks = ["c", "d", "e"].map(|id| other.start(id));
            assert!(tasks.iter().all(|task| task.handle().is_live()), "the slot of `a` is taken first");
            tasks
        });
        // This is gathered beside `a`, which the other thread takes concurrently, or it is handed on with it.
        drop(b);
        let tasks = worker.join().unwrap();
        // All start at one time, so that their order is that of their slots.
        let ids = |snapshot: &Snapshot| rows(snapshot).into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
        let set = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(ids(&list.snapshot()), set(&["c", "d", "e"]));
        assert!(ids(&list.ended()).iter().all(|id| id == "a" || id == "b"));
        drop(tasks);
        // Each slot has one owner. The thread that exits may still hold a free one: loom ends it after it was joined.
        let four = ["f", "g", "h", "i"].map(|id| (id, list.start(id)));
        let live = four.iter().filter(|(_, task)| task.handle().is_live()).map(|(id, _)| (*id).to_owned());
        let live: BTreeSet<_> = live.collect();
        assert!(live.len() >= 3, "{live:?}");
        assert_eq!(ids(&list.snapshot()), live);
    });
}

#[test]
fn a_hook_races_with_its_end() {
    model(|| {
        let list = list(Options::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let hook = list.on_end(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let other = list.clone();
        let worker = thread::spawn(move || drop(other.start("a")));
        drop(hook);
        // The hook is gone: tasks that end from now on are not reported.
        let before = calls.load(Ordering::SeqCst);
        drop(list.start("b"));
        worker.join().unwrap();
        assert!(calls.load(Ordering::SeqCst) <= 1 && before <= 1);
        assert_eq!(Arc::strong_count(&calls), 1, "the hook is gone for good");
    });
}
