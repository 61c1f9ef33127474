//! `pm top`: the live list over all endpoints. `pm replay` shows a recording with the same screen.
//!
//! | room | what |
//! |---|---|
//! | `model/` | what is known, and which of it is shown in which order; pure |
//! | `app/` | what the screen shows and what keys do to it; pure |
//! | `view/` | frames |
//! | `feed.rs` | what one endpoint tells, stream or polls |
//! | `ask.rs` | what is asked besides, and cancels |
//! | `run.rs` | keys, news, answers, signals and time, one after the other |
//! | `screen.rs` | the terminal, given back on every exit |
//! | `theme.rs`, `canvas.rs` | how things look; text that is only ever shown |
//! | `edit.rs`, `complete.rs` | a line of text, and what a filter may go on with |

pub(crate) mod app;
pub(crate) mod ask;
mod canvas;
mod complete;
mod edit;
pub(crate) mod feed;
pub(crate) mod model;
pub(crate) mod run;
mod screen;
#[cfg(test)]
mod screens;
pub(crate) mod theme;
mod view;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use pm_wire::filter::Filter;
use tokio::sync::mpsc::channel;

use crate::config::{Color, Settings, Theme as ThemeName, Where};
use crate::fleet::{Exit, Stop};

use app::{App, Options};
use ask::Asker;
use model::{Column, List, Shape, Store};
use run::{Drive, End};
use theme::{Glyphs, Theme};

/// Pieces of news that may wait for the screen; a stream that is read too slowly is told so by its server.
const WAITING: usize = 1_024;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which tasks, as kind=import minAge=5s attr.tenant=acme status='waiting *'; / changes it
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// How often the screen changes by itself, 250ms at least
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    place: Where,
}

/// How the screen looks.
#[derive(Debug, clap::Args)]
pub(crate) struct Look {
    /// The order at the start: endpoint, serial, id, kind, state, age, statusAge, progress, status, parent, history or
    /// attrs; with a - first the other way round
    #[arg(long, value_name = "COLUMN", default_value = "-age", allow_hyphen_values = true, value_parser = sort)]
    sort: (Column, bool),
    /// The columns at the start, with commas between the names that --sort knows
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = Column::of_word)]
    columns: Vec<Column>,
    /// Begins with the tree of who started whom
    #[arg(long, conflicts_with = "group")]
    tree: bool,
    /// Begins with groups by kind
    #[arg(long)]
    group: bool,
    /// The colours [env: PM_THEME, NO_COLOR] [default: dark]
    #[arg(long, value_name = "THEME", value_enum, help_heading = "Output")]
    theme: Option<ThemeName>,
    /// Only characters of ASCII
    #[arg(long, help_heading = "Output")]
    ascii: bool,
    /// Leaves the mouse to the terminal, which marks text with it
    #[arg(long, help_heading = "Output")]
    no_mouse: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    match pm_wire::duration::parse(text).map_err(|error| error.to_string())? {
        short if short < Duration::from_millis(250) => Err("250ms is the shortest".to_owned()),
        long if long > Duration::from_secs(60) => Err("60s is the longest".to_owned()),
        length => Ok(length),
    }
}

fn sort(text: &str) -> Result<(Column, bool), String> {
    let (word, descending) = text.strip_prefix('-').map_or((text, false), |word| (word, true));
    Column::of_word(word).map(|column| (column, descending))
}

/// What is shown without a choice of columns.
const COLUMNS: [Column; 8] = [
    Column::Endpoint,
    Column::Serial,
    Column::Id,
    Column::Kind,
    Column::Age,
    Column::InStatus,
    Column::Progress,
    Column::Status,
];

pub(crate) fn run(args: Args) -> Result<Exit, Stop> {
    let settings = args.place.settings(None)?;
    let filter = filter(&args.words)?;
    needs_terminal("pm top")?;
    let endpoints = settings.endpoints.list().to_vec();
    let names = endpoints.iter().map(|endpoint| endpoint.name.clone());
    let app = app(Store::new(names), filter, &args.look, &settings);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (send, news) = channel(WAITING);
    for (at, endpoint) in (0..).zip(endpoints.clone()) {
        runtime.spawn(feed::follow(at, endpoint, feed::query(args.interval), Filter::default(), send.clone()));
    }
    let (reply, replies) = channel(WAITING);
    let asker = Asker { runtime: runtime.handle().clone(), endpoints: Arc::new(endpoints), send: reply };
    let drive = Drive { news, replies, asker: Some(asker), interval: args.interval, player: None };
    let end = runtime.block_on(run::run(app, drive));
    // A look-up of a name may hang on its own thread; do not wait for it.
    runtime.shutdown_background();
    finish(end)
}

/// Which tasks, by the words of the command line.
pub(crate) fn filter(words: &[String]) -> Result<Filter, Stop> {
    let wanted = crate::query::Wanted::read(words, false)?;
    if let Some(word) = words.iter().find(|word| word.starts_with("sort=") || word.starts_with("limit=")) {
        return Err(Stop::Usage(format!("{word}: all tasks are shown here; --sort sets their order")));
    }
    Ok(wanted.filter)
}

/// Says so where there is no terminal to show it on.
pub(crate) fn needs_terminal(what: &str) -> Result<(), Stop> {
    match io::stdout().is_terminal() {
        true => Ok(()),
        false => Err(Stop::Usage(format!("{what} needs a terminal to show itself on; `pm ls` and `pm watch` do not"))),
    }
}

/// The application as it is at the start.
pub(crate) fn app(store: Store, filter: Filter, look: &Look, settings: &Settings) -> App {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colors = match settings.color.value {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => !no_color,
    };
    let shape = match (look.tree, look.group) {
        (true, _) => Shape::Tree,
        (_, true) => Shape::Groups,
        _ => Shape::Flat,
    };
    let options = Options {
        theme: Theme::new(look.theme.unwrap_or(settings.theme.value), colors),
        glyphs: Glyphs::new(look.ascii),
        columns: if look.columns.is_empty() { COLUMNS.to_vec() } else { look.columns.clone() },
        mouse: !look.no_mouse,
    };
    App::new(store, List::new(filter, look.sort, shape), options)
}

/// How the command ends.
pub(crate) fn finish(end: io::Result<End>) -> Result<Exit, Stop> {
    match end? {
        End::Quit => Ok(Exit::Ok),
        // As shells say it of a command that a signal ended.
        End::Signal(number) => std::process::exit(128 + number),
    }
}
