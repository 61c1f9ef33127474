//! The colours of tables. Each accompanies a word with the same meaning.

use pm_client::Outcome;

/// The style of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    /// For titles.
    Bold,
    /// For what matters less.
    Dim,
    /// A failure.
    Bad,
    /// Needs attention.
    Warning,
    /// A success.
    Good,
}

impl Style {
    /// Wraps the text, which must be clean, in escape sequences.
    pub(crate) fn paint(self, text: &str) -> String {
        let code = match self {
            Style::Plain => return text.to_owned(),
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Bad => "31",
            Style::Warning => "33",
            Style::Good => "32",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// The style of an outcome.
    pub(crate) fn of_outcome(outcome: Option<&Outcome>) -> Style {
        match outcome {
            Some(Outcome::Finished) => Style::Good,
            Some(Outcome::Cancelled | Outcome::Dropped) => Style::Warning,
            Some(Outcome::Failed | Outcome::Aborted) => Style::Bad,
            _ => Style::Plain,
        }
    }
}
