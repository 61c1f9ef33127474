//! Attributes and progress: the newest value of each counts.

use super::gate::{NoSpace, Writer};
use crate::layout::record;
use crate::layout::record::{Head, Record};
use crate::layout::walk::Position;
use crate::layout::words::*;

/// The bits of the book that show which names there may be; without them each new attribute would be searched for.
const NAMES: u64 = 0xffff << 48;

const ONE_ATTR: u64 = 1 << 32;

#[inline]
fn name_bit(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let first = bytes.first().map_or(0, |&byte| usize::from(byte));
    let last = bytes.last().map_or(0, |&byte| usize::from(byte));
    1 << (48 + (first + 3 * last + 5 * bytes.len()) % 16)
}

impl Writer {
    /// Sets an attribute to a string.
    #[inline(always)]
    pub(crate) fn set_text(&self, name: &str, value: &str) -> Result<(), NoSpace> {
        let old = self.find_attr(name);
        self.check_space(old)?;
        self.log_strings(Head::attr_text(name.len(), value.len()), name, value)?;
        self.replaced(name, old);
        Ok(())
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
        Ok(())
    }

    pub(crate) fn progress(&self, done: u64, total: u64, unit: &str) -> Result<(), NoSpace> {
        let (records, mut old) = (self.records(), None);
        records.each_record(|position, head, kept| {
            if head.kind() == record::PROGRESS {
                old = Some((position, head, kept));
            }
        });
        if let Some((position, head, _)) = old
            && records.word(position, head.words() - 1) == total
            && head.text_len() == unit.len()
            && records.text_is(position, head.text_at(), unit.as_bytes())
        {
            let done_at = records.step(position, head.words() - 2);
            done_at.chunk.put(done_at.at, done);
            return Ok(());
        }
        self.log(&Record::progress(unit, done, total))?;
        if let Some((_, head, kept)) = old {
            self.count_garbage(head, kept);
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn attrs(&self) -> u64 {
        self.slot.chunk.get(BOOK) >> 32 & 0xffff
    }

    /// Returns the newest record of an attribute, if it has a value.
    #[inline(always)]
    pub(super) fn find_attr(&self, name: &str) -> Option<(Position, Head, bool)> {
        if self.slot.chunk.get(BOOK) & NAMES & name_bit(name) == 0 { None } else { self.look_for_attr(name) }
    }

    #[inline(never)]
    pub(super) fn look_for_attr(&self, name: &str) -> Option<(Position, Head, bool)> {
        let (records, mut found) = (self.records(), None);
        records.each_record(|position, head, kept| {
            if head.is_attr()
                && head.name_len() == name.len()
                && records.text_is(position, head.text_at(), name.as_bytes())
            {
                found = Some((position, head, kept));
            }
        });
        found.filter(|(_, head, _)| head.kind() != record::UNSET)
    }

    /// Checks that there may be one attribute more, unless `old` is one of the same name.
    #[inline(always)]
    pub(super) fn check_space(&self, old: Option<(Position, Head, bool)>) -> Result<(), NoSpace> {
        if old.is_none() && self.attrs() >= self.slot.store.limits.attrs { Err(NoSpace) } else { Ok(()) }
    }

    /// Updates the book after a value was logged.
    #[inline(always)]
    pub(super) fn replaced(&self, name: &str, old: Option<(Position, Head, bool)>) {
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
