//! Escapes text from elsewhere, so that it can be shown without being obeyed.
//!
//! An id, a status or a reason may contain characters that a terminal or a page obeys: control characters, marks that
//! turn the direction of writing, characters without a width. This is the one list of them; whatever shows such text
//! to people escapes these and no others.
//!
//! ```
//! use pm_core::terminal;
//!
//! assert_eq!(terminal::escaped("import\u{1b}[2J").to_string(), r"import\u{1b}[2J");
//! assert!(terminal::is_unsafe('\u{202e}') && !terminal::is_unsafe('é'));
//! ```

use std::fmt;
use std::ops::RangeInclusive;

/// The characters that are escaped, in their order.
pub const UNSAFE: &[RangeInclusive<char>] = &[
    '\0'..='\u{1f}',           // C0
    '\u{7f}'..='\u{9f}',       // DEL and C1
    '\u{ad}'..='\u{ad}',       // soft hyphen
    '\u{61c}'..='\u{61c}',     // a mark of direction
    '\u{180e}'..='\u{180e}',   // Mongolian vowel separator: without a width
    '\u{200b}'..='\u{200f}',   // without a width, and two marks of direction
    '\u{2028}'..='\u{202e}',   // separators of lines and paragraphs; embedding and overriding a direction
    '\u{2060}'..='\u{2064}',   // without a width
    '\u{2066}'..='\u{206f}',   // isolating a direction; deprecated formatting
    '\u{feff}'..='\u{feff}',   // byte order mark
    '\u{fff9}'..='\u{fffb}',   // annotations
    '\u{e0000}'..='\u{e007f}', // tags
];

/// Returns whether the character is one of [`UNSAFE`].
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    // Printable ASCII is nearly all there is.
    !(' '..='~').contains(&c) && UNSAFE.iter().any(|range| range.contains(&c))
}

/// Shows the text with each [unsafe](is_unsafe) character as an escape, such as `\u{1b}`. A line break is one of them,
/// so the result is one line.
#[must_use]
pub fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text)
}

/// A text that is shown with escapes; made by [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, found)) = rest.char_indices().find(|&(_, c)| is_unsafe(c)) {
            write!(f, "{}{}", &rest[..at], found.escape_unicode())?;
            rest = &rest[at + found.len_utf8()..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(escaped("a\u{1b}]0;PWNED\u{7}\r\nb").to_string(), r"a\u{1b}]0;PWNED\u{7}\u{d}\u{a}b");
        let steering = "\u{7f}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}";
        assert_eq!(escaped(steering).to_string().matches("\\u{").count(), 7);
    }

    #[test]
    fn ordinary_text_of_any_script_is_left_alone() {
        for text in ["", "reading block 7", "ünï 日本 🦀 עברית", r"C:\u{41}"] {
            assert_eq!(escaped(text).to_string(), text);
        }
    }

    #[test]
    fn all_control_characters_are_unsafe_and_no_range_meets_another() {
        let end = if cfg!(miri) { 0x3000 } else { 0x11_0000 };
        assert!((0..end).filter_map(char::from_u32).filter(|c| c.is_control()).all(is_unsafe));
        assert!(UNSAFE.iter().all(|range| range.start() <= range.end()));
        assert!(UNSAFE.windows(2).all(|pair| pair[0].end() < pair[1].start()));
    }
}
