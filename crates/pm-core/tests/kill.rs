//! Cancellation: futures that are woken and dropped, protected sections, trees, deadlines, expectations, verdicts.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use pm_core::{
    CancelError, CancelPolicy, CancelRequest, Cancelled, Clock, ManualClock, Options, Outcome, ProcessList, TaskFuture,
    TaskHandle, Verdict, protect,
};

const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn timed(options: Options) -> (ProcessList, ManualClock) {
    let (clock, hand) = Clock::manual();
    (ProcessList::with_options(options.clock(clock)), hand)
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A future that is polled by hand.
struct Bench<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
}

impl<F: Future> Bench<F> {
    fn new(future: F) -> Self {
        Self { future: Box::pin(future), bell: Arc::default() }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.bell));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

fn cancel_and_wait(list: &ProcessList, id: &str, request: CancelRequest<'_>, timeout: Duration) -> Verdict {
    match list.cancel(id, request) {
        Ok(cancel) => cancel.wait(timeout).blocking(),
        Err(error) => error.into(),
    }
}

/// Runs when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Returns the outcome of the task, and its history after `init`.
fn story(list: &ProcessList, task: TaskHandle) -> (Outcome, Vec<String>) {
    let history = list.history(task.serial()).expect("it is retained");
    let entries = history.entries.into_iter().skip(1).map(|entry| entry.status).collect();
    (history.outcome.expect("it has ended"), entries)
}

fn killed<T: std::fmt::Debug>(polled: Poll<Result<T, Cancelled>>) -> Cancelled {
    match polled {
        Poll::Ready(Err(cancelled)) => cancelled,
        other => panic!("{other:?}"),
    }
}

// A future as a task.

#[test]
fn a_task_is_current_only_while_its_future_is_polled_or_dropped() {
    let list = ProcessList::new();
    let seen = RefCell::new(Vec::new());
    let note = || seen.borrow_mut().push(pm_core::current().serial());
    let running = list.run("a", async {
        let _end = OnDrop(note);
        note();
        pending::<()>().await;
    });
    let handle = running.handle();
    let mut bench = Bench::new(running);
    assert!(bench.poll().is_pending());
    assert!(!pm_core::current().is_live());
    drop(bench);
    assert!(!pm_core::current().is_live());
    assert_eq!(*seen.borrow(), [handle.serial(), handle.serial()]);
}

#[test]
fn each_way_a_future_can_end_is_recorded() {
    let list = ProcessList::new();

    let mut done = Bench::new(list.run("done", ready(7)));
    let handle = done.future.handle();
    assert!(matches!(done.poll(), Poll::Ready(Ok(7))));
    assert_eq!(story(&list, handle), (Outcome::Finished, vec!["ended".into()]));
    assert!(done.poll().is_pending(), "polled again, it stays pending");

    let mut failed =
        Bench::new(list.task("failed").try_run(ready(Err::<(), Box<dyn std::error::Error>>("no file".into()))));
    let handle = failed.future.handle();
    assert!(matches!(failed.poll(), Poll::Ready(Err(error)) if error.to_string() == "no file"));
    assert_eq!(story(&list, handle), (Outcome::Failed, vec!["failed: no file".into()]));

    let dropped = list.run("dropped", pending::<()>());
    let handle = dropped.handle();
    drop(dropped);
    assert_eq!(story(&list, handle), (Outcome::Dropped, vec!["dropped".into()]));

    let mut panics = Bench::new(list.run("panics", async { panic!("a bug") }));
    let handle = panics.future.handle();
    assert!(catch_unwind(AssertUnwindSafe(|| panics.poll())).is_err());
    assert_eq!(story(&list, handle), (Outcome::Aborted, vec!["aborted".into()]));
    assert!(!pm_core::current().is_live());

    let mut idle = Bench::new(list.run("killed", pending::<()>()));
    let handle = idle.future.handle();
    assert!(idle.poll().is_pending());
    list.cancel("killed", "too slow").unwrap();
    assert_eq!(idle.bell.rung(), 1, "an idle future is woken at once");
    assert_eq!(killed(idle.poll()).reason(), "too slow");
    let entries = vec!["[cancel request: too slow]".into(), "killed: too slow".into()];
    assert_eq!(story(&list, handle), (Outcome::Cancelled, entries));

    let counters = list.counters();
    assert_eq!((counters.finished, counters.failed, counters.aborted), (1, 1, 1));
    assert_eq!((counters.dropped, counters.cancelled, counters.forced), (1, 1, 1));
    assert_eq!((counters.live, counters.cancelling), (0, 0));
}

#[test]
fn the_caller_receives_reason_requester_and_time() {
    let (list, hand) = timed(Options::new());
    let mut running = Bench::new(list.run("a", pending::<()>()));
    assert!(running.poll().is_pending());
    hand.advance(3 * SECOND);
    let at = list.now();
    list.cancel("a", CancelRequest::new("too slow").by("operator")).unwrap();
    hand.advance(SECOND);
    let cancelled = killed(running.poll());
    assert_eq!((cancelled.reason(), cancelled.by(), cancelled.at()), ("too slow", "operator", at));
    assert_eq!(cancelled.origin(), cancelled.serial());
    assert_eq!(cancelled.to_string(), "cancelled: too slow");
}

#[test]
fn a_future_that_completes_keeps_its_output_even_if_it_was_cancelled() {
    let list = ProcessList::new();
    let mut running = Bench::new(list.run("a", async {
        list.cancel("a", "from within").unwrap();
        7
    }));
    let handle = running.future.handle();
    assert!(matches!(running.poll(), Poll::Ready(Ok(7))));
    assert_eq!(story(&list, handle).0, Outcome::Finished);
}

#[test]
fn a_future_that_is_cancelled_before_its_first_poll_never_runs() {
    let list = ProcessList::new();
    let mut running = Bench::new(list.run("a", async { panic!("it runs") }));
    list.cancel("a", "").unwrap();
    assert_eq!(killed::<()>(running.poll()).reason(), "");
}

#[test]
fn a_future_may_be_leaked_or_never_polled() {
    let list = ProcessList::new();
    drop(list.run("never polled", ready(())));
    let mut leaked = Box::pin(list.run("leaked", pending::<()>()));
    assert!(leaked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    // Statics are never dropped, and leak detectors accept what they refer to.
    type Leaked = Pin<Box<dyn Future<Output = Result<(), Cancelled>> + Send>>;
    static LEAKED: Mutex<Option<Leaked>> = Mutex::new(None);
    *LEAKED.lock().unwrap() = Some(leaked);
    let verdict = cancel_and_wait(&list, "leaked", CancelRequest::new(""), Duration::ZERO);
    assert!(matches!(verdict, Verdict::Cancelling { .. }));
    assert_eq!((list.counters().live, list.counters().cancelling), (1, 1));
}

#[test]
fn destructors_run_before_the_task_ends_and_can_set_its_status() {
    let list = ProcessList::new();
    let mut running = Bench::new(list.run("a", async {
        let _tidy = OnDrop(|| {
            let _ = pm_core::current().status("tidying up");
        });
        pending::<()>().await;
    }));
    let handle = running.future.handle();
    assert!(running.poll().is_pending());
    list.cancel("a", "").unwrap();
    killed(running.poll());
    assert_eq!(story(&list, handle).1, ["[cancel request]", "tidying up", "killed"]);
}

#[test]
fn a_panic_in_a_destructor_ends_the_task_as_aborted_and_propagates() {
    let list = ProcessList::new();
    for kill in [true, false] {
        let mut running = Bench::new(list.run("a", async {
            let _bomb = OnDrop(|| panic!("in a destructor"));
            pending::<()>().await;
        }));
        let handle = running.future.handle();
        assert!(running.poll().is_pending());
        if kill {
            list.cancel("a", "").unwrap();
            assert!(catch_unwind(AssertUnwindSafe(|| running.poll())).is_err());
            assert!(running.poll().is_pending(), "nothing is left of it");
        } else {
            assert!(catch_unwind(AssertUnwindSafe(|| drop(running))).is_err());
        }
        assert_eq!(story(&list, handle).0, Outcome::Aborted);
    }
    assert_eq!(list.counters().live, 0);
    assert!(!pm_core::current().is_live());
}

#[test]
fn each_new_waker_replaces_the_last() {
    let list = ProcessList::new();
    let mut running = Bench::new(list.run("a", pending::<()>()));
    assert!(running.poll().is_pending());
    let first = std::mem::take(&mut running.bell);
    assert!(running.poll().is_pending());
    assert_eq!(Arc::strong_count(&first), 1, "the old waker is dropped");
    list.cancel("a", "").unwrap();
    assert_eq!((first.rung(), running.bell.rung()), (0, 1));
    killed(running.poll());
}

#[test]
fn a_waker_may_use_the_list_and_panic() {
    struct Nosy(ProcessList);
    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {
            // As if in the middle of a cancellation: no lock is held.
            assert_eq!(self.0.snapshot().len(), 1);
            self.0.cancel("a", "again").unwrap();
            drop(self.0.start("b"));
            panic!("a waker that panics");
        }
    }
    let list = ProcessList::new();
    let mut running = pin!(list.run("a", pending::<()>()));
    let waker = Waker::from(Arc::new(Nosy(list.clone())));
    assert!(running.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    list.cancel("a", "first").unwrap();
    assert_eq!(list.counters().panics_caught, 1);
    assert_eq!(killed(running.as_mut().poll(&mut Context::from_waker(&waker))).reason(), "first");
}

#[test]
fn a_hidden_task_runs_as_usual() {
    let list = ProcessList::new();
    list.set_enabled(false);
    let mut running = Bench::new(list.run("a", protect(ready(7))));
    assert_eq!(list.cancel("a", "").map(|cancel| cancel.serial()), Err(CancelError::NotFound));
    assert!(matches!(running.poll(), Poll::Ready(Ok(7))));
}

#[test]
fn a_future_may_be_polled_on_many_threads() {
    let list = ProcessList::new();
    let mut running: Pin<Box<TaskFuture<_>>> = Box::pin(list.run("a", async {
        loop {
            pm_core::current().status("polled").unwrap();
            let mut once = false;
            poll_fn(|_| if std::mem::replace(&mut once, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }));
    for _ in 0..20 {
        running = std::thread::spawn(move || {
            let polled: Poll<Result<(), _>> = running.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            running
        })
        .join()
        .unwrap();
    }
    list.cancel("a", "").unwrap();
    killed(running.as_mut().poll(&mut Context::from_waker(Waker::noop())));
}

// Grace periods, protected sections, futures that are never dropped by force.

#[test]
fn a_future_has_its_grace_period_to_clean_up_and_is_dropped_afterwards() {
    let (list, hand) = timed(Options::new());
    let mut running = Bench::new(list.task("a").on_cancel(CancelPolicy::AskThenDrop(10 * SECOND)).run(pending::<()>()));
    assert!(running.poll().is_pending());
    list.cancel("a", "").unwrap();
    assert_eq!(running.bell.rung(), 1);
    assert!(running.poll().is_pending(), "it is asked to stop, and continues");
    hand.advance(9 * SECOND);
    assert!(running.poll().is_pending());
    assert_eq!(running.bell.rung(), 1);
    hand.advance(SECOND);
    assert_eq!(running.bell.rung(), 2, "it is woken when its grace period is over");
    killed(running.poll());
}

#[test]
fn a_future_that_listens_ends_by_itself() {
    let (list, _hand) = timed(Options::new().on_cancel(CancelPolicy::AskThenDrop(YEAR)));
    let mut running = Bench::new(list.run("a", async { pm_core::current().cancelled().await.reason().to_owned() }));
    let handle = running.future.handle();
    assert!(running.poll().is_pending());
    let asked = list.cancel("a", CancelRequest::new("deploy")).unwrap();
    assert!(running.bell.rung() >= 1);
    assert!(matches!(running.poll(), Poll::Ready(Ok(reason)) if reason == "deploy"));
    assert!(matches!(asked.verdict(), Verdict::Finished { outcome: Outcome::Cancelled, .. }));
    assert_eq!(story(&list, handle).1.last().unwrap(), "killed: deploy");
}

#[test]
fn a_protected_section_is_completed_but_the_code_after_it_is_not() {
    let list = ProcessList::new();
    let (step, steps) = mpsc::channel();
    let gate = Arc::new(AtomicBool::new(false));
    let open = Arc::clone(&gate);
    let mut running = Bench::new(list.run("a", async move {
        protect(async {
            poll_fn(|_| if open.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }).await;
            step.send("transferred").unwrap();
        })
        .await;
        pending::<()>().await;
    }));
    assert!(running.poll().is_pending());
    assert!(list.snapshot().get(0).unwrap().is_protected());
    list.cancel("a", "").unwrap();
    assert!(running.poll().is_pending(), "not within the section");
    gate.store(true, Ordering::SeqCst);
    killed(running.poll());
    assert_eq!(steps.try_recv(), Ok("transferred"));
}

#[test]
fn protected_sections_nest_and_end_when_they_are_dropped() {
    let list = ProcessList::new();
    let mut running = Bench::new(list.run("a", async {
        let mut outer = Box::pin(protect(protect(pending::<()>())));
        poll_fn(|context| {
            assert!(outer.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(outer);
        pending::<()>().await;
    }));
    assert!(running.poll().is_pending());
    assert!(!list.snapshot().get(0).unwrap().is_protected());
    list.cancel("a", "").unwrap();
    killed(running.poll());
}

#[test]
fn a_never_forced_future_is_not_dropped() {
    let (list, hand) = timed(Options::new());
    let mut running = Bench::new(list.task("a").on_cancel(CancelPolicy::Ask).run(pending::<()>()));
    assert!(running.poll().is_pending());
    list.cancel("a", "").unwrap();
    hand.advance(YEAR);
    assert!(running.poll().is_pending());
    assert!(list.snapshot().get(0).unwrap().is_cancelling());
}

#[test]
fn a_dropped_listener_is_forgotten() {
    let list = ProcessList::new();
    let task = list.start("a");
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    {
        let mut cancelled = pin!(task.cancelled());
        assert!(cancelled.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(cancelled.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Arc::strong_count(&bell), 3, "one waker is stored");
    }
    assert_eq!(Arc::strong_count(&bell), 2, "and dropped");
    list.cancel("a", "").unwrap();
    assert_eq!(bell.rung(), 0);
    let mut late = pin!(task.cancelled());
    assert!(late.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    assert_eq!(task.handle().serial(), task.serial());
}

// The tree.

#[test]
fn a_cancellation_descends_the_tree_and_names_its_origin() {
    let list = ProcessList::new();
    let root = list.start("root");
    let child = list.task("child").parent(&root).start();
    let grandchild = list.task("grandchild").parent(&child).start();
    let detached = {
        let _current = child.enter();
        list.task("detached").detached().start()
    };
    let refuses = list.task("refuses").parent(&root).on_cancel(CancelPolicy::Refuse).start();
    let asked = list.cancel("root", CancelRequest::new("deploy").by("operator")).unwrap();
    assert_eq!(asked.below(), 2);
    for task in [&root, &child, &grandchild] {
        let cancelled = task.checkpoint().unwrap_err();
        assert_eq!((cancelled.reason(), cancelled.by()), ("deploy", "operator"));
        assert_eq!((cancelled.serial(), cancelled.origin()), (task.serial().unwrap(), root.serial().unwrap()));
    }
    assert!(detached.checkpoint().is_ok() && refuses.checkpoint().is_ok());
    // Started by a cancelled parent.
    let late = list.task("late").parent(&grandchild).start();
    let cancelled = late.checkpoint().unwrap_err();
    assert_eq!((cancelled.reason(), cancelled.origin()), ("deploy", root.serial().unwrap()));
}

#[test]
fn a_cancellation_descends_a_tree_of_any_depth() {
    // A pass over the list for each level would take minutes.
    let depth = if cfg!(miri) { 50 } else { 100_000 };
    let list = ProcessList::new();
    let mut chain = vec![list.start("root")];
    for level in 1..depth {
        let task = list.unnamed().parent(&chain[level - 1]).start();
        chain.push(task);
    }
    let beside = list.task("beside").parent(&list.start("other")).start();
    // Not the root, but one in the middle: what is above continues.
    let middle = depth / 10;
    let asked = list.cancel(chain[middle].serial(), "deploy").unwrap();
    assert_eq!(asked.below(), (depth - middle - 1) as u64);
    for (level, task) in chain.iter().enumerate() {
        assert_eq!(task.is_cancelled(), level >= middle, "{level}");
    }
    assert!(!beside.is_cancelled());
    let cancelled = chain[depth - 1].checkpoint().unwrap_err();
    assert_eq!((cancelled.reason(), Some(cancelled.origin())), ("deploy", chain[middle].serial()));
}

#[test]
fn a_child_of_a_parent_that_was_cancelled_and_has_ended_is_cancelled_too() {
    for keep in [1000, 0] {
        let list = ProcessList::with_options(Options::new().keep_ended(keep));
        let parent = list.start("parent");
        let handle = parent.handle();
        list.cancel("parent", "deploy").unwrap();
        drop(parent);
        let _in_its_slot = list.start("another");
        let child = list.task("child").parent(handle).start();
        let reason = child.checkpoint().unwrap_err().reason().to_owned();
        assert_eq!(reason, if keep > 0 { "deploy" } else { "its parent was cancelled" });
    }
}

#[test]
fn a_child_that_outlives_its_parent_is_shown_as_orphaned_and_continues() {
    let list = ProcessList::new();
    let parent = list.start("parent");
    let child = list.task("child").parent(&parent).start();
    let view = |list: &ProcessList| list.view(child.serial(), |task| (task.parent(), task.parent_has_ended())).unwrap();
    assert_eq!(view(&list), (Some(parent.serial().unwrap()), false));
    let serial = parent.serial();
    drop(parent);
    assert_eq!(view(&list), (serial, true));
    assert!(child.checkpoint().is_ok());
}

#[test]
fn no_child_escapes_while_ten_thousand_are_cancelled_eight_levels_deep() {
    let list = ProcessList::new();
    let (depth, most) = (8, if cfg!(miri) { 60 } else { 10_000 });
    let root = list.start("root");
    let tree = Mutex::new(vec![vec![root.handle()]]);
    let born = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let tasks = std::thread::scope(|scope| {
        let mothers: Vec<_> = (0..4_usize)
            .map(|number| {
                let (list, tree, born, stop) = (&list, &tree, &born, &stop);
                scope.spawn(move || {
                    let mut tasks = Vec::new();
                    for round in number.. {
                        if stop.load(Ordering::SeqCst) {
                            return tasks;
                        }
                        let level = round % depth;
                        let parent = {
                            let tree = tree.lock().unwrap();
                            let Some(parents) = tree.get(level) else { continue };
                            parents[round / depth % parents.len()]
                        };
                        if born.load(Ordering::SeqCst) > 20 * most {
                            // Enough for a slow canceller; a task that finds no space in the list cannot be cancelled.
                            std::thread::yield_now();
                            continue;
                        }
                        let task = list.task("child").parent(parent).start();
                        born.fetch_add(1, Ordering::SeqCst);
                        let mut tree = tree.lock().unwrap();
                        if level + 1 < depth {
                            if tree.len() == level + 1 {
                                tree.push(Vec::new());
                            }
                            tree[level + 1].push(task.handle());
                        }
                        drop(tree);
                        tasks.push(task);
                    }
                    tasks
                })
            })
            .collect();
        while born.load(Ordering::SeqCst) < most {
            std::thread::yield_now();
        }
        list.cancel("root", "all of you").unwrap();
        let at_kill = born.load(Ordering::SeqCst);
        while born.load(Ordering::SeqCst) < (at_kill + most / 10).min(20 * most) {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::SeqCst);
        mothers.into_iter().flat_map(|mother| mother.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(tasks.len() as u64 >= most);
    assert_eq!(list.counters().not_shown, 0);
    assert_eq!(tasks.iter().filter(|task| task.checkpoint().is_ok()).count(), 0, "none survives");
    assert_eq!(list.counters().cancelling, tasks.len() as u64 + 1);
    drop((root, tasks));
    assert_eq!(list.counters().cancelling, 0);
}

// Deadlines.

#[test]
fn a_deadline_cancels_with_its_own_reason_and_wakes_idle_tasks() {
    let (list, hand) = timed(Options::new());
    let mut running = Bench::new(list.task("a").deadline(30 * SECOND).run(pending::<()>()));
    let child = {
        let _current = running.future.handle().enter();
        list.start("child")
    };
    assert!(running.poll().is_pending());
    hand.advance(29 * SECOND);
    assert_eq!(running.bell.rung(), 0);
    hand.advance(SECOND);
    assert_eq!(running.bell.rung(), 1);
    assert_eq!(killed(running.poll()).reason(), "deadline");
    assert_eq!(child.checkpoint().unwrap_err().by(), "deadline");
}

#[test]
fn a_deadline_affects_only_its_own_task_and_is_forgotten_with_it() {
    let (list, hand) = timed(Options::new().keep_ended(0));
    for _ in 0..10_000 {
        drop(list.task("short").deadline(YEAR).start());
    }
    let task = list.start("in the same slot");
    hand.advance(2 * YEAR);
    assert!(task.checkpoint().is_ok());
    assert_eq!(list.counters().cancel_requests, 0);
}

#[test]
fn the_timer_thread_fires_a_real_deadline() {
    let list = ProcessList::new();
    let (reported, reports) = mpsc::channel();
    let _hook = list.on_cancel(move |task| reported.send(task.cancel_request().unwrap().reason().to_string()).unwrap());
    let _far = list.task("far").deadline(YEAR).start();
    let _task = list.task("a").deadline(Duration::from_millis(5)).start();
    assert_eq!(reports.recv().unwrap(), "deadline");
}

// Expectations and verdicts.

#[test]
fn a_request_whose_expectation_fails_is_refused_with_the_actual_value() {
    let (list, hand) = timed(Options::new());
    let task = list.start("a");
    task.status("writing").unwrap();
    hand.advance(2 * SECOND);
    let error = list.cancel("a", CancelRequest::new("").min_age(5 * SECOND)).unwrap_err();
    assert_eq!(error.to_string(), format!("task {} is 2.000s old, not yet 5s", task.serial().unwrap()));
    let error = list.cancel(task.serial(), CancelRequest::new("").status("reading")).unwrap_err();
    assert_eq!(error.to_string(), format!("task {} is in status `writing`, not in `reading`", task.serial().unwrap()));
    assert!(task.checkpoint().is_ok());
    assert_eq!(task.handle().serial(), task.serial());
    hand.advance(3 * SECOND);
    list.cancel("a", CancelRequest::new("").min_age(5 * SECOND).status("writing")).unwrap();
    assert!(task.checkpoint().is_err());
}

#[test]
fn a_verdict_reports_the_result_and_its_time() {
    let (list, hand) = timed(Options::new());
    let request = CancelRequest::new("why");
    let none = Duration::ZERO;
    assert_eq!(cancel_and_wait(&list, "a", request, none), Verdict::NotFound);

    let refuses = list.task("a").on_cancel(CancelPolicy::Refuse).start();
    let verdict = cancel_and_wait(&list, "a", request, none);
    assert_eq!((verdict.as_str(), verdict.took()), ("refused", None));
    drop(refuses);

    let task = list.start("a");
    let asked = list.cancel("a", request).unwrap();
    assert!(asked.is_first());
    hand.advance(SECOND);
    assert_eq!((asked.verdict().as_str(), asked.verdict().took()), ("cancelling", Some(SECOND)));
    let again = list.cancel("a", request).unwrap();
    assert!(!again.is_first());
    hand.advance(SECOND);
    assert!(task.checkpoint().is_err());
    drop(task);
    hand.advance(SECOND);
    for asked in [asked, again] {
        let verdict = asked.wait(SECOND).blocking();
        assert!(matches!(verdict, Verdict::Finished { took, outcome: Outcome::Cancelled, .. } if took == 2 * SECOND));
    }

    let mut running = Bench::new(list.run("a", pending::<()>()));
    assert!(running.poll().is_pending());
    let asked = list.cancel("a", request).unwrap();
    hand.advance(SECOND);
    killed(running.poll());
    assert!(matches!(asked.wait(SECOND).blocking(), Verdict::Dropped { took, .. } if took == SECOND));
}

#[test]
fn a_waiter_is_woken_by_the_end_or_the_timeout() {
    let (list, hand) = timed(Options::new());
    let task = list.start("a");
    let wait = |list: &ProcessList| Bench::new(list.cancel("a", CancelRequest::new("")).unwrap().wait(5 * SECOND));
    let mut impatient = wait(&list);
    assert!(impatient.poll().is_pending());
    hand.advance(5 * SECOND);
    assert_eq!(impatient.bell.rung(), 1);
    assert!(matches!(impatient.poll(), Poll::Ready(Verdict::Cancelling { .. })));
    let mut patient = wait(&list);
    assert!(patient.poll().is_pending());
    let gone = wait(&list);
    drop(gone);
    task.finish();
    assert_eq!((patient.bell.rung(), impatient.bell.rung()), (1, 1));
    assert!(matches!(patient.poll(), Poll::Ready(Verdict::Finished { outcome: Outcome::Finished, .. })));
}

#[test]
fn a_thread_can_wait_for_a_verdict() {
    let list = ProcessList::new();
    let task = list.start("a");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| cancel_and_wait(&list, "a", CancelRequest::new(""), YEAR));
        let mut cancelled = pin!(task.cancelled());
        while cancelled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            std::thread::yield_now();
        }
        drop(task);
        assert!(matches!(waiter.join().unwrap(), Verdict::Finished { outcome: Outcome::Cancelled, .. }));
    });
}

// Hooks.

#[test]
fn hooks_are_called_for_cancellations_ends_and_stuck_tasks() {
    let (list, hand) = timed(Options::new());
    let reported = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let reported = Arc::clone(&reported);
        move |task: &pm_core::TaskView<'_>| {
            reported.lock().unwrap().push(format!("{what} {} {}", task.id(), task.status()))
        }
    };
    let hooks =
        (list.on_end(note("ended")), list.on_cancel(note("cancelled")), list.on_stuck(10 * SECOND, note("stuck")));
    let task = list.start("a");
    task.status("reading").unwrap();
    list.cancel("a", "why").unwrap();
    list.cancel("a", "again").unwrap();
    hand.advance(9 * SECOND);
    assert_eq!(*reported.lock().unwrap(), ["cancelled a [cancel request: why]"]);
    hand.advance(2 * SECOND);
    drop(task);
    let expected =
        ["cancelled a [cancel request: why]", "stuck a [cancel request: why]", "ended a [cancel request: why]"];
    assert_eq!(*reported.lock().unwrap(), expected);
    drop(hooks);
    drop(list.start("b"));
    assert_eq!(reported.lock().unwrap().len(), 3);
    assert_eq!(Arc::strong_count(&reported), 1, "the hooks are gone");
}

#[test]
fn a_hook_may_use_the_list_and_panic() {
    let list = ProcessList::new();
    let (inner, depth) = (list.clone(), Arc::new(AtomicU64::new(0)));
    let calls = Arc::clone(&depth);
    let hook = list.on_end(move |task| {
        calls.fetch_add(1, Ordering::SeqCst);
        assert_eq!(task.outcome(), Some(Outcome::Finished));
        // Ends a task itself, for which no hook is called.
        drop(inner.start("in the hook"));
        assert_eq!(inner.cancel("a", "too late").map(|cancel| cancel.serial()), Err(CancelError::NotFound));
        assert_eq!(inner.ended().len(), 2);
        panic!("a hook that panics");
    });
    drop(list.start("a"));
    assert_eq!((depth.load(Ordering::SeqCst), list.counters().panics_caught), (1, 1));
    drop(hook);
}

#[test]
fn a_task_can_cancel_itself_and_its_hook_can_cancel_it_again() {
    let list = ProcessList::new();
    let other = list.clone();
    let _hook = list.on_cancel(move |task| {
        assert!(other.cancel(task.serial(), "again").is_ok());
    });
    let mut running = Bench::new(list.run("a", async {
        pm_core::current().cancel("by myself").unwrap();
        pending::<()>().await;
    }));
    // It is dropped at the next await.
    assert_eq!(killed(running.poll()).reason(), "by myself");
}

// Ended tasks.

#[test]
fn ended_tasks_are_retained_by_count_and_notable_ones_longer() {
    // None is slower than the others by chance: the slowest of a kind stay longer as well.
    let (list, _hand) = timed(Options::new().keep_ended(100));
    list.start("failed").fail("no file");
    let killed = list.start("killed");
    list.cancel("killed", "").unwrap();
    let _ = killed.checkpoint();
    drop(killed);
    for number in 0..1_000 {
        drop(list.start(&number.to_string()));
    }
    let ended = list.ended();
    assert_eq!(ended.len(), 100);
    let ids: Vec<_> = ended.iter().map(|task| task.id().to_string()).collect();
    assert!(ids.contains(&"failed".to_owned()) && ids.contains(&"killed".to_owned()));
    assert_eq!(ids.last().unwrap(), "999");
    let counters = list.counters();
    assert_eq!(counters.finished + counters.failed + counters.cancelled, 1_002);
    assert!(counters.ended_evicted > 800);
    assert!(list.find_ended("failed").get(0).is_some() && list.find_ended("1").is_empty());
}

#[test]
fn ended_tasks_are_shown_until_they_expire() {
    let (list, hand) = timed(Options::new().keep_ended_for(60 * SECOND));
    let slow = list.start("slow");
    hand.advance(SECOND);
    drop(slow);
    drop(list.start("ordinary"));
    list.start("failed").fail("why");
    let ids = |list: &ProcessList| list.ended().iter().map(|task| task.id().to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&list), ["slow", "ordinary", "failed"]);
    hand.advance(61 * SECOND);
    assert_eq!(ids(&list), ["slow", "failed"], "the slowest of its kind stays as well");
    hand.advance(180 * SECOND);
    assert!(ids(&list).is_empty());
}

#[test]
fn a_full_list_evicts_ended_tasks_first() {
    let list = ProcessList::with_options(Options::new().max_bytes(1).keep_ended(usize::MAX));
    let long = "a status that is too long for the slot ".repeat(20);
    for _ in 0..2_000 {
        let task = list.start("a");
        for _ in 0..40 {
            task.status(&long).unwrap();
        }
    }
    let counters = list.counters();
    assert_eq!((counters.not_shown, counters.statuses_dropped, counters.finished), (0, 0, 2_000));
    assert!(counters.ended_evicted > 0);
}

#[test]
fn a_limit_of_zero_retains_no_ended_tasks() {
    let list = ProcessList::with_options(Options::new().keep_ended(0));
    let task = list.start("a");
    let serial = task.serial();
    drop(task);
    assert!(list.ended().is_empty() && list.history(serial).is_none() && list.view(serial, |_| ()).is_none());
    assert_eq!(list.kinds()[0].finished, 1, "it is counted all the same");
}

#[test]
fn ended_tasks_are_not_shown_by_the_list_that_reuses_the_memory() {
    let options = || Options::new().max_bytes(86 << 20);
    let list = ProcessList::with_options(options());
    for number in 0..200 {
        drop(list.task(&number.to_string()).kind("old").start());
    }
    let serial = list.ended().get(0).unwrap().serial();
    drop(list);
    let next = ProcessList::with_options(options());
    assert!(next.ended().is_empty() && next.kinds().is_empty() && next.history(serial).is_none());
    drop(next.task("new").kind("new").start());
    assert_eq!((next.ended().len(), next.kinds().len()), (1, 1));
}

#[test]
fn kinds_report_outcomes_latency_and_time_by_status() {
    let (list, hand) = timed(Options::new());
    for number in 0..100_u64 {
        let task = list.task("x").kind("GET /hosts/{id}").start();
        hand.advance(Duration::from_millis(1));
        task.status("reading").unwrap();
        // An attribute between the statuses is not a status.
        task.set("block", number);
        hand.advance(Duration::from_millis(number));
        pm_core::status!(task, "block {number} of 100").unwrap();
        task.set("host", "db1");
        hand.advance(Duration::from_millis(2));
        if number < 10 {
            task.fail("why");
        }
    }
    let _running = list.task("y").kind("GET /hosts/{id}").start();
    drop(list.start("no kind"));
    let kinds = list.kinds();
    assert_eq!(kinds.len(), 2);
    let hosts = &kinds[0];
    assert_eq!(hosts.kind.as_deref(), Some("GET /hosts/{id}"));
    assert_eq!((hosts.started, hosts.running, hosts.finished, hosts.failed), (101, 1, 90, 10));
    let latency = &hosts.latency;
    assert_eq!((latency.count(), latency.max()), (100, Duration::from_millis(102)));
    assert_eq!(latency.sum(), Duration::from_millis(3 * 100 + 99 * 50));
    for (part, exact) in [(0.5, 52.0), (0.95, 97.0), (0.99, 101.0)] {
        let seen = latency.quantile(part).as_secs_f64() * 1e3;
        assert!((seen - exact).abs() <= exact * 0.032 + 1.0, "{part}: {seen}, not {exact}");
    }
    let time = |status: &str| hosts.statuses.iter().find(|other| other.status.as_deref() == Some(status)).unwrap();
    assert_eq!((time("init").entered, time("init").time), (100, Duration::from_millis(100)));
    assert_eq!(time("reading").time, Duration::from_millis(99 * 50));
    assert_eq!((time("block # of #").entered, time("block # of #").time), (100, Duration::from_millis(200)));
    assert_eq!(time("failed: why").entered, 10);
    assert_eq!(kinds[1].kind, None);
}

#[test]
fn kinds_and_statuses_beyond_the_limit_are_counted_together() {
    let list = ProcessList::with_options(Options::new().max_kinds(3).max_statuses(2));
    for number in 0..20 {
        let task = list.task("x").kind(&format!("kind {number}")).start();
        for letter in 'a'..='e' {
            pm_core::status!(task, "status {letter}").unwrap();
        }
        assert_eq!(list.snapshot().get(0).unwrap().kind().unwrap().to_string(), format!("kind {number}"));
    }
    let kinds = list.kinds();
    assert_eq!(kinds.len(), 4);
    assert!(kinds[0].is_other && kinds[0].started == 17);
    assert_eq!(list.counters().kinds_dropped, 17);
    let first = &kinds[1];
    assert_eq!((first.started, first.statuses.len()), (1, 4));
    let other = first.statuses.iter().find(|status| status.status.is_none()).unwrap();
    assert_eq!(other.entered, 3);
}

#[test]
fn the_time_of_dropped_entries_is_attributed_to_no_status() {
    let (list, hand) = timed(Options::new().history(2, 2));
    let task = list.start("a");
    for _ in 0..100 {
        hand.advance(SECOND);
        task.status(&"long ".repeat(30)).unwrap();
    }
    drop(task);
    let kinds = list.kinds();
    let total: Duration = kinds[0].statuses.iter().map(|status| status.time).sum();
    assert_eq!(total, 100 * SECOND, "no time is lost or counted twice");
    assert_eq!(kinds[0].latency.max(), 100 * SECOND);
}

// Policies: of a task, of its kind, of its list.

#[test]
fn the_policy_of_a_task_counts_before_that_of_its_kind_and_that_before_the_lists() {
    let options = Options::new()
        .on_cancel(CancelPolicy::AskThenDrop(10 * SECOND))
        .on_cancel_of("import orders", CancelPolicy::Drop)
        .on_cancel_of("import*", CancelPolicy::Ask)
        .on_cancel_of("migration", CancelPolicy::Refuse);
    let (list, hand) = timed(options);
    let run = |kind: &str| Bench::new(list.task(kind).kind(kind).run(pending::<()>()));
    let (mut report, mut orders, mut users) = (run("report"), run("import orders"), run("import users"));
    let mut own = Bench::new(list.task("own").on_cancel(CancelPolicy::Drop).kind("import users").run(pending::<()>()));
    let mut later =
        Bench::new(list.task("later").kind("import users").on_cancel(CancelPolicy::Drop).run(pending::<()>()));
    for running in [&mut report, &mut orders, &mut users, &mut own, &mut later] {
        assert!(running.poll().is_pending());
    }
    for id in ["report", "import orders", "import users", "own", "later"] {
        list.cancel(id, "stop").unwrap();
    }
    assert!(report.poll().is_pending() && users.poll().is_pending());
    assert!(orders.poll().is_ready() && own.poll().is_ready() && later.poll().is_ready());
    hand.advance(10 * SECOND);
    assert!(report.poll().is_ready() && users.poll().is_pending());
}

#[test]
fn a_kind_that_refuses_is_refused_also_through_its_parent_unless_the_task_says_otherwise() {
    let list = ProcessList::with_options(Options::new().on_cancel_of("migration", CancelPolicy::Refuse));
    let root = list.start("root");
    let child = |id: &str| list.task(id).parent(&root).kind("migration");
    let (refuses, agrees) = (child("refuses").start(), child("agrees").on_cancel(CancelPolicy::Ask).start());
    let renamed = list.task("renamed").kind("migration").kind("import").start();
    assert!(matches!(list.cancel("refuses", ""), Err(CancelError::NotCancellable { .. })));
    assert_eq!(list.cancel("root", "").unwrap().below(), 1);
    assert!(refuses.checkpoint().is_ok() && agrees.checkpoint().is_err());
    assert!(list.cancel("renamed", "").is_ok() && renamed.checkpoint().is_err());
    assert!(!list.view(refuses.serial(), |task| task.is_cancellable()).unwrap());
}

#[test]
fn a_list_that_refuses_makes_exceptions_by_kind() {
    let options = Options::new().on_cancel(CancelPolicy::Refuse).on_cancel_of("import*", CancelPolicy::Drop);
    let list = ProcessList::with_options(options);
    let mut import = Bench::new(list.task("import").kind("import orders").run(pending::<()>()));
    let _other = list.start("other");
    assert!(list.cancel("other", "").is_err());
    list.cancel("import", "").unwrap();
    assert!(import.poll().is_ready());
}
