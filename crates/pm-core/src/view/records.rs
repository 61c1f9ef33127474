//! The records of a row.

use super::values::{Text, ValueView};
use crate::layout::record;
use crate::layout::record::Head;
use crate::layout::row::word;

/// The records of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Records<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordView<'a>> {
        let head = Head(u64::from_le_bytes(*self.bytes.first_chunk()?));
        let (bytes, rest) = self.bytes.split_at_checked(head.words() * 8)?;
        self.bytes = rest;
        Some(RecordView { head, bytes })
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct RecordView<'a> {
    pub(super) head: Head,
    bytes: &'a [u8],
}

impl<'a> RecordView<'a> {
    #[inline]
    pub(super) fn word(&self, at: usize) -> u64 {
        word(self.bytes, at)
    }

    #[inline(always)]
    fn slice(&self, from: usize, len: usize) -> Text<'a> {
        Text(self.bytes.get(from..from + len).unwrap_or_default())
    }

    /// The text of an id, kind, status or progress record.
    #[inline]
    pub(super) fn text(&self) -> Text<'a> {
        self.slice(self.head.text_at(), self.head.text_len())
    }

    /// Ticks between the start of the task and this entry.
    pub(super) fn delta(&self) -> u64 {
        match self.head.kind() {
            record::STATUS => self.head.delta(),
            _ => self.word(1),
        }
    }

    /// The name in an attribute's record.
    #[inline(always)]
    pub(super) fn name(&self) -> Text<'a> {
        self.slice(self.head.text_at(), self.head.name_len())
    }

    /// Returns the name of an attribute, and its value or `None` if it was removed.
    #[inline]
    pub(super) fn attr(self) -> Option<(Text<'a>, Option<ValueView<'a>>)> {
        if !self.head.is_attr() {
            return None;
        }
        let name = self.name();
        let value = match self.head.kind() {
            record::TEXT => {
                let from = self.head.text_at() + self.head.name_len();
                Some(ValueView::Text(self.slice(from, self.head.value_len())))
            }
            record::NUMBER => {
                let word = self.word(self.head.words() - 1);
                Some(match self.head.number_type() {
                    record::I64 => ValueView::I64(word.cast_signed()),
                    record::F64 => ValueView::F64(f64::from_bits(word)),
                    record::BOOL => ValueView::Bool(word != 0),
                    _ => ValueView::U64(word),
                })
            }
            _ => None,
        };
        Some((name, value))
    }
}
