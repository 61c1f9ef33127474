//! The token of a client, which is never shown.
//!
//! A file is read for each call, so a new token takes effect at once.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata};
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
    open_protected(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens a file for reading that says which token is sent, or where: one that others may write to would let them
/// choose.
///
/// # Errors
///
/// The path does not lead to a file, others may write to the file (on Unix), or it can't be opened. A pipe is refused
/// without waiting for its writer.
///
/// # Examples
///
/// ```
/// assert!(pm_client::open_protected(&std::env::temp_dir()).is_err(), "a directory is not a file");
/// ```
pub fn open_protected(path: &Path) -> io::Result<File> {
    // Before it is opened: opening a pipe would wait for a writer.
    check(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

fn check(metadata: &Metadata) -> io::Result<()> {
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if !metadata.is_file() {
        return refused("it is not a file".to_owned());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let mode = metadata.mode() & 0o7777;
        if mode & 0o022 != 0 {
            return refused(format!("others may write to it (mode {mode:04o}); chmod go-w makes it yours"));
        }
    }
    Ok(())
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

    #[cfg(unix)]
    #[test]
    fn a_file_of_others_and_what_is_not_a_file_are_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = std::env::temp_dir().join(format!("pm-client-token-{}", std::process::id()));
        std::fs::write(&path, "abc\n").unwrap();
        for (mode, is_good) in [(0o600, true), (0o644, true), (0o666, false), (0o620, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Token::File(path.clone()).header().is_ok(), is_good, "{mode:o}");
        }
        std::fs::remove_file(&path).unwrap();
        for other in ["/dev/zero", "/dev/null", "/"] {
            let error = Token::File(other.into()).header().unwrap_err();
            assert_eq!(error.source.unwrap().to_string(), "it is not a file", "{other}");
        }
    }

    #[test]
    fn the_token_is_never_shown() {
        let token = Token::Text("s3cret".into());
        assert!(!format!("{token:?} {:?}", token.header()).contains("s3cret"));
    }
}
