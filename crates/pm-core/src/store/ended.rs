//! Retains ended tasks within limits, and evicts them.
//!
//! A task that ended stays in its slot, so that retaining it copies nothing. Each thread gathers the slots of tasks
//! that ended on it, and hands them on by the batch; tasks beyond the limits are evicted then, and their memory goes to
//! the thread that exceeded the limit. Readers look at slots and are not involved.

use std::collections::VecDeque;

use crate::base::limits::Limits;
use crate::base::outcome::Count;
use crate::base::sync::Ordering;
use crate::layout::chunk::{WORDS, mark};
use crate::layout::table::ChunkTable;
use crate::layout::walk::TaskRecords;
use crate::layout::words::next_of;

/// Ended tasks of one thread, oldest first.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) slots: Vec<u32>,
    /// The chunks of their chains.
    pub(crate) chained: u64,
    /// The end of the newest of them, in ticks.
    pub(crate) newest: u64,
}

impl Batch {
    #[inline]
    pub(crate) fn push(&mut self, slot: u32, chained: u32, ended: u64) {
        self.slots.push(slot);
        self.chained += u64::from(chained);
        self.newest = self.newest.max(ended);
    }

    fn bytes(&self) -> u64 {
        (self.slots.len() as u64 + self.chained) * (WORDS as u64 + 1) * 8
    }
}

/// The batches of all threads.
#[derive(Default)]
pub(crate) struct Retained {
    ordinary: Batches,
    /// Failed and cancelled tasks, and the slowest of their kind.
    notable: Batches,
}

#[derive(Default)]
struct Batches {
    batches: VecDeque<Batch>,
    tasks: u64,
    bytes: u64,
}

impl Batches {
    fn push(&mut self, batch: Batch) {
        self.tasks += batch.slots.len() as u64;
        self.bytes += batch.bytes();
        self.batches.push_back(batch);
    }

    fn pop(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.tasks -= batch.slots.len() as u64;
        self.bytes -= batch.bytes();
        Some(batch)
    }

    fn is_older(&self, than: u64, age: impl Fn(u64) -> u64) -> bool {
        self.batches.front().is_some_and(|batch| age(batch.newest) > than)
    }
}

/// How many times longer than others the notable ones stay.
pub(crate) const NOTABLE_STAYS: u64 = 4;

impl Retained {
    pub(crate) fn push(&mut self, batch: Batch, notable: bool) {
        if notable { self.notable.push(batch) } else { self.ordinary.push(batch) }
    }

    /// Takes the next batch that is beyond a limit; `max_age` is in ticks, as is the result of `age`.
    pub(crate) fn surplus(&mut self, limits: &Limits, max_age: u64, age: impl Fn(u64) -> u64) -> Option<Batch> {
        if self.ordinary.is_older(max_age, &age) {
            return self.ordinary.pop();
        }
        if self.notable.is_older(max_age.saturating_mul(NOTABLE_STAYS), &age) {
            return self.notable.pop();
        }
        let over = self.ordinary.tasks + self.notable.tasks > limits.ended
            || self.ordinary.bytes + self.notable.bytes > limits.ended_bytes;
        if over { self.pop(limits) } else { None }
    }

    /// Takes the batch to evict first: the oldest of the ordinary ones, unless the notable ones take more than half of
    /// the space.
    pub(crate) fn pop(&mut self, limits: &Limits) -> Option<Batch> {
        let crowding = self.notable.tasks > limits.ended / 2 || self.notable.bytes > limits.ended_bytes / 2;
        let first = if crowding { self.notable.pop() } else { self.ordinary.pop() };
        first.or_else(|| self.ordinary.pop()).or_else(|| self.notable.pop())
    }

    /// Returns the slots of all batches.
    pub(crate) fn into_slots(self) -> impl Iterator<Item = u32> {
        self.ordinary.batches.into_iter().chain(self.notable.batches).flat_map(|batch| batch.slots)
    }
}

/// The end of a task, as it is counted.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) outcome: Count,
    pub(crate) kind: u32,
    /// The duration of the task.
    pub(crate) ticks: u64,
    /// Whether the clock was given up while it ran: then the times of its statuses are not counted.
    pub(crate) is_over_step: bool,
    pub(crate) ended: u64,
    /// The chunks in addition to its slot.
    pub(crate) chained: u32,
}

/// Evicts an ended task: its slot and all chunks behind it can be used again, and are handed to `free`.
pub(super) fn evict(chunks: &ChunkTable, index: u32, mut free: impl FnMut(u32)) {
    let records = TaskRecords { chunks, slot: chunks.get(index) };
    chunks.tag(index).store(0, Ordering::Relaxed);
    let first = records.chains();
    let serial = mark::serial(records.slot.get(0));
    // Release: the next task in this slot is ordered behind all that was written here.
    records.slot.gate().store(mark::of(serial, mark::FREE), Ordering::Release);
    for mut next in first {
        while let Some(index) = next {
            let chunk = chunks.get(index);
            next = next_of(chunk);
            chunk.gate().store(mark::of(0, mark::FREE), Ordering::Relaxed);
            free(index);
        }
    }
    free(index);
}
