//! Events in the order of their times.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Mutex;

use crate::cancel::timer::{Event, lock};

struct Entry {
    at: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

/// Things to come, the next one first. Times are nanoseconds of one clock.
#[derive(Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    /// What the heap held when it was last cleared.
    cleared: usize,
}

/// Below this, nothing is cleared away.
const FEW: usize = 1024;

impl Agenda {
    pub(crate) fn add(&mut self, at: u64, event: Event) {
        if self.heap.len() >= FEW.max(2 * self.cleared) {
            self.heap.retain(|entry| entry.0.event.matters());
            self.cleared = self.heap.len();
        }
        self.heap.push(Reverse(Entry { at, event }));
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.0.at)
    }

    /// Takes the next thing whose time has come.
    pub(crate) fn due(&mut self, now: u64) -> Option<Event> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|entry| entry.0.event)
    }
}

/// Lets all happen whose time has come on a clock that somebody moved.
pub(crate) fn happen_until(agenda: &Mutex<Agenda>, now: u64) {
    loop {
        let event = lock(agenda).due(now);
        let Some(event) = event else { return };
        event.happen();
    }
}
