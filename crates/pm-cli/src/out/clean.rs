//! Text from elsewhere, made safe to show.
//!
//! A status or an id may hold what a terminal obeys: escape sequences, controls, marks that turn the direction of
//! writing, characters without width. They are shown as `\u{1b}`, never obeyed. All that is printed passes here.

use std::fmt::Write as _;

/// The text with every dangerous character as a visible escape; a line break is one of them.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_dangerous(c) {
            // A string accepts whatever is written to it.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// JSON with every dangerous character in its escaped form, so that it means the same. Takes compact JSON, where such
/// characters can only be inside strings.
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_dangerous(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn is_dangerous(c: char) -> bool {
    matches!(c,
        // C0, DEL and C1
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // the twelve of Bidi_Control
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // without width
        | '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        // line and paragraph separators
        | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        assert_eq!(line("a\u{1b}]0;PWNED\u{7}\r\nb"), "a\\u{1b}]0;PWNED\\u{7}\\u{d}\\u{a}b");
        assert_eq!(line("\u{7f}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}").matches("\\u{").count(), 7);
    }

    #[test]
    fn ordinary_text_of_any_script_is_left_alone() {
        for text in ["", "reading block 7", "ünï 日本 🦀 עברית", "C:\\u{41}"] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn json_means_the_same_and_holds_no_control() {
        let value = serde_json::json!({ "s": "\u{1b}[2J\u{9b}\u{202e}\u{7f}\u{2028}é\u{e0041}" });
        let text = json(&value.to_string());
        assert!(!text.chars().any(is_dangerous), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
