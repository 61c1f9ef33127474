//! The end of a task: its slot is retained for a while, or free at once.

use super::gate::Writer;
use crate::base::clock::LONG;
use crate::base::outcome::Count;
use crate::base::sync::{Ordering, own};
use crate::layout::chunk::{mark, tag};
use crate::layout::words::*;
use crate::store::Store;
use crate::store::ended::End;
use crate::store::magazine;

/// Checks the clock at the end of a task that seems to have run for long. Returns the end, the duration, and whether
/// the clock was given up in between.
#[cold]
#[inline(never)]
fn checked_end(store: &Store, started: u64, ended: u64) -> (u64, u64, bool) {
    let (now, _) = store.clock.check();
    let ended = now.max(ended);
    (ended, store.clock.ticks_between(started, ended), store.clock.is_given_up_since(started))
}

impl Writer {
    /// Ends the task. Its slot is free when this returns, or retained.
    ///
    /// `outcome` gets the cancel word, and whether the thread was panicking when the task started. `before_close` is
    /// called while the task still has its slot and its lock, with the cancel word, whether there may be waiters, and
    /// the end; its result is returned.
    #[inline]
    pub(crate) fn end<A>(
        mut self,
        outcome: impl FnOnce(u64, bool) -> Count,
        before_close: impl FnOnce(&Self, u64, bool, &End) -> A,
    ) -> A {
        let slot = self.slot();
        let store = slot.store;
        let index = slot.index();
        let cursor = self.cursor();
        let word = own(slot.cancel());
        let outcome = outcome(word, cursor.has(Cursor::STARTED_IN_PANIC));
        let started = slot.chunk.get(STARTED);
        let mut ended = store.clock.ticks().max(slot.chunk.get(NEWEST));
        let (mut ticks, mut is_over_step) = (ended.wrapping_sub(started), false);
        if ticks >= LONG {
            (ended, ticks, is_over_step) = checked_end(store, started, ended);
        }
        slot.chunk.put(NEWEST, ended);
        slot.chunk.put(CURSOR, cursor.0 | (outcome as u64) << Cursor::OUTCOME);
        let ring = Tail(slot.chunk.get(RING));
        let has_chains =
            cancel_chain(word).is_some() || Tail(slot.chunk.get(KEPT)).index().is_some() || ring.index().is_some();
        let end = End {
            outcome,
            kind: ring.kind(),
            ticks,
            is_over_step,
            ended,
            chained: if has_chains { self.records().chained() } else { 0 },
        };
        let before = before_close(&self, word, cursor.has(Cursor::WATCHED), &end);
        let tag = store.slab.chunks.tag(index);
        if store.limits.ended == 0 {
            tag.store(0, Ordering::Relaxed);
            let chains = if has_chains { self.records().chains() } else { [None; 3] };
            self.unlock_to = mark::of(self.serial(), mark::FREE);
            // Release: the next task in this slot is ordered behind all that was written here.
            slot.chunk.gate().store(self.unlock_to, Ordering::Release);
            magazine::count_end(store, slot.chunk, &end);
            if has_chains {
                for first in chains {
                    self.free_chain(first);
                }
            }
            magazine::return_slot(store, index, &end);
        } else {
            tag.store(tag::ended(own(tag)), Ordering::Relaxed);
            self.unlock_to = mark::of(self.serial(), mark::ENDED);
            // Release: pairs with the Acquire of readers, and with the next task in this slot after the eviction.
            slot.chunk.gate().store(self.unlock_to, Ordering::Release);
            magazine::retain_slot(store, slot.chunk, &end);
        }
        std::mem::forget(self);
        before
    }
}
