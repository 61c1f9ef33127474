//! The log of a task: in its slot while there is space, then in `kept`, which is compacted when most of it is obsolete.

use super::chain::Grown;
use super::gate::{NoSpace, Writer};
use crate::base::sync::{Ordering, fence, own};
use crate::layout::chunk::WORDS;
use crate::layout::record;
use crate::layout::record::{Head, Record};
use crate::layout::words::*;

/// The words of obsolete values that are not worth compacting.
const WORTH_COMPACTING: usize = if cfg!(loom) { 0 } else { 2 * PAYLOAD_WORDS };

impl Writer {
    /// Adds a record to the log, in the slot or behind it.
    #[inline]
    pub(crate) fn log(&self, record: &Record<'_>) -> Result<(), NoSpace> {
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

    /// Adds a record of nothing but strings: a shortcut for `log` while it fits into the slot.
    #[inline(always)]
    pub(crate) fn log_strings(&self, head: Head, first: &str, second: &str) -> Result<(), NoSpace> {
        let cursor = self.cursor();
        let at = LOG + cursor.used();
        let words = record::words_for(head.text_at() + first.len() + second.len());
        if cursor.has(Cursor::SPILLED) || at + words > WORDS {
            return self.log(&Record::strings(head, first, second));
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
    pub(super) fn spill(&self, record: &Record<'_>) -> Result<(), NoSpace> {
        let tail = Tail(self.slot.chunk.get(KEPT));
        let words = record.words();
        let full = tail.index().is_none() || tail.used() + words > WORDS;
        // Obsolete values are removed once they are more than half, and enough to be worth it.
        if full && self.garbage() > WORTH_COMPACTING && self.garbage() > self.kept_words() / 2 {
            self.compact();
        }
        self.append_kept(record)
    }

    pub(super) fn append_kept(&self, record: &Record<'_>) -> Result<(), NoSpace> {
        let tail = Tail(self.slot.chunk.get(KEPT));
        let grown = self.append(tail, record, |_| None)?;
        if tail.index().is_none() {
            self.set_kept_first(Some(grown.first_new));
        }
        self.slot.chunk.word(KEPT).store(grown.tail.0, Ordering::Release);
        Ok(())
    }

    /// Rewrites `kept` without obsolete values. If there is no memory for that, all stays as it is.
    pub(super) fn compact(&self) {
        let slot = self.slot.chunk;
        let old_tail = Tail(slot.get(KEPT));
        let old_first = self.records().kept_first();
        // Of each name and of the progress only the newest record stays; a tombstone only where it hides a record in
        // the slot. This is rare, and costs what it cost to write the obsolete values.
        let mut records: Vec<(Vec<u64>, bool)> = Vec::new();
        let mut in_slot: Vec<Vec<u8>> = Vec::new();
        let mut newest: std::collections::HashMap<Option<Vec<u8>>, usize> = std::collections::HashMap::new();
        self.records().each_record(|position, head, kept| {
            let words: Vec<u64> = (0..head.words()).map(|offset| self.records().word(position, offset)).collect();
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
        let mut tail = Tail(old_tail.next_version().next_version().version() << 40);
        let mut first = None;
        for (words, _) in records.iter().filter(|(_, stays)| *stays) {
            match self.append_words(tail, words) {
                Ok(grown) => {
                    first.get_or_insert(grown.first_new);
                    tail = grown.tail;
                }
                Err(NoSpace) => return self.free_chain(first),
            }
        }
        slot.word(KEPT).store(tail.0, Ordering::Release);
        self.set_kept_first(first);
        self.set_garbage(0);
        self.free_chain(old_first);
        if !self.may_overwrite() {
            // What asked for this has had its time.
            self.slot.cancel().fetch_and(!cancel::READ, Ordering::Relaxed);
        }
    }

    /// Returns `true` unless readers have asked for a moment in which no value is overwritten.
    #[inline(always)]
    pub(super) fn may_overwrite(&self) -> bool {
        own(self.slot.cancel()) & cancel::READ == 0
    }

    /// Overwrites words that readers may be copying: who copies some of them before and some after sees the version of
    /// `kept` change.
    #[inline(always)]
    pub(super) fn overwrite(&self, write: impl FnOnce()) {
        let kept = self.slot.chunk.word(KEPT);
        let odd = Tail(own(kept)).next_version();
        kept.store(odd.0, Ordering::Relaxed);
        // Pairs with the reader's Acquire fence: who sees a new word sees that the version is odd, or a later one.
        fence(Ordering::Release);
        write();
        // Release: pairs with the Acquire of readers, which then see all new words.
        kept.store(odd.next_version().0, Ordering::Release);
    }

    pub(super) fn append_words(&self, tail: Tail, words: &[u64]) -> Result<Grown, NoSpace> {
        self.append(tail, &Record::raw(words), |_| None)
    }

    pub(super) fn set_kept_first(&self, first: Option<u32>) {
        let book = self.slot.chunk.get(BOOK) & !0xffff_ffff;
        self.slot.chunk.put(BOOK, book | first.map_or(0, |first| u64::from(first) + 1));
    }

    pub(super) fn kept_words(&self) -> usize {
        let tail = Tail(self.slot.chunk.get(KEPT));
        tail.index().map_or(0, |index| {
            Place(self.slot.store.slab.chunks.get(index).get(PLACE)).ordinal() as usize * PAYLOAD_WORDS + tail.used()
                - PAYLOAD
        })
    }

    pub(super) fn garbage(&self) -> usize {
        (self.slot.chunk.get(RING_OLD) >> 48) as usize
    }

    pub(super) fn set_garbage(&self, words: usize) {
        let rest = self.slot.chunk.get(RING_OLD) & !(0xffff << 48);
        self.slot.chunk.put(RING_OLD, rest | (words.min(0xffff) as u64) << 48);
    }
}
