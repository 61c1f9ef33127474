//! The cell beside a slot: futures and threads that wait for its task.
//!
//! Opened only under the lock of the task's writers, so that no event is missed: a waiter registers while the task is
//! live, and a cancel or an end then finds it.

use std::sync::Arc;
use std::task::Waker;

use super::gate::{Slot, Writer};
use crate::layout::words::*;
use crate::store::cell::{Cell, EndWait, UNKEYED, Wakers};

impl Writer {
    /// Opens the cell of the task, and marks that there may be waiters in it.
    pub(crate) fn with_cell<R>(&self, f: impl FnOnce(&mut Cell) -> R) -> R {
        self.set_watched();
        f(&mut self.slot().store.slab.cell(self.slot().index()).lock())
    }

    /// Takes all wakers that a cancel request wakes.
    pub(crate) fn take_cancel_wakers(&self) -> Wakers {
        if !self.is_watched() {
            return Wakers(Vec::new());
        }
        self.with_cell(|cell| {
            let cancel_wakers =
                cell.rest.iter_mut().flat_map(|rest| rest.cancel_wakers.drain(..)).map(|(_, waker)| waker);
            Wakers(cell.future.take().into_iter().chain(cancel_wakers).collect())
        })
    }
}

impl Slot {
    /// Registers a waker for a cancel request. Returns `false` if there is one already; a task that has ended never
    /// gets one.
    pub(crate) fn add_cancel_waker(self, serial: u64, waker: Waker) -> bool {
        let Some(writer) = self.lock(serial) else { return true };
        if cancel::is_asked(acquire(self.cancel())) {
            // The waker is dropped after the lock: that may run code of the program.
            drop(writer);
            return false;
        }
        writer.with_cell(|cell| cell.rest.get_or_insert_default().cancel_wakers.push((UNKEYED, waker)));
        true
    }

    /// Registers a wait for the end of the task. Returns `false` if it has ended.
    pub(crate) fn add_end_wait(self, serial: u64, wait: &Arc<EndWait>) -> bool {
        let Some(writer) = self.lock(serial) else { return false };
        writer.with_cell(|cell| cell.rest.get_or_insert_default().end_waits.push(Arc::clone(wait)));
        true
    }

    /// Removes a wait for the end of the task.
    pub(crate) fn remove_end_wait(self, serial: u64, wait: &Arc<EndWait>) {
        if let Some(writer) = self.lock(serial) {
            writer.with_cell(|cell| {
                if let Some(rest) = &mut cell.rest {
                    rest.end_waits.retain(|waiter| !Arc::ptr_eq(waiter, wait));
                }
            });
        }
    }

    /// Wakes the future that runs as this task, if it is idle.
    pub(crate) fn wake_future(self, serial: u64) {
        let Some(writer) = self.lock(serial) else { return };
        let waker = if writer.is_watched() { writer.with_cell(|cell| cell.future.take()) } else { None };
        drop(writer);
        Wakers(waker.into_iter().collect()).wake(&self.store.counters);
    }
}
