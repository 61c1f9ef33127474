//! Writes shapes as JSON whose strings nothing obeys that shows them.

use std::io::{self, Write};

use pm_core::terminal::is_unsafe;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// Writes a shape as JSON. Characters that a terminal or a page would obey are written as escapes, such as `\\u001b` or
/// `\\u202e`, which a reader of JSON reads as the same characters.
///
/// ```
/// let json = pm_wire::to_json(&["caf\u{e9}\u{9b}2J"]);
/// assert_eq!(json, "[\"caf\u{e9}\\u009b2J\"]".as_bytes());
/// ```
#[must_use]
pub fn to_json(shape: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::new();
    // Shapes have strings, numbers, and maps with strings as keys, which can all be written.
    let _ = shape.serialize(&mut Serializer::with_formatter(&mut json, Escaping));
    json
}

/// JSON without spaces.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, found)) = rest.char_indices().find(|&(_, c)| is_unsafe(c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            writer.write_all(unicode_escapes(found, &mut [0; 12]))?;
            rest = &rest[at + found.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Writes a character as one or two escapes of JSON.
pub(crate) fn unicode_escapes(character: char, codes: &mut [u8; 12]) -> &[u8] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut units = [0; 2];
    let units = character.encode_utf16(&mut units);
    for (code, unit) in codes.chunks_exact_mut(6).zip(&*units) {
        code.copy_from_slice(br"\u0000");
        for (digit, place) in code[2..].iter_mut().zip([12, 8, 4, 0]) {
            *digit = HEX[usize::from(unit >> place & 0xf)];
        }
    }
    &codes[..6 * units.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_characters_come_back_and_none_is_raw_that_is_obeyed() {
        let all: String = ('\0'..=char::MAX).collect();
        let json = String::from_utf8(to_json(&all)).unwrap();
        assert!(!json.chars().any(is_unsafe));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), all);
        assert!(json.len() < all.len() + 10_000, "no others are escaped");
    }
}
