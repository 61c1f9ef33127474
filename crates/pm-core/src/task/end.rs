//! The end of a task: what is collected while its lock is held, and announced once no lock is held.

use std::sync::atomic::Ordering as StdOrdering;

use super::handle::TaskHandle;
use crate::base::outcome::{Count, Outcome};
use crate::layout::words::cancel;
use crate::shared::state::TaskRef;
use crate::slot::copy::{Detail, Wanted};
use crate::slot::gate::Writer;
use crate::store::cell::{Cell, Ended};
use crate::store::ended::End;
use crate::view::row::Row;

/// Ends a task, unless it has ended.
#[inline]
pub(super) fn end(handle: TaskHandle, outcome: impl FnOnce(u64, bool) -> Count) {
    if let Some(task) = handle.task
        && let Some(writer) = task.lock()
    {
        let ending = writer.end(outcome, |writer, word, is_watched, end| {
            let is_awaited = cancel::is_asked(word) || is_watched || task.shared.hooks.any();
            is_awaited.then(|| Ending::of(task, writer, word, end))
        });
        if let Some(ending) = ending {
            ending.announce();
        }
    }
}

/// The announcements to make once a task has ended and no lock is held. Boxed, as most tasks have none to move.
struct Ending {
    task: TaskRef,
    cell: Cell,
    ended: Ended,
    row: Option<Row>,
}

impl Ending {
    #[cold]
    #[inline(never)]
    fn of(task: TaskRef, writer: &Writer, word: u64, end: &End) -> Box<Self> {
        let (shared, counters) = (task.shared, &task.store().counters);
        if cancel::is_asked(word) {
            counters.cancelled_ends.fetch_add(1, StdOrdering::Relaxed);
            shared.banned.lock().add(task.serial);
        }
        let forced = word & cancel::FORCED != 0;
        if forced {
            counters.forced.fetch_add(1, StdOrdering::Relaxed);
        }
        let cell = if writer.is_watched() { writer.with_cell(std::mem::take) } else { Cell::default() };
        let wants_row = shared.hooks.wants_ends();
        let row = if wants_row { Row::copy(task.slot(), Wanted::Ending, Detail::History) } else { None };
        let outcome = Outcome::from_count(end.outcome as u64).unwrap_or(Outcome::Finished);
        Box::new(Self { task, cell, ended: Ended { outcome, forced, ticks: end.ended }, row })
    }

    #[cold]
    #[inline(never)]
    fn announce(self) {
        let Self { task, cell, ended, row } = self;
        let counters = &task.store().counters;
        if let Some(rest) = cell.rest {
            rest.end_waits.iter().for_each(|waiter| waiter.end(counters, ended));
            // Dropping a waker may run code of the program.
            counters.catch_panic(|| drop(rest));
        }
        counters.catch_panic(|| drop(cell.future));
        if let Some(row) = row {
            task.shared.hooks.ended(counters, &row.view());
        }
    }
}
