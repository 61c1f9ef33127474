//! A task's id as one segment of a path, and back.
//!
//! Every id survives, also one with a slash, a percent sign or NUL, and the empty one. The segment must come from the
//! raw path: in a decoded path, a slash of the id looks like a separator.

use std::fmt;

/// Encodes an id as one path segment: everything but ASCII letters, digits and `-_.~` becomes `%XX`.
///
/// In the ids `.` and `..` the dots are encoded, too, since they are steps in a path. (Browsers take them for steps
/// even so; clients that build the path themselves, such as [`pm-client`], do not.) The empty id is the empty segment.
///
/// # Examples
///
/// ```
/// assert_eq!(pm_wire::encode_id("a/b 50%"), "a%2Fb%2050%25");
/// assert_eq!(pm_wire::encode_id(".."), "%2E%2E");
/// ```
///
/// [`pm-client`]: https://docs.rs/pm-client
pub fn encode_id(id: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let dots = id == "." || id == "..";
    let mut out = String::with_capacity(id.len() + 8);
    for &byte in id.as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(byte as char),
            b'.' if !dots => out.push('.'),
            _ => {
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)] as char);
                out.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
    out
}

/// Decodes the id in a raw path segment. A `+` is a `+`, not a space.
///
/// # Errors
///
/// - [`DecodeIdError::BadPercent`]: a `%` is not followed by two hexadecimal digits.
/// - [`DecodeIdError::NotUtf8`]: the decoded bytes are not UTF-8, so no task has such an id.
pub fn decode_id(segment: &[u8]) -> Result<String, DecodeIdError> {
    let mut out = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            out.push(byte);
            rest = tail;
            continue;
        }
        let (high, low) = match tail {
            [high, low, ..] => (hex(*high), hex(*low)),
            _ => (None, None),
        };
        let (Some(high), Some(low)) = (high, low) else { return Err(DecodeIdError::BadPercent) };
        out.push(high << 4 | low);
        rest = &tail[2..];
    }
    String::from_utf8(out).map_err(|_| DecodeIdError::NotUtf8)
}

fn hex(digit: u8) -> Option<u8> {
    // A hexadecimal digit is less than 16.
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// The error of [`decode_id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeIdError {
    /// A `%` is not followed by two hexadecimal digits.
    BadPercent,
    /// The decoded bytes are not UTF-8.
    NotUtf8,
}

impl fmt::Display for DecodeIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecodeIdError::BadPercent => "a % in the path is not followed by two hexadecimal digits",
            DecodeIdError::NotUtf8 => "the id in the path is not UTF-8",
        })
    }
}

impl std::error::Error for DecodeIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_reachable_as_one_segment() {
        let every_low_char: String = (0..0x250).filter_map(char::from_u32).collect();
        let ids = [
            "",
            ".",
            "..",
            "...",
            "/",
            "a/b",
            "a//b",
            "x/history",
            "a/",
            "\0",
            "%",
            "50%",
            "p%41",
            "%2F",
            "a+b",
            "a?b",
            "a#b",
            "<b>&",
            "q\"uote",
            "semi;colon",
            "with space",
            "ünï",
            "日本",
            "🦀",
            "\u{10ffff}",
            "history",
            "procs",
            "a\\b",
            "\r\n",
            &every_low_char,
        ];
        for id in ids {
            let segment = encode_id(id);
            assert!(segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)), "{segment}");
            assert!(segment != "." && segment != "..");
            assert_eq!(decode_id(segment.as_bytes()).as_deref(), Ok(id));
        }
    }

    #[test]
    fn raw_text_and_lower_case_digits_are_read() {
        assert_eq!(decode_id("ünï+%2f".as_bytes()).as_deref(), Ok("ünï+/"));
    }

    #[test]
    fn a_percent_sign_needs_two_digits() {
        for bad in ["%", "50%", "%4", "%4g", "%g4", "a%%41", "%+1"] {
            assert_eq!(decode_id(bad.as_bytes()), Err(DecodeIdError::BadPercent), "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_not_an_id() {
        assert_eq!(decode_id(b"%FF%FE"), Err(DecodeIdError::NotUtf8));
    }
}
