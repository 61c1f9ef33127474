//! Chains of chunks behind a slot: how they grow, and how they are freed.

use super::gate::{NoSpace, Writer};
use crate::base::sync::{Ordering, fence};
use crate::layout::chunk::{WORDS, mark};
use crate::layout::record::Record;
use crate::layout::words::*;
use crate::store::magazine;

pub(super) struct Grown {
    pub(super) tail: Tail,
    pub(super) first_new: u32,
}

impl Writer {
    /// Writes a record after the tail of a chain, into chunks that `reuse` returns (given the tail, which must stay) or
    /// new ones; the chain stays as it was until the caller publishes the new tail.
    pub(super) fn append(
        &self,
        tail: Tail,
        record: &Record<'_>,
        reuse: impl FnMut(Option<u32>) -> Option<u32>,
    ) -> Result<Grown, NoSpace> {
        let space = tail.index().map_or(0, |_| WORDS - tail.used());
        let missing = record.words().saturating_sub(space).div_ceil(PAYLOAD_WORDS);
        // At most 4 + 255 + 8191 bytes of record, so 38 chunks; but nearly always one, for which a small array is
        // enough.
        if missing <= 1 {
            self.append_chunks::<1>(tail, record, missing, reuse)
        } else {
            self.append_chunks::<40>(tail, record, missing, reuse)
        }
    }

    #[inline(always)]
    pub(super) fn append_chunks<const MOST: usize>(
        &self,
        tail: Tail,
        record: &Record<'_>,
        mut missing: usize,
        mut reuse: impl FnMut(Option<u32>) -> Option<u32>,
    ) -> Result<Grown, NoSpace> {
        let store = self.slot.store;
        let words = record.words();
        let space = tail.index().map_or(0, |_| WORDS - tail.used());
        let mut fresh = [0_u32; MOST];
        let count = missing;
        while missing > 0 {
            let Some(index) = reuse(tail.index()).or_else(|| magazine::take_chunk(store)) else {
                for &index in &fresh[..count - missing] {
                    self.free(index);
                }
                return Err(NoSpace);
            };
            fresh[count - missing] = index;
            missing -= 1;
        }
        let fresh = &fresh[..count];

        let mut before = tail.index();
        let next_ordinal = before.map_or(0, |index| Place(store.slab.chunks.get(index).get(PLACE)).ordinal() + 1);
        let mut left = words.saturating_sub(space);
        for (&index, ordinal) in fresh.iter().zip(next_ordinal..) {
            let chunk = store.slab.chunks.get(index);
            let begins_here = space == 0 && ordinal == next_ordinal;
            let first = if begins_here { PAYLOAD } else { (PAYLOAD + left).min(WORDS) };
            chunk.put(PLACE, NO_PLACE);
            // Pairs with the reader's Acquire fence, as in `prepare`.
            fence(Ordering::Release);
            chunk.gate().store(mark::of(self.serial, mark::CHAIN), Ordering::Relaxed);
            chunk.put(LINKS, links(before, None));
            chunk.put(STARTS, u64::from(begins_here));
            // Published with the tail, or, for a reader that follows older links, separately.
            chunk.word(PLACE).store(Place::new(ordinal, first).0, Ordering::Release);
            if let Some(before) = before {
                let before = store.slab.chunks.get(before);
                before.put(LINKS, links(prev_of(before), Some(index)));
            }
            left = left.saturating_sub(PAYLOAD_WORDS);
            before = Some(index);
        }

        let mut used = tail.used();
        let mut chunk = match tail.index() {
            Some(index) if space > 0 => {
                let chunk = store.slab.chunks.get(index);
                chunk.put(STARTS, chunk.get(STARTS) + 1);
                chunk
            }
            _ => {
                used = WORDS;
                self.slot.chunk
            }
        };
        let mut coming = fresh.iter();
        record.write(|word| {
            if used == WORDS {
                if let Some(&index) = coming.next() {
                    chunk = store.slab.chunks.get(index);
                }
                used = PAYLOAD;
            }
            chunk.put(used, word);
            used += 1;
        });
        let last = before.unwrap_or_default();
        Ok(Grown { tail: Tail::new(last, used, tail.version()), first_new: fresh.first().copied().unwrap_or(last) })
    }

    pub(super) fn free(&self, index: u32) {
        let chunk = self.slot.store.slab.chunks.get(index);
        chunk.gate().store(mark::of(0, mark::FREE), Ordering::Relaxed);
        magazine::return_chunk(self.slot.store, index);
    }

    pub(super) fn free_chain(&self, first: Option<u32>) {
        let mut next = first;
        while let Some(index) = next {
            next = next_of(self.slot.store.slab.chunks.get(index));
            self.free(index);
        }
    }
}
