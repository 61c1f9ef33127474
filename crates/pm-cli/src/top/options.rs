//! The flags that `top` and `replay` share, and the start and end of the screen.

use std::io::{self, IsTerminal as _};

use pm_wire::filter::Filter;

use super::app::{App, Options};
use super::event_loop::End;
use super::model::{Column, List, Shape};
use super::theme::{Glyphs, Theme};
use crate::config::{Settings, Theme as ThemeName};
use crate::exit::{Exit, Stop};
use crate::feed::Store;
use crate::out::Color;

/// The appearance of the screen.
#[derive(Debug, clap::Args)]
pub(crate) struct ScreenArgs {
    /// Initial order: endpoint, serial, id, kind, state, age, statusAge, progress, status, parent, history or attrs; a
    /// leading - reverses it
    #[arg(long, value_name = "COLUMN", default_value = "-age", allow_hyphen_values = true, value_parser = sort)]
    sort: (Column, bool),
    /// Initial columns, comma-separated; the names of --sort
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = Column::from_name)]
    columns: Vec<Column>,
    /// Start with the tree of parents and children
    #[arg(long, conflicts_with = "group")]
    tree: bool,
    /// Start grouped by kind
    #[arg(long)]
    group: bool,
    /// Colours [env: PM_THEME, NO_COLOR] [default: dark]
    #[arg(long, value_name = "THEME", value_enum, help_heading = "Output")]
    theme: Option<ThemeName>,
    /// Draw with ASCII characters only
    #[arg(long, help_heading = "Output")]
    ascii: bool,
    /// Leave the mouse to the terminal, for selecting text
    #[arg(long, help_heading = "Output")]
    no_mouse: bool,
}

fn sort(text: &str) -> Result<(Column, bool), String> {
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    Column::from_name(name).map(|column| (column, descending))
}

/// The columns shown by default.
pub(super) const COLUMNS: [Column; 8] = [
    Column::Endpoint,
    Column::Serial,
    Column::Id,
    Column::Kind,
    Column::Age,
    Column::InStatus,
    Column::Progress,
    Column::Status,
];

impl ScreenArgs {
    /// The initial state of the screen.
    pub(super) fn app(&self, store: Store, filter: Filter, settings: &Settings) -> App {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colors = match settings.color.value {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !no_color,
        };
        let shape = match (self.tree, self.group) {
            (true, _) => Shape::Tree,
            (_, true) => Shape::Groups,
            _ => Shape::Flat,
        };
        let options = Options {
            theme: Theme::new(self.theme.unwrap_or(settings.theme.value), colors),
            glyphs: Glyphs::new(self.ascii),
            columns: if self.columns.is_empty() { COLUMNS.to_vec() } else { self.columns.clone() },
            mouse: !self.no_mouse,
        };
        App::new(store, List::new(filter, self.sort, shape), options)
    }
}

/// An error unless stdout is a terminal.
pub(super) fn require_terminal(command: &str) -> Result<(), Stop> {
    match io::stdout().is_terminal() {
        true => Ok(()),
        false => Err(Stop::Usage(format!("{command} needs a terminal; `pm ls` and `pm watch` do not"))),
    }
}

/// Converts the end of the screen to an exit code.
pub(super) fn exit(end: io::Result<End>) -> Result<Exit, Stop> {
    match end? {
        End::Quit => Ok(Exit::Ok),
        // As shells report a command that a signal ended.
        End::Signal(number) => std::process::exit(128 + number),
    }
}
