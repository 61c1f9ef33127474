//! A cancel request that was made, and waiting for its outcome.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::timer::{attend, block_on, set_timeout};
use super::verdict::Verdict;
use crate::base::serial::Serial;
use crate::slot::gate::{Slot, Writer};
use crate::store::cell::{EndWait, Ended};

/// A cancel request that was recorded, and whose outcome one can wait for; made by
/// [`ProcessList::cancel`](crate::ProcessList::cancel). Dropping it does not take the request back.
///
/// ```
/// use pm_core::{ProcessList, Verdict};
/// use std::time::Duration;
///
/// let list = ProcessList::new();
/// let task = list.start("import-42");
/// let cancel = list.cancel("import-42", "too slow").unwrap();
/// assert!(matches!(cancel.verdict(), Verdict::Cancelling { .. }));
/// assert!(task.checkpoint().is_err());
/// drop(task);
/// assert!(matches!(cancel.wait(Duration::from_secs(5)).blocking(), Verdict::Finished { .. }));
/// ```
pub struct CancelHandle {
    slot: Slot,
    serial: u64,
    at: u64,
    first: bool,
    below: u64,
    wait: Arc<EndWait>,
}

impl CancelHandle {
    pub(crate) fn new(writer: &Writer, first: bool) -> Self {
        let at = writer.asked_ticks().unwrap_or_default();
        let wait = Arc::new(EndWait::default());
        writer.with_cell(|cell| cell.rest.get_or_insert_default().end_waits.push(Arc::clone(&wait)));
        Self { slot: writer.slot(), serial: writer.serial(), at, first, below: 0, wait }
    }

    pub(crate) fn with_below(mut self, below: u64) -> Self {
        self.below = below;
        self
    }

    /// Returns the serial of the task.
    #[must_use]
    pub fn serial(&self) -> Serial {
        Serial::new(self.serial)
    }

    /// Returns `true` if this request is the one that counts; `false` if the task had been cancelled before.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// Returns the number of tasks below it that were cancelled with it.
    #[must_use]
    pub fn below(&self) -> u64 {
        self.below
    }

    /// Returns the verdict so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let ended = self.wait.0.lock().ended;
        let moment = self.slot.store.clock.moment();
        match ended {
            Some(Ended { forced: true, ticks, .. }) => Verdict::Dropped { took: moment.between(self.at, ticks) },
            Some(Ended { outcome, ticks, .. }) => Verdict::Finished { took: moment.between(self.at, ticks), outcome },
            None => Verdict::Cancelling { took: moment.between(self.at, moment.ticks()) },
        }
    }

    /// Waits for the end of the task, for at most `timeout`: a future for any runtime, and
    /// [`VerdictFuture::blocking`] for a thread.
    pub fn wait(self, timeout: Duration) -> VerdictFuture {
        let store = self.slot.store;
        set_timeout(store, &self.wait, timeout);
        VerdictFuture { cancel: self }
    }
}

impl CancelHandle {
    /// Returns `true` if the task has ended; if not, its end wakes this.
    pub(crate) fn is_over(&self, waker: &Waker) -> bool {
        self.wait.listen(waker).0
    }
}

impl Drop for CancelHandle {
    fn drop(&mut self) {
        self.slot.remove_end_wait(self.serial, &self.wait);
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

/// A future that resolves when a cancelled task has ended, or when its timeout is over; made by [`CancelHandle::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled; `blocking` waits on this thread"]
pub struct VerdictFuture {
    cancel: CancelHandle,
}

impl VerdictFuture {
    /// Waits on this thread.
    #[must_use]
    pub fn blocking(self) -> Verdict {
        block_on(self)
    }
}

impl Future for VerdictFuture {
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict> {
        let new = context.waker().clone();
        let mut state = self.cancel.wait.0.lock();
        let ready = state.ended.is_some() || state.due;
        let unused = if ready { (state.waker.take(), Some(new)) } else { (state.waker.replace(new), None) };
        drop(state);
        // After the lock: dropping a waker may run code of the program.
        drop(unused);
        if ready {
            return Poll::Ready(self.cancel.verdict());
        }
        attend(context.waker());
        Poll::Pending
    }
}
