//! Attributes and progress: the newest value of each counts.

use super::gate::{NoSpace, Writer};
use crate::layout::chunk::WORDS;
use crate::layout::record;
use crate::layout::record::{Head, Record};
use crate::layout::walk::Position;
use crate::layout::words::*;

/// One attribute in the book, which counts them in 14 bits.
const ONE_ATTR: u64 = 1 << 32;

/// The bits of the book that show which names there may be; without them each new attribute would be searched for.
const NAMES: u64 = 0x1fff << 46;

/// The place in the slot of the record that was found last and is still the newest of its name, counted from 1.
const FOUND: u32 = 59;

#[inline]
fn name_bit(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let first = bytes.first().map_or(0, |&byte| usize::from(byte));
    let last = bytes.last().map_or(0, |&byte| usize::from(byte));
    1 << (46 + (first + 3 * last + 5 * bytes.len()) % 13)
}

impl Writer {
    /// Sets an attribute to a string.
    #[inline(always)]
    pub(crate) fn set_text(&self, name: &str, value: &str) -> Result<(), NoSpace> {
        let old = self.find_attr(name);
        if let Some((position, head, _)) = old
            && self.overwrite_text(position, head, name, value)
        {
            return Ok(());
        }
        self.check_space(old)?;
        self.log_strings(Head::attr_text(name.len(), value.len()), name, value)?;
        self.replaced(name, old);
        Ok(())
    }

    /// Writes a text in place of an older one, unless that is too short, or far too long. Returns `false` then.
    #[inline(always)]
    fn overwrite_text(&self, Position { chunk, at }: Position, old: Head, name: &str, value: &str) -> bool {
        if old.kind() != record::TEXT {
            return false;
        }
        let new = Head::attr_text(name.len(), value.len());
        let (words, needed) = (old.words(), new.words());
        let fits = words >= needed && words - needed <= Head::MOST_SPARE;
        if !fits || at + words > WORDS || !self.may_overwrite() {
            return false;
        }
        self.overwrite(|| {
            let mut to = at;
            record::pack(new.with_spare(words - needed), name.as_bytes(), value.as_bytes(), |word| {
                chunk.put(to, word);
                to += 1;
            });
        });
        true
    }

    /// Sets an attribute to a number.
    pub(crate) fn set_number(&self, name: &str, number_type: u64, value: u64) -> Result<(), NoSpace> {
        let old = self.find_attr(name);
        if let Some((position, head, _)) = old
            && head.kind() == record::NUMBER
            && head.number_type() == number_type
        {
            // One word: a reader sees the old number or the new one.
            let value_at = self.records().step(position, head.words() - 1);
            value_at.chunk.put(value_at.at, value);
            return Ok(());
        }
        self.check_space(old)?;
        self.log(&Record::attr_number(name, number_type, value))?;
        self.replaced(name, old);
        Ok(())
    }

    pub(crate) fn unset(&self, name: &str) -> Result<(), NoSpace> {
        let Some((_, head, kept)) = self.find_attr(name) else { return Ok(()) };
        let record = Record::unset(name);
        self.log(&record)?;
        self.count_garbage(head, kept);
        // The tombstone itself is obsolete when the log is next compacted.
        self.count_garbage(Head(record::UNSET | (name.len() as u64) << 4), true);
        self.slot.chunk.put(BOOK, self.slot.chunk.get(BOOK) - ONE_ATTR);
        self.set_found(None);
        Ok(())
    }

    pub(crate) fn progress(&self, done: u64, total: u64, unit: &str) -> Result<(), NoSpace> {
        let records = self.records();
        let old = self.newest(|_, head| head.kind() == record::PROGRESS);
        if let Some((position, head, _)) = old
            && head.text_len() == unit.len()
            && records.text_is(position, head.text_at(), unit.as_bytes())
        {
            let [done_at, total_at] = [2, 1].map(|from_end| records.step(position, head.words() - from_end));
            if total_at.chunk.get(total_at.at) == total {
                done_at.chunk.put(done_at.at, done);
                return Ok(());
            }
            if self.may_overwrite() {
                self.overwrite(|| {
                    done_at.chunk.put(done_at.at, done);
                    total_at.chunk.put(total_at.at, total);
                });
                return Ok(());
            }
        }
        self.log(&Record::progress(unit, done, total))?;
        if let Some((_, head, kept)) = old {
            self.count_garbage(head, kept);
            self.set_found(None);
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn attrs(&self) -> u64 {
        self.slot.chunk.get(BOOK) >> 32 & 0x3fff
    }

    /// Returns the newest record of an attribute, if it has a value.
    #[inline(always)]
    pub(super) fn find_attr(&self, name: &str) -> Option<(Position, Head, bool)> {
        if self.slot.chunk.get(BOOK) & NAMES & name_bit(name) == 0 { None } else { self.look_for_attr(name) }
    }

    #[inline(never)]
    pub(super) fn look_for_attr(&self, name: &str) -> Option<(Position, Head, bool)> {
        let records = self.records();
        let found = self.newest(|position, head| {
            head.is_attr()
                && head.name_len() == name.len()
                && records.text_is(position, head.text_at(), name.as_bytes())
        });
        found.filter(|(_, head, _)| head.kind() != record::UNSET)
    }

    /// Returns the newest of the records that are meant, and whether it is in `kept`.
    #[inline(always)]
    fn newest(&self, mut is_meant: impl FnMut(Position, Head) -> bool) -> Option<(Position, Head, bool)> {
        let chunk = self.slot.chunk;
        if let Some(at) = (chunk.get(BOOK) >> FOUND).checked_sub(1) {
            let position = Position { chunk, at: LOG + at as usize };
            let head = Head(chunk.get(position.at));
            if is_meant(position, head) {
                return Some((position, head, false));
            }
        }
        let mut found = None;
        self.records().each_record(|position, head, kept| {
            if is_meant(position, head) {
                found = Some((position, head, kept));
            }
        });
        self.set_found(found.filter(|(.., kept)| !kept).map(|(position, ..)| position));
        found
    }

    fn set_found(&self, found: Option<Position>) {
        let place = found.map_or(0, |position| position.at - LOG + 1) as u64;
        let book = self.slot.chunk.get(BOOK) & !(u64::MAX << FOUND);
        self.slot.chunk.put(BOOK, book | place << FOUND);
    }

    /// Checks that there may be one attribute more, unless `old` is one of the same name.
    #[inline(always)]
    pub(super) fn check_space(&self, old: Option<(Position, Head, bool)>) -> Result<(), NoSpace> {
        if old.is_none() && self.attrs() >= self.slot.store.limits.attrs { Err(NoSpace) } else { Ok(()) }
    }

    /// Updates the book after a value was logged.
    #[inline(always)]
    pub(super) fn replaced(&self, name: &str, old: Option<(Position, Head, bool)>) {
        self.set_found(None);
        match old {
            Some((_, head, kept)) => self.count_garbage(head, kept),
            None => {
                let chunk = self.slot.chunk;
                chunk.put(BOOK, (chunk.get(BOOK) + ONE_ATTR) | name_bit(name));
            }
        }
    }

    pub(super) fn count_garbage(&self, head: Head, kept: bool) {
        if kept {
            self.set_garbage(self.garbage() + head.words());
        }
    }
}
