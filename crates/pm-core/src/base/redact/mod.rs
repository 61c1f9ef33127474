//! Masks secrets as `***`: values of attributes by their names, and parts of URLs in any string.
//!
//! Masking happens before anything is stored, so that no reader, hook or log ever sees a secret. The common case costs
//! next to nothing: [`is_suspect`] and [`names::may_be_secret`] pass nearly all strings that cannot hold a secret; the
//! rest of this module examines the few that they stop.
//!
//! **Names** are judged by their whole words, which end at separators, digits and changes of case: a name is secret if
//! one of its words, or two of them, mark it (`WORDS`, `ENDS` and `PAIRS` in `names.rs`): `x-auth`, `userAuth`,
//! `PGPASSWORD`, `aws_access_key_id`, but not `author` or `tokenizer`. Unless its last word says that the value is
//! something about a secret (`ABOUT`): `auth_method`, `token_ttl`, `session_count`. Numbers with a plural name
//! (`max_tokens`) are not secret, nor is a `pwd` that is a path.
//!
//! **Strings.** The user information of a URL, before its `@` (`http://***@host`), and of a data source name
//! (`user:password@tcp(host)/db`); the value of a parameter with such a name, after `?`, `&`, `;` or `#`:
//! `/a?token=***&x=1`, and where a word begins: `Password=***;Server=db`, `--password=***`. There, a few more names are
//! secret that are too common for attributes (`PARAMETERS`: `sig`, `pin`), and values that begin as known keys do,
//! under any name (`key=AIza..`). Names may be percent-encoded; a value that is itself encoded and holds anything of
//! that sort is masked as a whole.

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
    use super::names::{Form, SecretWords, letters, may_be_secret};
    use super::*;

    fn mask(text: &str) -> String {
        let masked = SecretWords::default().mask(text).into_owned();
        assert!(masked == text || is_suspect(text), "the quick look lets `{text}` through");
        assert_eq!(SecretWords::default().mask(&masked), masked, "masked once more");
        masked
    }

    fn is_secret(name: &str, number: bool) -> bool {
        let form = if number { Form::Number } else { Form::Text };
        let is = SecretWords::default().is_secret(name, form);
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
    fn names_are_judged_by_their_whole_words() {
        for name in [
            "passphrase",
            "ssh_passphrase",
            "passcode",
            "pw",
            "userPw",
            "db_pwd",
            "MYSQL_PWD",
            "PGPASSWORD",
            "dbpassword",
            "pass_word",
            "Passwort",
            "contraseña",
            "jwt",
            "csrf",
            "csrf_token",
            "csrftoken",
            "X-XSRF-TOKEN",
            "access_key",
            "accessKey",
            "AccessKey",
            "accesskey",
            "aws_access_key_id",
            "AWS_SECRET_ACCESS_KEY",
            "AccountKey",
            "account_key",
            "encryption_key",
            "signing-key",
            "license.key",
            "ssh_key",
            "subscription-key",
            "sharedAccessKey",
            "stripeToken",
            "stripetoken",
            "id_token",
            "clientsecret",
            "consumer_secret",
            "connection_string",
            "card_number",
            "creditCard",
            "db_pass",
            "userPass",
            "session",
            "session_key",
            "sessionid",
            "JSESSIONID",
            "auth_code",
            "authorization",
            "Proxy-Authorization",
            "cookies",
            "secrets",
            "apikeys",
            "api_keys",
            "password_hash",
            "new_password_2",
            "old.password",
            "password confirmation",
            "oauth_token_secret",
            "x_api_key",
            "X-Amz-Credential",
        ] {
            assert!(is_secret(name, false), "{name}");
        }
        for name in [
            "tokenizer",
            "tokenized",
            "detokenize",
            "secretary",
            "secretariat",
            "sessionize",
            "cookiecutter",
            "authenticated",
            "authenticator",
            "author_id",
            "passwordless",
            "signatures_dir_path",
            "token_type",
            "tokenType",
            "TOKEN_TYPE",
            "token-endpoint",
            "token.url",
            "auth_method",
            "auth.type",
            "authMethod",
            "oauth_provider",
            "credentials_provider",
            "bearer_format",
            "cookie_banner",
            "cookies_enabled",
            "cookie_policy",
            "password_policy",
            "passwords_checked",
            "password_reset",
            "passwordChanged",
            "secret_name",
            "secretName",
            "k8s.secret.name",
            "session_type",
            "api_key_id_type",
            "session_timeout",
            "session.state",
            "max_token",
            "page_token",
            "nextPageToken",
            "next_token",
            "cancellation_token",
            "eos_token",
            "method_signature",
            "function.signature",
            "keyboard",
            "monkey",
            "primary_key",
            "outer_key",
            "partition_key",
            "cache_key",
            "sort-key",
            "idempotency_key",
            "key_access",
            "pass",
            "first_pass",
            "passes",
            "compass",
            "bypass",
            "authz_url",
            "assign",
            "signed",
            "design",
            "pins",
            "sidecar",
            "signal",
            "dsnap",
        ] {
            assert!(!is_secret(name, false), "{name}");
        }
        // A folder, and a password.
        let of = |name: &str, value: &str| SecretWords::default().is_secret(name, Form::of(value.as_bytes()));
        for path in ["/home/me", "~/src", ".", "./src", "../src", "C:\\src", "d:/src"] {
            assert!(!of("pwd", path) && !of("PWD", path) && !of("oldpwd", path), "{path}");
            assert!(of("password", path), "{path}");
        }
        assert!(of("pwd", "hunter2") && of("PWD", "") && of("pwd", ".hunter2"));
    }

    #[test]
    fn assignments_and_data_source_names_are_masked_wherever_they_begin() {
        for (text, masked) in [
            ("Password=hunter2;Server=db", "Password=***;Server=db"),
            ("Server=db;User Id=sa;Password=hunter2;", "Server=db;User Id=sa;Password=***;"),
            ("password='a b' host=db", "password=*** host=db"),
            ("host=db user=a password=hunter2 dbname=x", "host=db user=a password=*** dbname=x"),
            ("PGPASSWORD=hunter2 psql -h db", "PGPASSWORD=*** psql -h db"),
            ("--password=hunter2 --host db", "--password=*** --host db"),
            ("connect (password=hunter2)", "connect (password=***"),
            (
                "AccountName=a;AccountKey=Eby8vdM02xNO==;EndpointSuffix=core",
                "AccountName=a;AccountKey=***;EndpointSuffix=core",
            ),
            ("pwd=1234", "pwd=***"),
            ("token=abc", "token=***"),
            ("user:pass@tcp(localhost:3306)/db?parseTime=true", "***@tcp(localhost:3306)/db?parseTime=true"),
            ("mysql user:p@ss/w@tcp(h)/db", "mysql ***@tcp(h)/db"),
            ("user:pass@unix(/run/mysqld.sock)/db", "***@unix(/run/mysqld.sock)/db"),
            ("user:pass@(h)/db", "***@(h)/db"),
            ("user:pass@/db", "***@/db"),
            ("dsn=user:pass@tcp(h)/db", "dsn=***"),
            ("source=user:pass@tcp(h)/db", "source=***@tcp(h)/db"),
            ("\"user:pass@tcp(h)/db\"", "\"***@tcp(h)/db\""),
            ("jdbc:oracle:thin:scott/tiger@//h:1521/x", "jdbc:oracle:thin:***@//h:1521/x"),
            ("/c?sv=2022-11-02&sp=r&sig=Zm9v%2Bquux%3D", "/c?sv=2022-11-02&sp=r&sig=***"),
            ("?pass=hunter2&pin=1234&otp=123456&sid=deadbeef", "?pass=***&pin=***&otp=***&sid=***"),
            ("?PHPSESSID=abc", "?PHPSESSID=***"),
            ("/x;jsessionid=ABCDEF?x=1", "/x;jsessionid=***"),
            ("?AWSAccessKeyId=AKIA&Signature=vjby&Expires=1", "?AWSAccessKeyId=***&Signature=***&Expires=1"),
            ("?address=x&key=AIzaSyD-9tSrke72PouQMnMX", "?address=x&key=***"),
            ("?pwd=/home/me&token_type=bearer", "?pwd=/home/me&token_type=bearer"),
        ] {
            assert_eq!(mask(text), masked);
        }
        for text in [
            "token=5",
            "session=42 auth=ok cookie=none",
            "auth_method=true",
            "token == x",
            "token==x",
            "WHERE token = 'x' AND a=b",
            "x?author=me&authority=y",
            "x?tokenizer=bpe&tokens=5&page_token=abc&next_token=z",
            "x?session_count=5&sort=a&secretary=Ann&password_reset=true",
            "/a?cookie_policy=ok&max_tokens=400",
            "?key=value&sort_key=x",
            "https://cdn.jsdelivr.net/npm/vue@3/dist/vue.js",
            "https://medium.com/@user/post-1",
            "https://registry.npmjs.org/@babel/core",
            "https://unpkg.com/@scope/pkg@1.2.3/a.js",
            "npm:@scope/pkg@1.2.3",
            "mailto:a@b.c",
            "ssh git@github.com:o/r.git",
            "docker pull registry:5000/x@sha256:abcd",
            "https://maps/@48.1,11.5,15z",
            "s3://bucket/key@version",
            "f(a@b(c))",
            "user@tcp(h)/db",
            "ratio a:b@c",
        ] {
            assert_eq!(mask(text), text);
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
            assert!(also.is_secret(name, Form::Text) && also.may_have(letters(name)), "{name}");
        }
        for name in ["spinning", "tenant", "session_count"] {
            assert!(!also.is_secret(name, Form::Text), "{name}");
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
        for unit in [
            "//a:b",
            "//a:b@",
            "&pwd=\"",
            "&pwd='&pwd=\"",
            "?a=%253d",
            "&token=;",
            ";token",
            "=;",
            "?x=%26",
            "://",
            " a=",
            " pwd=",
            "a:b@",
            " a:b@",
            " a/b@//",
            "(((",
            " (pwd='",
            "_a",
            "aB",
            "&x='",
            "?x=;a",
        ] {
            let _ = SecretWords::default().mask(&unit.repeat(LOOKED_AT / unit.len() + 9));
        }
        // Quadratic would be minutes.
        assert!(begin.elapsed().as_secs() < 20);
    }
}
