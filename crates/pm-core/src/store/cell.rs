//! The waiters of a task: its own future, futures that wait for its cancellation, and waits for its end.
//!
//! Wakers are taken out under a lock and woken after it, as they run code of the program.

use std::sync::Arc;
use std::task::Waker;

use super::counters::AtomicCounters;
use super::scopes::Scopes;
use crate::base::outcome::Outcome;
use crate::base::sync::Mutex;

/// The bytes of a cell with its lock.
pub(crate) const CELL_BYTES: usize = size_of::<Mutex<Cell>>();

/// The waiters of the task in a slot.
#[derive(Default)]
pub(crate) struct Cell {
    /// The task's own future, if it runs as one and is idle.
    pub(crate) future: Option<Waker>,
    pub(crate) rest: Option<Box<Rest>>,
}

/// The key of a waker that is never replaced or removed.
pub(crate) const UNKEYED: u64 = 0;

#[derive(Default)]
pub(crate) struct Rest {
    pub(crate) cancel_wakers: Vec<(u64, Waker)>,
    pub(crate) next_key: u64,
    pub(crate) end_waits: Vec<Arc<EndWait>>,
    scopes: Scopes,
}

impl Cell {
    pub(crate) fn scopes(&mut self) -> &mut Scopes {
        &mut self.rest.get_or_insert_default().scopes
    }
}

/// Wakers that were taken out, to be woken when no lock is held.
pub(crate) struct Wakers(pub(crate) Vec<Waker>);

impl Wakers {
    pub(crate) fn wake(self, counters: &AtomicCounters) {
        for waker in self.0 {
            counters.catch_panic(|| waker.wake());
        }
    }
}

/// The end of a task, as its waiters see it.
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) forced: bool,
    pub(crate) ticks: u64,
}

/// A wait for the end of a task, with an optional timeout.
#[derive(Default)]
pub(crate) struct EndWait(pub(crate) Mutex<EndWaitState>);

#[derive(Default)]
pub(crate) struct EndWaitState {
    pub(crate) ended: Option<Ended>,
    /// The timeout is over.
    pub(crate) due: bool,
    pub(crate) waker: Option<Waker>,
}

impl EndWait {
    fn change(&self, counters: &AtomicCounters, change: impl FnOnce(&mut EndWaitState)) {
        let waker = {
            let mut state = self.0.lock();
            change(&mut state);
            state.waker.take()
        };
        Wakers(waker.into_iter().collect()).wake(counters);
    }

    pub(crate) fn end(&self, counters: &AtomicCounters, ended: Ended) {
        self.change(counters, |state| state.ended = Some(ended));
    }

    pub(crate) fn time_is_up(&self, counters: &AtomicCounters) {
        self.change(counters, |state| state.due = true);
    }

    /// Registers the waker for the next event. Returns what has happened already: whether the task has ended, and
    /// whether the timeout is over.
    pub(crate) fn listen(&self, waker: &Waker) -> (bool, bool) {
        let new = waker.clone();
        let mut state = self.0.lock();
        let happened = (state.ended.is_some(), state.due);
        let old = state.waker.replace(new);
        drop(state);
        // After the lock: dropping a waker may run code of the program.
        drop(old);
        happened
    }
}
