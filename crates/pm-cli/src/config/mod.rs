//! What the command was told, and by whom: flag over environment over file over default.
//!
//! | file | what |
//! |---|---|
//! | `args.rs` | the flags that all verbs which ask have in common |
//! | `file.rs` | the config file: read, checked, errors with their line |
//! | `endpoints.rs` | from words such as `@prod,db1` to clients |
//! | `show.rs` | `pm config` |
//!
//! [`Where::settings`] is the way in; `top` takes the same [`Endpoints`] as the verbs. No token is ever kept here, only
//! where it is to be found.

mod args;
mod endpoints;
mod file;
mod show;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

pub(crate) use args::Where;
pub(crate) use endpoints::{Endpoint, Endpoints};
pub(crate) use show::{items, show};

use file::File;

/// Where nothing else says so.
const ENDPOINT: &str = "127.0.0.1:6680";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Enough for a handshake across the world; dead machines among many must not cost more.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people; as wide as the terminal, uncut in a pipe
    #[default]
    Table,
    /// The same with all columns, as wide as it comes
    Wide,
    /// For programs: one document, see docs/cli.md
    Json,
    /// For programs: an item on each line
    Ndjson,
    /// For other commands: only the serials, with several endpoints each behind its endpoint and a tab
    Ids,
}

/// When colours are used. They never say what the text does not say as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The colours of `pm top`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Theme {
    /// For a dark background
    #[default]
    Dark,
    /// For a light background
    Light,
    /// Bold, underlined and reversed instead of colours
    Mono,
    /// Few colours, as far apart as can be
    Contrast,
}

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Variable(&'static str),
    File { path: PathBuf, line: usize },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "flag {name}"),
            Origin::Variable(name) => write!(f, "variable {name}"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value and who said it.
#[derive(Clone, Debug)]
pub(crate) struct Set<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// All that is set, each value with its origin.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) endpoints: Endpoints,
    pub(crate) timeout: Set<Duration>,
    pub(crate) connect_timeout: Set<Duration>,
    pub(crate) output: Set<Output>,
    pub(crate) color: Set<Color>,
    pub(crate) theme: Set<Theme>,
    /// The file that was read, if there is one.
    file: Option<File>,
}

/// What is wrong with the flags, the environment or the file, and what to write instead. The command ends with 2.
#[derive(Debug)]
pub(crate) struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// The environment, in tests a made one.
type Variables<'v> = &'v dyn Fn(&str) -> Option<OsString>;

/// A variable that is set to something, as text.
fn variable(variables: Variables<'_>, name: &'static str) -> Result<Option<String>, ConfigError> {
    match variables(name).filter(|value| !value.is_empty()).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => Err(ConfigError(format!("the variable {name} is not UTF-8 text"))),
    }
}

/// The first that said it: flag, variable, file, default.
fn first<T: Clone, E: std::fmt::Display>(
    flag: Option<(T, &'static str)>,
    variables: Variables<'_>,
    name: &'static str,
    read: impl Fn(&str) -> Result<T, E>,
    file: Option<&Set<T>>,
    default: T,
) -> Result<Set<T>, ConfigError> {
    if let Some((value, flag)) = flag {
        return Ok(Set { value, origin: Origin::Flag(flag) });
    }
    if let Some(text) = variable(variables, name)? {
        let value = read(text.trim()).map_err(|why| ConfigError(format!("{name}={text}: {why}")))?;
        return Ok(Set { value, origin: Origin::Variable(name) });
    }
    Ok(file.cloned().unwrap_or(Set { value: default, origin: Origin::Default }))
}

/// One of the words of a choice.
fn word<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let words: Vec<_> = T::value_variants().iter().filter_map(T::to_possible_value).collect();
        let words: Vec<_> = words.iter().map(|word| word.get_name()).collect();
        match pm_wire::nearest(text, words.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it is one of {}", words.join(", ")),
        }
    })
}
