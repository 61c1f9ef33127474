//! A buffer for JSON.
//!
//! A list consists of many short strings, and writing them costs mostly the checks for space and the calls that copy.
//! So the buffer reserves more space than needed, and short strings are copied in whole words.

use pm_core::terminal::is_unsafe;

use crate::json::unicode_escapes;

/// Space that is reserved after each string, for the literals that follow it.
const SLACK: usize = 256;
/// The sizes of a growing buffer: for a row, a list of about ten tasks, a part of a long list. Then it doubles.
const SIZES: [usize; 3] = [1 << 10, 8 << 10, 72 << 10];
/// All numbers of two digits.
pub(crate) const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// A buffer that grows at its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Out {
    /// Initialised beyond `used`.
    bytes: Vec<u8>,
    used: usize,
}

impl Out {
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn written(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(std::mem::take(&mut self.used));
        bytes
    }

    /// Reserves space for `more` bytes and [`SLACK`].
    #[inline(always)]
    fn reserve(&mut self, more: usize) {
        if self.bytes.len() - self.used < more + SLACK {
            self.grow(more);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        // The new part is zeroed, too, so a short answer gets little of it.
        let now = self.bytes.len();
        let next = SIZES.into_iter().find(|&size| size > now).unwrap_or(2 * now);
        self.bytes.resize(next.max(self.used + more + SLACK), 0);
    }

    /// Adds a string of known length, at most [`SLACK`] bytes, which needs no escaping.
    #[inline(always)]
    pub(crate) fn literal<const LEN: usize>(&mut self, text: &[u8; LEN]) {
        self.reserve(0);
        self.bytes[self.used..self.used + LEN].copy_from_slice(text);
        self.used += LEN;
    }

    /// Adds a string that needs no escaping, fastest if it has at most 32 bytes.
    #[inline(always)]
    pub(crate) fn short(&mut self, text: &[u8]) {
        self.reserve(text.len());
        let to = &mut self.bytes[self.used..self.used + text.len()];
        self.used += text.len();
        match text.len() {
            17..=32 => copy_ends::<16>(to, text),
            8..=16 => copy_ends::<8>(to, text),
            4..=7 => copy_ends::<4>(to, text),
            2..=3 => copy_ends::<2>(to, text),
            _ => to.copy_from_slice(text),
        }
    }

    /// Adds a JSON string with its quotes. `text` must be UTF-8.
    #[inline]
    pub(crate) fn string(&mut self, text: &[u8]) {
        self.literal(b"\"");
        self.escaped(text);
        self.literal(b"\"");
    }

    /// Adds the inside of a JSON string.
    #[inline(always)]
    pub(crate) fn escaped(&mut self, text: &[u8]) {
        if is_plain(text) {
            self.short(text);
        } else {
            self.escape(text);
        }
    }

    #[cold]
    #[inline(never)]
    fn escape(&mut self, text: &[u8]) {
        let text = std::str::from_utf8(text).unwrap_or_default();
        let mut plain = 0;
        for (at, character) in text.char_indices() {
            let mut codes = [0; 12];
            let escape: &[u8] = match character {
                '"' => br#"\""#,
                '\\' => br"\\",
                '\n' => br"\n",
                '\r' => br"\r",
                '\t' => br"\t",
                // What a terminal or a page would obey.
                character if is_unsafe(character) => unicode_escapes(character, &mut codes),
                _ => continue,
            };
            self.short(&text.as_bytes()[plain..at]);
            self.short(escape);
            plain = at + character.len_utf8();
        }
        self.short(&text.as_bytes()[plain..]);
    }

    /// Adds a number in decimal.
    #[inline]
    pub(crate) fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        while number >= 10 {
            at -= 2;
            digits[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
            number /= 100;
        }
        // One digit is left, or none if the last pair was the rest.
        if number > 0 || at == digits.len() {
            at -= 1;
            digits[at] = b'0' + number as u8;
        }
        self.short(&digits[at..]);
    }
}

/// Copies a string of `HALF` to `2 * HALF` bytes: its beginning and its end, which may overlap.
#[inline(always)]
fn copy_ends<const HALF: usize>(to: &mut [u8], text: &[u8]) {
    if let (Some(to), Some(text)) = (to.first_chunk_mut::<HALF>(), text.first_chunk()) {
        *to = *text;
    }
    if let (Some(to), Some(text)) = (to.last_chunk_mut::<HALF>(), text.last_chunk()) {
        *to = *text;
    }
}

/// Returns `true` if the text is printable ASCII without quotes and backslashes, which needs no escaping.
///
/// Looks at eight bytes at a time.
#[inline(always)]
fn is_plain(text: &[u8]) -> bool {
    let (words, _) = text.as_chunks::<8>();
    if let Some(last) = text.last_chunk::<8>() {
        return words.iter().chain([last]).fold(0, |found, word| found | suspects(u64::from_le_bytes(*word))) == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let (low, high) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return suspects(u64::from(low) | u64::from(high) << 32) == 0;
    }
    text.iter().all(|&byte| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\')
}

/// Returns the highest bit of each byte that is not plain. Bytes above one that is not plain may be marked, too.
#[inline(always)]
fn suspects(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let is = |byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
    (word | word.wrapping_sub(ONES * 0x20) | word.wrapping_add(ONES) | is(b'"') | is(b'\\')) & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> String {
        let mut out = Out::default();
        out.string(text.as_bytes());
        String::from_utf8(out.take()).unwrap()
    }

    #[test]
    fn strings_are_escaped_and_come_back_whole() {
        for text in ["", "plain", "q\"b\\n\nr\rt\t\u{1}\u{1f}\u{7f}", "\u{2028}\u{2029}\u{2027}€ü", "<b>&\0"] {
            let json = string(text);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            assert!(!json.chars().any(is_unsafe), "{json}");
        }
        let all: String = ('\0'..=char::MAX).collect();
        let json = string(&all);
        assert!(!json.chars().any(is_unsafe));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), all);
    }

    #[test]
    fn a_character_to_escape_is_found_at_any_place_in_strings_of_any_length() {
        for length in 0..80 {
            let plain: String = (0..length).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
            assert!(is_plain(plain.as_bytes()));
            assert_eq!(string(&plain), format!("\"{plain}\""));
            for at in 0..length {
                for bad in ['"', '\\', '\0', '\n', '\u{1f}', '\u{7f}', 'é', '\u{2028}'] {
                    let text = format!("{}{bad}{}", &plain[..at], &plain[at..]);
                    assert!(!is_plain(text.as_bytes()), "{text:?}");
                    assert_eq!(serde_json::from_str::<String>(&string(&text)).unwrap(), text);
                }
            }
        }
    }

    #[test]
    fn every_byte_that_is_not_plain_is_suspect_and_no_other() {
        for byte in 0..=255_u8 {
            let plain = (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
            assert_eq!(is_plain(&[b'a', byte, b'a', b'a', b'a', b'a', b'a', b'a']), plain, "{byte}");
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in (0..1_100)
            .chain((1..20).flat_map(|power| [10_u64.pow(power) - 1, 10_u64.pow(power)]))
            .chain([12_345, u64::MAX])
        {
            let mut out = Out::default();
            out.number(number);
            assert_eq!(out.take(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn it_grows_as_needed_and_begins_anew_when_taken() {
        let mut out = Out::default();
        for length in [0, 1, 5_000, 100_000] {
            let text = "x".repeat(length);
            out.short(text.as_bytes());
            assert_eq!(out.len(), length);
            assert_eq!(out.take(), text.as_bytes());
        }
    }
}
