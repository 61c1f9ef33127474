//! Errors in filters, with their positions and advice.

use std::fmt;

use pm_core::terminal::escaped;

use crate::suggest::nearest;

use super::condition::{ATTR, MAX_ALTERNATIVES, MAX_BYTES, MAX_CONDITIONS, NAMES};

/// The most characters of the caller's text that an error repeats.
const MAX_QUOTED: usize = 40;

/// The error of reading a [`Filter`](super::Filter).
///
/// # Examples
///
/// ```
/// use pm_wire::filter::Filter;
///
/// let error = Filter::parse("kind=import state=runing").unwrap_err();
/// assert_eq!(error.name(), Some("state"));
/// assert_eq!(error.position(), 18);
/// assert_eq!(error.hint(), Some("did you mean `running`?"));
/// assert_eq!(error.to_string(), "unknown state `runing` at 19; did you mean `running`?");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    what: String,
    name: Option<String>,
    position: Option<usize>,
    hint: Option<String>,
}

impl FilterError {
    /// Returns the name of the condition that has the error, as it was given; `None` if it is not in one condition.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the position of the error in the text, the value of the parameter, or the JSON string: the number of
    /// characters before it. It is 0 also if the whole is in error. The text of the error counts from 1, as people do.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position.unwrap_or(0)
    }

    /// Returns the error and its position as text, without the [hint](Self::hint).
    #[must_use]
    pub fn detail(&self) -> String {
        match self.position {
            Some(position) => format!("{} at {}", self.what, position + 1),
            None => self.what.clone(),
        }
    }

    /// Returns advice on what to write instead, if there is any. The text of the error ends with it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), name: None, position: None, hint: None }
    }

    pub(super) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    pub(super) fn at(mut self, position: impl Into<Option<usize>>) -> Self {
        self.position = position.into();
        self
    }

    pub(super) fn hinting(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FilterError {}

pub(super) fn too_many_conditions() -> FilterError {
    FilterError::new(format!("more than {MAX_CONDITIONS} conditions"))
}

pub(super) fn too_many_alternatives(name: &str) -> FilterError {
    FilterError::new(format!("{} has more than {MAX_ALTERNATIVES} alternatives", quoted(name))).named(name)
}

pub(super) fn too_long() -> FilterError {
    FilterError::new(format!("the filter is longer than {MAX_BYTES} bytes"))
}

pub(super) fn unknown_name(name: &str) -> FilterError {
    if name.is_empty() {
        return FilterError::new("a name is missing").named(name);
    }
    if name == ATTR {
        return FilterError::new("`attr.` names no attribute").named(name).hinting("write it as `attr.host`");
    }
    let attr = name.split_once('.').filter(|(head, rest)| nearest(head, ["attr"]).is_some() && !rest.is_empty());
    let hint = match (nearest(name, NAMES.iter().copied()), attr) {
        (_, Some((_, rest))) => format!("did you mean {}?", quoted(&format!("{ATTR}{rest}"))),
        (Some(ATTR), _) => "an attribute is written as `attr.host`".to_owned(),
        (Some(name), _) => format!("did you mean `{name}`?"),
        (None, _) => format!("if it is an attribute, write {}", quoted(&format!("{ATTR}{name}"))),
    };
    FilterError::new(format!("unknown name {}", quoted(name))).named(name).hinting(hint)
}

/// Makes the error of a word that is not one of `known`, the words of the condition `name`.
pub(super) fn unknown_word(name: &str, word: &str, known: &[&str]) -> FilterError {
    let hint = match nearest(word, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => {
            let known: Vec<_> = known.iter().copied().filter(|word| !word.is_empty()).collect();
            format!("it is one of {}", known.join(", "))
        }
    };
    FilterError::new(format!("unknown {name} {}", quoted(word))).named(name).hinting(hint)
}

/// Returns a text of the caller's in quotes: cut, and without characters that could control a terminal.
pub(super) fn quoted(text: &str) -> String {
    let end = text.char_indices().nth(MAX_QUOTED).map(|(end, _)| end);
    format!("`{}{}`", escaped(&text[..end.unwrap_or(text.len())]), if end.is_some() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_guessed() {
        for (name, hint) in [
            ("knd", "did you mean `kind`?"),
            ("Kind", "did you mean `kind`?"),
            ("stauts", "did you mean `status`?"),
            ("minage", "did you mean `minAge`?"),
            ("min_status_age", "did you mean `minStatusAge`?"),
            ("di", "did you mean `id`?"),
            ("attrs.host", "did you mean `attr.host`?"),
            ("attr", "an attribute is written as `attr.host`"),
            ("attr.", "write it as `attr.host`"),
            ("customer", "if it is an attribute, write `attr.customer`"),
        ] {
            assert_eq!(unknown_name(name).hint(), Some(hint), "{name}");
        }
    }

    #[test]
    fn an_error_repeats_a_short_and_printable_text() {
        assert_eq!(quoted("a\u{1b}[2J\n"), r"`a\u{1b}[2J\u{a}`");
        assert_eq!(quoted(&"é".repeat(9_000)).chars().count(), MAX_QUOTED + 3);
        assert!(unknown_name(&"x".repeat(8_000)).to_string().len() < 200);
    }
}
