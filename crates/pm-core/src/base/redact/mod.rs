//! Masks secrets as `***`: values of attributes by their names, and parts of URLs in any string.
//!
//! Masking happens before anything is stored, so that no reader, hook or log ever sees a secret. The common case costs
//! next to nothing: [`is_suspect`] and [`names::may_be_secret`] pass nearly all strings that cannot hold a secret; the
//! rest of this module examines the few that they stop.
//!
//! **Names.** In any case, with `-`, `_`, `.` or nothing between their parts: those that contain one of the long words,
//! or one of the short ones (`auth`, `oauth`, `dsn`) as a separate word, between ends, separators, digits and changes
//! of case: `x-auth`, `userAuth` and `SENTRY_DSN`, but not `author` or `fieldsNumber`. Figures about secrets are not
//! secret: names that end in one of `FIGURES` (`session_count`, `token_ttl`), and numbers whose name is a plural
//! (`max_tokens`).
//!
//! **Strings.** The user information of a URL, before its `@` (`http://***@host`), and the value of a parameter with
//! such a name, after `?`, `&`, `;` or `#`: `/a?token=***&x=1`. Names may be percent-encoded; a value that is itself
//! encoded and holds anything of that sort is masked as a whole.

pub(crate) mod names;
mod urls;

/// The replacement for a secret.
pub(crate) const MASK: &str = "***";

/// The bytes of a string that are examined. Whatever is recorded is shorter; anything beyond is dropped.
const LOOKED_AT: usize = 64 << 10;

/// Returns `true` if a string may hold a secret: if it has a `=` or `@`. May return `true` for some that have neither,
/// never `false` for one that has.
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

/// Returns the high bit of each byte that is one of `=>?@`, or would be without its own high bit.
#[inline(always)]
fn suspects(eight: u64) -> u64 {
    let low = eight & !HIGH;
    // Each sum gets a high bit where the byte is at least `=`, and where it is more than `@`.
    (low + u64::from_ne_bytes([0x80 - b'='; 8])) ^ (low + u64::from_ne_bytes([0x7f - b'@'; 8]))
}

#[cfg(test)]
mod tests {
    use super::names::{SecretWords, letters, may_be_secret};
    use super::*;

    fn mask(text: &str) -> String {
        let masked = SecretWords::default().mask(text).into_owned();
        assert!(masked == text || is_suspect(text), "the quick look lets `{text}` through");
        assert_eq!(SecretWords::default().mask(&masked), masked, "masked once more");
        masked
    }

    fn is_secret(name: &str, number: bool) -> bool {
        let is = SecretWords::default().is_secret(name, number);
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
        let mut also = SecretWords::default();
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
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn what_is_hostile_takes_no_longer() {
        let begin = std::time::Instant::now();
        for unit in
            ["//a:b", "//a:b@", "&pwd=\"", "&pwd='&pwd=\"", "?a=%253d", "&token=;", ";token", "=;", "?x=%26", "://"]
        {
            let _ = SecretWords::default().mask(&unit.repeat(LOOKED_AT / unit.len() + 9));
        }
        // Quadratic would be minutes.
        assert!(begin.elapsed().as_secs() < 20);
    }
}
