//! Which slots hold tasks with an id: an index that readers make, and of which tasks know nothing.
//!
//! Who looks for an id first adds the tasks that were started since the last look: the directory has them in the order
//! of their serials. While there are more of them than one look may add, or the index has just been begun, the tags of
//! the list are looked through as well. So a look takes a bounded time in the longest list, and a short time if it is
//! not the only one.
//!
//! A slot stays in the index, in the chain of the id that it had when it was added, until another task starts there:
//! what counts is its tag.

use crate::base::sync::Ordering;
use crate::layout::chunk::{SEGMENT, tag};
use crate::layout::table::ChunkTable;

use super::directory::Position;
use super::slab::Slab;

/// A list of so many slots is looked through: that takes about a microsecond.
const SHORT: u32 = if cfg!(loom) { 0 } else { 2048 };

/// As many slots are added at a time, or `SHARE` of all: that takes no longer than to look through all tags.
const SLICE: u32 = if cfg!(loom) { 2 } else { 4096 };
const SHARE: u32 = 64;

/// In the link of the first slot of a chain, which refers to its bucket.
const IS_FIRST: u32 = 1 << 31;

/// The neighbours of a slot in its chain: index and 1, or 0 if there is none.
#[derive(Clone, Copy, Default)]
struct Links {
    next: u32,
    /// For the first slot `IS_FIRST` and its bucket; 0 in a slot that is in no chain.
    previous: u32,
}

/// The index: a hash table that grows by one bucket at a time, and whose chains go through the slots.
#[derive(Default)]
pub(super) struct Ids {
    /// The first slot of each chain and 1.
    buckets: Vec<u32>,
    links: Vec<Links>,
    linked: usize,
    /// The slots below are in the index.
    added: u32,
    /// Slots whose tasks were being described when they were to be added.
    described: Vec<u32>,
    /// Up to where in the directory the tasks are in the index, except for those of blocks that were `taken` then.
    seen: Position,
    taken: Vec<Taken>,
}

/// A block whose serials are being handed out.
struct Taken {
    block: usize,
    /// The low half of its first serial.
    first: u32,
    /// Which of its tasks are in the index.
    added: u64,
}

impl Taken {
    /// Adds to `slots` those with tasks that may not be in the index. Returns `true` if there may be more later.
    fn look(&mut self, slab: &Slab, slots: &mut Vec<u32>) -> bool {
        slab.directory.each_slot(self.block, self.added, &slab.chunks, |at, slot, serial| {
            // Else it is a task of an earlier round.
            if self.first.wrapping_add(at as u32) == serial as u32 {
                self.added |= 1 << at;
                slots.push(slot);
            }
        })
    }
}

fn hash_of(tag: u64) -> u32 {
    (tag >> 32) as u32 | 3
}

impl Ids {
    /// The bytes for a slot.
    pub(super) const BYTES: usize = size_of::<u32>() + size_of::<Links>();

    pub(super) fn bytes(&self) -> u64 {
        (self.buckets.capacity() * size_of::<u32>() + self.links.capacity() * size_of::<Links>()) as u64
    }

    fn find(&mut self, slab: &Slab, hash: u32, is_wanted: impl Fn(u64) -> bool) -> Vec<u32> {
        let is_complete = self.catch_up(slab);
        // The slots from here on are looked through.
        let rest = if is_complete { self.added } else { 0 };
        let mut found = Vec::new();
        let first = self.buckets.get(self.bucket(hash | 3)).copied().unwrap_or(0);
        let mut next = first.checked_sub(1);
        while let Some(slot) = next {
            next = self.links[slot as usize].next.checked_sub(1);
            let tag = slab.chunks.tag(slot).load(Ordering::Acquire);
            if !tag::is_task(tag) {
                self.unlink(slot);
            } else if slot < rest && tag::has_hash(tag, hash) && is_wanted(tag) {
                found.push(slot);
            }
        }
        look_through(&slab.chunks, rest, hash, is_wanted, &mut found);
        found
    }

    /// Adds what was started since the last look, and some of the slots that were never added. Returns `false` if
    /// there was too much of it.
    fn catch_up(&mut self, slab: &Slab) -> bool {
        let Some(now) = slab.directory.position() else { return false };
        if !self.seen.is_near(&now) {
            let taken = slab.directory.taken_blocks().map(|(block, first)| Taken { block, first, added: 0 }).collect();
            *self = Self { seen: now, taken, ..std::mem::take(self) };
            self.added = 0;
            self.described.clear();
        }
        let used = slab.chunks.used();
        let mut left = SLICE.max(used / SHARE) as usize;
        let mut slots = std::mem::take(&mut self.described);
        self.taken.retain_mut(|block| block.look(slab, &mut slots));
        while slots.len() < left
            && let Some((block, first)) = self.seen.advance(&now)
        {
            let mut block = Taken { block, first, added: 0 };
            if block.look(slab, &mut slots) {
                self.taken.push(block);
            }
            // A block costs time, too, if all of its tasks are gone.
            left -= 1;
        }
        for slot in slots {
            if slot < self.added {
                self.add(slot, &slab.chunks);
            }
        }
        let end = used.min(self.added + left as u32);
        if self.has_links(end as usize) {
            for slot in self.added..end {
                self.add(slot, &slab.chunks);
            }
            self.added = end;
        }
        self.seen == now
    }

    /// Makes links for so many slots, if there is memory for them.
    fn has_links(&mut self, slots: usize) -> bool {
        let missing = slots.saturating_sub(self.links.len());
        if missing > 0 {
            let whole = slots.next_multiple_of(SEGMENT) - self.links.len();
            if self.links.try_reserve_exact(whole).is_err() {
                return false;
            }
            self.links.resize(slots, Links::default());
        }
        true
    }

    /// Adds a slot, if there is a task in it.
    fn add(&mut self, slot: u32, chunks: &ChunkTable) {
        let tag = chunks.tag(slot).load(Ordering::Acquire);
        if tag::is_task(tag) {
            self.unlink(slot);
            self.link(slot, hash_of(tag));
            if self.linked > self.buckets.len() && self.has_space() {
                self.split(chunks);
            }
        } else if tag != 0 {
            self.described.push(slot);
        }
    }

    /// Returns the bucket of a hash.
    fn bucket(&self, hash: u32) -> usize {
        let mixed = (u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
        let round = self.buckets.len().max(1).next_power_of_two();
        // Buckets of this round that are not there yet are still part of those of the round before.
        match mixed % round {
            bucket if bucket < self.buckets.len() => bucket,
            bucket => bucket % (round / 2).max(1),
        }
    }

    fn link(&mut self, slot: u32, hash: u32) {
        if self.buckets.is_empty() {
            self.buckets.push(0);
        }
        let bucket = self.bucket(hash);
        let next = std::mem::replace(&mut self.buckets[bucket], slot + 1);
        if let Some(next) = next.checked_sub(1) {
            self.links[next as usize].previous = slot + 1;
        }
        self.links[slot as usize] = Links { next, previous: IS_FIRST | bucket as u32 };
        self.linked += 1;
    }

    fn unlink(&mut self, slot: u32) {
        let Links { next, previous } = std::mem::take(&mut self.links[slot as usize]);
        if previous == 0 {
            return;
        }
        if previous & IS_FIRST == 0 {
            self.links[previous as usize - 1].next = next;
        } else {
            self.buckets[(previous & !IS_FIRST) as usize] = next;
        }
        if let Some(next) = next.checked_sub(1) {
            self.links[next as usize].previous = previous;
        }
        self.linked -= 1;
    }

    /// Returns `true` if there is memory for another bucket.
    fn has_space(&mut self) -> bool {
        self.buckets.len() < self.buckets.capacity() || self.buckets.try_reserve_exact(SEGMENT).is_ok()
    }

    /// Adds a bucket, and moves there what belongs into it.
    fn split(&mut self, chunks: &ChunkTable) {
        let new = self.buckets.len();
        self.buckets.push(0);
        let mut next = self.buckets[new - (1 << new.ilog2())].checked_sub(1);
        while let Some(slot) = next {
            next = self.links[slot as usize].next.checked_sub(1);
            let tag = chunks.tag(slot).load(Ordering::Acquire);
            if !tag::is_task(tag) {
                self.unlink(slot);
            } else if self.bucket(hash_of(tag)) == new {
                self.unlink(slot);
                self.link(slot, hash_of(tag));
            }
        }
    }
}

impl Slab {
    /// Returns the slots of the tasks whose ids may have this hash, and whose tags are wanted.
    pub(crate) fn slots_of(&self, hash: u32, is_wanted: impl Fn(u64) -> bool) -> Vec<u32> {
        if self.chunks.used() > SHORT {
            return self.ids.lock().find(self, hash, is_wanted);
        }
        let mut found = Vec::new();
        look_through(&self.chunks, 0, hash, is_wanted, &mut found);
        found
    }
}

/// Adds the slots from one on that are meant to `found`.
fn look_through(chunks: &ChunkTable, from: u32, hash: u32, is_wanted: impl Fn(u64) -> bool, found: &mut Vec<u32>) {
    chunks.each_tag_from(from, |slot, tag| {
        if tag::has_hash(tag, hash) && is_wanted(tag) {
            found.push(slot);
        }
        true
    });
}
