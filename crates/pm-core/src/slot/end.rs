//! The end of a task, and what comes after: its slot is kept for a while, then let go.

use super::gate::{Slot, Writer};
use crate::base::outcome::Count;
use crate::base::sync::{Ordering, own};
use crate::layout::chunk::{mark, tag};
use crate::layout::words::*;
use crate::store::ended::End;
use crate::store::magazine;
use crate::task::end::Aside;

impl Writer {
    /// Ends the task. Its slot is free when this returns, or kept for those who ask what just happened.
    #[inline]
    pub(crate) fn end(mut self, outcome: impl FnOnce(u64, bool) -> Count) {
        let slot = self.slot;
        let inner = slot.inner;
        let index = slot.index();
        let cursor = self.cursor();
        let word = own(slot.cancel());
        let outcome = outcome(word, cursor.has(Cursor::BORN_IN_PANIC));
        let ended = inner.timer.ticks().max(slot.chunk.get(NEWEST));
        slot.chunk.put(NEWEST, ended);
        slot.chunk.put(CURSOR, cursor.0 | (outcome as u64) << Cursor::OUTCOME);
        let ring = Tail(slot.chunk.get(RING));
        let has_chains =
            cancel_chain(word).is_some() || Tail(slot.chunk.get(KEPT)).index().is_some() || ring.index().is_some();
        let end = End {
            outcome,
            kind: ring.kind(),
            ticks: ended.wrapping_sub(slot.chunk.get(STARTED)),
            ended,
            chained: if has_chains { self.chained() } else { 0 },
        };
        let aside = if cancel::is_asked(word) || cursor.has(Cursor::WATCHED) || inner.hooks.any() {
            Some(Aside::of(&self, word, &end))
        } else {
            None
        };
        let tag = inner.slab.tag(index);
        if inner.limits.ended == 0 {
            tag.store(0, Ordering::Relaxed);
            let chains = if has_chains { self.chains() } else { [None; 3] };
            self.unlock_to = mark::of(self.serial, mark::FREE);
            // Release: who takes this slot next is ordered behind all that was written here.
            slot.chunk.gate().store(self.unlock_to, Ordering::Release);
            magazine::count_end(slot, &end);
            if has_chains {
                for first in chains {
                    self.free_chain(first);
                }
            }
            magazine::give_slot(slot, index, &end);
        } else {
            tag.store(own(tag) & !tag::LIVE, Ordering::Relaxed);
            self.unlock_to = mark::of(self.serial, mark::ENDED);
            // Release: pairs with the Acquire of readers, and with whoever takes this slot when it was let go.
            slot.chunk.gate().store(self.unlock_to, Ordering::Release);
            magazine::keep_slot(slot, &end);
        }
        std::mem::forget(self);
        if let Some(aside) = aside {
            aside.tell();
        }
    }
}

impl Slot {
    /// Marks an ended task as one to be kept longer.
    pub(crate) fn set_notable(self) {
        self.chunk.put(CURSOR, self.chunk.get(CURSOR) | Cursor::NOTABLE);
    }

    /// Lets go of an ended task that was kept: its slot and all behind it can be used again.
    /// Hands them to `free`.
    pub(crate) fn let_go(self, mut free: impl FnMut(u32)) {
        let writer = self.unpublished();
        let (slab, index) = (self.inner.slab, self.index());
        slab.tag(index).store(0, Ordering::Relaxed);
        let chains = writer.chains();
        // Release: who takes this slot next is ordered behind all that was written here.
        self.chunk.gate().store(mark::of(writer.serial, mark::FREE), Ordering::Release);
        for first in chains {
            let mut next = first;
            while let Some(index) = next {
                let chunk = slab.chunk(index);
                next = next_of(chunk);
                chunk.gate().store(mark::of(0, mark::FREE), Ordering::Relaxed);
                free(index);
            }
        }
        free(index);
    }
}
