//! Tasks and tokio-util's cancellation tokens: a cancel of the one becomes a cancel of the other.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Wake, Waker};

use pm_core::{CancelRequest, Task, TaskHandle};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::sealed::Sealed;

/// Ties a task to a [`CancellationToken`]: feature `tokio-util`. Needs no runtime and no thread, and what ties them is gone
/// when the task has ended.
pub trait TaskTokenExt: Sealed {
    /// A token that is cancelled when the task is asked to stop: for code that takes one.
    ///
    /// That counts as hearing the request: a task that ends after it ends as cancelled. The token of a task that ends
    /// without having been asked, or that is not shown, is never cancelled by this.
    ///
    /// ```
    /// use pm::TaskTokenExt as _;
    ///
    /// let list = pm::ProcessList::new();
    /// let task = list.start("import-42");
    /// let token = task.cancellation_token();
    /// list.cancel("import-42", "too slow").unwrap();
    /// assert!(token.is_cancelled());
    /// ```
    fn cancellation_token(&self) -> CancellationToken;

    /// Asks the task to stop when the token is cancelled, for this reason: for programs that shut down by a token.
    ///
    /// A task that can't be cancelled goes on.
    ///
    /// ```
    /// use pm::TaskTokenExt as _;
    ///
    /// let shutdown = tokio_util::sync::CancellationToken::new();
    /// let task = pm::start("import-42");
    /// task.cancel_by(&shutdown, "the program stops");
    /// shutdown.cancel();
    /// assert_eq!(task.checkpoint().unwrap_err().reason(), "the program stops");
    /// ```
    fn cancel_by(&self, token: &CancellationToken, reason: &str);
}

impl TaskTokenExt for TaskHandle {
    fn cancellation_token(&self) -> CancellationToken {
        let token = CancellationToken::new();
        let passes_on = PassesOn { task: *self, token: token.clone() };
        self.wake_on_cancel(&Waker::from(Arc::new(passes_on)));
        token
    }

    fn cancel_by(&self, token: &CancellationToken, reason: &str) {
        Waits::tie(*self, token, reason);
    }
}

impl TaskTokenExt for Task {
    fn cancellation_token(&self) -> CancellationToken {
        self.handle().cancellation_token()
    }

    fn cancel_by(&self, token: &CancellationToken, reason: &str) {
        self.handle().cancel_by(token, reason);
    }
}

/// Cancels the token when the task is cancelled.
struct PassesOn {
    task: TaskHandle,
    token: CancellationToken,
}

impl Wake for PassesOn {
    fn wake(self: Arc<Self>) {
        let _ = self.task.checkpoint();
        self.token.cancel();
    }
}

/// Waits for the token on behalf of the task.
struct Waits {
    task: TaskHandle,
    reason: String,
    // Polled once.
    future: Mutex<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Waits {
    fn tie(task: TaskHandle, token: &CancellationToken, reason: &str) -> Weak<Self> {
        let future = Mutex::new(Box::pin(token.clone().cancelled_owned()));
        let waits = Arc::new(Self { task, reason: reason.to_owned(), future });
        let weak = Arc::downgrade(&waits);
        let waker = Waker::from(Arc::new(Cancels(Weak::clone(&weak))));
        let mut future = waits.future.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        drop(future);
        if polled.is_ready() {
            waits.cancel();
        }
        // As long as the task lives and was not asked, its list holds this, and this holds what waits.
        task.wake_on_cancel(&Waker::from(Arc::new(Held(waits))));
        weak
    }

    fn cancel(&self) {
        // It may have ended, or refuse.
        let _ = self.task.request_cancel(&CancelRequest::new(&self.reason).by("cancellation token"));
    }
}

/// What the token wakes.
struct Cancels(Weak<Waits>);

impl Wake for Cancels {
    fn wake(self: Arc<Self>) {
        if let Some(waits) = self.0.upgrade() {
            waits.cancel();
        }
    }
}

/// What the list of the task holds, and never needs to be woken.
struct Held(#[expect(dead_code, reason = "dropped with this")] Arc<Waits>);

impl Wake for Held {
    fn wake(self: Arc<Self>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ties_a_task_to_a_token_is_gone_when_the_task_has_ended_or_was_asked() {
        let list = pm_core::ProcessList::new();
        let token = CancellationToken::new();
        let ended: Vec<_> = (0..10_000).map(|_| Waits::tie(list.start("short").handle(), &token, "test")).collect();
        assert!(ended.iter().all(|waits| waits.strong_count() == 0));

        let task = list.start("long");
        let waits = Waits::tie(task.handle(), &token, "test");
        assert_eq!(waits.strong_count(), 1);
        token.cancel();
        assert!(task.is_cancelled());
        assert_eq!(waits.strong_count(), 0);
    }
}
