//! A cancel that unwinds: where it does, and where it returns instead.
#![cfg(not(loom))]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use pm_core::{CancelPolicy, Outcome, ProcessList, Task, TaskFutureExt as _, TaskHandle, Verdict, carry, current};

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Returns 7, unless it is unwound.
fn deep_below() -> u32 {
    current().checkpoint_or_unwind();
    7
}

fn outcomes(list: &ProcessList) -> Vec<(String, Outcome)> {
    let ended = list.ended();
    ended.iter().map(|task| (task.id().to_string(), task.outcome().unwrap())).collect()
}

/// Runs `f` as a cancelled task, by `run_sync`.
fn cancelled<T>(list: &ProcessList, f: impl FnOnce(&Task) -> T) -> Result<T, pm_core::Cancelled> {
    list.run_sync("job", |task| {
        list.cancel(task.serial(), "too slow").unwrap();
        Ok(f(task))
    })
}

#[test]
fn a_future_that_is_unwound_ends_as_cancelled_and_returns_the_request() {
    let list = ProcessList::new();
    let mut running = pin!(list.task("job").on_cancel(CancelPolicy::Ask).run(async {
        list.cancel("job", "too slow").unwrap();
        deep_below();
        unreachable!("it was unwound");
    }));
    let Poll::Ready(Err(cancelled)) = poll(running.as_mut()) else { panic!() };
    assert_eq!(cancelled.reason(), "too slow");
    assert_eq!(outcomes(&list), [("job".to_owned(), Outcome::Cancelled)]);
    assert_eq!((list.counters().forced, list.counters().not_unwound), (0, 0));
}

#[test]
fn a_fallible_future_that_is_unwound_returns_its_error_and_its_destructors_run() {
    struct OnDrop<'d>(&'d std::cell::Cell<bool>);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let (list, dropped) = (ProcessList::new(), std::cell::Cell::new(false));
    let mut running = pin!(list.task("job").try_run(async {
        let _first = OnDrop(&dropped);
        list.cancel("job", "too slow").unwrap();
        deep_below();
        Ok::<(), Box<dyn std::error::Error>>(())
    }));
    let Poll::Ready(Err(error)) = poll(running.as_mut()) else { panic!() };
    assert_eq!((error.to_string().as_str(), dropped.get()), ("cancelled: too slow", true));
}

#[test]
fn a_request_whose_task_is_unwound_was_met_by_the_task_itself() {
    let list = ProcessList::new();
    let mut running = pin!(list.task("job").run(async {
        let cancel = list.cancel("job", "too slow").unwrap();
        std::future::ready(()).await;
        let cancel = std::cell::Cell::new(Some(cancel));
        CANCEL.with(|kept| kept.set(cancel.take()));
        deep_below();
    }));
    std::thread_local! {
        static CANCEL: std::cell::Cell<Option<pm_core::CancelHandle>> = const { std::cell::Cell::new(None) };
    }
    assert!(poll(running.as_mut()).is_ready());
    let verdict = CANCEL.take().unwrap().verdict();
    assert!(matches!(verdict, Verdict::Finished { outcome: Outcome::Cancelled, .. }), "{verdict:?}");
}

#[test]
fn other_panics_of_a_future_continue_and_end_it_as_aborted() {
    let list = ProcessList::new();
    let mut running = pin!(list.task("job").run(async { panic!("a bug") }));
    let payload = catch_unwind(AssertUnwindSafe(|| poll::<pm_core::TaskFuture<_>>(running.as_mut()))).unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"a bug"));
    assert_eq!(outcomes(&list), [("job".to_owned(), Outcome::Aborted)]);
}

type Call = fn(TaskHandle);

/// Calls that would unwind past code that does not expect it: what they are called by, and the call.
const NOT_CAUGHT: &[(&str, Call)] = &[
    ("a guard within the run", |task| {
        let _entered = task.enter();
        deep_below();
    }),
    ("a guard of no task", |task| {
        let _entered = TaskHandle::none().enter();
        task.checkpoint_or_unwind();
    }),
    ("a closure that was given the task", |_| assert_eq!(carry(deep_below)(), 7)),
    ("a future that was given the task", |_| {
        assert!(poll(pin!(async { deep_below() }.in_current_task())).is_ready());
    }),
    ("another thread", |task| {
        let thread = std::thread::spawn(move || {
            let _entered = task.enter();
            deep_below();
            task.checkpoint_or_unwind();
        });
        thread.join().unwrap();
    }),
    ("a future of another task", |task| {
        let other = ProcessList::new();
        let mut running = pin!(other.task("other").run(async { task.checkpoint_or_unwind() }));
        assert_eq!(poll(running.as_mut()), Poll::Ready(Ok(())));
    }),
    ("a run within a guard", |task| {
        let _entered = TaskHandle::none().enter();
        let inner = ProcessList::new().run_sync("inner", |_| {
            task.checkpoint_or_unwind();
            Ok(7)
        });
        assert_eq!(inner, Ok(7));
    }),
    ("a destructor in a panic", |_| {
        struct DeepBelow;
        impl Drop for DeepBelow {
            fn drop(&mut self) {
                deep_below();
            }
        }
        let panics = AssertUnwindSafe(|| {
            let _drops = DeepBelow;
            resume_unwind(Box::new("a bug"));
        });
        assert!(catch_unwind(panics).is_err());
    }),
];

#[test]
fn a_cancel_that_would_not_be_caught_returns_and_is_counted() {
    for (place, call) in NOT_CAUGHT {
        let list = ProcessList::new();
        let result = cancelled(&list, |task| call(task.handle()));
        assert!(result.is_ok(), "{place}: {result:?}");
        let counters = list.counters();
        assert!(counters.not_unwound > 0, "{place}");
        // It was not observed, so the task has not ended for it.
        assert_eq!((counters.finished, counters.aborted), (1, 0), "{place}");
    }
}

#[test]
fn a_task_without_a_run_is_never_unwound() {
    let list = ProcessList::new();
    let task = list.start("job");
    list.cancel("job", "too slow").unwrap();
    task.checkpoint_or_unwind();
    let _entered = task.enter();
    deep_below();
    assert_eq!(list.counters().not_unwound, 2);
}

#[test]
fn a_cancel_of_an_outer_run_unwinds_through_the_runs_within() {
    let list = ProcessList::new();
    let result = cancelled(&list, |outer| {
        list.run_sync("middle", |_| {
            list.run_sync("inner", |_| {
                outer.checkpoint_or_unwind();
                Ok(())
            })
        })
    });
    assert_eq!(result.unwrap_err().reason(), "too slow");
    assert_eq!((list.counters().cancelled, list.counters().not_unwound), (3, 0));
}

#[test]
fn a_run_within_a_future_unwinds_to_the_poll_of_the_future() {
    let list = ProcessList::new();
    let mut running = pin!(list.task("outer").run(async {
        let outer = current();
        outer.cancel("too slow").unwrap();
        let _ = list.task("inner").detached().run_sync(|_| {
            outer.checkpoint_or_unwind();
            Ok(())
        });
        unreachable!("it was unwound");
    }));
    assert!(matches!(poll(running.as_mut()), Poll::Ready(Err(_))));
    assert_eq!((list.counters().cancelled, list.counters().live), (2, 0));
}

#[test]
fn after_a_run_was_unwound_the_next_one_is_as_before() {
    let list = ProcessList::new();
    for _ in 0..3 {
        assert!(cancelled(&list, |_| deep_below()).is_err());
        assert_eq!(current().serial(), None);
        assert!(list.run_sync("job", |_| Ok(deep_below())).is_ok());
    }
}

#[test]
fn tasks_that_are_dropped_by_an_unwinding_cancel_did_not_panic() {
    let list = ProcessList::new();
    let result = cancelled(&list, |task| {
        let _part = list.task("part").parent(task).start();
        let _other = list.task("other").detached().start();
        deep_below();
    });
    assert!(result.is_err());
    let mut outcomes = outcomes(&list);
    outcomes.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("job", Outcome::Cancelled), ("other", Outcome::Dropped), ("part", Outcome::Cancelled)];
    assert_eq!(outcomes, expected.map(|(id, outcome)| (id.to_owned(), outcome)));
    // The next panic is one.
    let panics = AssertUnwindSafe(|| {
        let _task = list.start("panics");
        panic!("a bug");
    });
    assert!(catch_unwind(panics).is_err());
    assert_eq!(list.counters().aborted, 1);
}

#[test]
fn a_panic_after_code_caught_an_unwinding_cancel_is_a_panic() {
    let list = ProcessList::new();
    let run = AssertUnwindSafe(|| {
        cancelled(&list, |_| {
            // As a middleware that catches panics does.
            assert!(catch_unwind(deep_below).is_err());
            panic!("a bug");
        })
    });
    assert!(catch_unwind(run).is_err());
    assert_eq!((list.counters().aborted, list.counters().cancelled), (1, 0));
}
