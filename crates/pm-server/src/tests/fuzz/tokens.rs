//! Random token files and tokens.

use std::sync::Mutex;
use std::time::Instant;

use http::{HeaderMap, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;

use super::text_of;
use crate::access::gate::Gate;
use crate::access::tokens::{self, Tokens};
use crate::access::{Caller, Identity, Permission};
use crate::sync::lock;

const RIGHT: &str = "0123456789abcdef0123456789abcdef";
const LINES: &[&str] = &[
    "read ",
    "cancel ",
    "\n",
    "\n",
    "\n",
    "#",
    " ",
    "\t",
    "\r\n",
    RIGHT,
    "fedcba9876543210fedcba9876543210",
    "name",
    "kill ",
    "é",
    "short",
    "~+/=",
    "\0",
];

/// A file that is for its owner only, one for all tests of this file.
fn with_tokens<T>(text: &str, look: impl FnOnce(Result<Tokens, tokens::TokenFileError>) -> T) -> T {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = lock(&ONE);
    let path = std::env::temp_dir().join(format!("pm-fuzz-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let result = look(Tokens::open(&path, Instant::now()));
    std::fs::remove_file(path).unwrap();
    result
}

proptest! {
    #[test]
    fn a_token_file_is_taken_whole_or_refused_without_a_word_of_it(text in text_of(LINES, 12)) {
        let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split_ascii_whitespace().collect()).collect();
        let permission_of = |token: &str| {
            let line = lines.iter().find(|line| line.get(1) == Some(&token))?;
            Permission::parse(line[0])
        };
        with_tokens(&text, |result| {
            match result {
                Ok(tokens) => {
                    prop_assert!(text.ends_with('\n'));
                    prop_assert!(tokens.health().tokens > 0);
                    for token in [RIGHT, "fedcba9876543210fedcba9876543210", "", "name", "short"] {
                        let found = tokens.check(token.as_bytes(), Instant::now());
                        let found = found.map(|caller| caller.permission);
                        prop_assert_eq!(found, permission_of(token), "{} in {:?}", token, text);
                    }
                }
                Err(error) => {
                    let shown = format!("{error} {error:?}");
                    prop_assert!(!shown.contains(&RIGHT[..8]) && !shown.contains("fedcba98"), "{shown}");
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn only_the_right_token_written_as_it_should_be_lets_in(
        values in vec(
            text_of(&["Bearer", "bearer", " ", " ", RIGHT, "Basic", "\t", ",", "=", "0", "\"", "é"], 5),
            0..3,
        ),
    ) {
        let mut headers = HeaderMap::new();
        for value in &values {
            let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else { return Ok(()) };
            headers.append("authorization", value);
        }
        let is_right = |value: &String| {
            let scheme = value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
            scheme && value[7..].trim_matches([' ', '\t']) == RIGHT
        };
        let expected = match &values[..] {
            [] => Some(Permission::Cancel),
            [one] if is_right(one) => Some(Permission::Read),
            _ => None,
        };
        let found = with_tokens(&format!("read {RIGHT}\n"), |tokens| {
            let gate = Gate::new(Some(tokens.unwrap()), false);
            let by_listener = Caller { identity: Identity::Loopback, permission: Permission::Cancel };
            gate.admit(&headers, Some(&by_listener), None, Instant::now())
        });
        prop_assert_eq!(found.as_ref().ok().map(|caller| caller.permission), expected, "{:?}", values);
        if let Err(failure) = found {
            prop_assert_eq!(failure.status().as_u16(), 401);
        }
    }
}
