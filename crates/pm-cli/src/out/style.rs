//! The few colours there are. Each stands beside a word that says the same.

/// How a text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    /// Titles.
    Bold,
    /// What matters less.
    Dim,
    /// It went wrong.
    Bad,
    /// It needs an eye.
    Odd,
    /// It went well.
    Good,
}

impl Style {
    /// The text with the sequences around it. The text itself must be clean.
    pub(crate) fn paint(self, text: &str) -> String {
        let code = match self {
            Style::Plain => return text.to_owned(),
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Bad => "31",
            Style::Odd => "33",
            Style::Good => "32",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// How an outcome looks.
    pub(crate) fn of_outcome(outcome: Option<&str>) -> Style {
        match outcome {
            Some("finished") => Style::Good,
            Some("cancelled" | "dropped") => Style::Odd,
            Some("failed" | "aborted") => Style::Bad,
            _ => Style::Plain,
        }
    }
}
