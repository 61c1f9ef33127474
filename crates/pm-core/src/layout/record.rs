//! The records of a slot's log, in whole words.
//!
//! A record begins with a header in the low bits of its first word: 4 bits of type, then lengths. Strings follow as
//! packed bytes, least significant first; numbers have their own words, so that they can be changed in place.
//!
//! | record | header bits | then |
//! |---|---|---|
//! | id, kind | length 12 | text |
//! | text attribute | name 8, value 13, spare words 7 | name and value, spare words |
//! | number attribute | name 8, type 4, pad to 16 | name, pad, value word |
//! | unset | name 8, pad to 16 | name |
//! | status | length 12, ticks since start 48 | text |
//! | far status | length 12 | ticks word, text |
//! | cancel mark | | ticks word |
//! | progress | unit length 12, pad to 16 | unit, pad, done word, total word |

pub(crate) const ID: u64 = 1;
pub(crate) const KIND: u64 = 2;
pub(crate) const TEXT: u64 = 3;
pub(crate) const NUMBER: u64 = 4;
pub(crate) const UNSET: u64 = 5;
pub(crate) const STATUS: u64 = 6;
pub(crate) const FAR_STATUS: u64 = 7;
pub(crate) const CANCEL_MARK: u64 = 8;
pub(crate) const PROGRESS: u64 = 9;

/// Types of a number attribute.
pub(crate) const I64: u64 = 0;

pub(crate) const U64: u64 = 1;
pub(crate) const F64: u64 = 2;
pub(crate) const BOOL: u64 = 3;

/// The header of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head(pub(crate) u64);

impl Head {
    /// The most spare words of a text attribute.
    pub(crate) const MOST_SPARE: usize = 0x7f;

    #[inline]
    pub(crate) fn text(kind: u64, len: usize) -> Self {
        Self(kind | (len as u64) << 4)
    }

    #[inline]
    pub(crate) fn attr_text(name: usize, value: usize) -> Self {
        Self(TEXT | (name as u64) << 4 | (value as u64) << 12)
    }

    /// Gives the record of a text attribute words that it does not need: a longer value had them before.
    #[inline(always)]
    pub(crate) fn with_spare(self, words: usize) -> Self {
        Self(self.0 | (words as u64) << 25)
    }

    #[inline(always)]
    fn spare(self) -> usize {
        (self.0 >> 25) as usize & Self::MOST_SPARE
    }

    #[inline(always)]
    pub(crate) fn kind(self) -> u64 {
        self.0 & 0xf
    }
    /// The length of the only string of an id, kind, status or progress record.
    #[inline(always)]
    pub(crate) fn text_len(self) -> usize {
        (self.0 >> 4 & 0xfff) as usize
    }
    #[inline(always)]
    pub(crate) fn name_len(self) -> usize {
        (self.0 >> 4 & 0xff) as usize
    }
    #[inline(always)]
    pub(crate) fn value_len(self) -> usize {
        (self.0 >> 12 & 0x1fff) as usize
    }
    #[inline(always)]
    pub(crate) fn number_type(self) -> u64 {
        self.0 >> 12 & 0xf
    }
    /// The ticks between the start of the task and a status.
    #[inline(always)]
    pub(crate) fn delta(self) -> u64 {
        self.0 >> 16
    }

    /// The bytes from the start of the record to its first string.
    #[inline(always)]
    pub(crate) fn text_at(self) -> usize {
        match self.kind() {
            TEXT => 4,
            STATUS => 8,
            FAR_STATUS => 16,
            _ => 2,
        }
    }

    /// The words of the whole record, at least one.
    #[inline(always)]
    pub(crate) fn words(self) -> usize {
        match self.kind() {
            ID | KIND => words_for(2 + self.text_len()),
            TEXT => words_for(4 + self.name_len() + self.value_len()) + self.spare(),
            NUMBER => words_for(2 + self.name_len()) + 1,
            UNSET => words_for(2 + self.name_len()),
            STATUS => 1 + words_for(self.text_len()),
            FAR_STATUS => 2 + words_for(self.text_len()),
            CANCEL_MARK => 2,
            PROGRESS => words_for(2 + self.text_len()) + 2,
            _ => 1,
        }
    }

    /// Returns `true` if the record is a history entry.
    #[inline(always)]
    pub(crate) fn is_entry(self) -> bool {
        matches!(self.kind(), STATUS | FAR_STATUS | CANCEL_MARK)
    }

    /// Returns `true` if the record sets or removes the attribute whose name follows.
    #[inline(always)]
    pub(crate) fn is_attr(self) -> bool {
        matches!(self.kind(), TEXT | NUMBER | UNSET)
    }
}

#[inline(always)]
pub(crate) const fn words_for(bytes: usize) -> usize {
    bytes.div_ceil(8)
}

/// A record to be written: header, strings, then words.
pub(crate) struct Record<'a> {
    head: u64,
    head_bits: u32,
    /// A word between header and text (far statuses).
    time: Option<u64>,
    strings: [&'a [u8]; 2],
    tail: [u64; 2],
    tail_len: usize,
    raw: Option<&'a [u64]>,
}

impl<'a> Record<'a> {
    fn new(head: u64, head_bits: u32, first: &'a [u8], second: &'a [u8]) -> Self {
        Self { head, head_bits, time: None, strings: [first, second], tail: [0; 2], tail_len: 0, raw: None }
    }

    pub(crate) fn text(kind: u64, text: &'a str) -> Self {
        Self::strings(Head::text(kind, text.len()), text, "")
    }

    /// A record of nothing but a header and strings.
    pub(crate) fn strings(head: Head, first: &'a str, second: &'a str) -> Self {
        Self::new(head.0, 8 * head.text_at() as u32, first.as_bytes(), second.as_bytes())
    }

    pub(crate) fn attr_number(name: &'a str, number_type: u64, value: u64) -> Self {
        let head = NUMBER | (name.len() as u64) << 4 | number_type << 12;
        let mut record = Self::new(head, 16, name.as_bytes(), &[]);
        record.tail[0] = value;
        record.tail_len = 1;
        record
    }

    pub(crate) fn unset(name: &'a str) -> Self {
        Self::new(UNSET | (name.len() as u64) << 4, 16, name.as_bytes(), &[])
    }

    pub(crate) fn progress(unit: &'a str, done: u64, total: u64) -> Self {
        let mut record = Self::text(PROGRESS, unit);
        record.tail = [done, total];
        record.tail_len = 2;
        record
    }

    pub(crate) fn status(text: &'a str, delta: u64) -> Self {
        let len = (text.len() as u64) << 4;
        if delta < 1 << 48 {
            Self::new(status_head(text.len(), delta), 64, text.as_bytes(), &[])
        } else {
            let mut record = Self::new(FAR_STATUS | len, 64, text.as_bytes(), &[]);
            record.time = Some(delta);
            record
        }
    }

    pub(crate) fn cancel_mark(delta: u64) -> Record<'static> {
        let mut record = Record::new(CANCEL_MARK, 64, &[], &[]);
        record.time = Some(delta);
        record
    }

    /// A record that was read, to be written in another place.
    pub(crate) fn raw(words: &'a [u64]) -> Self {
        Self { raw: Some(words), ..Self::new(0, 0, &[], &[]) }
    }

    #[inline]
    pub(crate) fn words(&self) -> usize {
        self.raw.map_or_else(|| Head(self.head).words(), <[u64]>::len)
    }

    /// Passes the words of the record to `put`, in order.
    #[inline(always)]
    pub(crate) fn write(&self, mut put: impl FnMut(u64)) {
        if let Some(words) = self.raw {
            return words.iter().copied().for_each(put);
        }
        let mut packer = Packer { word: self.head, bits: self.head_bits };
        if packer.bits == 64 {
            put(packer.word);
            packer = Packer { word: 0, bits: 0 };
        }
        if let Some(time) = self.time {
            put(time);
        }
        packer.text(self.strings[0], &mut put);
        if !self.strings[1].is_empty() {
            packer.text(self.strings[1], &mut put);
        }
        if packer.bits > 0 {
            put(packer.word);
        }
        for &tail in &self.tail[..self.tail_len] {
            put(tail);
        }
    }
}

/// Passes a header and the strings after it to `put`, in whole words.
#[inline(always)]
pub(crate) fn pack(head: Head, first: &[u8], second: &[u8], mut put: impl FnMut(u64)) {
    let mut packer = Packer { word: head.0, bits: 8 * head.text_at() as u32 };
    packer.text(first, &mut put);
    packer.text(second, &mut put);
    if packer.bits > 0 {
        put(packer.word);
    }
}

/// Packs bytes into words: fewer than 64 bits wait for more.
struct Packer {
    word: u64,
    bits: u32,
}

impl Packer {
    #[inline(always)]
    fn text(&mut self, text: &[u8], put: &mut impl FnMut(u64)) {
        let (words, rest) = text.as_chunks::<8>();
        for word in words {
            let next = u64::from_le_bytes(*word);
            put(self.word | next << self.bits);
            // A shift in two steps, as one by 64 bits is not defined.
            self.word = (next >> 1) >> (63 - self.bits);
        }
        if !rest.is_empty() {
            let next = partial(text, rest.len());
            self.word |= next << self.bits;
            let bits = self.bits + 8 * rest.len() as u32;
            if bits >= 64 {
                put(self.word);
                self.word = (next >> 1) >> (63 - self.bits);
            }
            self.bits = bits % 64;
        }
    }
}

/// The bits of a status record's header with its type and the length of its string.
pub(crate) const STATUS_HEAD: u64 = 0xffff;

/// Returns the header of a status record.
#[inline]
pub(crate) fn status_head(len: usize, delta: u64) -> u64 {
    STATUS | (len as u64) << 4 | delta << 16
}

/// Passes a string to `put` in whole words, with the index of each.
#[inline(always)]
pub(crate) fn put_text(text: &[u8], mut put: impl FnMut(usize, u64)) {
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        put(at, u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        put(words.len(), partial(text, rest.len()));
    }
}

/// Returns the last `count` (1 to 7) bytes of `text` as a number, least significant first.
#[inline]
pub(super) fn partial(text: &[u8], count: usize) -> u64 {
    if let Some(last) = text.last_chunk::<8>() {
        return u64::from_le_bytes(*last) >> (64 - 8 * count);
    }
    // The string is shorter than a word, so `count` is its length: read it in two overlapping halves.
    if let (Some(low), Some(high)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << (8 * (count - 4));
    }
    let mut word = 0;
    for (index, &byte) in text.iter().enumerate() {
        word |= u64::from(byte) << (8 * index);
    }
    word
}

/// Makes nothing of what may be a mixture of two values: strings of attributes become question marks, the total of the
/// progress is unknown.
pub(crate) fn hide_overwritten(mut records: &mut [u8]) {
    while let Some(first) = records.first_chunk() {
        let head = Head(u64::from_le_bytes(*first));
        let Some((record, rest)) = std::mem::take(&mut records).split_at_mut_checked(head.words() * 8) else { return };
        records = rest;
        match head.kind() {
            TEXT => record[4 + head.name_len()..][..head.value_len()].fill(b'?'),
            PROGRESS => record[(head.words() - 1) * 8..].fill(0),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(record: &Record<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        record.write(|word| out.extend_from_slice(&word.to_le_bytes()));
        assert_eq!(out.len(), record.words() * 8);
        out
    }

    #[test]
    fn strings_of_every_length_come_back_whole() {
        let alphabet: String = (0..300).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
        for name_len in 0..40 {
            for value_len in 0..40 {
                let (name, value) = (&alphabet[..name_len], &alphabet[100..100 + value_len]);
                let out = bytes(&Record::strings(Head::attr_text(name.len(), value.len()), name, value));
                assert_eq!(&out[4..4 + name_len], name.as_bytes());
                assert_eq!(&out[4 + name_len..4 + name_len + value_len], value.as_bytes());
            }
            let name = &alphabet[..name_len];
            assert_eq!(&bytes(&Record::text(ID, name))[2..2 + name_len], name.as_bytes());
            assert_eq!(&bytes(&Record::status(name, 7))[8..8 + name_len], name.as_bytes());
            assert_eq!(&bytes(&Record::status(name, u64::MAX))[16..16 + name_len], name.as_bytes());
            let number = bytes(&Record::attr_number(name, U64, 0x1122_3344_5566_7788));
            assert_eq!(&number[2..2 + name_len], name.as_bytes());
            assert_eq!(number[number.len() - 8..], 0x1122_3344_5566_7788_u64.to_le_bytes());
        }
    }

    #[test]
    fn a_mixture_of_two_values_is_hidden_in_place() {
        let mut all = Vec::new();
        all.extend(bytes(&Record::text(ID, "id")));
        all.extend(bytes(&Record::strings(Head::attr_text(4, 12), "name", "old and new!")));
        all.extend(bytes(&Record::progress("rows", 3, 7)));
        let mut hidden = all.clone();
        hide_overwritten(&mut hidden);
        let mut expected = bytes(&Record::text(ID, "id"));
        expected.extend(bytes(&Record::strings(Head::attr_text(4, 12), "name", "????????????")));
        expected.extend(bytes(&Record::progress("rows", 3, 0)));
        assert_eq!(hidden, expected);
    }

    #[test]
    fn spare_words_belong_to_the_record_of_a_text_attribute() {
        let needed = Head::attr_text(4, 9);
        let head = needed.with_spare(Head::MOST_SPARE);
        assert_eq!((head.name_len(), head.value_len(), head.kind()), (4, 9, TEXT));
        assert_eq!(head.words(), needed.words() + Head::MOST_SPARE);
    }
}
