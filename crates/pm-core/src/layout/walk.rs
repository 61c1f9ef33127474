//! Walks through the records of a task, in its slot and in the chunks behind it.
//!
//! For memory that does not change in the meantime: under the lock of the task's writers, or after its end.

use super::chunk::{Chunk, WORDS};
use super::record::{self, Head, partial, words_for};
use super::table::ChunkTable;
use super::words::*;

/// The position of a word, in the slot or in a chain.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    pub(crate) chunk: &'static Chunk,
    pub(crate) at: usize,
}

/// The records of one task.
#[derive(Clone, Copy)]
pub(crate) struct TaskRecords<'c> {
    pub(crate) chunks: &'c ChunkTable,
    pub(crate) slot: &'static Chunk,
}

/// A history entry among the records of a task.
pub(crate) struct EntryAt<'c> {
    records: TaskRecords<'c>,
    position: Position,
    head: Head,
}

impl EntryAt<'_> {
    /// Ticks since the start of the task.
    #[inline]
    pub(crate) fn delta(&self) -> u64 {
        match self.head.kind() {
            record::STATUS => self.head.delta(),
            _ => self.records.word(self.position, 1),
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
        self.records.word(self.position, self.head.text_at() / 8 + at)
    }
}

impl<'c> TaskRecords<'c> {
    #[inline]
    fn cursor(self) -> Cursor {
        Cursor(self.slot.get(CURSOR))
    }

    /// Returns where the entries of a task may begin in its slot: after the records that it started with.
    #[inline]
    pub(crate) fn entries_from(self) -> usize {
        LOG + Tail(self.slot.get(RING)).started_with()
    }

    /// Returns the end of the log in the slot.
    #[inline]
    pub(crate) fn log_end(self) -> usize {
        LOG + self.cursor().used()
    }

    /// The first chunk of `kept`.
    #[inline(always)]
    pub(crate) fn kept_first(self) -> Option<u32> {
        (self.slot.get(BOOK) as u32).checked_sub(1)
    }

    /// The oldest chunk of `ring`.
    #[inline]
    pub(crate) fn ring_first(self) -> Option<u32> {
        (self.slot.get(RING_OLD) as u32).checked_sub(1)
    }

    /// Returns the first chunk of each chain of the task.
    pub(crate) fn chains(self) -> [Option<u32>; 3] {
        [self.kept_first(), self.ring_first(), cancel_chain(self.slot.get(CANCEL))]
    }

    /// Counts the chunks that the task takes in addition to its slot.
    pub(crate) fn chained(self) -> u32 {
        let ordinal = |index: u32| Place(self.chunks.get(index).get(PLACE)).ordinal();
        let kept = Tail(self.slot.get(KEPT)).index().map_or(0, |last| ordinal(last) + 1);
        let ring = Tail(self.slot.get(RING)).index().map_or(0, |last| {
            let first = self.ring_first().unwrap_or(last);
            ordinal(last).saturating_sub(ordinal(first)) + 1
        });
        let mut request = 0;
        let mut next = cancel_chain(self.slot.get(CANCEL));
        while let Some(index) = next {
            request += 1;
            next = next_of(self.chunks.get(index));
        }
        (kept + ring) as u32 + request
    }

    /// Calls `visit` with each record of the log and whether it is in `kept`: first those in the slot, then those in
    /// `kept`.
    #[inline(always)]
    pub(crate) fn each_record(self, mut visit: impl FnMut(Position, Head, bool)) {
        let (mut at, end) = (LOG, self.log_end());
        while at < end {
            let head = Head(self.slot.peek(at));
            visit(Position { chunk: self.slot, at }, head, false);
            at += head.words();
        }
        let tail = Tail(self.slot.get(KEPT));
        let (Some(first), Some(last)) = (self.kept_first(), tail.index()) else { return };
        let last = self.chunks.get(last);
        let mut position = Position { chunk: self.chunks.get(first), at: PAYLOAD };
        while !(std::ptr::eq(position.chunk, last) && position.at >= tail.used()) {
            let head = Head(position.chunk.peek(position.at));
            visit(position, head, true);
            position = self.step(position, head.words());
            if position.at >= WORDS {
                return;
            }
        }
    }

    /// Calls `visit` with each history entry of a task that ended whose record begins at the word `at` or later, oldest
    /// first but for the start; with `None` where entries were dropped.
    #[inline]
    pub(crate) fn each_entry(self, mut at: usize, mut visit: impl FnMut(Option<EntryAt<'c>>)) {
        let end = self.log_end();
        while at < end {
            let head = Head(self.slot.peek(at));
            if head.is_entry() {
                visit(Some(EntryAt { records: self, position: Position { chunk: self.slot, at }, head }));
            }
            at += head.words();
        }
        if self.cursor().has(Cursor::SPILLED) || Tail(self.slot.get(RING)).index().is_some() {
            self.each_chained_entry(&mut visit);
        }
    }

    #[cold]
    #[inline(never)]
    fn each_chained_entry(self, visit: &mut dyn FnMut(Option<EntryAt<'c>>)) {
        self.each_record(|position, head, kept| {
            if kept && head.is_entry() {
                visit(Some(EntryAt { records: self, position, head }));
            }
        });
        let tail = Tail(self.slot.get(RING));
        let (Some(last), Some(first)) = (tail.index(), self.ring_first()) else { return };
        let mut chunk = self.chunks.get(first);
        if Place(chunk.get(PLACE)).ordinal() > 0 {
            visit(None);
        }
        let last = self.chunks.get(last);
        // The oldest chunk may contain nothing but the end of an entry whose beginning was dropped.
        while Place(chunk.get(PLACE)).first() == WORDS {
            let Some(next) = next_of(chunk) else { return };
            chunk = self.chunks.get(next);
        }
        let mut position = Position { chunk, at: Place(chunk.get(PLACE)).first() };
        while position.at < WORDS && !(std::ptr::eq(position.chunk, last) && position.at >= tail.used()) {
            let head = Head(position.chunk.peek(position.at));
            visit(Some(EntryAt { records: self, position, head }));
            position = self.step(position, head.words());
        }
    }

    /// Returns the position so many words later, in a later chunk if need be.
    #[inline]
    pub(crate) fn step(self, position: Position, words: usize) -> Position {
        let Position { chunk, at } = position;
        if at + words < WORDS { Position { chunk, at: at + words } } else { self.step_over(position, words) }
    }

    fn step_over(self, position: Position, mut words: usize) -> Position {
        let Position { mut chunk, mut at } = position;
        while at + words >= WORDS {
            let Some(next) = next_of(chunk).filter(|_| !std::ptr::eq(chunk, self.slot)) else {
                return Position { chunk, at: at + words };
            };
            words -= WORDS - at;
            chunk = self.chunks.get(next);
            at = PAYLOAD;
        }
        Position { chunk, at: at + words }
    }

    #[inline]
    pub(crate) fn word(self, position: Position, offset: usize) -> u64 {
        let position = self.step(position, offset);
        position.chunk.peek(position.at)
    }

    /// Returns `true` if the string that begins `from` bytes into the record is `text`.
    #[inline]
    pub(crate) fn text_is(self, position: Position, from: usize, text: &[u8]) -> bool {
        let Position { chunk, at } = position;
        if at + words_for(from + text.len()) > WORDS {
            return self.text_over_chunks_is(position, from, text);
        }
        let (mut at, shift) = (at + from / 8, 8 * (from % 8));
        // The words that so many bytes of the string from here on lie in, the bytes lowest.
        let bits = |at, bytes: usize| {
            let low = chunk.peek(at) >> shift;
            if shift + 8 * bytes > 64 { low | chunk.peek(at + 1) << (64 - shift) } else { low }
        };
        let (words, rest) = text.as_chunks::<8>();
        for word in words {
            if bits(at, 8) != u64::from_le_bytes(*word) {
                return false;
            }
            at += 1;
        }
        rest.is_empty() || (bits(at, rest.len()) ^ partial(text, rest.len())) << (64 - 8 * rest.len()) == 0
    }

    #[cold]
    #[inline(never)]
    fn text_over_chunks_is(self, position: Position, from: usize, text: &[u8]) -> bool {
        text.iter()
            .zip(from..)
            .all(|(&byte, index)| (self.word(position, index / 8) >> (8 * (index % 8))) as u8 == byte)
    }
}
