//! One task in its slot: the protocol between those who write it and those who read it.
//!
//! ```text
//! 0 gate      serial and mark: whose slot; live, ended or free; and the lock of its writers
//! 1 cancel    the chain of the request (0: none), protected sections, whether the task heard it or has children
//! 2 cursor    words used in the log, flags, outcome, history entries ever made
//! 3 started   ticks               4 parent   serial            5 newest   ticks of the newest entry, or of the end
//! 6 kept      the chain that continues the log: newest chunk, words used in it, version
//! 7 ring      the chain of the newest history entries: newest chunk, words used in it; the number of the kind; words
//!             that the log had when the task started
//! 8 ring_old  (writers only) its oldest chunk, entries that begin in it, words in `kept` that count no more
//! 9 book      (writers only) first chunk of `kept`, how many attributes, which names they may have
//! 10 self      the index of the slot; the hash of the id until the task starts, then the slot of its parent
//! 11..32      the log
//! ```
//!
//! Invariants, and who keeps them:
//!
//! - A slot's words belong to the task that its gate names, while it lives and while it is kept after its end. Ending
//!   and letting go store the gate; whoever takes the slot next begins with a release fence. A reader copies, fences, and reads the gate again: if it saw any word of the next task, it
//!   sees that the gate changed, and throws the copy away.
//! - Writers of one task (its handles, a canceller) hold the gate's lock bit, taken by a compare-exchange that names the
//!   serial: a stale handle never gets it. No code of a user runs under it.
//! - The log and `kept` only grow while the version of `kept` stands. What a reader takes up to a published cursor
//!   never changes, except number words, which change one at a time.
//! - Only the cancel word is also written without the lock, by children that are born; so all its writers add to it in
//!   one step (see `tree.rs`).
//! - A chunk of a chain names its owner's serial in word 0 and its place in the chain in word 1. Before it is used again,
//!   word 1 is made invalid, then a release fence: a reader that copied anything newer sees it.

use std::mem::ManuallyDrop;

use crate::cancel::{Cancelled, Request};
use crate::chunk::{Chunk, WORDS, mark, tag};
use crate::list::Inner;
use crate::read::RequestView;
use crate::record::{self, Head, Record};
use crate::serial::Serial;
use crate::slab::{self, Count};
use crate::sync::{AtomicU64, Ordering, fence, own, relax, reset};
use crate::text;
use crate::watch::Aside;

pub(crate) const CANCEL: usize = 1;
pub(crate) const CURSOR: usize = 2;
pub(crate) const STARTED: usize = 3;
pub(crate) const PARENT: usize = 4;
pub(crate) const NEWEST: usize = 5;
pub(crate) const KEPT: usize = 6;
pub(crate) const RING: usize = 7;
const RING_OLD: usize = 8;
pub(crate) const BOOK: usize = 9;
pub(crate) const SELF: usize = 10;
pub(crate) const LOG: usize = 11;
/// Words of the log in the slot itself.
const LOG_WORDS: usize = WORDS - LOG;

/// The words of a chunk in a chain.
pub(crate) const PLACE: usize = 1;
pub(crate) const LINKS: usize = 2;
const STARTS: usize = 3;
pub(crate) const PAYLOAD: usize = 4;
const PAYLOAD_WORDS: usize = WORDS - PAYLOAD;
/// Words of old values that are left alone.
const WORTH_COMPACTING: usize = if cfg!(loom) { 0 } else { 2 * PAYLOAD_WORDS };
/// A place no chunk of a chain ever has: it is being used again.
const NO_PLACE: u64 = u64::MAX;

/// The parent of a task that is being built and for which none was named.
const NOT_NAMED: u64 = u64::MAX;

/// The bits of the cancel word.
pub(crate) mod cancel {
    /// The chain of the request: its first chunk and 1; 0 when there is no request.
    pub(crate) const REQUEST: u64 = 0xffff_ffff;
    /// A request whose text found no memory.
    pub(crate) const NO_CHAIN: u64 = 0xffff_ffff;
    /// One section more that must not be cut.
    pub(crate) const ONE_PROTECTED: u64 = 1 << 32;
    pub(crate) const PROTECTED: u64 = 0xffff << 32;
    /// A task was born whose parent this one is.
    pub(crate) const PARENT: u64 = 1 << 60;
    /// Its future was dropped for the request.
    pub(crate) const FORCED: u64 = 1 << 61;
    /// The task heard the request.
    pub(crate) const HEARD: u64 = 1 << 62;
    /// The task is being unwound for the request.
    pub(crate) const UNWOUND: u64 = 1 << 63;

    /// Whether there is a request.
    #[inline(always)]
    pub(crate) const fn is_asked(word: u64) -> bool {
        word & REQUEST != 0
    }
}

/// What is in the cursor.
#[derive(Clone, Copy)]
pub(crate) struct Cursor(pub(crate) u64);

impl Cursor {
    pub(crate) const NOT_CANCELLABLE: u64 = 1 << 8;
    /// The log in the slot is closed: it goes on in `kept`.
    const SPILLED: u64 = 1 << 9;
    /// The thread was panicking when the task started.
    const BORN_IN_PANIC: u64 = 1 << 10;
    /// The outcome, once the task ended.
    const OUTCOME: u32 = 11;
    /// Somebody waits for the task to be cancelled or to end: see `watch.rs`.
    const WATCHED: u64 = 1 << 14;
    /// The task ended in a way for which it is kept longer.
    pub(crate) const NOTABLE: u64 = 1 << 15;

    #[inline(always)]
    pub(crate) fn used(self) -> usize {
        (self.0 & 0xff) as usize
    }
    #[inline(always)]
    pub(crate) fn entries(self) -> u64 {
        self.0 >> 16
    }
    #[inline(always)]
    pub(crate) fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }
    /// Without an outcome, which a task has a moment before it has ended.
    #[inline(always)]
    pub(crate) fn live(self) -> Self {
        Self(self.0 & !(0b111 << Self::OUTCOME))
    }
    /// The outcome as a number: see [`Count`].
    #[inline(always)]
    pub(crate) fn outcome(self) -> u64 {
        self.0 >> Self::OUTCOME & 0b111
    }
    #[inline(always)]
    fn add_words(self, words: usize) -> Self {
        Self(self.0 + words as u64)
    }
    #[inline(always)]
    fn add_entry(self) -> Self {
        Self(self.0 + (1 << 16))
    }
}

/// The newest chunk of a chain and the words used in it; for `kept` a version, for `ring` the task's kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail(pub(crate) u64);

impl Tail {
    #[inline(always)]
    fn new(index: u32, used: usize, version: u64) -> Self {
        Self((u64::from(index) + 1) | (used as u64) << 32 | version << 40)
    }
    #[inline(always)]
    pub(crate) fn index(self) -> Option<u32> {
        (self.0 as u32).checked_sub(1)
    }
    #[inline(always)]
    pub(crate) fn used(self) -> usize {
        ((self.0 >> 32) as usize & 0xff).min(WORDS)
    }
    #[inline(always)]
    fn add_words(self, words: usize) -> Self {
        Self(self.0 + ((words as u64) << 32))
    }
    #[inline(always)]
    pub(crate) fn version(self) -> u64 {
        self.0 >> 40
    }
    /// In the tail of `ring`: the number of the task's kind.
    #[inline(always)]
    pub(crate) fn kind(self) -> u32 {
        (self.0 >> 40) as u32 & 0xffff
    }
    /// In the tail of `ring`: how many words of the log were there when the task started.
    #[inline(always)]
    fn born_with(self) -> usize {
        (self.0 >> 56) as usize
    }
}

/// The place of a chunk in its chain: how many came before, and where its first record begins (`WORDS`: nowhere).
pub(crate) struct Place(pub(crate) u64);

impl Place {
    #[inline(always)]
    fn new(ordinal: u64, first: usize) -> Self {
        Self(ordinal << 8 | first as u64)
    }
    #[inline(always)]
    pub(crate) fn ordinal(&self) -> u64 {
        self.0 >> 8
    }
    pub(crate) fn first(&self) -> usize {
        (self.0 as usize & 0xff).clamp(PAYLOAD, WORDS)
    }
}

/// The bits of the book that tell which names there may be: without them each new attribute would be looked for.
const NAMES: u64 = 0xffff << 48;
const ONE_ATTR: u64 = 1 << 32;
/// In the word about the ring's oldest chunk: one entry more in the ring.
const ONE_ENTRY: u64 = 1 << 32;

#[inline]
fn name_bit(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let first = bytes.first().map_or(0, |&byte| usize::from(byte));
    let last = bytes.last().map_or(0, |&byte| usize::from(byte));
    1 << (48 + (first + 3 * last + 5 * bytes.len()) % 16)
}

#[inline(always)]
fn links(prev: Option<u32>, next: Option<u32>) -> u64 {
    let link = |index: Option<u32>| index.map_or(0, |index| u64::from(index) + 1);
    link(prev) | link(next) << 32
}

#[inline(always)]
pub(crate) fn prev_in(links: u64) -> Option<u32> {
    (links as u32).checked_sub(1)
}

#[inline(always)]
pub(crate) fn next_in(links: u64) -> Option<u32> {
    ((links >> 32) as u32).checked_sub(1)
}

fn prev_of(chunk: &Chunk) -> Option<u32> {
    prev_in(chunk.get(LINKS))
}

fn next_of(chunk: &Chunk) -> Option<u32> {
    next_in(chunk.get(LINKS))
}

/// A slot and the task in it.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) inner: &'static Inner,
    pub(crate) chunk: &'static Chunk,
}

impl Slot {
    #[inline(always)]
    pub(crate) fn index(self) -> u32 {
        self.chunk.get(SELF) as u32
    }

    /// The serial of the task that is being built here.
    #[inline]
    fn unpublished_serial(self) -> u64 {
        mark::serial(self.chunk.get(0))
    }

    /// Makes a free chunk ready for a task; nobody reads it until `publish`.
    #[inline]
    pub(crate) fn prepare(inner: &'static Inner, index: u32, serial: u64, cancellable: bool) -> Self {
        let chunk = inner.slab.chunk(index);
        // Pairs with the reader's Acquire fence: who sees a word of the new task sees the old one's gate closed.
        fence(Ordering::Release);
        chunk.put(0, mark::of(serial, mark::FREE));
        reset(chunk.word(CANCEL));
        chunk.put(PARENT, NOT_NAMED);
        // The first entry, `init`, takes no room: it is the start.
        let flags = if cancellable { 0 } else { Cursor::NOT_CANCELLABLE };
        chunk.put(CURSOR, 1 << 16 | flags);
        chunk.put(KEPT, 0);
        chunk.put(RING, 0);
        chunk.put(RING_OLD, 0);
        chunk.put(BOOK, 0);
        chunk.put(SELF, u64::from(index));
        Self { inner, chunk }
    }

    /// Notes the id and its hash, before `publish`.
    #[inline(always)]
    pub(crate) fn set_id(self, id: &str) {
        let hash = text::hash(id);
        self.chunk.put(SELF, u64::from(self.index()) | u64::from(hash) << 32);
        // A long id that finds no room: the task is shown without one.
        let _ = self.unpublished().log_texts(Head::text(record::ID, id.len()), id, "");
    }

    /// Names the parent, before `publish`; without a slot (0) it is in no list, or in another.
    pub(crate) fn set_parent(self, serial: u64, slot: u32) {
        self.chunk.put(PARENT, serial);
        // Not needed for its own purpose before the task starts.
        self.chunk.put(NEWEST, u64::from(slot));
    }

    /// Notes the number of the kind, which has 16 bits at most, before `publish`.
    #[inline(always)]
    pub(crate) fn set_kind(self, kind: u32) {
        self.chunk.put(RING, u64::from(kind) << 40);
    }

    /// Shows the task to readers, and returns its serial and whether it has a parent in this list.
    #[inline]
    pub(crate) fn publish(self, current: impl FnOnce() -> (u64, u32)) -> (u64, bool) {
        let serial = self.unpublished_serial();
        if self.chunk.get(PARENT) == NOT_NAMED {
            let (parent, slot) = current();
            self.set_parent(parent, slot);
        }
        let parent_slot = self.chunk.get(NEWEST);
        let own = self.chunk.get(SELF);
        self.chunk.put(SELF, own & 0xffff_ffff | parent_slot << 32);
        let born_with = Cursor(self.chunk.get(CURSOR)).used();
        self.chunk.put(RING, self.chunk.get(RING) | (born_with as u64) << 56);
        if std::thread::panicking() {
            self.chunk.put(CURSOR, self.chunk.get(CURSOR) | Cursor::BORN_IN_PANIC);
        }
        let now = self.inner.timer.ticks();
        self.chunk.put(STARTED, now);
        self.chunk.put(NEWEST, now);
        // Release: pairs with the Acquire of readers and of handles that lock.
        self.chunk.gate().store(mark::of(serial, mark::LIVE), Ordering::Release);
        self.inner.slab.tag(own as u32).store(tag::of((own >> 32) as u32, serial), Ordering::Release);
        (serial, parent_slot != 0)
    }

    /// Where the entries of a task that ended may begin in its slot: what it was born with stands before.
    #[inline]
    pub(crate) fn entries_from(self) -> usize {
        LOG + Tail(self.chunk.get(RING)).born_with()
    }

    /// Where the log in the slot ends.
    #[inline]
    pub(crate) fn log_end(self) -> usize {
        LOG + Cursor(self.chunk.get(CURSOR)).used()
    }

    /// Calls `visit` with each entry of a task that ended whose record begins at the word `at` or later, oldest first but
    /// for the start; with `None` where entries were dropped.
    #[inline]
    pub(crate) fn each_entry(self, mut at: usize, mut visit: impl FnMut(Option<EntryAt<'_>>)) {
        let writer = self.unpublished();
        let end = self.log_end();
        while at < end {
            let head = Head(self.chunk.peek(at));
            if head.is_entry() {
                visit(Some(EntryAt { writer: &writer, position: Position { chunk: self.chunk, at }, head }));
            }
            at += head.words();
        }
        if writer.cursor().has(Cursor::SPILLED) || Tail(self.chunk.get(RING)).index().is_some() {
            writer.each_chained_entry(&mut visit);
        }
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

    /// Marks an ended task as one to be kept longer.
    pub(crate) fn set_notable(self) {
        self.chunk.put(CURSOR, self.chunk.get(CURSOR) | Cursor::NOTABLE);
    }

    pub(crate) fn at(inner: &'static Inner, index: u32) -> Self {
        Self { inner, chunk: inner.slab.chunk(index) }
    }

    /// Takes the lock of the task's writers; `None` when the slot is no more that task's.
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

    /// The same, for a task that is being built and that nobody else knows: there is no lock to give back.
    #[inline]
    pub(crate) fn unpublished(self) -> ManuallyDrop<Writer> {
        ManuallyDrop::new(Writer { slot: self, serial: self.unpublished_serial(), unlock_to: 0 })
    }

    /// Whether the task is still in its slot.
    #[inline]
    pub(crate) fn is_live(self, serial: u64) -> bool {
        self.chunk.gate().load(Ordering::Acquire) | 1 == mark::of(serial, mark::LOCKED)
    }

    /// The parent, and its slot if it is of the same list.
    pub(crate) fn parent(self) -> (u64, Option<Self>) {
        let at = (self.chunk.get(SELF) >> 32).checked_sub(1);
        (self.chunk.get(PARENT), at.map(|at| Self::at(self.inner, at as u32)))
    }

    /// The number of the task's kind.
    pub(crate) fn kind_number(self) -> u32 {
        Tail(self.chunk.peek(RING)).kind()
    }

    /// The serial that the gate names.
    pub(crate) fn serial(self) -> u64 {
        mark::serial(acquire(self.chunk.gate()))
    }

    /// The cancel word.
    #[inline(always)]
    pub(crate) fn cancel(self) -> &'static AtomicU64 {
        self.chunk.word(CANCEL)
    }
}

/// The right to write to a task; given back on drop.
pub(crate) struct Writer {
    slot: Slot,
    serial: u64,
    unlock_to: u64,
}

impl Drop for Writer {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire of the next lock.
        self.slot.chunk.gate().store(self.unlock_to, Ordering::Release);
    }
}

#[inline(always)]
fn write_status(chunk: &Chunk, at: usize, text: &str, delta: u64) {
    chunk.put(at, record::status_head(text.len(), delta));
    record::put_text(text.as_bytes(), |offset, word| chunk.put(at + 1 + offset, word));
}

/// There is no more room for what was to be written.
#[derive(Debug)]
pub(crate) struct NoRoom;

/// An entry of a task that ended.
pub(crate) struct EntryAt<'w> {
    writer: &'w Writer,
    position: Position,
    head: Head,
}

impl EntryAt<'_> {
    /// Ticks since the start of the task.
    #[inline]
    pub(crate) fn delta(&self) -> u64 {
        match self.head.kind() {
            record::STATUS => self.head.delta(),
            _ => self.writer.word(self.position, 1),
        }
    }

    /// Bytes of its text.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        if self.is_cancel_request() { 0 } else { self.head.text_len() }
    }

    #[inline]
    pub(crate) fn is_cancel_request(&self) -> bool {
        self.head.kind() == record::CANCEL_MARK
    }

    /// A word of its text.
    #[inline]
    pub(crate) fn word(&self, at: usize) -> u64 {
        self.writer.word(self.position, self.head.text_at() / 8 + at)
    }
}

/// The position of a word, in the slot or in a chain.
#[derive(Clone, Copy)]
struct Position {
    chunk: &'static Chunk,
    at: usize,
}

impl Writer {
    #[inline]
    fn cursor(&self) -> Cursor {
        Cursor(self.slot.chunk.get(CURSOR))
    }

    #[inline]
    fn set_cursor(&self, cursor: Cursor) {
        // Release: pairs with the Acquire of readers, who then see the words below it.
        self.slot.chunk.word(CURSOR).store(cursor.0, Ordering::Release);
    }

    /// Now, never earlier than the newest entry, as ticks since the start.
    #[inline]
    fn stamp(&self) -> u64 {
        let now = self.slot.inner.timer.ticks().max(self.slot.chunk.get(NEWEST));
        self.slot.chunk.put(NEWEST, now);
        now.wrapping_sub(self.slot.chunk.get(STARTED))
    }

    /// Adds a record to the log, in the slot or behind it.
    #[inline]
    pub(crate) fn log(&self, record: &Record<'_>) -> Result<(), NoRoom> {
        let cursor = self.cursor();
        let at = cursor.used();
        let words = record.words();
        if cursor.has(Cursor::SPILLED) || at + words > LOG_WORDS {
            self.set_cursor(Cursor(cursor.0 | Cursor::SPILLED));
            return self.spill(record);
        }
        let mut to = LOG + at;
        record.write(|word| {
            self.slot.chunk.put(to, word);
            to += 1;
        });
        self.set_cursor(cursor.add_words(words));
        Ok(())
    }

    /// Adds a record of nothing but texts: what `log` would do, in few steps while it fits the slot.
    #[inline(always)]
    pub(crate) fn log_texts(&self, head: Head, first: &str, second: &str) -> Result<(), NoRoom> {
        let cursor = self.cursor();
        let at = LOG + cursor.used();
        let words = record::words_for(head.text_at() + first.len() + second.len());
        if cursor.has(Cursor::SPILLED) || at + words > WORDS {
            return self.log(&Record::texts(head, first, second));
        }
        let chunk = self.slot.chunk;
        let mut to = at;
        record::pack(head, first.as_bytes(), second.as_bytes(), |word| {
            chunk.put(to, word);
            to += 1;
        });
        self.set_cursor(cursor.add_words(words));
        Ok(())
    }

    #[cold]
    fn spill(&self, record: &Record<'_>) -> Result<(), NoRoom> {
        let tail = Tail(self.slot.chunk.get(KEPT));
        let words = record.words();
        let full = tail.index().is_none() || tail.used() + words > WORDS;
        // Old values are cleared away once they are more than what counts, and enough to be worth it.
        if full && self.garbage() > WORTH_COMPACTING && self.garbage() > self.kept_words() / 2 {
            self.compact();
        }
        self.append_kept(record)
    }

    fn append_kept(&self, record: &Record<'_>) -> Result<(), NoRoom> {
        let tail = Tail(self.slot.chunk.get(KEPT));
        let grown = self.append(tail, record, |_| None)?;
        if tail.index().is_none() {
            self.set_kept_first(Some(grown.first_new));
        }
        self.slot.chunk.word(KEPT).store(grown.tail.0, Ordering::Release);
        Ok(())
    }

    /// Adds a history entry: the newest ones push out older ones, but for the first.
    #[cold]
    fn entry(&self, record: &Record<'_>) -> Result<(), NoRoom> {
        let limits = &self.slot.inner.limits;
        if self.cursor().entries() < limits.first_entries {
            self.log(record)?;
        } else {
            self.ring(record)?;
        }
        self.set_cursor(self.cursor().add_entry());
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn status(&self, text: &str) -> Result<(), NoRoom> {
        let delta = self.stamp();
        let cursor = self.cursor();
        let words = 1 + record::words_for(text.len());
        let at = LOG + cursor.used();
        if delta >= 1 << 48 {
            return self.entry(&Record::status(text, delta));
        }
        // What `entry` would do, in few steps: nearly every status ends in one of these two ways.
        let chunk = self.slot.chunk;
        if cursor.entries() < self.slot.inner.limits.first_entries {
            if !cursor.has(Cursor::SPILLED) && at + words <= WORDS {
                write_status(chunk, at, text, delta);
                self.set_cursor(cursor.add_words(words).add_entry());
                return Ok(());
            }
        } else {
            let tail = Tail(chunk.get(RING));
            if let Some(index) = tail.index()
                && tail.used() + words <= WORDS
            {
                let newest = self.slot.inner.slab.chunk(index);
                write_status(newest, tail.used(), text, delta);
                newest.put(STARTS, newest.get(STARTS) + 1);
                chunk.put(RING_OLD, chunk.get(RING_OLD) + ONE_ENTRY);
                // Release: pairs with the Acquire of readers, who then see the words below it.
                chunk.word(RING).store(tail.add_words(words).0, Ordering::Release);
                self.set_cursor(cursor.add_entry());
                return Ok(());
            }
        }
        self.entry(&Record::status(text, delta))
    }

    fn ring(&self, record: &Record<'_>) -> Result<(), NoRoom> {
        let chunk = self.slot.chunk;
        let slab = self.slot.inner.slab;
        let newest = self.slot.inner.limits.newest_entries;
        let tail = Tail(chunk.get(RING));
        let old = chunk.get(RING_OLD);
        let mut oldest = (old as u32).checked_sub(1);
        let garbage = old & 0xffff << 48;
        let mut entries = (old >> 32 & 0xffff) + 1;
        let grown = self.append(tail, record, |tail_index| {
            // The oldest chunk is used again when all that begins in it is beyond the limit.
            let index = oldest.filter(|&index| Some(index) != tail_index)?;
            let starts = slab.chunk(index).get(STARTS);
            if entries - starts < newest {
                return None;
            }
            entries -= starts;
            oldest = next_of(slab.chunk(index));
            Some(index)
        });
        let (result, grown) = match grown {
            Ok(grown) => (Ok(()), Some(grown)),
            Err(error) => (Err(error), None),
        };
        if let Some(grown) = grown {
            chunk.put(RING_OLD, u64::from(oldest.unwrap_or(grown.first_new) + 1) | entries << 32 | garbage);
            chunk.word(RING).store(grown.tail.0, Ordering::Release);
        } else {
            let oldest = oldest.map_or(0, |index| u64::from(index) + 1);
            chunk.put(RING_OLD, oldest | (entries - 1) << 32 | garbage);
        }
        result
    }

    /// Writes a record behind the tail of a chain, with chunks that `reuse` gives (it is told the tail that must stay)
    /// or new ones; what the chain was stays whole until the caller publishes the new tail.
    fn append(
        &self,
        tail: Tail,
        record: &Record<'_>,
        reuse: impl FnMut(Option<u32>) -> Option<u32>,
    ) -> Result<Grown, NoRoom> {
        let room = tail.index().map_or(0, |_| WORDS - tail.used());
        let missing = record.words().saturating_sub(room).div_ceil(PAYLOAD_WORDS);
        // At most 4 + 255 + 8191 bytes of record, so 38 chunks; but nearly always one, which needs no room for more.
        if missing <= 1 {
            self.append_chunks::<1>(tail, record, missing, reuse)
        } else {
            self.append_chunks::<40>(tail, record, missing, reuse)
        }
    }

    #[inline(always)]
    fn append_chunks<const MOST: usize>(
        &self,
        tail: Tail,
        record: &Record<'_>,
        mut missing: usize,
        mut reuse: impl FnMut(Option<u32>) -> Option<u32>,
    ) -> Result<Grown, NoRoom> {
        let inner = self.slot.inner;
        let words = record.words();
        let room = tail.index().map_or(0, |_| WORDS - tail.used());
        let mut fresh = [0_u32; MOST];
        let count = missing;
        while missing > 0 {
            let Some(index) = reuse(tail.index()).or_else(|| slab::take_chunk(inner)) else {
                for &index in &fresh[..count - missing] {
                    self.free(index);
                }
                return Err(NoRoom);
            };
            fresh[count - missing] = index;
            missing -= 1;
        }
        let fresh = &fresh[..count];

        let mut before = tail.index();
        let next_ordinal = before.map_or(0, |index| Place(inner.slab.chunk(index).get(PLACE)).ordinal() + 1);
        let mut left = words.saturating_sub(room);
        for (&index, ordinal) in fresh.iter().zip(next_ordinal..) {
            let chunk = inner.slab.chunk(index);
            let begins_here = room == 0 && ordinal == next_ordinal;
            let first = if begins_here { PAYLOAD } else { (PAYLOAD + left).min(WORDS) };
            chunk.put(PLACE, NO_PLACE);
            // Pairs with the reader's Acquire fence, as in `prepare`.
            fence(Ordering::Release);
            chunk.gate().store(mark::of(self.serial, mark::CHAIN), Ordering::Relaxed);
            chunk.put(LINKS, links(before, None));
            chunk.put(STARTS, u64::from(begins_here));
            // Published with the tail, or, for a reader that follows older links, by itself.
            chunk.word(PLACE).store(Place::new(ordinal, first).0, Ordering::Release);
            if let Some(before) = before {
                let before = inner.slab.chunk(before);
                before.put(LINKS, links(prev_of(before), Some(index)));
            }
            left = left.saturating_sub(PAYLOAD_WORDS);
            before = Some(index);
        }

        let mut used = tail.used();
        let mut chunk = match tail.index() {
            Some(index) if room > 0 => {
                let chunk = inner.slab.chunk(index);
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
                    chunk = inner.slab.chunk(index);
                }
                used = PAYLOAD;
            }
            chunk.put(used, word);
            used += 1;
        });
        let last = before.unwrap_or_default();
        Ok(Grown { tail: Tail::new(last, used, tail.version()), first_new: fresh.first().copied().unwrap_or(last) })
    }

    fn free(&self, index: u32) {
        let chunk = self.slot.inner.slab.chunk(index);
        chunk.gate().store(mark::of(0, mark::FREE), Ordering::Relaxed);
        slab::give_chunk(self.slot.inner, index);
    }

    fn free_chain(&self, first: Option<u32>) {
        let mut next = first;
        while let Some(index) = next {
            next = next_of(self.slot.inner.slab.chunk(index));
            self.free(index);
        }
    }

    #[inline(always)]
    fn kept_first(&self) -> Option<u32> {
        (self.slot.chunk.get(BOOK) as u32).checked_sub(1)
    }

    fn set_kept_first(&self, first: Option<u32>) {
        let book = self.slot.chunk.get(BOOK) & !0xffff_ffff;
        self.slot.chunk.put(BOOK, book | first.map_or(0, |first| u64::from(first) + 1));
    }

    #[inline(always)]
    fn attrs(&self) -> u64 {
        self.slot.chunk.get(BOOK) >> 32 & 0xffff
    }

    fn garbage(&self) -> usize {
        (self.slot.chunk.get(RING_OLD) >> 48) as usize
    }

    fn set_garbage(&self, words: usize) {
        let rest = self.slot.chunk.get(RING_OLD) & !(0xffff << 48);
        self.slot.chunk.put(RING_OLD, rest | (words.min(0xffff) as u64) << 48);
    }

    fn kept_words(&self) -> usize {
        let tail = Tail(self.slot.chunk.get(KEPT));
        tail.index().map_or(0, |index| {
            Place(self.slot.inner.slab.chunk(index).get(PLACE)).ordinal() as usize * PAYLOAD_WORDS + tail.used()
                - PAYLOAD
        })
    }

    fn step(&self, position: Position, mut words: usize) -> Position {
        let Position { mut chunk, mut at } = position;
        while at + words >= WORDS {
            let Some(next) = next_of(chunk).filter(|_| !std::ptr::eq(chunk, self.slot.chunk)) else {
                return Position { chunk, at: at + words };
            };
            words -= WORDS - at;
            chunk = self.slot.inner.slab.chunk(next);
            at = PAYLOAD;
        }
        Position { chunk, at: at + words }
    }

    /// Calls `visit` with each record of the log: first those in the slot, then those in `kept`.
    fn each_record(&self, mut visit: impl FnMut(Position, Head, bool)) {
        let slot = self.slot.chunk;
        let (mut at, end) = (LOG, LOG + self.cursor().used());
        while at < end {
            let head = Head(slot.peek(at));
            visit(Position { chunk: slot, at }, head, false);
            at += head.words();
        }
        let tail = Tail(slot.get(KEPT));
        let (Some(first), Some(last)) = (self.kept_first(), tail.index()) else { return };
        let last = self.slot.inner.slab.chunk(last);
        let mut position = Position { chunk: self.slot.inner.slab.chunk(first), at: PAYLOAD };
        while !(std::ptr::eq(position.chunk, last) && position.at >= tail.used()) {
            let head = Head(position.chunk.peek(position.at));
            visit(position, head, true);
            position = self.step(position, head.words());
            if position.at >= WORDS {
                return;
            }
        }
    }

    /// The rest of [`Slot::each_entry`].
    #[cold]
    #[inline(never)]
    fn each_chained_entry(&self, visit: &mut dyn FnMut(Option<EntryAt<'_>>)) {
        self.each_record(|position, head, kept| {
            if kept && head.is_entry() {
                visit(Some(EntryAt { writer: self, position, head }));
            }
        });
        let (slot, slab) = (self.slot.chunk, self.slot.inner.slab);
        let tail = Tail(slot.get(RING));
        let (Some(last), Some(first)) = (tail.index(), (slot.get(RING_OLD) as u32).checked_sub(1)) else { return };
        let place = Place(slab.chunk(first).get(PLACE));
        if place.ordinal() > 0 {
            visit(None);
        }
        let last = slab.chunk(last);
        // In the oldest chunk there may be nothing but the end of an entry whose beginning is gone.
        let mut chunk = slab.chunk(first);
        while Place(chunk.get(PLACE)).first() == WORDS {
            let Some(next) = next_of(chunk) else { return };
            chunk = slab.chunk(next);
        }
        let mut position = Position { chunk, at: Place(chunk.get(PLACE)).first() };
        while position.at < WORDS && !(std::ptr::eq(position.chunk, last) && position.at >= tail.used()) {
            let head = Head(position.chunk.peek(position.at));
            visit(Some(EntryAt { writer: self, position, head }));
            position = self.step(position, head.words());
        }
    }

    #[inline]
    fn word(&self, position: Position, offset: usize) -> u64 {
        let position = self.step(position, offset);
        position.chunk.peek(position.at)
    }

    /// Whether the text that begins `from` bytes into the record is `text`.
    fn text_is(&self, position: Position, from: usize, text: &[u8]) -> bool {
        let mut word = (usize::MAX, 0);
        text.iter().enumerate().all(|(index, &byte)| {
            let at = (from + index) / 8;
            if word.0 != at {
                word = (at, self.word(position, at));
            }
            (word.1 >> (8 * ((from + index) % 8))) as u8 == byte
        })
    }

    /// The newest record about an attribute, if it has a value.
    #[inline(always)]
    fn find_attr(&self, name: &str) -> Option<(Position, Head, bool)> {
        if self.slot.chunk.get(BOOK) & NAMES & name_bit(name) == 0 { None } else { self.look_for_attr(name) }
    }

    #[inline(never)]
    fn look_for_attr(&self, name: &str) -> Option<(Position, Head, bool)> {
        let mut found = None;
        self.each_record(|position, head, kept| {
            if head.is_attr()
                && head.name_len() == name.len()
                && self.text_is(position, head.text_at(), name.as_bytes())
            {
                found = Some((position, head, kept));
            }
        });
        found.filter(|(_, head, _)| head.kind() != record::UNSET)
    }

    fn count_garbage(&self, head: Head, kept: bool) {
        if kept {
            self.set_garbage(self.garbage() + head.words());
        }
    }

    /// Sets an attribute to a text.
    #[inline(always)]
    pub(crate) fn set_text(&self, name: &str, value: &str) -> Result<(), NoRoom> {
        let old = self.find_attr(name);
        self.check_room(old)?;
        self.log_texts(Head::attr_text(name.len(), value.len()), name, value)?;
        self.replaced(name, old);
        Ok(())
    }

    /// Sets an attribute to a number.
    pub(crate) fn set_number(&self, name: &str, number_type: u64, value: u64) -> Result<(), NoRoom> {
        let old = self.find_attr(name);
        if let Some((position, head, _)) = old
            && head.kind() == record::NUMBER
            && head.number_type() == number_type
        {
            // One word: a reader sees the old number or the new one.
            let value_at = self.step(position, head.words() - 1);
            value_at.chunk.put(value_at.at, value);
            return Ok(());
        }
        self.check_room(old)?;
        self.log(&Record::attr_number(name, number_type, value))?;
        self.replaced(name, old);
        Ok(())
    }

    /// Whether there may be one attribute more, if `old` is none of the same name.
    #[inline(always)]
    fn check_room(&self, old: Option<(Position, Head, bool)>) -> Result<(), NoRoom> {
        if old.is_none() && self.attrs() >= self.slot.inner.limits.attrs { Err(NoRoom) } else { Ok(()) }
    }

    /// Keeps the book about a value that was logged.
    #[inline(always)]
    fn replaced(&self, name: &str, old: Option<(Position, Head, bool)>) {
        match old {
            Some((_, head, kept)) => self.count_garbage(head, kept),
            None => {
                let chunk = self.slot.chunk;
                chunk.put(BOOK, (chunk.get(BOOK) + ONE_ATTR) | name_bit(name));
            }
        }
    }

    pub(crate) fn unset(&self, name: &str) -> Result<(), NoRoom> {
        let Some((_, head, kept)) = self.find_attr(name) else { return Ok(()) };
        let record = Record::unset(name);
        self.log(&record)?;
        self.count_garbage(head, kept);
        // The tombstone counts no more when the log is next compacted.
        self.count_garbage(Head(record::UNSET | (name.len() as u64) << 4), true);
        self.slot.chunk.put(BOOK, self.slot.chunk.get(BOOK) - ONE_ATTR);
        Ok(())
    }

    pub(crate) fn progress(&self, done: u64, total: u64, unit: &str) -> Result<(), NoRoom> {
        let mut old = None;
        self.each_record(|position, head, kept| {
            if head.kind() == record::PROGRESS {
                old = Some((position, head, kept));
            }
        });
        if let Some((position, head, _)) = old
            && self.word(position, head.words() - 1) == total
            && head.text_len() == unit.len()
            && self.text_is(position, head.text_at(), unit.as_bytes())
        {
            let done_at = self.step(position, head.words() - 2);
            done_at.chunk.put(done_at.at, done);
            return Ok(());
        }
        self.log(&Record::progress(unit, done, total))?;
        if let Some((_, head, kept)) = old {
            self.count_garbage(head, kept);
        }
        Ok(())
    }

    /// Writes `kept` anew without what counts no more. If there is no room for that, all stays as it is.
    fn compact(&self) {
        let slot = self.slot.chunk;
        let old_tail = Tail(slot.get(KEPT));
        let old_first = self.kept_first();
        // Which records stay: of each name and of the progress only the newest; tombstones only where they hide
        // something in the slot. This is rare, and costs what the task's old values cost to write.
        let mut records: Vec<(Vec<u64>, bool)> = Vec::new();
        let mut in_slot: Vec<Vec<u8>> = Vec::new();
        let mut newest: std::collections::HashMap<Option<Vec<u8>>, usize> = std::collections::HashMap::new();
        self.each_record(|position, head, kept| {
            let words: Vec<u64> = (0..head.words()).map(|offset| self.word(position, offset)).collect();
            let name = head.is_attr().then(|| {
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                bytes[head.text_at()..head.text_at() + head.name_len()].to_vec()
            });
            if !kept {
                in_slot.extend(name);
                return;
            }
            if name.is_some() || head.kind() == record::PROGRESS {
                let hides = head.kind() != record::UNSET || name.as_ref().is_some_and(|name| in_slot.contains(name));
                if let Some(older) = newest.insert(name, records.len()) {
                    records[older].1 = false;
                }
                records.push((words, hides));
            } else {
                records.push((words, true));
            }
        });
        let version = (old_tail.version() + 1) & 0xff_ffff;
        let mut tail = Tail(version << 40);
        let mut first = None;
        for (words, _) in records.iter().filter(|(_, stays)| *stays) {
            match self.append_words(tail, words) {
                Ok(grown) => {
                    first.get_or_insert(grown.first_new);
                    tail = grown.tail;
                }
                Err(NoRoom) => return self.free_chain(first),
            }
        }
        slot.word(KEPT).store(tail.0, Ordering::Release);
        self.set_kept_first(first);
        self.set_garbage(0);
        self.free_chain(old_first);
    }

    fn append_words(&self, tail: Tail, words: &[u64]) -> Result<Grown, NoRoom> {
        self.append(tail, &Record::raw(words), |_| None)
    }

    /// Stores a cancel request: the first one stays. `None` if there was one already; else the cancel word as it was.
    pub(crate) fn request_cancel(&self, request: &Request<'_>) -> Option<u64> {
        let cancel = self.slot.cancel();
        if cancel::is_asked(own(cancel)) {
            return None;
        }
        let mark = Record::cancel_mark(self.stamp());
        let at = self.slot.chunk.get(NEWEST);
        // The texts first: from the first word of the chain on, all is there.
        let chain = self.append_request(request, at).map_or(cancel::NO_CHAIN, |first| u64::from(first) + 1);
        if self.entry(&mark).is_err() {
            self.slot.inner.lost.statuses.fetch_add(1, Ordering::Relaxed);
        }
        // AcqRel: pairs with the task's checkpoint, so that who sees the request sees its reason; and with a child that
        // marks its parent, so that it is seen here or sees the request (see `tree.rs`).
        Some(cancel.fetch_or(chain, Ordering::AcqRel))
    }

    fn append_request(&self, request: &Request<'_>, at: u64) -> Result<u32, NoRoom> {
        let number = |name, value| Record::attr_number(name, record::U64, value);
        let grown = self.append(Tail(0), &number(request.by, at), |_| None)?;
        let first = grown.first_new;
        let rest = [number("", request.origin.unwrap_or(self.serial)), Record::text(record::KIND, request.reason)];
        let mut tail = grown.tail;
        for record in rest {
            match self.append(tail, &record, |_| None) {
                Ok(grown) => tail = grown.tail,
                Err(NoRoom) => {
                    self.free_chain(Some(first));
                    return Err(NoRoom);
                }
            }
        }
        Ok(first)
    }

    /// The words of the request's chain, as bytes.
    fn request_bytes(&self, word: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut next = cancel_chain(word);
        while let Some(index) = next {
            let chunk = self.slot.inner.slab.chunk(index);
            (PAYLOAD..WORDS).for_each(|at| bytes.extend_from_slice(&chunk.peek(at).to_le_bytes()));
            next = next_of(chunk);
        }
        bytes
    }

    /// What was asked of the task, if anything.
    pub(crate) fn request(&self) -> Option<Cancelled> {
        let word = acquire(self.slot.cancel());
        if !cancel::is_asked(word) {
            return None;
        }
        let moment = self.slot.inner.timer.moment();
        Some(match RequestView::parse(&self.request_bytes(word), moment) {
            Some(request) => request.to_cancelled(Serial::new(self.serial)),
            None => Cancelled::unknown(Serial::new(self.serial)),
        })
    }

    /// When the task was asked to stop, if it was.
    pub(crate) fn asked_ticks(&self) -> Option<u64> {
        let word = acquire(self.slot.cancel());
        if !cancel::is_asked(word) {
            return None;
        }
        let moment = self.slot.inner.timer.moment();
        let ticks = RequestView::parse(&self.request_bytes(word), moment).map(|request| request.ticks());
        Some(ticks.unwrap_or_else(|| self.slot.chunk.get(NEWEST)))
    }

    /// The cancel request, if there is one; marks it as heard.
    pub(crate) fn hear_cancel(&self, mark: u64) -> Option<Cancelled> {
        let asked = self.request()?;
        self.slot.cancel().fetch_or(mark, Ordering::Relaxed);
        Some(asked)
    }

    /// One protected section more or less. False when there are too many.
    pub(crate) fn add_protected(&self, more: bool) -> bool {
        let cancel = self.slot.cancel();
        if !more {
            cancel.fetch_sub(cancel::ONE_PROTECTED, Ordering::Relaxed);
        } else if own(cancel) & cancel::PROTECTED == cancel::PROTECTED {
            return false;
        } else {
            cancel.fetch_add(cancel::ONE_PROTECTED, Ordering::Relaxed);
        }
        true
    }

    /// Marks that somebody waits for the task.
    pub(crate) fn set_watched(&self) {
        let cursor = self.cursor();
        if !cursor.has(Cursor::WATCHED) {
            self.set_cursor(Cursor(cursor.0 | Cursor::WATCHED));
        }
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.cursor().has(Cursor::WATCHED)
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    pub(crate) fn parent(&self) -> u64 {
        self.slot.chunk.get(PARENT)
    }

    /// The first chunk of each chain of the task.
    fn chains(&self) -> [Option<u32>; 3] {
        let ring = (self.slot.chunk.get(RING_OLD) as u32).checked_sub(1);
        [self.kept_first(), ring, cancel_chain(self.slot.chunk.get(CANCEL))]
    }

    /// How many chunks the task takes beside its slot.
    fn chained(&self) -> u32 {
        let chunk = self.slot.chunk;
        let slab = self.slot.inner.slab;
        let ordinal = |index: u32| Place(slab.chunk(index).get(PLACE)).ordinal();
        let kept = Tail(chunk.get(KEPT)).index().map_or(0, |last| ordinal(last) + 1);
        let ring = Tail(chunk.get(RING)).index().map_or(0, |last| {
            let first = (chunk.get(RING_OLD) as u32).checked_sub(1).unwrap_or(last);
            ordinal(last).saturating_sub(ordinal(first)) + 1
        });
        let mut request = 0;
        let mut next = cancel_chain(chunk.get(CANCEL));
        while let Some(index) = next {
            request += 1;
            next = next_of(slab.chunk(index));
        }
        (kept + ring) as u32 + request
    }

    /// Frees the slot of a task that never started.
    pub(crate) fn discard(&self) {
        self.free_chain(self.kept_first());
        slab::give_unused(self.slot.inner, self.slot.index());
    }

    pub(crate) fn set_cancellable(&self, yes: bool) {
        let cursor = self.cursor().0;
        let flag = Cursor::NOT_CANCELLABLE;
        self.slot.chunk.put(CURSOR, if yes { cursor & !flag } else { cursor | flag });
    }

    pub(crate) fn is_cancellable(&self) -> bool {
        !self.cursor().has(Cursor::NOT_CANCELLABLE)
    }

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
            slab::count_end(slot, &end);
            if has_chains {
                for first in chains {
                    self.free_chain(first);
                }
            }
            slab::give_slot(slot, index, &end);
        } else {
            tag.store(own(tag) & !tag::LIVE, Ordering::Relaxed);
            self.unlock_to = mark::of(self.serial, mark::ENDED);
            // Release: pairs with the Acquire of readers, and with whoever takes this slot when it was let go.
            slot.chunk.gate().store(self.unlock_to, Ordering::Release);
            slab::keep_slot(slot, &end);
        }
        std::mem::forget(self);
        if let Some(aside) = aside {
            aside.tell();
        }
    }
}

/// What is known of a task's end.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) outcome: Count,
    pub(crate) kind: u32,
    /// How long the task ran.
    pub(crate) ticks: u64,
    pub(crate) ended: u64,
    /// Chunks beside the slot.
    pub(crate) chained: u32,
}

/// The first chunk of a cancel request's text.
#[inline(always)]
pub(crate) fn cancel_chain(word: u64) -> Option<u32> {
    match word & 0xffff_ffff {
        0 | cancel::NO_CHAIN => None,
        index => Some((index - 1) as u32),
    }
}

struct Grown {
    tail: Tail,
    first_new: u32,
}

/// Reads a word that a writer published, and all that was written before it.
#[inline]
pub(crate) fn acquire(word: &AtomicU64) -> u64 {
    word.load(Ordering::Acquire)
}
