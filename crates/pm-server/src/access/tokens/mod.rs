//! The tokens, and what each permits: those of the token file, of the variable `PM_TOKENS`, and of the program.
//!
//! ```text
//! # permission  token, at least 32 characters                                     name for the audit log
//! cancel        4f0c6a1e8b5d4c3f9a7e2b1d0c8f6e5a4f0c6a1e8b5d4c3f9a7e2b1d0c8f6e5a  deploy
//! read          b1946ac92492d2347c6235b4d2611184b1946ac92492d2347c6235b4d2611184
//! ```
//!
//! | module | content |
//! |---|---|
//! | `mod.rs` | [`Tokens`]: checks a token; [`TokenFile`]: reloads the file when it changed |
//! | `file.rs` | the file: its metadata, its content, its creation |
//! | `parse.rs` | its text |
//! | `token.rs` | a token, and the limits of tokens and their file |
//! | `error.rs` | errors, which never show a token |
//!
//! Only SHA-256 digests of the tokens are stored, and a given token is compared with all of them in constant time. When
//! a token is checked and a second has passed since the last time, the file is checked for changes: so writing the file
//! adds or removes a token. A file that can't be read, is open to other users or is incomplete leaves the tokens as
//! they were, and the error is counted and reported ([`Tokens::health`]); at the start it is an error.

mod error;
mod file;
mod parse;
mod token;

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use self::error::Problem;
pub(crate) use self::error::TokenFileError;
use self::file::{Stamp, create, look, read};
use self::parse::{new, parse_variable};
use self::token::{Token, digest, is_same};
use super::{Caller, Identity, Permission};
use crate::start_error::StartError;
use crate::sync::lock;

/// The file is checked for changes at most this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The variable with tokens, for operators that have no file to put them in.
pub(crate) const VARIABLE: &str = "PM_TOKENS";

/// Where tokens come from, as a server is described.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) file: Option<PathBuf>,
    /// Other users may read the file.
    pub(crate) is_shared: bool,
    /// Permission, name and token.
    pub(crate) given: Vec<(Permission, String, String)>,
}

/// All tokens. Those of the program and of the variable never change.
pub(crate) struct Tokens {
    fixed: Vec<Token>,
    file: Option<TokenFile>,
}

impl Tokens {
    /// Reads the tokens of all sources; `variable` is the value of [`VARIABLE`]. `None` if there is no source.
    pub(crate) fn obtain(sources: &Sources, variable: Option<&OsStr>) -> Result<Option<Self>, StartError> {
        let failed = |source: String| StartError::Tokens { source: source.into() };
        let mut fixed: Vec<Token> = Vec::new();
        for (permission, name, token) in &sources.given {
            let token = new(*permission, token, Some(name))
                .map_err(|problem| failed(format!("the token with the name `{name}` in the program: {problem}")))?;
            fixed.push(token);
        }
        if let Some(value) = variable {
            let tokens = parse_variable(&value.to_string_lossy()).map_err(|problem| match problem {
                Problem::Line { line, problem } => failed(format!("line {line} of the variable {VARIABLE}: {problem}")),
                _ => failed(format!(
                    "the variable {VARIABLE} has no token: set it to `cancel TOKEN NAME` or `read TOKEN NAME`, or \
                     unset it"
                )),
            })?;
            fixed.extend(tokens.iter().cloned());
        }
        let file = sources.file.as_deref().map(|path| TokenFile::obtain(path, sources.is_shared)).transpose()?;
        Ok((file.is_some() || !fixed.is_empty()).then_some(Self { fixed, file }))
    }

    /// Returns the caller that has this token; `None` if the token is unknown. A token that several sources have
    /// permits what the file says, else the variable: both can be changed without a build.
    pub(crate) fn check(&self, token: &[u8], now: Instant) -> Option<Caller> {
        let of_file = self.file.as_ref().map(|file| file.up_to_date(now));
        let digest = digest(token);
        let mut found = None;
        // All of them, so that the time does not depend on the place.
        for candidate in self.fixed.iter().chain(of_file.iter().flat_map(|tokens| tokens.iter())) {
            if is_same(&candidate.digest, &digest) {
                found = Some(candidate);
            }
        }
        found.map(|token| Caller { identity: Identity::Token(Arc::clone(&token.name)), permission: token.permission })
    }

    /// Returns how reading the file went, as of the last check.
    pub(crate) fn health(&self) -> Health {
        let mut health = self.file.as_ref().map(|file| file.lock().health.clone()).unwrap_or_default();
        health.tokens += self.fixed.len();
        health
    }
}

/// The tokens of one file.
struct TokenFile {
    path: PathBuf,
    is_shared: bool,
    state: Mutex<State>,
}

struct State {
    tokens: Arc<[Token]>,
    seen: Seen,
    /// When the file was last checked for changes.
    looked: Instant,
    health: Health,
}

/// The file as it was last seen.
#[derive(Clone, PartialEq)]
enum Seen {
    File(Stamp),
    /// Its metadata could not be read.
    Unreadable(io::ErrorKind),
}

/// How often the file was read, and how that went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Valid tokens.
    pub(crate) tokens: usize,
    /// How often the file was reloaded.
    pub(crate) reloads: u64,
    /// How often it changed and could not be used.
    pub(crate) failures: u64,
    /// Why the file, as it is now, can't be used.
    pub(crate) error: Option<String>,
}

impl TokenFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`TokenFileError`] names the file, the line and what to do.
    fn open(path: &Path, is_shared: bool, now: Instant) -> Result<Self, TokenFileError> {
        let error = |problem| TokenFileError { path: path.to_owned(), problem };
        let (tokens, stamp) = read(path, is_shared).map_err(error)?;
        let health = Health { tokens: tokens.len(), ..Health::default() };
        let state = State { tokens, seen: Seen::File(stamp), looked: now, health };
        Ok(Self { path: path.to_owned(), is_shared, state: Mutex::new(state) })
    }

    /// Reads the file, and creates it first if it is missing.
    fn obtain(path: &Path, is_shared: bool) -> Result<Self, StartError> {
        let failed = |error: TokenFileError| StartError::Tokens { source: error.into() };
        create(path).map_err(failed)?;
        Self::open(path, is_shared, Instant::now()).map_err(failed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Returns the tokens, reloaded if the file changed.
    fn up_to_date(&self, now: Instant) -> Arc<[Token]> {
        let mut state = self.lock();
        if now.saturating_duration_since(state.looked) < LOOK_EVERY {
            return Arc::clone(&state.tokens);
        }
        // Concurrent checks use the current tokens in the meantime.
        state.looked = now;
        let (tokens, before) = (Arc::clone(&state.tokens), state.seen.clone());
        drop(state);
        let seen = match look(&self.path) {
            Ok(stamp) => Seen::File(stamp),
            Err(error) => Seen::Unreadable(error.kind()),
        };
        if seen == before && matches!(&seen, Seen::Unreadable(_) | Seen::File(Stamp { settled: true, .. })) {
            return tokens;
        }
        let result = read(&self.path, self.is_shared);
        let mut state = self.lock();
        match result {
            Ok((tokens, stamp)) => {
                let is_new = !tokens.iter().map(Token::parts).eq(state.tokens.iter().map(Token::parts));
                state.health.reloads += u64::from(is_new);
                state.health.tokens = tokens.len();
                state.health.error = None;
                state.seen = Seen::File(stamp);
                state.tokens = tokens;
            }
            Err(problem) => {
                let error = TokenFileError { path: self.path.clone(), problem }.to_string();
                // A file that was just written is read repeatedly, and its error counts once.
                let is_new = state.health.error.as_ref() != Some(&error);
                state.health.failures += u64::from(is_new);
                state.health.error = Some(error);
                state.seen = seen;
            }
        }
        Arc::clone(&state.tokens)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.file.as_ref().map(|file| &file.path);
        f.debug_struct("Tokens").field("fixed", &self.fixed.len()).field("path", &path).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Tokens {
    /// The tokens of a file only.
    pub(crate) fn open(path: &Path, now: Instant) -> Result<Self, TokenFileError> {
        TokenFile::open(path, false, now).map(|file| Self { fixed: Vec::new(), file: Some(file) })
    }
}

#[cfg(all(test, unix))]
mod tests;
