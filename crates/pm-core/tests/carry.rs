//! The current task, and how it is passed on to work that runs elsewhere.
#![cfg(not(loom))]

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use pm_core::{ProcessList, Serial, TaskFutureExt as _, TaskHandle, carry, current};

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn here() -> Option<Serial> {
    current().serial()
}

/// The jobs of a pool with one thread: those that are queued while it waits run on its stack, as with rayon.
type Jobs = RefCell<Vec<Box<dyn FnOnce()>>>;

fn wait(jobs: &Jobs) {
    while let Some(job) = { jobs.borrow_mut().pop() } {
        job();
    }
}

#[test]
fn a_job_that_was_wrapped_belongs_to_the_task_it_was_queued_by_and_not_to_the_one_it_runs_within() {
    let (list, jobs) = (ProcessList::new(), Jobs::default());
    let other = list.start("other");
    let started = std::rc::Rc::new(RefCell::new(Vec::new()));
    let job = |expected: Option<Serial>| {
        let (list, started) = (list.clone(), started.clone());
        move || {
            assert_eq!(here(), expected);
            let _ = current().status("by a job");
            started.borrow_mut().push(list.start("started by a job"));
        }
    };
    jobs.borrow_mut().push(Box::new(carry(job(None))));
    {
        let _entered = other.enter();
        jobs.borrow_mut().push(Box::new(carry(job(other.serial()))));
    }
    let waiting = list.start("waiting");
    waiting
        .run_sync(|waiting| {
            wait(&jobs);
            assert_eq!(here(), waiting.serial());
            waiting.cancel("too slow").unwrap();
            assert_eq!(waiting.view(|task| task.history_len()), Some(2), "the start and the request");
            Ok(())
        })
        .unwrap();
    let started = started.borrow();
    let parents: Vec<_> = started.iter().map(|task| task.view(|task| task.parent()).unwrap()).collect();
    assert_eq!(parents, [other.serial(), None]);
    assert!(started.iter().all(|task| !task.is_cancelled()));
}

#[test]
fn a_future_runs_as_part_of_its_task_at_each_poll_and_leaves_the_thread_as_it_was() {
    let list = ProcessList::new();
    let (task, other) = (list.start("task"), list.start("other"));
    let work = async {
        let first = here();
        let mut polled = false;
        std::future::poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending })
            .await;
        (first, here())
    };
    let mut work = pin!(work.in_task(&task));
    assert!(poll(work.as_mut()).is_pending());
    assert_eq!(here(), None);
    let _entered = other.enter();
    assert_eq!(poll(work.as_mut()), Poll::Ready((task.serial(), task.serial())));
    assert_eq!(here(), other.serial());
}

#[test]
fn a_future_that_was_wrapped_without_a_task_is_part_of_none_wherever_it_is_polled() {
    let list = ProcessList::new();
    let mut work = pin!(async { here() }.in_current_task());
    let mut running = pin!(list.task("other").run(async { poll(work.as_mut()) }));
    assert_eq!(poll(running.as_mut()), Poll::Ready(Ok(Poll::Ready(None))));
}

#[test]
fn a_cancel_reaches_carried_work_through_its_task_and_drops_nothing() {
    let list = ProcessList::new();
    let task = list.start("task");
    let mut work = pin!(async { current().checkpoint() }.in_task(&task));
    list.cancel("task", "too slow").unwrap();
    assert_eq!(
        poll(work.as_mut()).map(|result| result.unwrap_err().reason().to_owned()),
        Poll::Ready("too slow".into())
    );
}

#[test]
fn carried_work_that_outlasts_its_task_affects_no_other_task() {
    let list = ProcessList::new();
    let task = list.start("task");
    let late = task.carry(|| current().status("late"));
    drop(task);
    let next = list.start("next");
    assert!(late().is_ok());
    assert_eq!(next.view(|task| task.status().to_string()).as_deref(), Some("init"));
    assert_eq!(list.counters().late_calls, 1);
}

#[test]
fn a_panic_of_carried_work_leaves_the_thread_as_it_was() {
    let list = ProcessList::new();
    let task = list.start("task");
    let work = std::panic::AssertUnwindSafe(task.carry(|| panic!("a bug")));
    assert!(std::panic::catch_unwind(work).is_err());
    assert_eq!((here(), TaskHandle::none().serial()), (None, None));
}
