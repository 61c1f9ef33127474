//! What is seen: data on stdout, words on stderr.
//!
//! | file | what |
//! |---|---|
//! | `clean.rs` | text from elsewhere, made safe to show |
//! | `table.rs` | rows for people |
//! | `style.rs` | the few colours |
//! | `words.rs` | lengths, progress, attributes, what came of a task, in words |
//! | `document.rs` | the same for programs |
//!
//! All that is printed goes through here. A reader that has gone away ends the command in peace; a full disk is an error.

pub(crate) mod clean;
mod document;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod words;

use std::io::{self, IsTerminal as _, Write as _};

use crate::config::{Color, Output, Settings};

pub(crate) use document::{Document, name_of};
pub(crate) use style::Style;
pub(crate) use table::Table;

/// How the answer is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) format: Output,
    color: Color,
}

impl Out {
    pub(crate) fn new(settings: &Settings) -> Out {
        Out { format: settings.output.value, color: settings.color.value }
    }

    /// Whether people read it as it is printed.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self.format, Output::Table | Output::Wide)
    }

    /// Whether a table goes to a screen that would scroll away.
    pub(crate) fn is_on_screen(&self) -> bool {
        self.format == Output::Table && io::stdout().is_terminal()
    }

    /// Prints a table as data.
    pub(crate) fn table(&self, table: &Table) -> io::Result<()> {
        let width = if self.format == Output::Wide { None } else { table::screen(&io::stdout()) };
        let shown = table.render(width, self.has_color(&io::stdout()));
        print(&shown.text)?;
        if !shown.left_out.is_empty() {
            say(&format!("no room for {}; -o wide shows all columns", shown.left_out.join(", ")));
        }
        Ok(())
    }

    /// Prints a table as words, to those who will be asked about it.
    pub(crate) fn table_of_words(&self, table: &Table) {
        let stderr = io::stderr();
        let shown = table.render(table::screen(&stderr), self.has_color(&stderr));
        let _ = stderr.lock().write_all(shown.text.as_bytes());
    }

    /// The text in this style, if colours are used on stdout.
    pub(crate) fn styled(&self, style: Style, text: &str) -> String {
        if self.has_color(&io::stdout()) { style.paint(text) } else { text.to_owned() }
    }

    fn has_color(&self, stream: &impl io::IsTerminal) -> bool {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                stream.is_terminal()
                    && variable("NO_COLOR").is_none()
                    && variable("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

/// Prints data.
///
/// # Errors
///
/// The reader has gone away (`BrokenPipe`, which ends the command in peace), or the disk is full.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Says a line of words; if nobody hears them, so be it.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "pm: {}", clean::line(text));
}
