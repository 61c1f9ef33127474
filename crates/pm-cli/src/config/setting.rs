//! A value together with its origin, and how one is chosen: the first of flag, variable, file and default.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::exit::Stop;

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
    /// Few colours with high contrast
    Contrast,
}

/// Where a value comes from.
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

/// A value with its origin.
#[derive(Clone, Debug)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// An error in the flags, the environment or the file, with its correction. The exit code is 2.
#[derive(Debug)]
pub(crate) struct ConfigError(pub(super) String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for Stop {
    fn from(error: ConfigError) -> Stop {
        Stop::Usage(error.to_string())
    }
}

/// The environment; a fake one in tests.
pub(super) type Variables<'v> = &'v dyn Fn(&str) -> Option<OsString>;

/// The text of a variable, unless it is unset or empty.
pub(super) fn variable(variables: Variables<'_>, name: &'static str) -> Result<Option<String>, ConfigError> {
    match variables(name).filter(|value| !value.is_empty()).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => Err(ConfigError(format!("the variable {name} is not UTF-8"))),
    }
}

/// The first that is set of flag, variable, file and default.
pub(super) fn first<T: Clone, E: fmt::Display>(
    flag: Option<(T, &'static str)>,
    variables: Variables<'_>,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
    file: Option<&Setting<T>>,
    default: T,
) -> Result<Setting<T>, ConfigError> {
    if let Some((value, flag)) = flag {
        return Ok(Setting { value, origin: Origin::Flag(flag) });
    }
    if let Some(text) = variable(variables, name)? {
        let value = parse(text.trim()).map_err(|why| ConfigError(format!("{name}={text}: {why}")))?;
        return Ok(Setting { value, origin: Origin::Variable(name) });
    }
    Ok(file.cloned().unwrap_or(Setting { value: default, origin: Origin::Default }))
}

/// Parses one of the names of an enum.
pub(super) fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let values: Vec<_> = T::value_variants().iter().filter_map(T::to_possible_value).collect();
        let names: Vec<_> = values.iter().map(|value| value.get_name()).collect();
        match pm_wire::nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {}", names.join(", ")),
        }
    })
}
