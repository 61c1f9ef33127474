//! Retains ended tasks within limits, and evicts them.
//!
//! A task that ended stays in its slot, so that retaining it copies nothing. Each thread gathers the slots of tasks
//! that ended on it, and hands them on by the batch; tasks beyond the limits are evicted then, and their memory goes to
//! the thread that exceeded the limit. Readers look at slots and are not involved.
//!
//! **The limits hold for all threads together, also those that rest or are gone**, but for a batch of each thread in
//! their number, which readers leave out. What threads have gathered takes at most half of the bytes: a thread hands on
//! earlier if there are many of them. And when the list is full, ended tasks make room first, wherever they are: a
//! thread that finds no free chunk collects what others have gathered.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64 as StdAtomicU64;

use crate::base::limits::Limits;
use crate::base::outcome::Count;
use crate::base::sync::{AtomicU64, Ordering};
use crate::layout::chunk::{WORDS, mark};
use crate::layout::table::ChunkTable;
use crate::layout::walk::TaskRecords;
use crate::layout::words::{NEWEST, next_of};

/// Ended tasks that a thread hands on at a time, and chunks that move between a magazine and the central store.
pub(super) const BATCH: usize = if cfg!(loom) { 2 } else { 32 };

/// The bytes of a chunk with its tag.
const CHUNK_BYTES: u64 = (WORDS as u64 + 1) * 8;

/// Ended tasks of one thread that were handed on, oldest first.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) slots: Vec<u32>,
    /// The chunks of their chains.
    pub(crate) chained: u64,
    /// The end of the newest of them, in ticks.
    pub(crate) newest: u64,
}

impl Batch {
    pub(crate) fn of_one(slot: u32, chained: u32, ended: u64) -> Self {
        Self { slots: vec![slot], chained: chained.into(), newest: ended }
    }

    fn bytes(&self) -> u64 {
        (self.slots.len() as u64 + self.chained) * CHUNK_BYTES
    }
}

/// The ended tasks that a thread has gathered: ordinary and notable ones.
///
/// The thread adds to them; everything else happens under the lock of the central store, by any thread. So there is one
/// owner of each ended task at any time: a slot is taken from here by replacing it with 0.
pub(super) struct Gathered {
    /// The index of each slot and 1, and above it the number of its further chunks.
    slots: [[AtomicU64; BATCH]; 2],
    /// The bytes of all that were added since the thread last handed on, and of those that were taken since then.
    bytes: StdAtomicU64,
    taken: StdAtomicU64,
}

impl Gathered {
    pub(super) fn new() -> Self {
        Self {
            slots: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            bytes: StdAtomicU64::new(0),
            taken: StdAtomicU64::new(0),
        }
    }

    /// Adds a slot, by the thread itself; `place` is the number of those that it added since it last handed on. Returns
    /// the bytes of all of them.
    #[inline]
    pub(super) fn add(&self, notable: bool, place: usize, slot: u32, chained: u32) -> u64 {
        let entry = (u64::from(slot) + 1) | u64::from(chained) << 32;
        // Release: pairs with the Acquire of `take`, so that who takes the slot sees all that was written there.
        self.slots[usize::from(notable)][place % BATCH].store(entry, Ordering::Release);
        let bytes = self.bytes.load(Ordering::Relaxed) + (u64::from(chained) + 1) * CHUNK_BYTES;
        self.bytes.store(bytes, Ordering::Relaxed);
        bytes
    }

    /// Takes all of one sort, under the lock of the central store.
    fn take(&self, notable: bool, chunks: &ChunkTable, batch: &mut Batch) {
        for slot in &self.slots[usize::from(notable)] {
            let entry = slot.load(Ordering::Acquire);
            if let Some(index) = (entry as u32).checked_sub(1) {
                slot.store(0, Ordering::Relaxed);
                batch.slots.push(index);
                batch.chained += entry >> 32;
            }
        }
        // They are in the order of their ends.
        batch.newest = batch.slots.last().map_or(0, |&index| chunks.get(index).get(NEWEST));
    }

    /// Takes all, for the thread itself, under the lock of the central store.
    pub(super) fn take_all(&self, chunks: &ChunkTable) -> Batch {
        let mut batch = Batch::default();
        [false, true].into_iter().for_each(|notable| self.take(notable, chunks, &mut batch));
        self.begin_again();
        batch
    }

    /// Begins again, for the thread itself, when all were taken under the same lock.
    fn begin_again(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.taken.store(0, Ordering::Relaxed);
    }

    /// Returns the bytes of those that are here.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed).saturating_sub(self.taken.load(Ordering::Relaxed))
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

    /// Takes the next batch that is too old; `max_age` is in ticks, as is the result of `age`.
    pub(crate) fn expired(&mut self, max_age: u64, age: impl Fn(u64) -> u64) -> Option<Batch> {
        if self.ordinary.is_older(max_age, &age) {
            return self.ordinary.pop();
        }
        if self.notable.is_older(max_age.saturating_mul(NOTABLE_STAYS), &age) {
            return self.notable.pop();
        }
        None
    }

    /// Takes the next batch if there are too many without it, or too many bytes, with those that threads have gathered.
    pub(crate) fn surplus(&mut self, limits: &Limits, gathered: u64) -> Option<Batch> {
        let next = if self.gives_notable(limits) { &self.notable } else { &self.ordinary };
        let tasks = self.ordinary.tasks + self.notable.tasks - next.batches.front()?.slots.len() as u64;
        let bytes = self.ordinary.bytes + self.notable.bytes + gathered;
        if tasks >= limits.ended || bytes > limits.ended_bytes { self.pop(limits) } else { None }
    }

    /// Moves all that a thread has gathered here, for that thread.
    pub(super) fn hand_on(&mut self, gathered: &Gathered, chunks: &ChunkTable, spare: &mut Vec<u32>) {
        for notable in [false, true] {
            let mut batch = Batch { slots: std::mem::take(spare), ..Batch::default() };
            gathered.take(notable, chunks, &mut batch);
            if batch.slots.is_empty() {
                *spare = batch.slots;
            } else {
                self.push(batch, notable);
            }
        }
        gathered.begin_again();
    }

    /// Moves all that other threads have gathered here.
    pub(super) fn collect(&mut self, gathered: &Gathered, chunks: &ChunkTable) {
        if gathered.bytes() == 0 {
            return;
        }
        for notable in [false, true] {
            let mut batch = Batch::default();
            gathered.take(notable, chunks, &mut batch);
            gathered.taken.fetch_add(batch.bytes(), Ordering::Relaxed);
            if !batch.slots.is_empty() {
                self.push(batch, notable);
            }
        }
    }

    /// Puts the batches in the order of their ends, after others were collected.
    pub(super) fn sort(&mut self) {
        for batches in [&mut self.ordinary, &mut self.notable] {
            batches.batches.make_contiguous().sort_by_key(|batch| batch.newest);
        }
    }

    /// Takes the batch to evict first: the oldest of the ordinary ones, unless the notable ones take more than half of
    /// the space.
    pub(crate) fn pop(&mut self, limits: &Limits) -> Option<Batch> {
        if self.gives_notable(limits) { self.notable.pop() } else { self.ordinary.pop() }
    }

    fn gives_notable(&self, limits: &Limits) -> bool {
        let crowding = self.notable.tasks > limits.ended / 2 || self.notable.bytes > limits.ended_bytes / 2;
        crowding || self.ordinary.batches.is_empty()
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
    /// The clock was given up while it ran, so that the times of its statuses are not counted.
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
