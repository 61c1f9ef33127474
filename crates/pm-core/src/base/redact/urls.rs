//! Masks secrets in strings: the user information of URLs and of data source names, and values of parameters with a
//! secret name.

use std::borrow::Cow;
use std::ops::Range;

use super::names::{Form, SecretWords, is_known_key, letters};
use super::{LOOKED_AT, MASK};

/// How many levels of encoding of a value are decoded.
const DEPTH: usize = 3;

/// The longest name of an assignment, in bytes.
const LONGEST_NAME: usize = 128;

/// How often a string is searched, at most.
const ROUNDS: usize = 8;

impl SecretWords {
    /// Returns `text` without its secrets; borrowed if it has none.
    #[cold]
    pub(crate) fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        // A masked secret may have hidden another one around it, as a `/` in a value does: the next round finds that.
        for _ in 0..ROUNDS {
            let Some(more) = self.mask_once(&masked) else { break };
            masked = Cow::Owned(more);
        }
        masked
    }

    fn mask_once(&self, text: &str) -> Option<String> {
        let mut end = text.len().min(LOOKED_AT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let secrets = Search::new(self, &text.as_bytes()[..end], DEPTH).run();
        if secrets.iter().all(|secret| &text[secret.clone()] == MASK) {
            return None;
        }
        let (mut masked, mut from) = (String::with_capacity(end), 0);
        for Range { start, end } in secrets {
            // Secrets begin and end at ASCII characters.
            masked.push_str(&text[from..start]);
            masked.push_str(MASK);
            from = end;
        }
        masked.push_str(&text[from..end]);
        if end < text.len() {
            masked.push('…');
        }
        Some(masked)
    }
}

/// A search through a string, from its start to its end.
struct Search<'s> {
    words: &'s SecretWords,
    text: &'s [u8],
    /// How many levels of encoding are decoded.
    depth: usize,
    found: Vec<Range<usize>>,
    /// The last `@` before a blank, as far as it was looked for, and that blank.
    last_at: (Option<usize>, usize),
}

impl<'s> Search<'s> {
    fn new(words: &'s SecretWords, text: &'s [u8], depth: usize) -> Self {
        Self { words, text, depth, found: Vec::new(), last_at: (None, 0) }
    }

    /// Returns the places of the secrets: in order, none within another.
    fn run(mut self) -> Vec<Range<usize>> {
        let mut at = 0;
        while at < self.text.len() {
            let begins_word = at == 0 || is_blank(self.text[at - 1]);
            let secret = if begins_word { self.assignment(at).or_else(|| self.source_name(at)) } else { None };
            let secret = secret.or_else(|| match self.text[at] {
                b'/' if self.text.get(at + 1) == Some(&b'/') => self.userinfo(at),
                b'?' | b'&' | b';' | b'#' => self.value(at + 1),
                _ => None,
            });
            at = secret.as_ref().map_or(at + 1, |secret| secret.end);
            self.found.extend(secret);
        }
        self.found
    }

    /// Returns the first place from `from` on with such a byte, or the end.
    fn find(&self, from: usize, is_it: impl Fn(u8) -> bool) -> usize {
        self.text[from..].iter().position(|&byte| is_it(byte)).map_or(self.text.len(), |offset| from + offset)
    }

    /// Returns the user information of a URL whose `//` is at `at`.
    fn userinfo(&mut self, at: usize) -> Option<Range<usize>> {
        let start = at + 2;
        let end =
            self.find(start, |byte| matches!(byte, b'/' | b'?' | b'#' | b'\\' | b'"' | b'<' | b'>') || is_blank(byte));
        let authority = &self.text[start..end];
        let has_scheme = at > 0 && self.text[at - 1] == b':';
        let user_end = match authority.iter().rposition(|&byte| byte == b'@') {
            // Without a scheme it is a URL only if it looks much like one.
            Some(user_end) if has_scheme || authority[..user_end].contains(&b':') => start + user_end,
            Some(_) => return None,
            None => {
                // A password with a `/`, `?` or `#` that should have been encoded, unless what follows `:` is a port.
                let port = authority.iter().position(|&byte| byte == b':').map(|colon| &authority[colon + 1..])?;
                if !has_scheme || authority[0] == b'[' || port.iter().all(u8::is_ascii_digit) {
                    return None;
                }
                self.last_at_in_word(start).filter(|&last| last > end)?
            }
        };
        (user_end > start).then_some(start..user_end)
    }

    fn last_at_in_word(&mut self, from: usize) -> Option<usize> {
        if from >= self.last_at.1 {
            let end = self.find(from, is_blank);
            self.last_at = (self.text[from..end].iter().rposition(|&byte| byte == b'@').map(|at| from + at), end);
        }
        self.last_at.0
    }

    /// Returns the value of `password=..` where a word begins, if it is secret.
    fn assignment(&self, at: usize) -> Option<Range<usize>> {
        // As in `--password=..`, `(password=..` and `"password=..`.
        let opens = |byte: &u8| matches!(byte, b'-' | b'(' | b'[' | b'{' | b'"' | b'\'' | b'`');
        let start = at + self.text[at..].iter().take(4).take_while(|&byte| opens(byte)).count();
        let is_name =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || !byte.is_ascii();
        let len = self.text[start..].iter().take(LONGEST_NAME).take_while(|&byte| is_name(byte)).count();
        let (name, value) = (&self.text[start..start + len], start + len + 1);
        // `==` compares.
        if self.text.get(value - 1) != Some(&b'=') || self.text.get(value) == Some(&b'=') {
            return None;
        }
        if !self.is_secret(name, value) {
            return None;
        }
        let range = self.quoted_or_plain(value);
        let text = &self.text[range.clone()];
        let harmless = ["true", "false", "yes", "no", "ok", "on", "off", "none", "null", "nil", "None"];
        // A number is a secret only if it may be a password.
        let is_number = text.iter().all(u8::is_ascii_digit);
        let says_little = harmless.iter().any(|word| text == word.as_bytes())
            || is_number && letters(&String::from_utf8_lossy(name)) & letters("pw") != letters("pw");
        (!range.is_empty() && !says_little).then_some(range)
    }

    /// Returns the user information of a data source name where a word begins: of `user:password@tcp(host)/db`,
    /// `user:password@/db`, or `user/password@//host`.
    fn source_name(&self, at: usize) -> Option<Range<usize>> {
        let word = &self.text[at..self.find(at, is_blank)];
        let user_end = word.iter().rposition(|&byte| byte == b'@')?;
        let (before, after) = word.split_at(user_end);
        let protocol = after[1..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let opens = |byte: &u8| matches!(byte, b'(' | b'[' | b'{' | b'"' | b'\'' | b'`');
        // As in `dsn="user:..`.
        let name = before.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let from = if before.get(name) == Some(&b'=') { name + 1 } else { 0 };
        let from = from + before[from..].iter().take_while(|&byte| opens(byte)).count();
        let user = &before[from..];
        let has = |byte| user.contains(&byte);
        let from = match (after.get(1 + protocol), after.get(2)) {
            (Some(b'('), _) if has(b':') && !user.windows(3).any(|three| three == b"://") => from,
            (Some(b'/'), Some(b'/')) if protocol == 0 && has(b'/') && !has(b'?') => {
                let slash = user.iter().position(|&byte| byte == b'/')?;
                from + user[..slash].iter().rposition(|&byte| byte == b':').map_or(0, |colon| colon + 1)
            }
            (Some(b'/'), next) if protocol == 0 && next != Some(&b'/') && has(b':') && !has(b'/') => from,
            _ => return None,
        };
        (from < user_end).then_some(at + from..at + user_end)
    }

    /// Returns the value of the parameter whose name begins at `start`, if it is secret.
    fn value(&self, start: usize) -> Option<Range<usize>> {
        // As in `Server=db1; Password=x`.
        let start = if self.text[start - 1] == b';' { self.find(start, |byte| byte != b' ') } else { start };
        let name_end = self.find(start, |byte| byte == b'=' || ends_name(byte));
        if self.text.get(name_end) != Some(&b'=') {
            return None;
        }
        let value = name_end + 1;
        if self.is_secret(&self.text[start..name_end], value) {
            let range = self.quoted_or_plain(value);
            return (!range.is_empty()).then_some(range);
        }
        // Up to where another name may begin, which is examined separately.
        let value_end = self.find(value, ends_name);
        self.hides(&self.text[value..value_end]).then_some(value..value_end)
    }

    /// Returns a value, with its quotes.
    fn quoted_or_plain(&self, value: usize) -> Range<usize> {
        let quote = self.text.get(value).filter(|byte| matches!(byte, b'"' | b'\''));
        let from = quote.map_or(value, |&quote| {
            let unquoted = self.find(value + 1, |byte| byte == quote) + 1;
            unquoted.min(self.text.len())
        });
        value..self.value_end(from)
    }

    /// Returns the end of a value. A `;` ends it only if another parameter follows.
    fn value_end(&self, from: usize) -> usize {
        let ends = |byte| matches!(byte, b'&' | b'#' | b'"' | b'<' | b'>') || is_blank(byte);
        let mut end = self.find(from, |byte| byte == b';' || ends(byte));
        while self.text.get(end) == Some(&b';') {
            let name = self.find(end + 1, |byte| byte != b' ');
            let name_end = self.find(name, |byte| matches!(byte, b';' | b'=') || ends(byte));
            if end + 1 == self.text.len() || self.text.get(name_end) == Some(&b'=') {
                break;
            }
            end = self.find(end + 1, |byte| byte == b';' || ends(byte));
        }
        end
    }

    /// Returns `true` if the value that begins at `value` is secret, by its name or by its beginning.
    fn is_secret(&self, name: &[u8], value: usize) -> bool {
        let value = value + usize::from(matches!(self.text.get(value), Some(b'"' | b'\'')));
        let value = &self.text[value..self.find(value, ends_name)];
        if is_known_key(value) {
            return true;
        }
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let form = if is_number { Form::Number } else { Form::of(value) };
        let mut name = Cow::Borrowed(name);
        for _ in 0..=DEPTH {
            if self.words.is_secret_parameter(&String::from_utf8_lossy(&name), form) {
                return true;
            }
            let Some(decoded) = decode(&name) else { return false };
            name = Cow::Owned(decoded);
        }
        false
    }

    /// Returns `true` if a value, once decoded, contains secrets.
    fn hides(&self, value: &[u8]) -> bool {
        let mut value = Cow::Borrowed(value);
        for _ in 0..self.depth {
            let Some(decoded) = decode(&value) else { return false };
            // It may be a query without its `?`. What is still encoded in it is decoded in the next round.
            let query = [b"?", &*decoded].concat();
            if !Search::new(self.words, &query, 0).run().is_empty() {
                return true;
            }
            value = Cow::Owned(decoded);
        }
        false
    }
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control()
}

fn ends_name(byte: u8) -> bool {
    matches!(byte, b'?' | b'&' | b';' | b'#' | b'"' | b'<' | b'>') || is_blank(byte)
}

/// Decodes percent-encoding; `None` if there is none.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |at: usize| text.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high << 4 | low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    (decoded.len() < text.len()).then_some(decoded)
}
