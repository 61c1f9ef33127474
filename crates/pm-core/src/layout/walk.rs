//! Walks through the records of a task, in its slot and in the chunks behind it.
//!
//! For memory that does not change in the meantime: under the lock of the task's writers, or after its end.

use super::chunk::WORDS;
use super::record;
use super::record::Head;
use super::words::{CURSOR, Cursor, KEPT, LOG, PAYLOAD, RING, Tail, next_of};
use crate::slot::gate::{Slot, Writer};
use crate::slot::log::Position;

/// An entry of a task that ended.
pub(crate) struct EntryAt<'w> {
    pub(crate) writer: &'w Writer,
    pub(crate) position: Position,
    pub(crate) head: Head,
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

impl Slot {
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
}

impl Writer {
    /// Calls `visit` with each record of the log: first those in the slot, then those in `kept`.
    pub(crate) fn each_record(&self, mut visit: impl FnMut(Position, Head, bool)) {
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

    pub(crate) fn step(&self, position: Position, mut words: usize) -> Position {
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

    #[inline]
    pub(crate) fn word(&self, position: Position, offset: usize) -> u64 {
        let position = self.step(position, offset);
        position.chunk.peek(position.at)
    }

    /// Whether the text that begins `from` bytes into the record is `text`.
    pub(crate) fn text_is(&self, position: Position, from: usize, text: &[u8]) -> bool {
        let mut word = (usize::MAX, 0);
        text.iter().enumerate().all(|(index, &byte)| {
            let at = (from + index) / 8;
            if word.0 != at {
                word = (at, self.word(position, at));
            }
            (word.1 >> (8 * ((from + index) % 8))) as u8 == byte
        })
    }
}
