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

/// Passes the id of a task that was given none to `use_text`. Formatted by hand: many tasks have no other id, and
/// `format!` takes as long as starting a task.
#[inline]
pub(crate) fn numbered<R>(serial: u64, use_text: impl FnOnce(&str) -> R) -> R {
    const NAME: &[u8] = b"task-";
    let (mut bytes, mut at, mut rest) = ([b'0'; NAME.len() + 20], NAME.len() + 20, serial);
    loop {
        at -= 1;
        bytes[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let from = at - NAME.len();
    bytes[from..at].copy_from_slice(NAME);
    // Letters and digits only.
    use_text(std::str::from_utf8(&bytes[from..]).unwrap_or_default())
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
    fn an_id_that_is_made_is_what_formatting_would_give() {
        for serial in [0, 7, 10, 1_234_567_890, u64::MAX] {
            numbered(serial, |id| assert_eq!(id, format!("task-{serial}")));
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
