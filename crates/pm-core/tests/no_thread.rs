//! A process in which the system has no further thread: what was planned still happens, and never too early.
//!
//! The test starts itself again with a stack size for threads that no machine has.
#![cfg(not(loom))]

use std::future::Future;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pm_core::{CancelPolicy, CancelRequest, Drain, Outcome, ProcessList, Verdict};

const CHILD: &str = "PM_TEST_NO_THREAD";

/// How long events take here, and how long they may: there is no other thread that could be slow.
const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(60);

fn main() {
    let has = |word: &str| std::env::args().any(|argument| argument == word);
    if has("--list") {
        // All is one test to tools that look for tests.
        if !has("--ignored") {
            println!("no_thread: test");
        }
        return;
    }
    if std::env::var_os(CHILD).is_none() {
        let this = std::env::current_exe().unwrap();
        let stack = (1_u64 << 60).to_string();
        let status = Command::new(this).env(CHILD, "1").env("RUST_MIN_STACK", stack).status().unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    if std::thread::Builder::new().spawn(|| ()).is_ok() {
        println!("left out: this system has threads of any size");
        return;
    }
    a_deadline_is_met_at_a_checkpoint();
    a_deadline_is_met_when_a_reader_looks();
    a_verdict_is_waited_for();
    a_drain_waits_as_long_as_it_was_asked_to();
    a_future_that_waits_is_polled_again();
    a_grace_ends();
    println!("ok");
}

fn a_deadline_is_met_at_a_checkpoint() {
    let list = ProcessList::new();
    let planned = list.counters().planned_without_thread;
    let begin = Instant::now();
    let task = list.task("a").deadline(SHORT).start();
    assert_eq!(list.counters().planned_without_thread, planned + 1);
    while !task.is_cancelled() {
        assert!(begin.elapsed() < LONG, "the deadline was not met");
    }
    assert!(begin.elapsed() >= SHORT);
    assert_eq!(task.checkpoint().unwrap_err().reason(), "deadline");
    // No other task is disturbed.
    assert!(list.start("b").checkpoint().is_ok());
}

fn a_deadline_is_met_when_a_reader_looks() {
    let list = ProcessList::new();
    let begin = Instant::now();
    let task = list.task("a").deadline(SHORT).start();
    while list.counters().cancel_requests == 0 {
        assert!(begin.elapsed() < LONG, "the deadline was not met");
    }
    assert!(begin.elapsed() >= SHORT && task.is_cancelled());
}

fn a_verdict_is_waited_for() {
    let list = ProcessList::new();
    let begin = Instant::now();
    let _task = list.start("unresponsive");
    let verdict = list.cancel("unresponsive", "too slow").unwrap().wait(SHORT).blocking();
    assert!(matches!(verdict, Verdict::Cancelling { .. }), "{verdict:?}");
    assert!(begin.elapsed() >= SHORT);
}

fn a_drain_waits_as_long_as_it_was_asked_to() {
    let list = ProcessList::new();
    let begin = Instant::now();
    let _task = list.start("unresponsive");
    let report = list.drain(Drain::new().wait(SHORT).grace(SHORT)).blocking();
    assert_eq!((report.finished, report.running), (0, 1));
    assert!(report.waited.unwrap() >= SHORT && begin.elapsed() >= 2 * SHORT, "{report}");
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls a future, again only when it was woken.
fn run<F: Future>(future: F) -> F::Output {
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    loop {
        assert!(woken.0.swap(false, Ordering::Relaxed), "no one will wake it");
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
    }
}

fn a_future_that_waits_is_polled_again() {
    let list = ProcessList::new();
    let begin = Instant::now();
    let _task = list.start("unresponsive");
    let verdict = run(list.cancel("unresponsive", "too slow").unwrap().wait(SHORT));
    assert!(matches!(verdict, Verdict::Cancelling { .. }), "{verdict:?}");
    assert!(begin.elapsed() >= SHORT);
    let report = run(list.drain(Drain::new().wait(SHORT).grace(SHORT)));
    assert_eq!(report.running, 1);
    assert!(begin.elapsed() >= 3 * SHORT);
}

fn a_grace_ends() {
    let list = ProcessList::new();
    let begin = Instant::now();
    let running = list.task("a").on_cancel(CancelPolicy::AskThenDrop(SHORT)).run(std::future::pending::<()>());
    let cancel = list.cancel("a", CancelRequest::new("too slow")).unwrap();
    assert_eq!(run(running).unwrap_err().reason(), "too slow");
    assert!(begin.elapsed() >= SHORT);
    assert!(matches!(cancel.verdict(), Verdict::Dropped { .. }), "{:?}", cancel.verdict());
    assert_eq!(list.ended().get(0).unwrap().outcome(), Some(Outcome::Cancelled));
}
