//! What looks like a secret is recorded as `***`: values of attributes by their names, and parts of URLs in any text.
//!
//! Masking happens before anything is stored, so that no reader, hook or log ever sees what was there. What is common
//! costs next to nothing: [`is_suspect`] and [`may_be_secret`] let through all that can't hold a secret, and a little
//! more; the rest of this file looks closely at what they stopped.
//!
//! **Names.** In any case, with `-`, `_`, `.` or nothing between their parts: those that contain one of the long words
//! below, or one of the short ones (`auth`, `oauth`, `dsn`) as a word of its own, between ends, separators, digits and
//! changes of case: `x-auth`, `userAuth` and `SENTRY_DSN`, but not `author` or `fieldsNumber`. What tells a figure about
//! secrets is none: names that end in one of [`FIGURES`] (`session_count`, `token_ttl`), and numbers whose name is a plural
//! (`max_tokens`).
//!
//! **Texts.** What stands before the `@` of a URL (`http://***@host`), and the value of a parameter with such a name, after
//! `?`, `&`, `;` or `#`: `/a?token=***&x=1`. Names may be percent-encoded; a value that is itself encoded and holds
//! anything of that sort is masked as a whole.

use std::borrow::Cow;
use std::ops::Range;

/// What is shown instead.
pub(crate) const MASK: &str = "***";

/// Nothing that is kept is longer than a part of this; what is beyond is not looked at, and not kept.
const LOOKED_AT: usize = 64 << 10;

/// How often a value may be encoded over and over, and still be seen through.
const DEPTH: usize = 3;

/// How often a text is looked through, at most.
const ROUNDS: usize = 8;

/// A word that tells a secret. `_` stands for any separator or none.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word<'a> {
    text: Cow<'a, str>,
    /// Only as a word of its own; else also as part of one.
    alone: bool,
}

const fn part(text: &'static str) -> Word<'static> {
    Word { text: Cow::Borrowed(text), alone: false }
}

const fn alone(text: &'static str) -> Word<'static> {
    Word { text: Cow::Borrowed(text), alone: true }
}

/// Change [`may_be_secret`] with it; a test compares them.
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

/// The last word of names that tell how many, how long or how large.
const FIGURES: [&str; 12] =
    ["count", "total", "limit", "length", "len", "size", "bytes", "age", "ttl", "ms", "secs", "seconds"];

/// Whether a text may hold something to mask: whether it has a `=` or `@`, without which there is nothing. Says yes to some
/// that have neither, never no to one that has.
#[inline(always)]
pub(crate) fn is_suspect(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(last) = bytes.last_chunk::<8>() else { return is_short_suspect(bytes) };
    let mut found = suspects(u64::from_le_bytes(*last));
    let mut rest = bytes;
    while rest.len() > 8
        && let Some((eight, after)) = rest.split_first_chunk::<8>()
    {
        found |= suspects(u64::from_le_bytes(*eight));
        rest = after;
    }
    found & HIGH != 0
}

#[inline(always)]
fn is_short_suspect(bytes: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let both = u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
        return suspects(both) & HIGH != 0;
    }
    bytes.iter().any(|byte| (b'='..=b'@').contains(byte))
}

const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// The high bit of each byte that is one of `=>?@`, or would be without its own high bit.
#[inline(always)]
fn suspects(eight: u64) -> u64 {
    let low = eight & !HIGH;
    // Each sum gets a high bit where the byte is at least `=`, and where it is more than `@`.
    (low + u64::from_ne_bytes([0x80 - b'='; 8])) ^ (low + u64::from_ne_bytes([0x7f - b'@'; 8]))
}

/// The set of the letters in a name, whatever their case; other characters count as letters, too.
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

/// Whether a name with these letters may have one of the words in it.
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

/// The words of one list besides those of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Also {
    words: Vec<Word<'static>>,
    /// The letters of each.
    letters: Vec<u32>,
}

impl Also {
    pub(crate) fn add(&mut self, name: &str) {
        let mut text = String::new();
        for (at, letter) in name.char_indices() {
            if is_boundary(name.as_bytes(), at) {
                text.push('_');
            }
            text.push(if letter.is_ascii() { lower(letter as u8).into() } else { letter });
        }
        // Separators at the ends, or several of them, say nothing.
        let text = text.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_");
        let word = Word { alone: text.len() < 5, text: Cow::Owned(text) };
        if !word.text.is_empty() && !self.words.contains(&word) {
            self.letters
                .push(word.text.bytes().filter(|&byte| byte != b'_').fold(0, |set, byte| set | 1 << (byte & 31)));
            self.words.push(word);
        }
    }

    /// The same as [`may_be_secret`], for these.
    #[inline(always)]
    pub(crate) fn may_have(&self, letters: u32) -> bool {
        self.letters.iter().any(|&wanted| wanted & !letters == 0)
    }

    /// Whether the value of what has this name is to be masked.
    #[cold]
    pub(crate) fn is_secret(&self, name: &str, number: bool) -> bool {
        let name = &name.as_bytes()[..name.len().min(LOOKED_AT)];
        let plain: Vec<u8> = name.iter().copied().map(lower).collect();
        self.words.iter().any(|word| word.occurs(name, &plain, false))
            || !tells_a_figure(name, &plain) && WORDS.iter().any(|word| word.occurs(name, &plain, number))
    }

    /// `text` without its secrets; borrowed if it has none.
    #[cold]
    pub(crate) fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        // What is masked may have hidden what is around it, as a `/` in a value does: then there is more in the next round.
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
            // What is found ends at ASCII characters.
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

/// Lower case, and `_` for all that separates.
fn lower(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() || !byte.is_ascii() { byte.to_ascii_lowercase() } else { b'_' }
}

/// Whether a word ends, or begins, before the byte at `at`.
fn is_boundary(name: &[u8], at: usize) -> bool {
    let (Some(before), Some(&after)) = (at.checked_sub(1).map(|at| name[at]), name.get(at)) else { return true };
    let separates = |byte: u8| lower(byte) == b'_';
    separates(before)
        || separates(after)
        || before.is_ascii_digit() != after.is_ascii_digit()
        || before.is_ascii_lowercase() && after.is_ascii_uppercase()
        // `HTTPAuth`: the last capital belongs to what follows.
        || before.is_ascii_uppercase() && after.is_ascii_uppercase() && name.get(at + 1).is_some_and(u8::is_ascii_lowercase)
}

fn tells_a_figure(name: &[u8], plain: &[u8]) -> bool {
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

    /// How much of `plain` is this word, if it begins with it.
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

/// A way through a text, from its start to its end.
struct Search<'s> {
    also: &'s Also,
    text: &'s [u8],
    /// How often a value is decoded.
    depth: usize,
    found: Vec<Range<usize>>,
    /// The last `@` before a blank, as far as it was looked for, and that blank.
    last_at: (Option<usize>, usize),
}

impl<'s> Search<'s> {
    fn new(also: &'s Also, text: &'s [u8], depth: usize) -> Self {
        Self { also, text, depth, found: Vec::new(), last_at: (None, 0) }
    }

    /// Where the secrets are: in order, none within another.
    fn run(mut self) -> Vec<Range<usize>> {
        let mut at = 0;
        while at < self.text.len() {
            let secret = match self.text[at] {
                b'/' if self.text.get(at + 1) == Some(&b'/') => self.userinfo(at),
                b'?' | b'&' | b';' | b'#' => self.value(at + 1),
                _ => None,
            };
            at = secret.as_ref().map_or(at + 1, |secret| secret.end);
            self.found.extend(secret);
        }
        self.found
    }

    /// The first place from `from` on where there is such a byte, or the end.
    fn find(&self, from: usize, is_it: impl Fn(u8) -> bool) -> usize {
        self.text[from..].iter().position(|&byte| is_it(byte)).map_or(self.text.len(), |offset| from + offset)
    }

    /// What stands before the `@` of a URL whose `//` is at `at`.
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

    /// The value of the parameter whose name begins at `start`, if it is secret.
    fn value(&self, start: usize) -> Option<Range<usize>> {
        // As in `Server=db1; Password=x`.
        let start = if self.text[start - 1] == b';' { self.find(start, |byte| byte != b' ') } else { start };
        let name_end = self.find(start, |byte| byte == b'=' || ends_name(byte));
        if self.text.get(name_end) != Some(&b'=') {
            return None;
        }
        let value = name_end + 1;
        if self.is_secret(&self.text[start..name_end]) {
            let quote = self.text.get(value).filter(|byte| matches!(byte, b'"' | b'\''));
            let value_end = self.value_end(quote.map_or(value, |&quote| {
                let unquoted = self.find(value + 1, |byte| byte == quote) + 1;
                unquoted.min(self.text.len())
            }));
            return (value_end > value).then_some(value..value_end);
        }
        // Up to where another name may begin, which is looked at by itself.
        let value_end = self.find(value, ends_name);
        self.hides(&self.text[value..value_end]).then_some(value..value_end)
    }

    /// Where a value ends. A `;` ends it only if another parameter follows.
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

    fn is_secret(&self, name: &[u8]) -> bool {
        let mut name = Cow::Borrowed(name);
        for _ in 0..=DEPTH {
            let text = String::from_utf8_lossy(&name);
            let letters = letters(&text);
            if (may_be_secret(letters) || self.also.may_have(letters)) && self.also.is_secret(&text, false) {
                return true;
            }
            let Some(decoded) = decode(&name) else { return false };
            name = Cow::Owned(decoded);
        }
        false
    }

    /// Whether a value, decoded, has secrets in it.
    fn hides(&self, value: &[u8]) -> bool {
        let mut value = Cow::Borrowed(value);
        for _ in 0..self.depth {
            let Some(decoded) = decode(&value) else { return false };
            // It may be a query without its `?`. What is still encoded in it is looked at in the next round.
            let query = [b"?", &*decoded].concat();
            if !Search::new(self.also, &query, 0).run().is_empty() {
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

/// Takes percent-encoding away; `None` if there is none.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        let masked = Also::default().mask(text).into_owned();
        assert!(masked == text || is_suspect(text), "the quick look lets `{text}` through");
        assert_eq!(Also::default().mask(&masked), masked, "masked once more");
        masked
    }

    fn is_secret(name: &str, number: bool) -> bool {
        let is = Also::default().is_secret(name, number);
        assert!(!is || may_be_secret(letters(name)), "the quick look lets `{name}` through");
        is
    }

    #[test]
    fn names_that_look_secret_are_found_in_every_spelling() {
        for name in [
            "password",
            "Password",
            "DB_PASSWORD",
            "db-password",
            "dbPassword",
            "userpwd",
            "passwd",
            "token",
            "authToken",
            "access_token",
            "tokens",
            "x-api-key",
            "apikey",
            "apiKey",
            "API_KEY",
            "Authorization",
            "proxy-authorization",
            "auth",
            "x-auth",
            "userAuth",
            "HTTPAuth",
            "auth2",
            "OAuth",
            "oauth_verifier",
            "Set-Cookie",
            "secret",
            "client_secret",
            "credentials",
            "private_key",
            "privateKey",
            "private-key",
            "session",
            "session_id",
            "sessionId",
            "bearer",
            "signature",
            "X-Amz-Signature",
            "dsn",
            "SENTRY_DSN",
            "sentryDsn",
            "user[password]",
            "api.key",
        ] {
            assert!(is_secret(name, false), "{name}");
            assert!(name == "tokens" || name == "credentials" || is_secret(name, true), "{name}");
        }
    }

    #[test]
    fn innocent_names_are_left_alone() {
        for name in [
            "author",
            "authority",
            "co_author",
            "fieldsNumber",
            "wordsnap",
            "session_count",
            "sessionCount",
            "token_ttl",
            "token-limit",
            "password_length",
            "cookie_bytes",
            "host",
            "path",
            "phase",
            "to_ken",
            "key",
            "public_key",
            "",
            "sign",
            "tok",
            "nature",
            "credit",
            "pass",
            "cook",
        ] {
            assert!(!is_secret(name, false), "{name}");
        }
        for name in ["tokens", "max_tokens", "inputTokens", "sessions", "sessions_open"] {
            assert!(is_secret(name, false) && !is_secret(name, true), "{name}");
        }
    }

    #[test]
    fn further_names_are_found_by_the_same_rules() {
        let mut also = Also::default();
        ["tenantKey", "pin", "token_count", "-_", "", "Größe", "pin"].iter().for_each(|name| also.add(name));
        assert_eq!(also.words.len(), 4);
        for name in
            ["tenant-key", "TENANT_KEY_2", "mytenantkey", "pin", "user_pin", "userPin", "token_count", "die-Größe"]
        {
            assert!(also.is_secret(name, false) && also.may_have(letters(name)), "{name}");
        }
        for name in ["spinning", "tenant", "session_count"] {
            assert!(!also.is_secret(name, false), "{name}");
        }
        assert_eq!(also.mask("/a?tenant_key=abc&pin=1&spin=2"), "/a?tenant_key=***&pin=***&spin=2");
    }

    #[test]
    fn secrets_in_urls_are_masked_and_nothing_else() {
        for (text, masked) in [
            ("http://user:pw@host/a", "http://***@host/a"),
            ("GET http://user@host/a and ftp://b:c@d", "GET http://***@host/a and ftp://***@d"),
            ("mongodb://u:p@a:1,b:2/db", "mongodb://***@a:1,b:2/db"),
            ("http://u:p@ss@host", "http://***@host"),
            ("postgres://u:p#s/s?@host/db", "postgres://***@host/db"),
            ("http://u:p\"q@host", "http://***@host"),
            ("//u:p@host/a", "//***@host/a"),
            ("/a?token=abc&x=1", "/a?token=***&x=1"),
            ("?x=1;api_key=abc;y=2", "?x=1;api_key=***;y=2"),
            ("?token=ab;cd&x=1", "?token=***&x=1"),
            ("?token=ab;cd", "?token=***"),
            ("Server=a; Password=b c; User=d", "Server=a; Password=*** c; User=d"),
            ("Server=a;Password=\"b c;d=\";User=e", "Server=a;Password=***;User=e"),
            ("/cb#access_token=abc", "/cb#access_token=***"),
            ("?api%5Fkey=abc", "?api%5Fkey=***"),
            ("?%2574oken=abc", "?%2574oken=***"),
            ("?user[password]=abc", "?user[password]=***"),
            ("<a href=\"/x?a=1&amp;sig_signature=abc\">", "<a href=\"/x?a=1&amp;sig_signature=***\">"),
            ("?next=http%3A%2F%2Fhost%2F%3Ftoken%3Dabc&x=1", "?next=***&x=1"),
            ("?next=http%3a%2f%2fu%3ap%40host", "?next=***"),
            ("?next=a%2526token%253Dabc", "?next=***"),
            ("?next=http://u:p@h/?token=abc", "?next=http://***@h/?token=***"),
            ("http://u:p?token=a@h/", "http://***@h/"),
        ] {
            assert_eq!(mask(text), masked);
        }
        for text in [
            "",
            "=",
            "@",
            "?",
            "reading block 42 -> 43",
            "a=1",
            "x@y.z",
            "http://host:8080/@me",
            "http://[::1]:80/@me",
            "http://host/a?b=c&d=e%20f",
            "//comment @you",
            "//x@y",
            "/a?token",
            "/a?token=",
            "/a?token=&x=1",
            "http://@host",
            "a ? b : c=d",
            "token=5",
            "http://***@host?token=***",
            "/a?author=me&session_count=3",
            "größe?ß=ä&é=ü",
            "/a?x=%zz%4",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn the_quick_look_sees_a_mark_at_every_place() {
        for len in 1..40 {
            let plain = "x".repeat(len);
            assert!(!is_suspect(&plain));
            for (at, mark) in (0..len).flat_map(|at| [(at, "="), (at, "@")]) {
                let mut text = plain.clone();
                text.replace_range(at..=at, mark);
                assert!(is_suspect(&text), "{text}");
            }
        }
        assert!(!is_suspect("<;:9A[`az{~ /0!\u{7f}") && !is_suspect(""));
    }

    #[test]
    fn what_is_hostile_takes_no_longer() {
        let begin = std::time::Instant::now();
        for unit in
            ["//a:b", "//a:b@", "&pwd=\"", "&pwd='&pwd=\"", "?a=%253d", "&token=;", ";token", "=;", "?x=%26", "://"]
        {
            let _ = Also::default().mask(&unit.repeat(LOOKED_AT / unit.len() + 9));
        }
        // Quadratic would be minutes.
        assert!(begin.elapsed().as_secs() < 20);
    }
}
