//! Links tasks with tokio-util's cancellation tokens, in both directions.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Wake, Waker};

use pm_core::{CancelRequest, TaskHandle};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::sealed::Sealed;

/// Links a task with a [`CancellationToken`]. Needs no runtime and no thread.
///
/// The link is freed when the task has ended. Implemented for [`TaskHandle`], to which a [`Task`](crate::Task)
/// dereferences; this trait is sealed.
pub trait TaskTokenExt: Sealed {
    /// Returns a token that is cancelled when the task is asked to stop, for code that takes one.
    ///
    /// Cancelling the token counts as observing the request: a task that ends afterwards ends as cancelled. The token
    /// of a task that ends without a cancel request, or that is not listed, is never cancelled.
    ///
    /// ```
    /// use pm::prelude::*;
    ///
    /// let list = pm::ProcessList::new();
    /// let task = list.start("import-42");
    /// let token = task.cancellation_token();
    /// list.cancel("import-42", "too slow").unwrap();
    /// assert!(token.is_cancelled());
    /// ```
    #[must_use]
    fn cancellation_token(&self) -> CancellationToken;

    /// Cancels the task, with the given reason, when the token is cancelled: for programs that shut down by a token.
    ///
    /// A task that is not cancellable keeps running.
    ///
    /// ```
    /// use pm::prelude::*;
    ///
    /// let shutdown = tokio_util::sync::CancellationToken::new();
    /// let task = pm::start("import-42");
    /// task.cancel_by(&shutdown, "shutting down");
    /// shutdown.cancel();
    /// assert_eq!(task.checkpoint().unwrap_err().reason(), "shutting down");
    /// ```
    fn cancel_by(&self, token: &CancellationToken, reason: &str);
}

impl TaskTokenExt for TaskHandle {
    fn cancellation_token(&self) -> CancellationToken {
        let token = CancellationToken::new();
        let waker = CancelToken { task: *self, token: token.clone() };
        self.wake_on_cancel(&Waker::from(Arc::new(waker)));
        token
    }

    fn cancel_by(&self, token: &CancellationToken, reason: &str) {
        TokenWait::start(*self, token, reason);
    }
}

/// Waker of the task: cancels the token when the task is cancelled.
struct CancelToken {
    task: TaskHandle,
    token: CancellationToken,
}

impl Wake for CancelToken {
    fn wake(self: Arc<Self>) {
        let _ = self.task.checkpoint();
        self.token.cancel();
    }
}

/// Waits for the token, and cancels the task.
struct TokenWait {
    task: TaskHandle,
    reason: String,
    // Polled once, to register the waker.
    future: Mutex<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl TokenWait {
    fn start(task: TaskHandle, token: &CancellationToken, reason: &str) -> Weak<Self> {
        let future = Mutex::new(Box::pin(token.clone().cancelled_owned()));
        let wait = Arc::new(Self { task, reason: reason.to_owned(), future });
        let weak = Arc::downgrade(&wait);
        let waker = Waker::from(Arc::new(CancelTask(Weak::clone(&weak))));
        let mut future = wait.future.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        drop(future);
        if polled.is_ready() {
            wait.cancel();
        }
        // The list keeps this waker, and with it the wait, until the task ends or is cancelled.
        task.wake_on_cancel(&Waker::from(Arc::new(KeepAlive(wait))));
        weak
    }

    fn cancel(&self) {
        // Fails if the task has ended or is not cancellable.
        let _ = self.task.cancel(CancelRequest::new(&self.reason).by("cancellation token"));
    }
}

/// Waker of the token: cancels the task.
struct CancelTask(Weak<TokenWait>);

impl Wake for CancelTask {
    fn wake(self: Arc<Self>) {
        if let Some(wait) = self.0.upgrade() {
            wait.cancel();
        }
    }
}

/// Waker of the task that does nothing but own the wait.
struct KeepAlive(#[expect(dead_code, reason = "owned, to be dropped with this")] Arc<TokenWait>);

impl Wake for KeepAlive {
    fn wake(self: Arc<Self>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_to_a_token_is_freed_when_the_task_has_ended_or_was_cancelled() {
        let list = pm_core::ProcessList::new();
        let token = CancellationToken::new();
        let ended: Vec<_> =
            (0..10_000).map(|_| TokenWait::start(list.start("short").handle(), &token, "test")).collect();
        assert!(ended.iter().all(|wait| wait.strong_count() == 0));

        let task = list.start("long");
        let wait = TokenWait::start(task.handle(), &token, "test");
        assert_eq!(wait.strong_count(), 1);
        token.cancel();
        assert!(task.is_cancelled());
        assert_eq!(wait.strong_count(), 0);
    }
}
