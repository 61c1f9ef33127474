//! Names that look like those of secrets.

use std::borrow::Cow;

use super::LOOKED_AT;

/// A word of one list that marks a name as secret. `_` stands for any separator or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    text: Cow<'a, str>,
    /// Only as a separate word; else also as part of one.
    alone: bool,
}

// Change `may_be_secret` with these lists; a test compares them.

/// Words that mark a name as secret, also in the plural.
const WORDS: &[&str] = &[
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "csrf",
    "dsn",
    "jwt",
    "kennwort",
    "oauth",
    "passcode",
    "passwort",
    "pw",
    "session",
    "signature",
    "wachtwoord",
    "xsrf",
];

/// Ends of words that do: `userpwd`, `PGPASSWORD`, `stripetoken`.
const ENDS: &[&str] = &[
    "apikey",
    "passphrase",
    "passwd",
    "password",
    "pwd",
    "secret",
    "sessid",
    "sessionid",
    "token",
    "contraseña",
    "contrasena",
];

/// Two words that do, with or without a separator.
const PAIRS: &[(&str, &str)] = &[
    ("access", "key"),
    ("account", "key"),
    ("api", "key"),
    ("auth", "key"),
    ("consumer", "key"),
    ("encryption", "key"),
    ("hmac", "key"),
    ("license", "key"),
    ("master", "key"),
    ("private", "key"),
    ("service", "key"),
    ("shared", "key"),
    ("signing", "key"),
    ("ssh", "key"),
    ("subscription", "key"),
    ("db", "pass"),
    ("user", "pass"),
    ("pass", "word"),
    ("card", "number"),
    ("credit", "card"),
    ("connection", "string"),
    ("connect", "sid"),
];

/// Words that do only in parameters: elsewhere too many harmless names have them.
const PARAMETERS: &[&str] =
    &["cvc", "cvv", "hmac", "iban", "otp", "pass", "passe", "pin", "senha", "sid", "sig", "ssn", "totp"];

/// Words at the end of names that say something about a secret, and do not hold it: how many, how long, of which sort.
const ABOUT: &[&str] = &[
    "age",
    "alg",
    "algorithm",
    "attempts",
    "at",
    "banner",
    "bytes",
    "changed",
    "checked",
    "class",
    "count",
    "created",
    "disabled",
    "domain",
    "duration",
    "enabled",
    "endpoint",
    "error",
    "errors",
    "exp",
    "expired",
    "expires",
    "expiry",
    "failed",
    "failures",
    "file",
    "flow",
    "format",
    "host",
    "index",
    "kind",
    "len",
    "length",
    "level",
    "limit",
    "method",
    "missing",
    "mode",
    "ms",
    "name",
    "ok",
    "path",
    "policy",
    "position",
    "present",
    "provider",
    "region",
    "required",
    "reset",
    "retries",
    "scheme",
    "scope",
    "scopes",
    "secs",
    "seconds",
    "size",
    "source",
    "state",
    "status",
    "strategy",
    "time",
    "timeout",
    "total",
    "ttl",
    "type",
    "updated",
    "uri",
    "url",
    "valid",
    "version",
];

/// Words before `token` that make it a mark in a text, or a place in a list.
const OF_TOKENS: &[&str] = &[
    "bos",
    "cancel",
    "cancellation",
    "continuation",
    "eos",
    "max",
    "min",
    "next",
    "pad",
    "page",
    "prev",
    "previous",
    "stop",
    "sync",
    "unk",
];

/// Words before `signature` that make it the form of a function.
const OF_SIGNATURES: &[&str] = &["call", "function", "method", "type"];

/// Beginnings of keys that are known to be secret, under whatever name.
const KEYS: &[&str] = &[
    "AIza",
    "AKIA",
    "ASIA",
    "SG.",
    "eyJ",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "hvs.",
    "npm_",
    "rk_live_",
    "sk-",
    "sk_live_",
    "xapp-",
    "xoxb-",
    "xoxp-",
    "ya29.",
];

/// The form of a value, by which some names are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Number,
    /// Text that looks like the path of a file.
    Path,
}

impl Form {
    pub(crate) fn of(text: &[u8]) -> Self {
        let is_drive =
            text.first().is_some_and(u8::is_ascii_alphabetic) && matches!(text.get(1..3), Some(b":\\" | b":/"));
        if matches!(text, [b'/' | b'~', ..] | [b'.', b'/' | b'.', ..] | [b'.']) || is_drive {
            Self::Path
        } else {
            Self::Text
        }
    }
}

/// Returns `true` for a value that begins as keys of a known sort do.
pub(super) fn is_known_key(value: &[u8]) -> bool {
    KEYS.iter().any(|key| value.len() >= key.len() + 12 && value.starts_with(key.as_bytes()))
}

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

/// Returns `true` if a name with these letters may be secret.
#[inline(always)]
pub(crate) fn may_be_secret(letters: u32) -> bool {
    let has = |wanted: u32| letters & wanted == wanted;
    // Few tests for most names: nearly all other words have an `e`.
    has(const { set("pw") })
        || has(const { set("auth") })
        || has(const { set("dsn") })
        || has(const { set("jwt") })
        || has(const { set("csrf") })
        || has(const { set("xsrf") })
        || has(const { set("dbpas") })
        || has(const { set("wachtord") })
        || has(const { set("e") })
            && (has(const { set("cookie") })
                || has(const { set("secret") })
                || has(const { set("token") })
                || has(const { set("key") }) && letters & const { set("ais") } != 0
                || has(const { set("credential") })
                || has(const { set("sessid") })
                || has(const { set("session") })
                || has(const { set("bearer") })
                || has(const { set("signature") })
                || has(const { set("passphrase") })
                || has(const { set("passcode") })
                || has(const { set("userpas") })
                || has(const { set("creditad") })
                || has(const { set("cardnumbe") }))
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

    /// Returns `true` if the value of an attribute with this name is masked.
    #[cold]
    pub(crate) fn is_secret(&self, name: &str, value: Form) -> bool {
        self.has_word(name) || Words::of(name).are_secret(value, false)
    }

    /// Returns `true` if the value of a parameter with this name is masked.
    pub(super) fn is_secret_parameter(&self, name: &str, value: Form) -> bool {
        self.has_word(name) || Words::of(name).are_secret(value, true)
    }

    fn has_word(&self, name: &str) -> bool {
        if self.words.is_empty() {
            return false;
        }
        let name = &name.as_bytes()[..name.len().min(LOOKED_AT)];
        let plain: Vec<u8> = name.iter().copied().map(lower).collect();
        self.words.iter().any(|word| word.occurs(name, &plain))
    }
}

/// The words of a name, without numbers: split at separators, digits and changes of case.
struct Words<'n>(Vec<&'n [u8]>);

impl<'n> Words<'n> {
    fn of(name: &'n str) -> Self {
        let name = &name.as_bytes()[..name.len().min(LOOKED_AT)];
        let (mut words, mut start) = (Vec::new(), 0);
        for end in 1..=name.len() {
            if end == name.len() || is_boundary(name, end) {
                let word = &name[start..end];
                if lower(word[0]) != b'_' && !word[0].is_ascii_digit() {
                    words.push(word);
                }
                start = end;
            }
        }
        Self(words)
    }

    fn are_secret(&self, value: Form, is_parameter: bool) -> bool {
        let words = &self.0;
        let is = |word: &[u8], text: &str| word.eq_ignore_ascii_case(text.as_bytes());
        let is_any = |word: &[u8], list: &[&str]| list.iter().any(|&text| is(word, text));
        if words.len() > 1 && words.last().is_some_and(|last| is_any(last, ABOUT)) {
            return false;
        }
        (0..words.len()).any(|at| {
            let (word, next) = (words[at], words.get(at + 1).copied());
            let (singular, is_plural) = match word {
                [singular @ .., b's' | b'S'] => (singular, true),
                _ => (word, false),
            };
            let ends =
                |word: &[u8], end: &str| word.len().checked_sub(end.len()).is_some_and(|from| is(&word[from..], end));
            let end = ENDS.iter().find(|&&end| ends(word, end) || is_plural && ends(singular, end));
            let is_word = is_any(word, WORDS) || is_plural && is_any(singular, WORDS);
            if end.is_some() || is_word {
                let is_count = value == Form::Number && is_plural && !is_any(word, WORDS);
                let is_folder = value == Form::Path && end == Some(&"pwd");
                let before = at.checked_sub(1).map(|before| words[before]);
                let is_mark = is(word, "token") && before.is_some_and(|before| is_any(before, OF_TOKENS));
                let is_form = is(word, "signature") && before.is_some_and(|before| is_any(before, OF_SIGNATURES));
                return !is_count && !is_folder && !is_mark && !is_form;
            }
            let is_pair = |&(first, second): &(&str, &str)| {
                let apart = is(word, first)
                    && next
                        .is_some_and(|next| is(next, second) || matches!(next, [next @ .., b's'] if is(next, second)));
                let fused = word.len() == first.len() + second.len()
                    && is(&word[..first.len()], first)
                    && is(&word[first.len()..], second);
                apart || fused
            };
            PAIRS.iter().any(is_pair) || is_parameter && is_any(word, PARAMETERS)
        })
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

impl Word<'_> {
    fn occurs(&self, name: &[u8], plain: &[u8]) -> bool {
        (0..plain.len()).any(|start| {
            let Some(end) = self.ends(&plain[start..]).map(|len| start + len) else { return false };
            !self.alone || is_boundary(name, start) && is_boundary(name, end)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_look_at_letters_lets_no_secret_name_through() {
        for word in WORDS.iter().chain(ENDS) {
            assert!(may_be_secret(letters(word)), "{word}");
        }
        for (first, second) in PAIRS {
            assert!(may_be_secret(letters(&format!("{first}{second}"))), "{first}_{second}");
        }
    }

    #[test]
    fn common_names_of_attributes_are_not_looked_at_closely() {
        for name in [
            "host", "path", "method", "user", "key", "url", "id", "name", "status", "size", "rows", "port", "peer",
            "query", "database", "table", "count", "bytes", "file", "region", "tenant", "instance", "machine",
            "protocol", "topic",
        ] {
            assert!(!may_be_secret(letters(name)), "{name}");
        }
    }
}
