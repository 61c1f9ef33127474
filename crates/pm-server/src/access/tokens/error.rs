//! Errors of a token file.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::token::{LARGEST, LONGEST, LONGEST_NAME, SHORTEST};

/// A token file can't be used.
#[derive(Debug)]
pub(crate) struct TokenFileError {
    pub(super) path: PathBuf,
    pub(super) problem: Problem,
}

#[derive(Debug)]
pub(super) enum Problem {
    Unreadable(io::Error),
    NotAFile,
    OpenToOthers { mode: Mode },
    TooLarge,
    Empty,
    Line { line: usize, problem: LineProblem },
    NotCreated(io::Error),
    NoRandom(io::Error),
}

/// The permissions of a file, shown in octal, also where an error is printed as it is in memory.
#[derive(Clone, Copy)]
pub(super) struct Mode(pub(super) u32);

impl Mode {
    /// Returns `true` if users other than the owner could change the file.
    fn is_writable_by_others(self) -> bool {
        self.0 & 0o022 != 0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error in a line. Never shows the text of the line, which may be a token.
#[derive(Debug)]
pub(super) enum LineProblem {
    Permission,
    NoToken,
    Short { length: usize },
    Long,
    OddCharacter,
    Name,
    Trailing,
    Duplicate,
    NoLineBreak,
}

impl fmt::Display for TokenFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Unreadable(source) if source.kind() == io::ErrorKind::NotFound => {
                write!(f, "the token file {path} does not exist")
            }
            Problem::Unreadable(_) => write!(f, "could not read the token file {path}"),
            Problem::NotAFile => write!(f, "the token file {path} is not a file"),
            Problem::OpenToOthers { mode } => {
                let or_allow = match mode.is_writable_by_others() {
                    true => "",
                    false => ", which `allow_shared_token_file` would allow",
                };
                write!(f, "other users can open the token file {path}{or_allow} (mode {mode}): chmod 600 {path}")
            }
            Problem::TooLarge => write!(f, "the token file {path} is larger than {} KiB", LARGEST >> 10),
            Problem::Empty => {
                write!(f, "the token file {path} has no token: add a line `cancel TOKEN NAME` or `read TOKEN NAME`")
            }
            Problem::Line { line, problem } => write!(f, "{path}:{line}: {problem}"),
            Problem::NotCreated(source) if source.kind() == io::ErrorKind::NotFound => {
                write!(f, "could not create the token file {path}: its folder does not exist")
            }
            Problem::NotCreated(_) => write!(f, "could not create the token file {path}"),
            Problem::NoRandom(_) => write!(f, "the system returned no random numbers for the token file {path}"),
        }
    }
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission => f.write_str("a line begins with `read`, `cancel` or `#`"),
            Self::NoToken => f.write_str("the token is missing after the permission"),
            Self::Short { length } => write!(
                f,
                "a token has at least {SHORTEST} characters, this one has {length}: create one with \
                 `openssl rand -hex 32`"
            ),
            Self::Long => write!(f, "a token has fewer than {LONGEST} characters"),
            Self::OddCharacter => f.write_str("a token has only letters, digits and -._~+/="),
            Self::Name => write!(f, "a name has at most {LONGEST_NAME} characters: letters, digits and -._@"),
            Self::Trailing => f.write_str("there is text after the name"),
            Self::Duplicate => f.write_str("this token is there twice"),
            Self::NoLineBreak => {
                f.write_str("the line does not end: the file may be incomplete; end it with a line break")
            }
        }
    }
}

impl std::error::Error for TokenFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Unreadable(source) | Problem::NotCreated(source) | Problem::NoRandom(source) => Some(source),
            _ => None,
        }
    }
}
