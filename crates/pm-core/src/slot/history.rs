//! The history of a task: its first entries, and the newest ones, which replace older ones.

use super::gate::{NoSpace, Writer};
use crate::base::sync::Ordering;
use crate::layout::chunk::{Chunk, WORDS};
use crate::layout::record;
use crate::layout::record::Record;
use crate::layout::words::*;

/// In the word about the ring's oldest chunk: one entry more in the ring.
const ONE_ENTRY: u64 = 1 << 32;

#[inline(always)]
fn write_status(chunk: &Chunk, at: usize, text: &str, delta: u64) {
    chunk.put(at, record::status_head(text.len(), delta));
    record::put_text(text.as_bytes(), |offset, word| chunk.put(at + 1 + offset, word));
}

impl Writer {
    /// Sets the status of a task that starts now, without reading the clock.
    #[inline]
    pub(crate) fn first_status(&self, text: &str) -> Result<(), NoSpace> {
        self.status_after(0, text)
    }

    #[inline(always)]
    pub(crate) fn status(&self, text: &str) -> Result<(), NoSpace> {
        self.status_after(self.stamp(), text)
    }

    /// Sets a status, so many ticks after the start.
    #[inline(always)]
    fn status_after(&self, delta: u64, text: &str) -> Result<(), NoSpace> {
        let cursor = self.cursor();
        let words = 1 + record::words_for(text.len());
        let at = LOG + cursor.used();
        if delta >= 1 << 48 {
            return self.entry(&Record::status(text, delta));
        }
        // A shortcut for what `entry` does: nearly every status takes one of these two ways.
        let chunk = self.slot.chunk;
        if cursor.entries() < self.slot.store.limits.first_entries {
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
                let newest = self.slot.store.slab.chunks.get(index);
                write_status(newest, tail.used(), text, delta);
                newest.put(STARTS, newest.get(STARTS) + 1);
                chunk.put(RING_OLD, chunk.get(RING_OLD) + ONE_ENTRY);
                // Release: pairs with the Acquire of readers, which then see the words below it.
                chunk.word(RING).store(tail.add_words(words).0, Ordering::Release);
                self.set_cursor(cursor.add_entry());
                return Ok(());
            }
        }
        self.entry(&Record::status(text, delta))
    }

    /// Adds a history entry; the newest ones replace older ones, except for the first.
    #[cold]
    pub(super) fn entry(&self, record: &Record<'_>) -> Result<(), NoSpace> {
        let limits = &self.slot.store.limits;
        if self.cursor().entries() < limits.first_entries {
            self.log(record)?;
        } else {
            self.ring(record)?;
        }
        self.set_cursor(self.cursor().add_entry());
        Ok(())
    }

    pub(super) fn ring(&self, record: &Record<'_>) -> Result<(), NoSpace> {
        let chunk = self.slot.chunk;
        let chunks = &self.slot.store.slab.chunks;
        let newest = self.slot.store.limits.newest_entries;
        let tail = Tail(chunk.get(RING));
        let old = chunk.get(RING_OLD);
        let mut oldest = (old as u32).checked_sub(1);
        let garbage = old & 0xffff << 48;
        let mut entries = (old >> 32 & 0xffff) + 1;
        let grown = self.append(tail, record, |tail_index| {
            // The oldest chunk is reused when all entries that begin in it are beyond the limit.
            let index = oldest.filter(|&index| Some(index) != tail_index)?;
            let starts = chunks.get(index).get(STARTS);
            if entries - starts < newest {
                return None;
            }
            entries -= starts;
            oldest = next_of(chunks.get(index));
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
}
