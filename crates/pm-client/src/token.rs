//! The token of a client, which is never shown.
//!
//! A file is read for each call, so a new token takes effect at once.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use http::HeaderValue;

/// The most bytes read of a file, far more than a list of tokens needs.
const MAX_FILE: u64 = 1 << 20;

#[derive(Clone, Default)]
pub(crate) enum Token {
    #[default]
    None,
    Text(String),
    File(PathBuf),
}

/// Hides the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::None => f.write_str("None"),
            Token::Text(_) => f.write_str("Text(hidden)"),
            Token::File(path) => write!(f, "File({path:?})"),
        }
    }
}

/// The error for a token that cannot be read or used. It has no part of the token.
#[derive(Debug)]
pub(crate) struct TokenError {
    pub(crate) text: String,
    pub(crate) source: Option<io::Error>,
}

impl Token {
    /// Takes `PM_TOKEN`, or else the file that `PM_TOKEN_FILE` names. An empty variable counts as unset.
    pub(crate) fn from_env(variable: impl Fn(&str) -> Option<OsString>) -> Option<Token> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        // A value that is not UTF-8 fails at the call, as every bad token does.
        let text = || Some(Token::Text(variable("PM_TOKEN")?.to_string_lossy().into_owned()));
        let file = || Some(Token::File(variable("PM_TOKEN_FILE")?.into()));
        text().or_else(file)
    }

    /// Returns the value of the `Authorization` header, if there is a token.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>, TokenError> {
        match self {
            Token::None => Ok(None),
            Token::Text(text) => bearer(text).map(Some).ok_or_else(|| TokenError {
                text: "it is empty, or has whitespace or other characters that no token has; copy it unchanged"
                    .to_owned(),
                source: None,
            }),
            Token::File(path) => {
                let shown = path.display();
                let text = read(path).map_err(|error| TokenError {
                    text: format!("could not read {shown}; name a file that this user may read"),
                    source: Some(error),
                })?;
                first(&text).and_then(bearer).map(Some).ok_or_else(|| TokenError {
                    text: format!(
                        "{shown} has no token; put one on its first line, alone or as `PERMISSION TOKEN [NAME]`"
                    ),
                    source: None,
                })
            }
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the first token of a file: alone on its line, or the second word as in the server's file.
fn first(text: &str) -> Option<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let mut words = line.split_ascii_whitespace();
    let alone = words.next();
    words.next().or(alone)
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_env(variables: &[(&str, &str)]) -> Option<Token> {
        Token::from_env(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_first_token_of_a_file_counts() {
        for text in
            ["abc", "abc\n", "  abc  \r\n", "# mine\n\nabc\ndef", "read abc\ncancel def deploy", "cancel\tabc\tme"]
        {
            assert_eq!(first(text), Some("abc"), "{text:?}");
        }
        for text in ["", "\n \n", "# nothing"] {
            assert_eq!(first(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_variable_takes_precedence_over_the_file() {
        assert!(
            matches!(from_env(&[("PM_TOKEN", "a"), ("PM_TOKEN_FILE", "/f")]), Some(Token::Text(text)) if text == "a")
        );
        assert!(matches!(from_env(&[("PM_TOKEN", ""), ("PM_TOKEN_FILE", "/f")]), Some(Token::File(_))));
        assert!(from_env(&[]).is_none());
    }

    #[test]
    fn a_token_is_one_word() {
        assert_eq!(Token::Text(" a.b=\n".into()).header().unwrap().unwrap(), "Bearer a.b=");
        for bad in ["", " ", "a b", "a\nb", "ä"] {
            let error = Token::Text(bad.into()).header().unwrap_err();
            assert!(bad.trim().is_empty() || !error.text.contains(bad), "{error:?}");
        }
    }

    #[test]
    fn the_token_is_never_shown() {
        let token = Token::Text("s3cret".into());
        assert!(!format!("{token:?} {:?}", token.header()).contains("s3cret"));
    }
}
