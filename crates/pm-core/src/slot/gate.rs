//! The gate of a slot, and the lock of its writers.

use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering as StdOrdering;

use crate::base::sync::{AtomicU64, Ordering, fence, relax, reset};
use crate::base::text;
use crate::layout::chunk::{Chunk, mark, tag};
use crate::layout::record;
use crate::layout::record::Head;
use crate::layout::walk::TaskRecords;
use crate::layout::words::*;
use crate::store::Store;
use crate::store::magazine;

/// The parent of a task that is being built and for which none was set.
const NOT_NAMED: u64 = u64::MAX;

/// A slot and the task in it.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) store: &'static Store,
    pub(crate) chunk: &'static Chunk,
}

impl Slot {
    #[inline(always)]
    pub(crate) fn index(self) -> u32 {
        self.chunk.get(SELF) as u32
    }

    /// Returns the serial of the task that is being built here.
    #[inline]
    fn unpublished_serial(self) -> u64 {
        mark::serial(self.chunk.get(0))
    }

    /// Prepares a free chunk for a task; no reader looks at it until `publish`.
    #[inline]
    pub(crate) fn prepare(store: &'static Store, index: u32, serial: u64, cancellable: bool) -> Self {
        let chunk = store.slab.chunks.get(index);
        // Pairs with the reader's Acquire fence: a reader that sees a word of the new task sees the old one's gate
        // closed.
        fence(Ordering::Release);
        chunk.put(0, mark::of(serial, mark::FREE));
        reset(chunk.word(CANCEL));
        chunk.put(PARENT, NOT_NAMED);
        // The first entry, `init`, takes no space: it is the start.
        let flags = if cancellable { 0 } else { Cursor::NOT_CANCELLABLE };
        chunk.put(CURSOR, 1 << 16 | flags);
        chunk.put(KEPT, 0);
        chunk.put(RING, 0);
        chunk.put(RING_OLD, 0);
        chunk.put(BOOK, 0);
        chunk.put(SELF, u64::from(index));
        Self { store, chunk }
    }

    /// Sets the id and its hash, before `publish`.
    #[inline(always)]
    pub(crate) fn set_id(self, id: &str) {
        let hash = text::hash(id);
        self.chunk.put(SELF, u64::from(self.index()) | u64::from(hash) << 32);
        // If there is no memory for a long id, the task is shown without one.
        let _ = self.unpublished().log_strings(Head::text(record::ID, id.len()), id, "");
    }

    /// Sets the id of a task that was given none, before `publish`: made of its kind and serial.
    #[inline]
    pub(crate) fn make_id(self, kind: &str) {
        text::numbered(kind, self.unpublished_serial(), |id| self.set_id(id));
    }

    /// Sets the parent, before `publish`; without a slot (0) it is in no list, or in another one.
    pub(crate) fn set_parent(self, serial: u64, slot: u32) {
        self.chunk.put(PARENT, serial);
        // The word has no other use before the task starts.
        self.chunk.put(NEWEST, u64::from(slot));
    }

    /// Sets the number of the kind, which has 16 bits at most, before `publish`.
    #[inline(always)]
    pub(crate) fn set_kind(self, kind: u32) {
        self.chunk.put(RING, u64::from(kind) << 40);
    }

    /// Shows the task to readers, in a status unless that is empty. Returns its serial, and whether it has a parent in
    /// this list.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn publish(self, current: impl FnOnce() -> (u64, u32), status: &str) -> (u64, bool) {
        let serial = self.unpublished_serial();
        if self.chunk.get(PARENT) == NOT_NAMED {
            let (parent, slot) = current();
            self.set_parent(parent, slot);
        }
        let parent_slot = self.chunk.get(NEWEST);
        let own = self.chunk.get(SELF);
        self.chunk.put(SELF, own & 0xffff_ffff | parent_slot << 32);
        let started_with = Cursor(self.chunk.get(CURSOR)).used();
        self.chunk.put(RING, self.chunk.get(RING) | (started_with as u64) << 56);
        if std::thread::panicking() {
            self.chunk.put(CURSOR, self.chunk.get(CURSOR) | Cursor::STARTED_IN_PANIC);
        }
        let now = self.store.clock.ticks();
        self.chunk.put(STARTED, now);
        self.chunk.put(NEWEST, now);
        if !status.is_empty() && self.unpublished().first_status(status).is_err() {
            self.store.counters.statuses_dropped.fetch_add(1, StdOrdering::Relaxed);
        }
        if parent_slot != 0 {
            self.store.slab.chunks.parent(own as u32).store(parent_slot as u32, Ordering::Relaxed);
        }
        // Release: pairs with the Acquire of readers and of handles that lock.
        self.chunk.gate().store(mark::of(serial, mark::LIVE), Ordering::Release);
        self.store.slab.chunks.tag(own as u32).store(tag::of((own >> 32) as u32, serial), Ordering::Release);
        (serial, parent_slot != 0)
    }

    pub(crate) fn at(store: &'static Store, index: u32) -> Self {
        Self { store, chunk: store.slab.chunks.get(index) }
    }

    /// Takes the lock of the task's writers; `None` when the slot is no longer that task's.
    #[inline]
    pub(crate) fn lock(self, serial: u64) -> Option<Writer> {
        let open = mark::of(serial, mark::LIVE);
        let locked = mark::of(serial, mark::LOCKED);
        let mut round = 0;
        loop {
            // Acquire: pairs with the Release of the last unlock (or of `publish`).
            match self.chunk.gate().compare_exchange_weak(open, locked, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Writer { slot: self, serial, unlock_to: open }),
                Err(found) if found == open || found == locked => {
                    relax(round);
                    round = round.saturating_add(1);
                }
                Err(_) => return None,
            }
        }
    }

    /// Returns a writer of a task that is being built: no other thread knows it, so there is no lock to release.
    #[inline]
    pub(crate) fn unpublished(self) -> ManuallyDrop<Writer> {
        ManuallyDrop::new(Writer { slot: self, serial: self.unpublished_serial(), unlock_to: 0 })
    }

    /// Returns `true` if the slot holds this task, and it is live.
    #[inline]
    pub(crate) fn is_live(self, serial: u64) -> bool {
        self.chunk.gate().load(Ordering::Acquire) | 1 == mark::of(serial, mark::LOCKED)
    }

    /// Returns `true` if the slot holds this task, live or ended.
    pub(crate) fn is_of(self, serial: u64) -> bool {
        let gate = acquire(self.chunk.gate());
        mark::serial(gate) == serial && (mark::is_live(gate) || gate & 0b111 == mark::ENDED)
    }

    /// Returns the parent, and its slot if it is of the same list.
    pub(crate) fn parent(self) -> (u64, Option<Self>) {
        let at = (self.chunk.get(SELF) >> 32).checked_sub(1);
        (self.chunk.get(PARENT), at.map(|at| Self::at(self.store, at as u32)))
    }

    /// The records of the task, for memory that does not change in the meantime.
    #[inline]
    pub(crate) fn records(self) -> TaskRecords<'static> {
        self.store.slab.records(self.chunk)
    }

    /// Returns the number of the task's kind.
    pub(crate) fn kind_number(self) -> u32 {
        Tail(self.chunk.peek(RING)).kind()
    }

    /// Returns the serial in the gate.
    pub(crate) fn serial(self) -> u64 {
        mark::serial(acquire(self.chunk.gate()))
    }

    /// Returns the cancel word.
    #[inline(always)]
    pub(crate) fn cancel(self) -> &'static AtomicU64 {
        self.chunk.word(CANCEL)
    }
}

/// The lock of a task's writers, released on drop.
pub(crate) struct Writer {
    pub(crate) slot: Slot,
    pub(crate) serial: u64,
    pub(super) unlock_to: u64,
}

impl Drop for Writer {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire of the next lock.
        self.slot.chunk.gate().store(self.unlock_to, Ordering::Release);
    }
}

/// There is no memory for a record, or the task has as many as it may have.
#[derive(Debug)]
pub(crate) struct NoSpace;

impl Writer {
    #[inline]
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor(self.slot.chunk.get(CURSOR))
    }

    #[inline]
    pub(super) fn set_cursor(&self, cursor: Cursor) {
        // Release: pairs with the Acquire of readers, which then see the words below it.
        self.slot.chunk.word(CURSOR).store(cursor.0, Ordering::Release);
    }

    /// Reads the clock: ticks since the start, never less than those of the newest entry.
    #[inline]
    pub(super) fn stamp(&self) -> u64 {
        let now = self.slot.store.clock.ticks().max(self.slot.chunk.get(NEWEST));
        self.slot.chunk.put(NEWEST, now);
        now.wrapping_sub(self.slot.chunk.get(STARTED))
    }

    /// Marks that the task may have waiters.
    pub(crate) fn set_watched(&self) {
        let cursor = self.cursor();
        if !cursor.has(Cursor::WATCHED) {
            self.set_cursor(Cursor(cursor.0 | Cursor::WATCHED));
        }
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.cursor().has(Cursor::WATCHED)
    }

    #[inline]
    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    #[inline]
    pub(super) fn records(&self) -> TaskRecords<'static> {
        self.slot.records()
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    pub(crate) fn parent(&self) -> u64 {
        self.slot.chunk.get(PARENT)
    }

    /// Frees the slot of a task that never started.
    pub(crate) fn discard(&self) {
        self.free_chain(self.records().kept_first());
        self.slot.store.slab.chunks.tag(self.slot.index()).store(0, Ordering::Relaxed);
        magazine::return_unused(self.slot.store, self.slot.index());
    }

    pub(crate) fn set_cancellable(&self, yes: bool) {
        let cursor = self.cursor().0;
        let flag = Cursor::NOT_CANCELLABLE;
        self.slot.chunk.put(CURSOR, if yes { cursor & !flag } else { cursor | flag });
    }

    pub(crate) fn is_cancellable(&self) -> bool {
        !self.cursor().has(Cursor::NOT_CANCELLABLE)
    }
}
