//! Strings without an allocation: cut to a limit, hashed, formatted.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::fmt::Write;

const ELLIPSIS: &str = "…";

/// Returns `text`, or as much of it as fits into `limit` bytes with an ellipsis.
#[inline]
pub(crate) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit { Cow::Borrowed(text) } else { Cow::Owned(cut_off(text, limit)) }
}

#[cold]
pub(crate) fn cut_off(text: &str, limit: usize) -> String {
    let end = floor(text, limit.saturating_sub(ELLIPSIS.len()));
    [&text[..end], ELLIPSIS].concat()
}

/// Returns the last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0)
}

/// The longest part of a kind that an id is made of.
const MAX_OF_KIND: usize = 32;

/// Passes the id of a task that was given none to `use_text`: letters and digits of its kind and its serial, such as
/// `GET-hosts-id-131`; `task-131` without a kind. It needs no quotes in a shell and no escapes in a URL.
///
/// Formatted by hand: many tasks have no other id, and `format!` takes as long as starting a task.
#[inline]
pub(crate) fn numbered<R>(kind: &str, serial: u64, use_text: impl FnOnce(&str) -> R) -> R {
    const DIGITS: usize = 20;
    let mut bytes = [b'-'; MAX_OF_KIND + 1 + DIGITS];
    let mut end = 0;
    for &byte in kind.as_bytes() {
        let is_kept = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        // Whatever else stands between two words becomes one hyphen, which is there already.
        if is_kept || end > 0 && bytes[end - 1] != b'-' {
            if end == MAX_OF_KIND {
                break;
            }
            bytes[end] = if is_kept { byte } else { b'-' };
            end += 1;
        }
    }
    if end > 0 && bytes[end - 1] == b'-' {
        end -= 1;
    }
    if end == 0 {
        bytes[..4].copy_from_slice(b"task");
        end = 4;
    }
    let (mut digits, mut from, mut rest) = ([b'0'; DIGITS], DIGITS, serial);
    loop {
        from -= 1;
        digits[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    bytes[end] = b'-';
    let length = end + 1 + DIGITS - from;
    bytes[end + 1..length].copy_from_slice(&digits[from..]);
    // ASCII only.
    use_text(std::str::from_utf8(&bytes[..length]).unwrap_or_default())
}

/// Returns the hash of an id, for its tag.
#[inline]
pub(crate) fn hash(text: &str) -> u32 {
    let mut hash = text.len() as u64;
    let mut mix = |word: u64| hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut rest = text.as_bytes();
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        mix(u64::from_le_bytes(*eight));
        rest = after;
    }
    if let Some(eight) = text.as_bytes().last_chunk::<8>() {
        mix(u64::from_le_bytes(*eight));
    } else {
        mix(rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
    }
    (hash >> 32) as u32
}

/// The longest formatted string that is looked at: more than any limit, so that a cut is recognised as one, and a
/// secret at the limit is seen in full.
const MAX_FORMATTED: usize = super::limits::MAX_VALUE + 1024;

struct Limited<'b>(&'b mut String);

impl Write for Limited<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let space = MAX_FORMATTED - self.0.len();
        if text.len() <= space {
            self.0.push_str(text);
            return Ok(());
        }
        // Longer than any limit: what fits is cut once more, which adds the ellipsis.
        self.0.push_str(&text[..floor(text, space)]);
        Err(fmt::Error)
    }
}

std::thread_local! {
    static BUFFER: Cell<String> = const { Cell::new(String::new()) };
}

/// Formats into this thread's buffer, and passes the string to `use_text`. No lock is held while the program's code
/// formats, and a panic of it reaches the caller.
#[inline]
pub(crate) fn format<R>(args: fmt::Arguments<'_>, use_text: impl FnOnce(&str) -> R) -> R {
    if let Some(text) = args.as_str() {
        return use_text(text);
    }
    // Taken out for the duration: the code that formats may itself set a status, and then gets another buffer.
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    // An error comes from a full buffer or from the value itself: the string so far is shown.
    let _ = Limited(&mut buffer).write_fmt(args);
    let result = use_text(&buffer);
    let _ = BUFFER.try_with(|kept| kept.set(buffer));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_the_words_of_the_kind_and_the_serial() {
        for (kind, name) in [
            ("", "task"),
            ("import", "import"),
            ("GET /hosts/{id}", "GET-hosts-id"),
            ("/pm.v1.Greeter/SayHello", "pm.v1.Greeter-SayHello"),
            ("app::jobs::send_mail", "app-jobs-send_mail"),
            ("/", "task"),
            ("été", "t"),
            ("импорт", "task"),
            ("a kind that is far longer than what is of use in an id", "a-kind-that-is-far-longer-than-w"),
            ("a kind that is cut at one of its blanks", "a-kind-that-is-cut-at-one-of-its"),
            ("*** \u{7f}\n", "task"),
        ] {
            for serial in [0, 7, 10, 1_234_567_890, u64::MAX] {
                numbered(kind, serial, |id| assert_eq!(id, format!("{name}-{serial}")));
            }
        }
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_says_so() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello!", 5), "he…");
        assert_eq!(cut("ééé", 5), "é…");
        assert_eq!(cut("𝄞𝄞", 4), "…");
    }
}
