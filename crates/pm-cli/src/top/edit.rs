//! A line of input.

use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The longest input: that of a filter or a reason.
const MAX_CHARS: usize = 4_096;

#[derive(Clone, Debug, Default)]
pub(crate) struct Edit {
    text: Vec<char>,
    /// The position of the cursor.
    at: usize,
}

impl Edit {
    pub(crate) fn new(text: &str) -> Edit {
        let text: Vec<char> = text.chars().take(MAX_CHARS).collect();
        Edit { at: text.len(), text }
    }

    pub(crate) fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// The text before and after the cursor.
    pub(crate) fn parts(&self) -> (String, String) {
        (self.text[..self.at].iter().collect(), self.text[self.at..].iter().collect())
    }

    pub(crate) fn insert(&mut self, text: &str) {
        for c in text.chars() {
            // Line breaks become spaces.
            let c = if c.is_control() { ' ' } else { c };
            if self.text.len() < MAX_CHARS {
                self.text.insert(self.at, c);
                self.at += 1;
            }
        }
    }

    /// Replaces the last `chars` characters before the cursor.
    pub(crate) fn replace_before(&mut self, chars: usize, with: &str) {
        let from = self.at.saturating_sub(chars);
        self.text.drain(from..self.at);
        self.at = from;
        self.insert(with);
    }

    /// Handles a key; returns whether it was an editing key.
    pub(crate) fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if control => drop(self.text.drain(..std::mem::take(&mut self.at))),
            KeyCode::Char('k') if control => self.text.truncate(self.at),
            KeyCode::Char('a') if control => self.at = 0,
            KeyCode::Char('e') if control => self.at = self.text.len(),
            KeyCode::Char('w') if control => {
                let mut from = self.at;
                while from > 0 && self.text[from - 1] == ' ' {
                    from -= 1;
                }
                while from > 0 && self.text[from - 1] != ' ' {
                    from -= 1;
                }
                self.text.drain(from..self.at);
                self.at = from;
            }
            KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => return false,
            KeyCode::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace if self.at > 0 => {
                self.at -= 1;
                self.text.remove(self.at);
            }
            KeyCode::Backspace => {}
            KeyCode::Delete if self.at < self.text.len() => drop(self.text.remove(self.at)),
            KeyCode::Delete => {}
            KeyCode::Left => self.at = self.at.saturating_sub(1),
            KeyCode::Right => self.at = (self.at + 1).min(self.text.len()),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.text.len(),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_insert_and_delete() {
        let mut edit = Edit::new("kind=a b");
        for (code, modifiers) in [
            (KeyCode::Char('w'), KeyModifiers::CONTROL),
            (KeyCode::Backspace, KeyModifiers::NONE),
            (KeyCode::Home, KeyModifiers::NONE),
            (KeyCode::Delete, KeyModifiers::NONE),
            (KeyCode::Char('K'), KeyModifiers::SHIFT),
            (KeyCode::End, KeyModifiers::NONE),
            (KeyCode::Char('ü'), KeyModifiers::NONE),
            (KeyCode::Left, KeyModifiers::NONE),
            (KeyCode::Char('日'), KeyModifiers::NONE),
        ] {
            assert!(edit.key(KeyEvent::new(code, modifiers)));
        }
        assert_eq!((edit.text().as_str(), edit.parts().1.as_str()), ("Kind=a日ü", "ü"));
        edit.insert("x\ny");
        assert_eq!(edit.text(), "Kind=a日x yü");
        assert!(!edit.key(KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE)));
    }
}
