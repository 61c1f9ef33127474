//! The free chunks, serials and ended tasks that each thread keeps for each list that it uses.
//!
//! Starting and ending a task touches nothing that another thread writes. A mutex is taken only to refill, to spill, to
//! hand on ended tasks by the batch, and when a thread exits. A chunk that is freed on another thread goes to that
//! thread's magazine.

use std::cell::RefCell;

use super::Store;
use super::directory::Block;
use super::ended::{BATCH, Batch, End, evict};
use super::kinds::Counter;
use super::slab::{Shard, Slab};
use crate::base::clock::LONG;
use crate::base::outcome::Count;
use crate::base::sync::Ordering;
use crate::layout::chunk::Chunk;
use crate::layout::words::{CURSOR, Cursor, SELF};

/// The free chunks, serials and ended tasks of one thread for one list.
pub(crate) struct Magazine {
    store: &'static Store,
    epoch: u64,
    shard: &'static Shard,
    counter: Counter,
    free: Vec<u32>,
    /// How many ended tasks, ordinary and notable, were gathered since they were last handed on.
    gathered: [usize; 2],
    /// The memory of an evicted batch, for the next one.
    spare: Vec<u32>,
    /// For how many ticks ordinary ended tasks are retained.
    retain_for: u64,
    /// When this thread last checked the clock, in ticks.
    clock_checked: u64,
    serials: Block,
}

impl Magazine {
    fn new(store: &'static Store) -> Self {
        let slab = store.slab;
        let shard = slab.enter(&store.limits);
        let mut new = Self {
            store,
            epoch: slab.epoch.load(Ordering::Acquire),
            shard,
            counter: Counter::new(slab.kinds()),
            free: Vec::with_capacity(2 * BATCH + 1),
            gathered: [0; 2],
            spare: Vec::new(),
            retain_for: store.clock.ticks_in(store.limits.ended_for),
            clock_checked: store.clock.ticks(),
            serials: Block::none(),
        };
        new.evict_surplus();
        new
    }

    /// Begins again for another list that has taken over the memory.
    #[cold]
    fn renew(&mut self, store: &'static Store) {
        self.epoch = store.slab.epoch.load(Ordering::Acquire);
        // Nearly all that it had gathered was taken when the list was renewed.
        let old = {
            let _central = store.slab.central.lock();
            self.shard.gathered.take_all(&store.slab.chunks)
        };
        old.slots.into_iter().for_each(|index| evict(&store.slab.chunks, index, |index| self.free.push(index)));
        self.gathered = [0; 2];
        self.store = store;
        self.counter = Counter::new(store.slab.kinds());
        self.retain_for = store.clock.ticks_in(store.limits.ended_for);
        self.serials.leave();
        self.spill();
    }

    #[inline]
    fn take(&mut self) -> Option<u32> {
        if self.free.is_empty() {
            self.refill();
        }
        self.free.pop()
    }

    #[cold]
    fn refill(&mut self) {
        let slab = self.store.slab;
        slab.refill(&mut self.free, slab.at_a_time.load(Ordering::Relaxed) as usize);
        // If the list is full: running tasks are worth more than ended ones.
        while self.free.is_empty()
            && let Some(batch) = slab.make_room(&self.store.limits)
        {
            self.evict(batch);
        }
    }

    /// Evicts a batch. Its memory is for the next one.
    fn evict(&mut self, mut batch: Batch) {
        let store = self.store;
        store.slab.evicted.fetch_add(batch.slots.len() as u64, Ordering::Relaxed);
        batch.slots.drain(..).for_each(|index| evict(&store.slab.chunks, index, |index| self.free.push(index)));
        self.spill();
        self.spare = batch.slots;
    }

    #[inline]
    fn put(&mut self, index: u32) {
        self.free.push(index);
        self.spill();
    }

    #[inline]
    fn spill(&mut self) {
        let at_a_time = self.store.slab.at_a_time.load(Ordering::Relaxed) as usize;
        if self.free.len() > 2 * at_a_time {
            // The coldest chunks go, the newest stay in the cache.
            let surplus = (self.free.len() - 2 * at_a_time).next_multiple_of(at_a_time);
            self.store.slab.put_back(self.free.drain(..surplus.min(self.free.len())));
        }
    }

    /// Counts and retains a task that ended.
    #[inline]
    fn retain(&mut self, slot: &'static Chunk, end: &End) {
        self.counter.count(self.store.slab.records(slot), end);
        self.shard.bump(end.outcome);
        let notable = !matches!(end.outcome, Count::Finished) || self.counter.is_slowest(end, self.retain_for);
        if notable {
            // No other thread writes to an ended task.
            slot.put(CURSOR, slot.get(CURSOR) | Cursor::NOTABLE);
        }
        let place = self.gathered[usize::from(notable)];
        self.gathered[usize::from(notable)] = place + 1;
        let bytes = self.shard.gathered.add(notable, place, slot.get(SELF) as u32, end.chained);
        if self.gathered[0] + self.gathered[1] >= BATCH || bytes > self.store.slab.most_gathered.load(Ordering::Relaxed)
        {
            self.hand_on(end.ended);
        }
    }

    /// Hands on what was gathered, and evicts tasks that are beyond the limits by now.
    #[cold]
    fn hand_on(&mut self, now: u64) {
        let store = self.store;
        // Also if it went back.
        if now.wrapping_sub(self.clock_checked) >= LONG {
            (self.clock_checked, _) = store.clock.check();
        }
        let age = |ended| store.clock.ticks_between(ended, now);
        self.gathered = [0; 2];
        let mut central = store.slab.central.lock();
        central.retained.hand_on(&self.shard.gathered, &store.slab.chunks, &mut self.spare);
        let gathered = central.gathered(&store.limits);
        // One batch that is too old for the one that was added, and one more as long as there are any.
        let expired: [Option<Batch>; 2] = std::array::from_fn(|_| central.retained.expired(self.retain_for, age));
        let surplus = central.retained.surplus(&store.limits, gathered);
        drop(central);
        let one_more = surplus.is_some();
        expired.into_iter().flatten().chain(surplus).for_each(|batch| self.evict(batch));
        if one_more {
            self.evict_surplus();
        }
    }

    /// Evicts as many batches as there are too many.
    #[cold]
    fn evict_surplus(&mut self) {
        let store = self.store;
        let (slab, limits) = (store.slab, &store.limits);
        loop {
            let surplus = {
                let mut central = slab.central.lock();
                let gathered = central.gathered(limits);
                central.retained.surplus(limits, gathered)
            };
            let Some(batch) = surplus else { return };
            self.evict(batch);
        }
    }

    /// Returns the serial for a new task in a slot.
    #[inline]
    fn serial(&mut self, slot: u32) -> u64 {
        if self.serials.is_used_up() {
            self.serials.leave();
            self.serials = self.store.slab.directory.take(&self.store.slab.chunks);
        }
        self.serials.hand_out(slot, &self.store.slab.chunks)
    }
}

impl Drop for Magazine {
    fn drop(&mut self) {
        let store = self.store;
        let (slab, limits) = (store.slab, &store.limits);
        if self.epoch != slab.epoch.load(Ordering::Acquire) {
            self.renew(self.store);
        }
        self.serials.leave();
        let mut central = slab.central.lock();
        central.retained.hand_on(&self.shard.gathered, &slab.chunks, &mut self.spare);
        central.leave(self.shard);
        slab.share(&central, limits);
        drop(central);
        self.evict_surplus();
        slab.put_back(self.free.drain(..));
    }
}

#[cfg(not(loom))]
std::thread_local! {
    static MAGAZINES: RefCell<Vec<Magazine>> = const { RefCell::new(Vec::new()) };
}

#[cfg(loom)]
loom::thread_local! {
    static MAGAZINES: RefCell<Vec<Magazine>> = RefCell::new(Vec::new());
}

/// Runs `f` with this thread's magazine for the list; `None` when the thread is about to exit.
#[inline]
fn with_magazine<R>(store: &'static Store, f: impl FnOnce(&mut Magazine) -> R) -> Option<R> {
    MAGAZINES
        .try_with(|magazines| {
            let mut magazines = magazines.try_borrow_mut().ok()?;
            if magazines.first().is_none_or(|magazine| !std::ptr::eq(magazine.store.slab, store.slab)) {
                bring_to_front(&mut magazines, store);
            }
            let magazine = &mut magazines[0];
            // Acquire: pairs with the Release of `renew`.
            if magazine.epoch != store.slab.epoch.load(Ordering::Acquire) {
                magazine.renew(store);
            }
            Some(f(magazine))
        })
        .ok()
        .flatten()
}

#[cold]
fn bring_to_front(magazines: &mut Vec<Magazine>, store: &'static Store) {
    let found = magazines.iter().position(|magazine| std::ptr::eq(magazine.store.slab, store.slab));
    let at = found.unwrap_or_else(|| {
        magazines.push(Magazine::new(store));
        magazines.len() - 1
    });
    magazines.swap(0, at);
}

/// Takes a chunk and a serial for a new task, and counts its start; `None` when the list is full.
#[inline]
pub(crate) fn take_slot(store: &'static Store) -> Option<(u32, u64)> {
    with_magazine(store, |magazine| {
        let index = magazine.take()?;
        let serial = magazine.serial(index);
        magazine.shard.bump(Count::Started);
        Some((index, serial))
    })
    .unwrap_or_else(|| {
        let index = take_fallback(store)?;
        let mut serials = store.slab.directory.take(&store.slab.chunks);
        let serial = serials.hand_out(index, &store.slab.chunks);
        serials.leave();
        store.slab.fallback.counts[Count::Started as usize].fetch_add(1, Ordering::Release);
        Some((index, serial))
    })
}

/// Returns the number of a kind.
#[inline]
pub(crate) fn kind_number(store: &'static Store, kind: &str) -> u32 {
    with_magazine(store, |magazine| magazine.counter.number(kind)).unwrap_or_else(|| store.slab.kinds().number(kind))
}

/// Takes a chunk for a chain; `None` when the list is full.
pub(crate) fn take_chunk(store: &'static Store) -> Option<u32> {
    with_magazine(store, Magazine::take).unwrap_or_else(|| take_fallback(store))
}

fn take_fallback(store: &'static Store) -> Option<u32> {
    let (slab, mut one) = (store.slab, Vec::with_capacity(1));
    loop {
        slab.refill(&mut one, 1);
        if let Some(index) = one.pop() {
            return Some(index);
        }
        evict_centrally(slab, slab.make_room(&store.limits)?);
    }
}

/// Evicts a batch for a thread that has no magazine.
fn evict_centrally(slab: &'static Slab, batch: Batch) {
    slab.evicted.fetch_add(batch.slots.len() as u64, Ordering::Relaxed);
    let mut free = Vec::new();
    batch.slots.into_iter().for_each(|index| evict(&slab.chunks, index, |index| free.push(index)));
    slab.put_back(free);
}

/// Returns a chunk to the magazine.
#[inline]
pub(crate) fn return_chunk(store: &'static Store, index: u32) {
    if with_magazine(store, |magazine| magazine.put(index)).is_none() {
        store.slab.put_back([index]);
    }
}

/// Returns the slot of a task that never started.
pub(crate) fn return_unused(store: &'static Store, index: u32) {
    let done = with_magazine(store, |magazine| {
        magazine.put(index);
        magazine.shard.bump(Count::Discarded);
    });
    if done.is_none() {
        store.slab.put_back([index]);
        store.slab.fallback.counts[Count::Discarded as usize].fetch_add(1, Ordering::Release);
    }
}

/// Counts the end of a task for its kind, while its records are still in place.
pub(crate) fn count_end(store: &'static Store, slot: &'static Chunk, end: &End) {
    let records = store.slab.records(slot);
    if with_magazine(store, |magazine| magazine.counter.count(records, end)).is_none() {
        store.slab.kinds().count(records, end);
    }
}

/// Returns the slot of a task that is not retained, and counts its end.
#[inline]
pub(crate) fn return_slot(store: &'static Store, index: u32, end: &End) {
    let done = with_magazine(store, |magazine| {
        magazine.put(index);
        magazine.shard.bump(end.outcome);
    });
    if done.is_none() {
        store.slab.put_back([index]);
        store.slab.fallback.counts[end.outcome as usize].fetch_add(1, Ordering::Release);
    }
}

/// Retains the slot of a task that ended, and counts its end.
#[inline]
pub(crate) fn retain_slot(store: &'static Store, slot: &'static Chunk, end: &End) {
    if with_magazine(store, |magazine| magazine.retain(slot, end)).is_none() {
        retain_fallback(store, slot, end);
    }
}

#[cold]
fn retain_fallback(store: &'static Store, slot: &'static Chunk, end: &End) {
    store.slab.kinds().count(store.slab.records(slot), end);
    let batch = Batch::of_one(slot.get(SELF) as u32, end.chained, end.ended);
    let mut central = store.slab.central.lock();
    central.retained.push(batch, !matches!(end.outcome, Count::Finished));
    let gathered = central.gathered(&store.limits);
    let surplus = central.retained.surplus(&store.limits, gathered);
    drop(central);
    if let Some(surplus) = surplus {
        evict_centrally(store.slab, surplus);
    }
    store.slab.fallback.counts[end.outcome as usize].fetch_add(1, Ordering::Release);
}
