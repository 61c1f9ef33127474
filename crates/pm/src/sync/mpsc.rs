//! Channels from many to one, with a name.
//!
//! Who sends waits for room, which the task has that receives; who receives waits for messages, which those have that
//! send. Each end belongs to the task that used it last, and to nobody before that.

use std::fmt;

use pm_core::{HoldGuard, Resource, ResourceKind};
use tokio::sync::mpsc;

pub use tokio::sync::mpsc::error;
use tokio::sync::mpsc::error::{SendError, TryRecvError, TrySendError};

use super::guard::waited;

fn resource(name: &str, state: &str) -> Resource {
    Resource::fair(&format!("{name} ({state})"), ResourceKind::Channel, None)
}

/// A channel with room for so many messages. Who waits is told to wait on `NAME (full)`, or `NAME (empty)`.
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
/// If there is room for none.
#[must_use]
pub fn channel<T>(name: &str, room: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(room);
    let (room, messages) = (resource(name, "full"), resource(name, "empty"));
    let receiver = Receiver { room: room.hold_unclaimed(1), messages: messages.clone(), inner: receiver };
    (Sender { messages: messages.hold_unclaimed(1), room, inner: sender }, receiver)
}

/// A channel with room without end. Who waits is told to wait on `NAME (empty)`.
#[must_use]
pub fn unbounded_channel<T>(name: &str) -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let messages = resource(name, "empty");
    let sender = UnboundedSender { messages: messages.hold_unclaimed(1), inner: sender };
    (sender, UnboundedReceiver { messages, inner: receiver })
}

/// Sends into a [`channel`]: a [`tokio::sync::mpsc::Sender`].
pub struct Sender<T> {
    messages: HoldGuard,
    room: Resource,
    inner: mpsc::Sender<T>,
}

impl<T> Sender<T> {
    /// Sends, as soon as there is room. Cancel safe in so far as nothing was sent when it is dropped.
    ///
    /// # Errors
    ///
    /// Nobody will receive it.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.messages.claim();
        waited(&self.room, 1, self.inner.send(message)).await
    }

    /// Sends if there is room.
    ///
    /// # Errors
    ///
    /// There is none, or nobody will receive it.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.messages.claim();
        self.inner.try_send(message)
    }

    /// Sends, blocking the thread until there is room.
    ///
    /// # Errors
    ///
    /// Nobody will receive it.
    ///
    /// # Panics
    ///
    /// In an asynchronous context, as tokio's does.
    pub fn blocking_send(&self, message: T) -> Result<(), SendError<T>> {
        match self.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(message)) => Err(SendError(message)),
            Err(TrySendError::Full(message)) => {
                let _waiting = self.room.wait(1);
                self.inner.blocking_send(message)
            }
        }
    }

    /// Completes when nobody will receive any more.
    pub async fn closed(&self) {
        self.inner.closed().await;
    }

    /// Whether nobody will receive any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// For how many messages there is room now.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.inner.capacity()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let messages = self.messages.resource().hold_unclaimed(1);
        Self { messages, room: self.room.clone(), inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("room", &self.room).finish_non_exhaustive()
    }
}

/// Receives from a [`channel`]: a [`tokio::sync::mpsc::Receiver`].
pub struct Receiver<T> {
    room: HoldGuard,
    messages: Resource,
    inner: mpsc::Receiver<T>,
}

impl<T> Receiver<T> {
    /// The next message; `None` when there are none and nobody will send any more. Cancel safe.
    pub async fn recv(&mut self) -> Option<T> {
        self.room.claim();
        waited(&self.messages, 1, self.inner.recv()).await
    }

    /// The next message if there is one.
    ///
    /// # Errors
    ///
    /// There is none now, or there never will be one.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.room.claim();
        self.inner.try_recv()
    }

    /// The next message, blocking the thread until it is there.
    ///
    /// # Panics
    ///
    /// In an asynchronous context, as tokio's does.
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

    /// Lets nobody send any more; what was sent is still received.
    pub fn close(&mut self) {
        self.inner.close();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("messages", &self.messages).finish_non_exhaustive()
    }
}

/// Sends into an [`unbounded_channel`]: a [`tokio::sync::mpsc::UnboundedSender`].
pub struct UnboundedSender<T> {
    messages: HoldGuard,
    inner: mpsc::UnboundedSender<T>,
}

impl<T> UnboundedSender<T> {
    /// Sends at once.
    ///
    /// # Errors
    ///
    /// Nobody will receive it.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.messages.claim();
        self.inner.send(message)
    }

    /// Completes when nobody will receive any more.
    pub async fn closed(&self) {
        self.inner.closed().await;
    }

    /// Whether nobody will receive any more.
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

/// Receives from an [`unbounded_channel`]: a [`tokio::sync::mpsc::UnboundedReceiver`].
pub struct UnboundedReceiver<T> {
    messages: Resource,
    inner: mpsc::UnboundedReceiver<T>,
}

impl<T> UnboundedReceiver<T> {
    /// The next message; `None` when there are none and nobody will send any more. Cancel safe.
    pub async fn recv(&mut self) -> Option<T> {
        waited(&self.messages, 1, self.inner.recv()).await
    }

    /// The next message if there is one.
    ///
    /// # Errors
    ///
    /// There is none now, or there never will be one.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.inner.try_recv()
    }

    /// Lets nobody send any more; what was sent is still received.
    pub fn close(&mut self) {
        self.inner.close();
    }
}

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedReceiver").field("messages", &self.messages).finish_non_exhaustive()
    }
}
