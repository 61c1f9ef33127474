//! Escapes untrusted text.
//!
//! A status or an id may contain characters that a terminal interprets: escape sequences, controls, bidirectional
//! marks, characters without width. They are printed as `\u{1b}`. Everything printed passes through here.

use std::fmt::Write as _;

use pm::terminal::{escaped, is_unsafe};

/// Escapes every unsafe character visibly, line breaks included.
pub(crate) fn line(text: &str) -> String {
    escaped(text).to_string()
}

/// Escapes unsafe characters in compact JSON, where they can only be inside strings, without changing its meaning.
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_control_characters_are_escaped() {
        assert_eq!(line("a\u{1b}]0;PWNED\u{7}\r\nb"), "a\\u{1b}]0;PWNED\\u{7}\\u{d}\\u{a}b");
        assert_eq!(line("\u{7f}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}").matches("\\u{").count(), 7);
    }

    #[test]
    fn ordinary_text_of_any_script_is_unchanged() {
        for text in ["", "reading block 7", "ünï 日本 🦀 עברית", "C:\\u{41}"] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn json_keeps_its_meaning_and_has_no_control_characters() {
        let value = serde_json::json!({ "s": "\u{1b}[2J\u{9b}\u{202e}\u{7f}\u{2028}é\u{e0041}" });
        let text = json(&value.to_string());
        assert!(!text.chars().any(is_unsafe), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
