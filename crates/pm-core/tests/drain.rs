//! Waiting until a list is empty: which tasks are awaited, which are cancelled, and what is reported.
#![cfg(not(loom))]

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use pm_core::{CancelPolicy, Clock, Drain, DrainReport, ManualClock, Options, ProcessList, Task, Verdict};

const SECOND: Duration = Duration::from_secs(1);

fn list() -> (ProcessList, ManualClock) {
    let (clock, hand) = Clock::manual();
    (ProcessList::with_options(Options::new().clock(clock)), hand)
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn done(polled: Poll<DrainReport>) -> DrainReport {
    let Poll::Ready(report) = polled else { panic!("the drain continues") };
    report
}

#[derive(Default)]
struct Wakes(AtomicU64);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counts(report: &DrainReport) -> [u64; 4] {
    [report.finished, report.stopped, report.dropped, report.running]
}

#[test]
fn an_empty_list_is_drained_at_once() {
    let (list, _hand) = list();
    let report = list.drain(Drain::new()).blocking();
    assert!(report.is_empty() && report.waited.is_none() && report.took.is_zero());
}

#[test]
fn a_task_that_ends_in_time_is_not_cancelled() {
    let (list, hand) = list();
    let (one, two) = (list.start("one"), list.start("two"));
    let mut drain = pin!(list.drain(10 * SECOND));
    assert!(poll(drain.as_mut()).is_pending());
    hand.advance(SECOND);
    drop(two);
    assert!(poll(drain.as_mut()).is_pending());
    hand.advance(SECOND);
    drop(one);
    let report = done(poll(drain.as_mut()));
    assert_eq!(counts(&report), [2, 0, 0, 0]);
    assert_eq!((report.took, report.waited), (2 * SECOND, None));
    assert_eq!(list.counters().cancel_requests, 0);
    assert!(poll(drain.as_mut()).is_pending(), "it is pending after it has completed");
}

#[test]
fn the_end_of_the_last_task_wakes_the_drain() {
    let (list, _hand) = list();
    let (one, two) = (list.start("one"), list.start("two"));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut drain = pin!(list.drain(SECOND));
    let mut poll = || drain.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll().is_pending());
    drop(two);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0, "the oldest is waited for first");
    drop(one);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert_eq!(done(poll()).finished, 2);
}

#[test]
fn remaining_tasks_are_cancelled_and_reported() {
    let (list, hand) = list();
    let mut future = pin!(list.task("future").kind("transfer").run(pending::<()>()));
    assert!(poll(future.as_mut()).is_pending());
    let listener = list.start("listener");
    let unresponsive = list.start("unresponsive");
    let _refuses = list.task("refuses").on_cancel(CancelPolicy::Refuse).start();
    let _ = unresponsive.status("reading");
    let mut drain = pin!(list.drain(Drain::new().wait(10 * SECOND).grace(3 * SECOND).reason("deploy")));
    assert!(poll(drain.as_mut()).is_pending());
    hand.advance(10 * SECOND);
    assert!(poll(drain.as_mut()).is_pending());
    let cancelled = listener.checkpoint().unwrap_err();
    assert_eq!((cancelled.reason(), cancelled.by()), ("deploy", "drain"));
    hand.advance(SECOND);
    drop(listener);
    assert!(poll(future.as_mut()).is_ready());
    assert!(poll(drain.as_mut()).is_pending());
    hand.advance(2 * SECOND);
    let report = done(poll(drain.as_mut()));
    assert_eq!(counts(&report), [0, 1, 1, 2]);
    assert_eq!((report.waited, report.took), (Some(10 * SECOND), 13 * SECOND));
    let reported: Vec<_> = report.asked.iter().map(|one| (one.task.id.as_str(), one.verdict.as_str())).collect();
    let expected =
        [("unresponsive", "cancelling"), ("refuses", "refused"), ("future", "dropped"), ("listener", "finished")];
    assert_eq!(reported, expected);
    assert_eq!(report.asked[0].task.status, "reading");
    assert_eq!(report.asked[0].task.age, 10 * SECOND);
    assert_eq!(report.asked[2].task.kind.as_deref(), Some("transfer"));
    assert_eq!(report.asked[3].verdict.took(), Some(SECOND));
    let text = report.to_string();
    assert!(text.starts_with("not drained after 13.0 s: 0 tasks ended unasked; asked after 10.0 s (deploy)"), "{text}");
    assert!(text.contains("\n  still running after 3.0 s: unresponsive (task "), "{text}");
}

#[test]
fn a_task_that_cannot_be_cancelled_may_still_end_within_the_grace_period() {
    let (list, hand) = list();
    let refuses = list.task("refuses").on_cancel(CancelPolicy::Refuse).start();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut drain = pin!(list.drain(SECOND));
    let mut poll = || drain.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll().is_pending());
    hand.advance(SECOND);
    assert!(poll().is_pending());
    let before = wakes.0.load(Ordering::Relaxed);
    drop(refuses);
    assert_eq!(wakes.0.load(Ordering::Relaxed), before + 1);
    let report = done(poll());
    assert_eq!(counts(&report), [1, 0, 0, 0]);
}

#[test]
fn without_a_wait_tasks_are_cancelled_at_once() {
    let (list, _hand) = list();
    let task = list.start("job");
    let mut drain = pin!(list.drain(Duration::ZERO));
    assert!(poll(drain.as_mut()).is_pending());
    assert!(task.is_cancelled());
    drop(task);
    assert_eq!(counts(&done(poll(drain.as_mut()))), [0, 1, 0, 0]);
}

#[test]
fn tasks_that_start_during_a_drain_are_awaited_and_cancelled_too() {
    let (list, hand) = list();
    let old = list.start("old");
    let mut drain = pin!(list.drain(10 * SECOND));
    assert!(poll(drain.as_mut()).is_pending());
    hand.advance(SECOND);
    let new = list.start("new");
    drop(old);
    assert!(poll(drain.as_mut()).is_pending());
    hand.advance(9 * SECOND);
    assert!(poll(drain.as_mut()).is_pending());
    assert!(new.is_cancelled());
    // Even within the grace period, and at its very end.
    let newer = list.start("newer");
    drop(new);
    assert!(poll(drain.as_mut()).is_pending());
    assert!(newer.is_cancelled());
    let newest = list.start("newest");
    hand.advance(5 * SECOND);
    assert_eq!(counts(&done(poll(drain.as_mut()))), [1, 1, 0, 2]);
    assert!(newest.is_cancelled());
}

#[test]
fn tasks_that_start_during_a_drain_can_be_ignored() {
    let (list, hand) = list();
    let old = list.start("old");
    let mut drain = pin!(list.drain(Drain::new().wait(10 * SECOND).ignore_new(true)));
    hand.advance(SECOND);
    assert!(poll(drain.as_mut()).is_pending());
    hand.advance(SECOND);
    let new = list.start("new");
    drop(old);
    assert_eq!(counts(&done(poll(drain.as_mut()))), [1, 0, 0, 0]);
    assert!(!new.is_cancelled());
}

#[test]
fn a_burst_of_tasks_does_not_block_the_polling_thread() {
    let (list, hand) = list();
    let rush = Arc::new(Mutex::new(None::<Task>));
    let (again, of) = (Arc::clone(&rush), list.clone());
    // Whenever the drain begins to wait for a task, that task ends and the next one starts.
    let mut task = list.start("0");
    let mut drain = pin!(list.drain(10 * SECOND));
    for number in 1..1_000 {
        assert!(poll(drain.as_mut()).is_pending());
        *again.lock().unwrap() = Some(std::mem::replace(&mut task, of.start(&number.to_string())));
        *rush.lock().unwrap() = None;
    }
    hand.advance(10 * SECOND);
    assert!(poll(drain.as_mut()).is_pending());
    assert!(task.is_cancelled());
    drop(task);
    let report = done(poll(drain.as_mut()));
    assert_eq!(report.stopped, 1);
    assert!((1..100).contains(&report.finished), "it scanned {} times", report.finished);
}

#[test]
fn a_burst_of_tasks_on_other_threads_ends_when_the_time_is_up() {
    let list = ProcessList::new();
    let (stop, stopped) = (Arc::new(AtomicU64::new(0)), list.clone());
    let workers = [1, 2].map(|_| {
        let (stop, list) = (Arc::clone(&stop), stopped.clone());
        std::thread::spawn(move || {
            while stop.load(Ordering::Relaxed) == 0 {
                drop(list.start("short"));
            }
        })
    });
    let report = list.drain(Drain::new().wait(Duration::from_millis(30)).grace(Duration::from_millis(30))).blocking();
    stop.store(1, Ordering::Relaxed);
    assert!(report.took < 20 * SECOND);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

#[test]
fn a_task_does_not_wait_for_itself_or_its_ancestors() {
    let (list, _hand) = list();
    let report = list.run_sync("outer", |_| list.run_sync("inner", |_| Ok(list.drain(10 * SECOND).blocking())));
    assert_eq!(counts(&report.unwrap()), [0, 0, 0, 0]);
    assert_eq!(list.counters().cancel_requests, 0);
    // Created outside a task, but run as one.
    let mut drain = pin!(list.task("drain").run(list.drain(SECOND)));
    let Poll::Ready(Ok(report)) = poll(drain.as_mut()) else { panic!("it waits for itself") };
    assert!(report.is_empty());
}

#[test]
fn a_task_waits_for_its_children() {
    let (list, hand) = list();
    let mut drain = pin!(list.task("drain").run(list.drain(SECOND)));
    let child = list.task("child").parent(drain.handle()).start();
    assert!(poll(drain.as_mut()).is_pending());
    hand.advance(SECOND);
    assert!(poll(drain.as_mut()).is_pending());
    assert!(child.is_cancelled() && !drain.handle().is_cancelled());
}

#[test]
fn drains_do_not_wait_for_each_other() {
    let (list, _hand) = list();
    let job = list.start("job");
    let mut one = pin!(list.task("one").run(list.drain(10 * SECOND)));
    let mut two = pin!(list.task("two").run(list.drain(10 * SECOND)));
    // The first already waits for the second when the second begins to drain.
    assert!(poll(one.as_mut()).is_pending());
    drop(job);
    assert!(poll(one.as_mut()).is_pending());
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(one.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let Poll::Ready(Ok(second)) = poll(two.as_mut()) else { panic!("it waits for the first") };
    assert!(wakes.0.load(Ordering::Relaxed) > 0);
    let Poll::Ready(Ok(first)) = poll(one.as_mut()) else { panic!("it waits for the second") };
    assert!(first.is_empty() && second.is_empty());
}

#[test]
fn a_dropped_drain_leaves_nothing_behind() {
    let (list, hand) = list();
    let task = list.start("job");
    let mut given_up = list.drain(SECOND);
    assert!(poll(pin!(&mut given_up)).is_pending());
    drop(given_up);
    hand.advance(2 * SECOND);
    assert!(!task.is_cancelled());
    // A drain whose task is killed.
    let mut killed = pin!(list.task("killed").run(list.drain(SECOND)));
    assert!(poll(killed.as_mut()).is_pending());
    list.cancel("killed", "").unwrap();
    assert!(matches!(poll(killed.as_mut()), Poll::Ready(Err(_))));
    // If the drain were still registered, the serial of its task would be.
    drop(task);
    assert_eq!(counts(&list.drain(SECOND).blocking()), [0, 0, 0, 0]);
}

#[test]
fn progress_is_reported_first_at_intervals_and_when_tasks_are_cancelled() {
    let (list, hand) = list();
    let tasks: Vec<_> = (0..12).map(|number| list.start(&format!("job-{number}"))).collect();
    let (reported, reports) = mpsc::channel();
    let drain = Drain::new().wait(10 * SECOND).on_progress(4 * SECOND, move |progress| {
        reported.send((progress.remaining, progress.cancelling, progress.elapsed, progress.left)).unwrap();
        assert_eq!(progress.oldest.len(), 10);
        assert_eq!(progress.oldest[0].id, "job-0");
        assert!(progress.to_string().ends_with("; and 2 more"), "{progress}");
    });
    let mut drain = pin!(list.drain(drain));
    let mut polled = || {
        assert!(poll(drain.as_mut()).is_pending());
        reports.try_iter().collect::<Vec<_>>()
    };
    assert_eq!(polled(), [(12, false, Duration::ZERO, 10 * SECOND)]);
    hand.advance(3 * SECOND);
    assert_eq!(polled(), []);
    hand.advance(SECOND);
    assert_eq!(polled(), [(12, false, 4 * SECOND, 6 * SECOND)]);
    hand.advance(6 * SECOND);
    assert_eq!(polled(), [(12, true, 10 * SECOND, 5 * SECOND)]);
    assert_eq!(list.counters().panics_caught, 0);
    drop(tasks);
    assert_eq!(done(poll(drain.as_mut())).stopped, 12);
}

#[test]
fn a_panic_of_the_progress_callback_is_counted_and_the_drain_continues() {
    let (list, _hand) = list();
    let task = list.start("job");
    let mut drain = pin!(list.drain(Drain::new().on_progress(SECOND, |_| panic!("in a callback"))));
    assert!(poll(drain.as_mut()).is_pending());
    drop(task);
    assert_eq!(done(poll(drain.as_mut())).finished, 1);
    assert_eq!(list.counters().panics_caught, 1);
}

#[test]
fn a_report_lists_at_most_a_hundred_tasks() {
    let (list, hand) = list();
    let _tasks: Vec<_> = (0..1_000).map(|number| list.start(&format!("job-{number}"))).collect();
    let mut drain = pin!(list.drain(Drain::new().wait(Duration::ZERO).grace(SECOND)));
    assert!(poll(drain.as_mut()).is_pending());
    hand.advance(SECOND);
    let report = done(poll(drain.as_mut()));
    assert_eq!((report.running, report.asked.len()), (1_000, 100));
    assert_eq!(report.asked[99].task.id, "job-99");
    assert!(matches!(report.asked[99].verdict, Verdict::Cancelling { .. }));
    assert!(report.to_string().ends_with("\n  and 900 more"));
}

#[test]
fn a_thread_can_wait_for_a_drain() {
    let list = ProcessList::new();
    let (queue, tasks) = mpsc::channel::<Task>();
    let worker = std::thread::spawn(move || tasks.iter().for_each(Task::finish));
    // No end is missed, whether it comes before, while or after the wait begins.
    for round in 0..2_000 {
        for _ in 0..round % 4 {
            queue.send(list.start("job")).unwrap();
        }
        let report = list.drain(Drain::new().wait(600 * SECOND)).blocking();
        assert!(report.is_empty() && report.waited.is_none());
    }
    drop(queue);
    worker.join().unwrap();
}

#[test]
fn assert_empty_names_the_remaining_tasks() {
    let (list, hand) = list();
    list.assert_no_tasks();
    let task = list.task("import-42").kind("nightly import").start();
    let _ = task.status("reading");
    hand.advance(3 * SECOND);
    let payload = catch_unwind(AssertUnwindSafe(|| list.assert_no_tasks())).unwrap_err();
    let expected = format!(
        "1 task left in the list:\n  import-42 (task {}, nightly import, 3.0 s): reading",
        task.serial().unwrap()
    );
    assert_eq!(payload.downcast_ref::<String>(), Some(&expected));
    drop(task);
    list.assert_no_tasks();
}
