//! Tasks and cancellation tokens: each cancels the other, and nothing is left when the task has ended.

use std::future::{Future as _, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use pm::{Cancelled, Outcome, ProcessList, TaskTokenExt as _};
use tokio_util::sync::CancellationToken;

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn last_outcome(list: &ProcessList) -> Outcome {
    list.ended().iter().next().unwrap().outcome().unwrap()
}

#[test]
fn a_cancellation_of_the_task_cancels_its_token_and_counts_as_observed() {
    let list = ProcessList::new();
    let task = list.start("import-42");
    let (first, second) = (task.cancellation_token(), task.handle().cancellation_token());
    let bell = Arc::new(Bell::default());
    let mut waits = pin!(first.cancelled());
    assert!(waits.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&bell)))).is_pending());
    list.cancel("import-42", "test").unwrap();
    assert!(first.is_cancelled() && second.is_cancelled());
    assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    drop(task);
    assert_eq!(last_outcome(&list), Outcome::Cancelled);
}

#[test]
fn a_cancelled_task_returns_a_cancelled_token() {
    let list = ProcessList::new();
    let task = list.start("import-42");
    list.cancel("import-42", "test").unwrap();
    assert!(task.cancellation_token().is_cancelled());
}

#[test]
fn a_task_that_ends_uncancelled_does_not_change_its_token() {
    let list = ProcessList::new();
    let task = list.start("import-42");
    let handle = task.handle();
    let token = task.cancellation_token();
    drop(task);
    assert!(!token.is_cancelled());
    assert!(!handle.cancellation_token().is_cancelled(), "it has ended");
    assert_eq!(last_outcome(&list), Outcome::Finished);
}

#[test]
fn a_token_cancels_all_tasks_tied_to_it_with_the_given_reason() {
    let list = ProcessList::new();
    let shutdown = CancellationToken::new();
    let mut running = Box::pin(list.run("future", pending::<()>()));
    running.handle().cancel_by(&shutdown, "the program stops");
    let task = list.start("thread");
    task.cancel_by(&shutdown.child_token(), "its parent stops");
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    assert!(running.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());

    shutdown.cancel();
    assert_eq!(bell.0.load(Ordering::SeqCst), 1, "a kill wakes the future");
    let Poll::Ready(Err(cancelled)) = running.as_mut().poll(&mut Context::from_waker(&waker)) else { panic!() };
    assert_eq!((cancelled.reason(), cancelled.by()), ("the program stops", "cancellation token"));
    let reason = |cancelled: Cancelled| cancelled.reason().to_owned();
    // The child token was dropped, which does not detach its tasks.
    assert_eq!(task.checkpoint().map_err(reason), Err("its parent stops".to_owned()));
}

#[test]
fn a_cancelled_token_cancels_at_once_except_tasks_that_refuse() {
    let list = ProcessList::new();
    let token = CancellationToken::new();
    token.cancel();
    let (task, refuses) = (list.start("a"), list.task("b").on_cancel(pm::CancelPolicy::Refuse).start());
    task.cancel_by(&token, "late");
    refuses.cancel_by(&token, "late");
    assert!(task.is_cancelled());
    assert!(!refuses.is_cancelled());
}

#[test]
fn both_directions_at_once_do_not_loop() {
    let list = ProcessList::new();
    let task = list.start("import-42");
    let token = task.cancellation_token();
    task.cancel_by(&token, "round and round");
    token.cancel();
    assert!(task.is_cancelled());
    let again = list.start("again");
    let token = again.cancellation_token();
    again.cancel_by(&token, "round and round");
    list.cancel("again", "from the list").unwrap();
    assert!(token.is_cancelled());
    assert_eq!(again.checkpoint().unwrap_err().reason(), "from the list");
}

#[test]
fn a_waker_that_panics_affects_neither_the_cancellation_nor_the_task() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let list = ProcessList::new();
    let task = list.start("import-42");
    task.handle().wake_on_cancel(&Waker::from(Arc::new(Bomb)));
    let cancelled = catch_unwind(AssertUnwindSafe(|| list.cancel("import-42", "test")));
    cancelled.unwrap().unwrap();
    assert!(task.is_cancelled());
    assert_eq!(list.counters().panics_caught, 1);
}
