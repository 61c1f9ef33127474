//! The format of the output, and printing.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;

use super::style::Style;
use super::table::Table;
use super::{clean, table};

/// The format of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table as wide as the terminal, not truncated in a pipe
    #[default]
    Table,
    /// A table with all columns, not truncated
    Wide,
    /// One JSON document, see docs/cli.md
    Json,
    /// One JSON item per line
    Ndjson,
    /// Serials only, for other commands; with several endpoints each after its endpoint and a tab
    Ids,
}

/// When colours are used. They never carry information that the text lacks.
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

/// The format and the use of colours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) format: Format,
    color: Color,
}

impl Out {
    pub(crate) fn new(format: Format, color: Color) -> Out {
        Out { format, color }
    }

    /// Returns whether the format is a table.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// Returns whether a table goes to a terminal, where long ones would scroll away.
    pub(crate) fn is_on_screen(&self) -> bool {
        self.format == Format::Table && io::stdout().is_terminal()
    }

    /// Prints a table to stdout.
    pub(crate) fn table(&self, table: &Table) -> io::Result<()> {
        let width = if self.format == Format::Wide { None } else { table::screen(&io::stdout()) };
        let shown = table.render(width, self.has_color(&io::stdout()));
        print(&shown.text)?;
        if !shown.left_out.is_empty() {
            say(&format!("columns left out: {}; -o wide shows all columns", shown.left_out.join(", ")));
        }
        Ok(())
    }

    /// Prints a table to stderr, before a question about it.
    pub(crate) fn table_to_stderr(&self, table: &Table) {
        let stderr = io::stderr();
        let shown = table.render(table::screen(&stderr), self.has_color(&stderr));
        let _ = stderr.lock().write_all(shown.text.as_bytes());
    }

    /// Applies the style if colours are used on stdout.
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

/// Prints data to stdout.
///
/// # Errors
///
/// The pipe is closed (`BrokenPipe`, which ends the command silently), or the disk is full.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Prints a message to stderr; errors are ignored.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "pm: {}", clean::line(text));
}
