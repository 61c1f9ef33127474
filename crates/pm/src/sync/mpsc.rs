//! Named channels with many senders and one receiver.
//!
//! A sender waits for capacity, which the receiving task holds; a receiver waits for messages, which the sending tasks
//! hold. Each end belongs to the task that last used it, and to no task before its first use.

use std::fmt;

use pm_core::{HoldGuard, Resource, ResourceKind};
use tokio::sync::mpsc;

pub use tokio::sync::mpsc::error;
use tokio::sync::mpsc::error::{SendError, TryRecvError, TrySendError};

use super::guard::waited;

fn resource(name: &str, state: &str) -> Resource {
    Resource::fair(&format!("{name} ({state})"), ResourceKind::Channel, None)
}

/// Creates a channel with capacity for this number of messages.
///
/// Waiting tasks are shown to wait on `NAME (full)` or `NAME (empty)`.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let (jobs, mut inbox) = pm::sync::mpsc::channel("jobs", 16);
/// jobs.send(42).await.unwrap();
/// drop(jobs);
/// assert_eq!((inbox.recv().await, inbox.recv().await), (Some(42), None));
/// # });
/// ```
///
/// # Panics
///
/// If the capacity is 0.
#[must_use]
pub fn channel<T>(name: &str, capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(capacity);
    let (capacity, messages) = (resource(name, "full"), resource(name, "empty"));
    let receiver = Receiver { capacity: capacity.hold_unclaimed(1), messages: messages.clone(), inner: receiver };
    (Sender { messages: messages.hold_unclaimed(1), capacity, inner: sender }, receiver)
}

/// Creates a channel with unbounded capacity. Waiting tasks are shown to wait on `NAME (empty)`.
#[must_use]
pub fn unbounded_channel<T>(name: &str) -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let messages = resource(name, "empty");
    let sender = UnboundedSender { messages: messages.hold_unclaimed(1), inner: sender };
    (sender, UnboundedReceiver { messages, inner: receiver })
}

/// A sender of a [`channel`]: a [`tokio::sync::mpsc::Sender`].
pub struct Sender<T> {
    messages: HoldGuard,
    capacity: Resource,
    inner: mpsc::Sender<T>,
}

impl<T> Sender<T> {
    /// Sends a message once there is capacity. Cancel safe: if the future is dropped, the message was not sent.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, if the receiver is closed.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.messages.claim();
        waited(&self.capacity, 1, self.inner.send(message)).await
    }

    /// Sends a message if there is capacity.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], with the message, if the channel is full or closed.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.messages.claim();
        self.inner.try_send(message)
    }

    /// Sends a message, blocking the thread until there is capacity.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, if the receiver is closed.
    ///
    /// # Panics
    ///
    /// In an asynchronous context, like tokio's.
    pub fn blocking_send(&self, message: T) -> Result<(), SendError<T>> {
        match self.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(message)) => Err(SendError(message)),
            Err(TrySendError::Full(message)) => {
                let _waiting = self.capacity.wait(1);
                self.inner.blocking_send(message)
            }
        }
    }

    /// Completes when the receiver is closed.
    pub async fn closed(&self) {
        self.inner.closed().await;
    }

    /// Returns `true` if the receiver is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Returns for how many more messages there is capacity.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.inner.capacity()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let messages = self.messages.resource().hold_unclaimed(1);
        Self { messages, capacity: self.capacity.clone(), inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

/// The receiver of a [`channel`]: a [`tokio::sync::mpsc::Receiver`].
pub struct Receiver<T> {
    capacity: HoldGuard,
    messages: Resource,
    inner: mpsc::Receiver<T>,
}

impl<T> Receiver<T> {
    /// Receives the next message; `None` when the channel is empty and closed. Cancel safe.
    pub async fn recv(&mut self) -> Option<T> {
        self.capacity.claim();
        waited(&self.messages, 1, self.inner.recv()).await
    }

    /// Receives the next message if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`] if the channel is empty; it distinguishes whether it is also closed.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.capacity.claim();
        self.inner.try_recv()
    }

    /// Receives the next message, blocking the thread; `None` when the channel is empty and closed.
    ///
    /// # Panics
    ///
    /// In an asynchronous context, like tokio's.
    pub fn blocking_recv(&mut self) -> Option<T> {
        match self.try_recv() {
            Ok(message) => Some(message),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                let _waiting = self.messages.wait(1);
                self.inner.blocking_recv()
            }
        }
    }

    /// Closes the channel: sending fails from now on; messages already sent are still received.
    pub fn close(&mut self) {
        self.inner.close();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("messages", &self.messages).finish_non_exhaustive()
    }
}

/// A sender of an [`unbounded_channel`]: a [`tokio::sync::mpsc::UnboundedSender`].
pub struct UnboundedSender<T> {
    messages: HoldGuard,
    inner: mpsc::UnboundedSender<T>,
}

impl<T> UnboundedSender<T> {
    /// Sends a message without waiting.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, if the receiver is closed.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.messages.claim();
        self.inner.send(message)
    }

    /// Completes when the receiver is closed.
    pub async fn closed(&self) {
        self.inner.closed().await;
    }

    /// Returns `true` if the receiver is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        Self { messages: self.messages.resource().hold_unclaimed(1), inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender").field("messages", self.messages.resource()).finish_non_exhaustive()
    }
}

/// The receiver of an [`unbounded_channel`]: a [`tokio::sync::mpsc::UnboundedReceiver`].
pub struct UnboundedReceiver<T> {
    messages: Resource,
    inner: mpsc::UnboundedReceiver<T>,
}

impl<T> UnboundedReceiver<T> {
    /// Receives the next message; `None` when the channel is empty and closed. Cancel safe.
    pub async fn recv(&mut self) -> Option<T> {
        waited(&self.messages, 1, self.inner.recv()).await
    }

    /// Receives the next message if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`] if the channel is empty; it distinguishes whether it is also closed.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.inner.try_recv()
    }

    /// Closes the channel: sending fails from now on; messages already sent are still received.
    pub fn close(&mut self) {
        self.inner.close();
    }
}

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedReceiver").field("messages", &self.messages).finish_non_exhaustive()
    }
}
