//! The end of a task: what is collected while its lock is held, and announced once no lock is held.

use std::sync::atomic::Ordering as StdOrdering;

use super::handle::TaskHandle;
use crate::base::outcome::{Count, Outcome};
use crate::layout::words::cancel;
use crate::slot::copy::{Detail, Wanted};
use crate::slot::gate::{Slot, Writer};
use crate::store::cell::{Cell, Ended};
use crate::store::counters::guard;
use crate::store::ended::End;
use crate::view::row::Row;

#[inline]
pub(super) fn end(handle: TaskHandle, outcome: impl FnOnce(u64, bool) -> Count) {
    if let Some(slot) = handle.slot
        && let Some(writer) = slot.lock(handle.serial)
    {
        writer.end(outcome);
    }
}

/// What is to be told when a task has ended and no lock is held any more.
pub(crate) struct Aside {
    slot: Slot,
    cell: Cell,
    ended: Ended,
    row: Option<Row>,
}

impl Aside {
    #[cold]
    #[inline(never)]
    pub(crate) fn of(writer: &Writer, word: u64, end: &End) -> Self {
        let slot = writer.slot();
        let inner = slot.inner;
        if cancel::is_asked(word) {
            inner.lost.cancelled_ends.fetch_add(1, StdOrdering::Relaxed);
            inner.banned.lock().add(writer.serial());
        }
        if word & cancel::FORCED != 0 {
            inner.lost.forced.fetch_add(1, StdOrdering::Relaxed);
        }
        let cell = if writer.is_watched() { writer.with_cell(std::mem::take) } else { Cell::default() };
        let row = if inner.hooks.wants_ends() { Row::copy(slot, Wanted::Ending, Detail::History) } else { None };
        let outcome = Outcome::from_count(end.outcome as u64).unwrap_or(Outcome::Finished);
        let ended = Ended { outcome, forced: word & cancel::FORCED != 0, ticks: end.ended };
        Self { slot, cell, ended, row }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn tell(self) {
        let Self { slot, cell, ended, row } = self;
        if let Some(rest) = cell.rest {
            rest.waiters.iter().for_each(|waiter| waiter.end(slot.inner, ended));
            // Dropping a waker may run code of somebody else.
            guard(slot.inner, || drop(rest));
        }
        guard(slot.inner, || drop(cell.future));
        if let Some(row) = row {
            slot.inner.hooks.ended(slot.inner, &row.view());
        }
    }
}
