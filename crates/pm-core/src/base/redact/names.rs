//! Names that look like those of secrets.

use std::borrow::Cow;

use super::LOOKED_AT;

/// A word that marks a name as secret. `_` stands for any separator or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    text: Cow<'a, str>,
    /// Only as a separate word; else also as part of one.
    alone: bool,
}

const fn part(text: &'static str) -> Word<'static> {
    Word { text: Cow::Borrowed(text), alone: false }
}

const fn alone(text: &'static str) -> Word<'static> {
    Word { text: Cow::Borrowed(text), alone: true }
}

/// Change [`may_be_secret`] with them; a test compares the two.
const WORDS: [Word<'static>; 16] = [
    part("authorization"),
    part("cookie"),
    part("password"),
    part("passwd"),
    part("pwd"),
    part("secret"),
    part("token"),
    part("api_key"),
    part("credential"),
    part("private_key"),
    part("session"),
    part("bearer"),
    part("signature"),
    alone("auth"),
    alone("oauth"),
    alone("dsn"),
];

/// The last word of names that say how many, how long or how large.
const FIGURES: [&str; 12] =
    ["count", "total", "limit", "length", "len", "size", "bytes", "age", "ttl", "ms", "secs", "seconds"];

/// Returns the set of the letters in a name, in any case; other characters count as letters as well.
#[inline(always)]
pub(crate) fn letters(name: &str) -> u32 {
    name.bytes().fold(0, |set, byte| set | 1 << (byte & 31))
}

const fn set(letters: &str) -> u32 {
    let (bytes, mut set, mut at) = (letters.as_bytes(), 0, 0);
    while at < bytes.len() {
        set |= 1 << (bytes[at] & 31);
        at += 1;
    }
    set
}

/// Returns `true` if a name with these letters may contain one of the words.
#[inline(always)]
pub(crate) fn may_be_secret(letters: u32) -> bool {
    let has = |wanted: u32| letters & wanted == wanted;
    // Few tests for most names: all other words have an `e`.
    has(const { set("pwd") })
        || has(const { set("auth") })
        || has(const { set("dsn") })
        || has(const { set("e") })
            && (has(const { set("cookie") })
                || has(const { set("secret") })
                || has(const { set("token") })
                || has(const { set("apikey") })
                || has(const { set("credential") })
                || has(const { set("session") })
                || has(const { set("bearer") })
                || has(const { set("signature") }))
}

/// The words of one list in addition to those of all lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretWords {
    pub(super) words: Vec<Word<'static>>,
    /// The letters of each.
    letters: Vec<u32>,
}

impl SecretWords {
    pub(crate) fn add(&mut self, name: &str) {
        let mut text = String::new();
        for (at, letter) in name.char_indices() {
            if is_boundary(name.as_bytes(), at) {
                text.push('_');
            }
            text.push(if letter.is_ascii() { lower(letter as u8).into() } else { letter });
        }
        // Separators at the ends, or several in a row, are ignored.
        let text = text.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_");
        let word = Word { alone: text.len() < 5, text: Cow::Owned(text) };
        if !word.text.is_empty() && !self.words.contains(&word) {
            self.letters
                .push(word.text.bytes().filter(|&byte| byte != b'_').fold(0, |set, byte| set | 1 << (byte & 31)));
            self.words.push(word);
        }
    }

    /// Returns `true` if a name with these letters may contain one of these words; see [`may_be_secret`].
    #[inline(always)]
    pub(crate) fn may_have(&self, letters: u32) -> bool {
        self.letters.iter().any(|&wanted| wanted & !letters == 0)
    }

    /// Returns `true` if the value of an attribute or parameter with this name is masked.
    #[cold]
    pub(crate) fn is_secret(&self, name: &str, number: bool) -> bool {
        let name = &name.as_bytes()[..name.len().min(LOOKED_AT)];
        let plain: Vec<u8> = name.iter().copied().map(lower).collect();
        self.words.iter().any(|word| word.occurs(name, &plain, false))
            || !is_figure(name, &plain) && WORDS.iter().any(|word| word.occurs(name, &plain, number))
    }
}

/// Returns a letter or digit in lower case, and `_` for any separator.
fn lower(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() || !byte.is_ascii() { byte.to_ascii_lowercase() } else { b'_' }
}

/// Returns `true` if a word ends, or begins, before the byte at `at`.
fn is_boundary(name: &[u8], at: usize) -> bool {
    let (Some(before), Some(&after)) = (at.checked_sub(1).map(|at| name[at]), name.get(at)) else { return true };
    let separates = |byte: u8| lower(byte) == b'_';
    let next_is_lower = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
    separates(before)
        || separates(after)
        || before.is_ascii_digit() != after.is_ascii_digit()
        || before.is_ascii_lowercase() && after.is_ascii_uppercase()
        // `HTTPAuth`: the last capital belongs to what follows.
        || before.is_ascii_uppercase() && after.is_ascii_uppercase() && next_is_lower
}

fn is_figure(name: &[u8], plain: &[u8]) -> bool {
    FIGURES.iter().any(|figure| plain.ends_with(figure.as_bytes()) && is_boundary(name, name.len() - figure.len()))
}

impl Word<'_> {
    fn occurs(&self, name: &[u8], plain: &[u8], number: bool) -> bool {
        (0..plain.len()).any(|start| {
            let Some(end) = self.ends(&plain[start..]).map(|len| start + len) else { return false };
            let is_count = number && plain.get(end) == Some(&b's') && is_boundary(name, end + 1);
            !is_count && (!self.alone || is_boundary(name, start) && is_boundary(name, end))
        })
    }

    /// Returns the length of this word in `plain`, if `plain` begins with it.
    fn ends(&self, plain: &[u8]) -> Option<usize> {
        let mut at = 0;
        for byte in self.text.bytes() {
            let here = plain.get(at) == Some(&byte);
            if !here && byte != b'_' {
                return None;
            }
            at += usize::from(here);
        }
        Some(at)
    }
}
