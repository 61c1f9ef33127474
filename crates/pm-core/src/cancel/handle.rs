//! A cancel request that was made, and waiting for its outcome.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::timer::Event;
use super::verdict::Verdict;
use crate::base::block_on::block_on;
use crate::base::serial::Serial;
use crate::slot::gate::{Slot, Writer};
use crate::store::cell::{Ended, Wait};

/// A task that was asked to stop, and who waits for what comes of it.
///
/// ```
/// use pm_core::{CancelRequest, ProcessList, Verdict};
/// use std::time::Duration;
///
/// let list = ProcessList::new();
/// let task = list.start("import-42");
/// let asked = list.request_cancel("import-42", &CancelRequest::new("too slow")).unwrap();
/// assert!(matches!(asked.verdict(), Verdict::Cancelling { .. }));
/// assert!(task.checkpoint().is_err());
/// drop(task);
/// assert!(matches!(asked.wait(Duration::from_secs(5)), Verdict::Finished { .. }));
/// ```
pub struct CancelHandle {
    slot: Slot,
    serial: u64,
    at: u64,
    first: bool,
    below: u64,
    wait: Arc<Wait>,
}

impl CancelHandle {
    pub(crate) fn new(writer: &Writer, first: bool) -> Self {
        let at = writer.asked_ticks().unwrap_or_default();
        let wait = Arc::new(Wait::default());
        writer.with_cell(|cell| cell.rest.get_or_insert_default().waiters.push(Arc::clone(&wait)));
        Self { slot: writer.slot(), serial: writer.serial(), at, first, below: 0, wait }
    }

    pub(crate) fn with_below(mut self, below: u64) -> Self {
        self.below = below;
        self
    }

    /// The task.
    #[must_use]
    pub fn serial(&self) -> Serial {
        Serial::new(self.serial)
    }

    /// Whether this request is the one that counts; else the task had been asked before.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// How many tasks below it were asked with it.
    #[must_use]
    pub fn below(&self) -> u64 {
        self.below
    }

    /// What has come of it so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let ended = self.wait.0.lock().ended;
        let moment = self.slot.inner.timer.moment();
        match ended {
            Some(Ended { forced: true, ticks, .. }) => Verdict::Dropped { took: moment.between(self.at, ticks) },
            Some(Ended { outcome, ticks, .. }) => Verdict::Finished { took: moment.between(self.at, ticks), outcome },
            None => Verdict::Cancelling { took: moment.between(self.at, moment.ticks()) },
        }
    }

    /// Waits until the task has ended, but no longer than this. Blocks the thread.
    #[must_use]
    pub fn wait(self, at_most: Duration) -> Verdict {
        block_on(self.within(at_most))
    }

    /// The same as a future, for any runtime.
    pub fn within(self, at_most: Duration) -> VerdictFuture {
        let inner = self.slot.inner;
        if !inner.timer.schedule(at_most, Event::Wait(inner, Arc::downgrade(&self.wait))) {
            // Nobody will say when the time is up.
            self.wait.time_is_up(inner);
        }
        VerdictFuture { asked: self }
    }
}

impl CancelHandle {
    /// Whether the task has ended; if not, its end wakes this.
    pub(crate) fn is_over(&self, waker: &Waker) -> bool {
        self.wait.listen(waker).0
    }
}

impl Drop for CancelHandle {
    fn drop(&mut self) {
        self.slot.remove_waiter(self.serial, &self.wait);
    }
}

impl std::fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelHandle")
            .field("serial", &self.serial)
            .field("verdict", &self.verdict())
            .finish_non_exhaustive()
    }
}

/// Waits for what comes of a cancel; made by [`CancelHandle::within`].
#[derive(Debug)]
#[must_use = "it waits when it is polled"]
pub struct VerdictFuture {
    asked: CancelHandle,
}

impl Future for VerdictFuture {
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict> {
        let new = context.waker().clone();
        let mut state = self.asked.wait.0.lock();
        let ready = state.ended.is_some() || state.due;
        let unused = if ready { (state.waker.take(), Some(new)) } else { (state.waker.replace(new), None) };
        drop(state);
        // After the lock: a waker is code of somebody else.
        drop(unused);
        if ready { Poll::Ready(self.asked.verdict()) } else { Poll::Pending }
    }
}
