//! Events to come, in the order of their times.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Something that happens at a given time.
pub(crate) trait Event: Send {
    /// Returns `false` once nothing depends on it, as when its task has ended.
    fn matters(&self) -> bool;
    fn happen(&self);
}

impl<E: Event + ?Sized> Event for Box<E> {
    fn matters(&self) -> bool {
        (**self).matters()
    }

    fn happen(&self) {
        (**self).happen();
    }
}

struct Planned<E> {
    at: u64,
    event: E,
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<E> Eq for Planned<E> {}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

/// Events to come, the next one first. Times are nanoseconds of one clock.
///
/// Events that no longer matter are removed whenever the heap has doubled.
pub(crate) struct Agenda<E> {
    heap: BinaryHeap<Reverse<Planned<E>>>,
    /// Events in the heap when it was last cleared.
    cleared: usize,
}

/// Below this, nothing is cleared away.
const FEW: usize = 1024;

impl<E: Event> Default for Agenda<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Event> Agenda<E> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), cleared: 0 }
    }

    pub(crate) fn add(&mut self, at: u64, event: E) {
        if self.heap.len() >= FEW.max(2 * self.cleared) {
            self.heap.retain(|planned| planned.0.event.matters());
            self.cleared = self.heap.len();
        }
        self.heap.push(Reverse(Planned { at, event }));
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|planned| planned.0.at)
    }

    /// Takes the next event whose time has come.
    pub(crate) fn due(&mut self, now: u64) -> Option<E> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|planned| planned.0.event)
    }
}
