//! A named channel for a single message.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pm_core::{Resource, ResourceKind, WaitGuard};
use tokio::sync::oneshot;

use tokio::sync::oneshot::error::{RecvError, TryRecvError};
pub use tokio::sync::oneshot::{Sender, error};

/// Creates a channel for a single message.
///
/// A waiting task is shown to wait on the channel's name. The sending task is not known before it sends.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let (reply, replied) = pm::sync::oneshot::channel("reply of db1");
/// reply.send(42).unwrap();
/// assert_eq!(replied.await, Ok(42));
/// # });
/// ```
#[must_use]
pub fn channel<T>(name: &str) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = oneshot::channel();
    let message = Resource::fair(name, ResourceKind::Channel, None);
    (sender, Receiver { waiting: None, message, inner: receiver })
}

/// A receiver of one message: a [`tokio::sync::oneshot::Receiver`].
pub struct Receiver<T> {
    waiting: Option<WaitGuard>,
    message: Resource,
    inner: oneshot::Receiver<T>,
}

impl<T> Receiver<T> {
    /// Returns the message if it has been sent.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`] if it has not been sent yet, or the sender was dropped.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.inner.try_recv()
    }

    /// Closes the channel: sending fails from now on.
    pub fn close(&mut self) {
        self.inner.close();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.inner).poll(context);
        if polled.is_ready() {
            self.waiting = None;
        } else if self.waiting.is_none() {
            self.waiting = Some(self.message.wait(1));
        }
        polled
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("message", &self.message).finish_non_exhaustive()
    }
}
