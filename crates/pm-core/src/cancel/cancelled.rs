//! The error that a cancelled task sees at its checkpoints, and a future that waits for it.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::base::serial::Serial;
use crate::base::timestamp::Timestamp;
use crate::layout::words::cancel;
use crate::shared::state::TaskRef;
use crate::view::request::RequestView;

/// A future that resolves when a task is cancelled; made by [`TaskHandle::cancelled`](crate::TaskHandle::cancelled).
#[must_use = "it waits when it is polled"]
pub struct CancelledFuture {
    task: Option<TaskRef>,
    key: Option<u64>,
}

impl CancelledFuture {
    pub(crate) fn new(task: Option<TaskRef>) -> Self {
        Self { task, key: None }
    }
}

impl Future for CancelledFuture {
    type Output = Cancelled;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Cancelled> {
        // A task that is not shown, or has ended, is never cancelled.
        let Some(task) = self.task else { return Poll::Pending };
        let new = context.waker().clone();
        let Some(writer) = task.lock() else { return Poll::Pending };
        if let Some(cancelled) = writer.observe_cancel(cancel::OBSERVED) {
            drop(writer);
            return Poll::Ready(cancelled);
        }
        let key = self.key;
        let (key, old) = writer.with_cell(|cell| {
            let rest = cell.rest.get_or_insert_default();
            if let Some(mine) = rest.cancel_wakers.iter_mut().find(|(other, _)| Some(*other) == key) {
                return (mine.0, Some(std::mem::replace(&mut mine.1, new)));
            }
            rest.next_key += 1;
            rest.cancel_wakers.push((rest.next_key, new));
            (rest.next_key, None)
        });
        drop(writer);
        drop(old);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for CancelledFuture {
    fn drop(&mut self) {
        let (Some(task), Some(key)) = (self.task, self.key) else { return };
        let Some(writer) = task.lock() else { return };
        let mine = writer.with_cell(|cell| {
            let rest = cell.rest.as_mut()?;
            let place = rest.cancel_wakers.iter().position(|(other, _)| *other == key)?;
            Some(rest.cancel_wakers.swap_remove(place))
        });
        drop(writer);
        drop(mine);
    }
}

impl std::fmt::Debug for CancelledFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelledFuture")
            .field("serial", &self.task.map_or(0, |task| task.serial))
            .finish_non_exhaustive()
    }
}

/// The error of a task that was asked to stop, returned by its checkpoints.
///
/// Return it with `?` as far up as the work is to be abandoned.
// Boxed, as results travel through many frames: a word instead of eleven.
#[derive(Clone, PartialEq, Eq)]
pub struct Cancelled(Box<Asked>);

#[derive(Clone, PartialEq, Eq)]
struct Asked {
    serial: Serial,
    reason: String,
    by: String,
    at: Timestamp,
    origin: Serial,
}

impl Cancelled {
    /// Makes the error from the request of a task.
    pub(crate) fn of(request: &RequestView<'_>, serial: Serial) -> Self {
        Self(Box::new(Asked {
            serial,
            reason: request.reason().as_str().to_owned(),
            by: request.by().as_str().to_owned(),
            at: request.at(),
            origin: request.origin(),
        }))
    }

    /// Makes the error for a request for whose strings there was no memory.
    pub(crate) fn unknown(serial: Serial) -> Self {
        let at = Timestamp::from_unix_nanos(0);
        Self(Box::new(Asked { serial, reason: String::new(), by: String::new(), at, origin: serial }))
    }

    /// Returns the reason; empty when none was given.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Returns the caller that cancelled the task, as given by [`CancelRequest::by`](crate::CancelRequest::by); may be
    /// empty.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.0.by
    }

    /// Returns the time of the request; 1970 when the list had no memory to record it.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.0.at
    }

    /// Returns the serial of the cancelled task.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.0.serial
    }

    /// Returns the task that the request was made for: this one, or an ancestor that was cancelled with all below it.
    #[must_use]
    pub fn origin(&self) -> Serial {
        self.0.origin
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled")
            .field("serial", &self.serial())
            .field("reason", &self.reason())
            .field("by", &self.by())
            .field("at", &self.at())
            .field("origin", &self.origin())
            .finish()
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            "" => f.write_str("cancelled"),
            reason => write!(f, "cancelled: {reason}"),
        }
    }
}

impl std::error::Error for Cancelled {}

/// The payload with which `checkpoint_or_unwind` unwinds; `run_sync` recognises it.
pub(crate) struct Unwind(Cancelled);

std::thread_local! {
    static UNWINDING: Cell<bool> = const { Cell::new(false) };
}

impl Unwind {
    /// Makes the payload; this thread unwinds because of a cancel as long as it exists.
    pub(crate) fn new(cancelled: Cancelled) -> Self {
        let _ = UNWINDING.try_with(|unwinding| unwinding.set(true));
        Self(cancelled)
    }

    /// Returns `true` if this thread unwinds because of a cancel, and not because of a panic.
    pub(crate) fn is_underway() -> bool {
        std::thread::panicking() && UNWINDING.try_with(Cell::get).unwrap_or(false)
    }

    pub(crate) fn cancelled(&self) -> &Cancelled {
        &self.0
    }
}

impl Drop for Unwind {
    fn drop(&mut self) {
        let _ = UNWINDING.try_with(|unwinding| unwinding.set(false));
    }
}
