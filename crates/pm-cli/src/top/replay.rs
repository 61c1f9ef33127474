//! `pm replay`: shows a recording on the screen of `pm top`, or prints the list at one moment.

use std::path::PathBuf;
use std::time::Duration;

use pm_wire::Timestamp;
use pm_wire::filter::Filter;
use serde_json::json;
use tokio::sync::mpsc::channel;

use super::app;
use super::event_loop::{Inputs, run};
use super::options::{ScreenArgs, exit, require_terminal};
use super::playback::Playback;
use crate::config::CommonArgs;
use crate::exit::{Exit, Stop};
use crate::feed::{self, Store};
use crate::fleet::{self, ceiling};
use crate::out::{Document, Format, Out, Style, Table, format, say, table::Cell};
use crate::query::Order;
use crate::record::{Player, Recording};

/// How often the screen is updated.
const INTERVAL: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// File written by `pm record`
    file: PathBuf,
    /// Tasks to show, as kind=import minAge=5s
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// Where to start: a time of day as 10:32:05, or a date as 2026-11-24T10:32:05Z; in UTC
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print the list at that time, or at the end, instead of showing the screen
    #[arg(short, long, value_enum, help_heading = "Output")]
    output: Option<Format>,
    #[command(flatten)]
    screen: ScreenArgs,
    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) fn replay(args: ReplayArgs) -> Result<Exit, Stop> {
    let filter = feed::filter(&args.words)?;
    let settings = args.common.settings(args.output)?;
    if args.output.is_none() {
        require_terminal("pm replay without -o")?;
    }
    let recording = Recording::open(&args.file).map_err(|why| Stop::Io(std::io::Error::other(why)))?;
    if let Some(why) = &recording.damage {
        say(&format!("{}: {why}; showing what precedes it", args.file.display()));
    }
    let at = args.at.as_deref().map(|text| moment(&recording, text)).transpose().map_err(Stop::Usage)?;
    let mut store = Store::new(recording.header.endpoints.iter().cloned());
    if args.output.is_some() {
        let at = at.unwrap_or(recording.length);
        let mut player = Player::new(recording, &mut store, at)?;
        if let Some(why) = player.take_damage() {
            say(&format!("{}: {why}; showing what precedes it", args.file.display()));
        }
        print(store, at, &player, &filter, settings.out())?;
        return Ok(Exit::Ok);
    }
    let player = Player::new(recording, &mut store, at.unwrap_or(0.0))?;
    let app = args.screen.app(store, filter, &settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Stay empty; everything comes from the recording.
    let (_updates, updates) = channel(1);
    let (_replies, replies) = channel(1);
    let playback = Some(Playback::new(player));
    let inputs = Inputs { updates, replies, requester: None, interval: INTERVAL, playback };
    exit(runtime.block_on(run(app, inputs)))
}

/// Parses a time of day or a date, and returns milliseconds since the start.
fn moment(recording: &Recording, text: &str) -> Result<f64, String> {
    let outside = || format!("{text} is not in the recording, which is {}", recording.range());
    let at = match (app::clock(text), text.parse::<Timestamp>()) {
        (Some(seconds), _) => recording.at_clock(seconds),
        // The second of the start may be named although it began earlier.
        (None, Ok(at)) if at.unix_nanos() + 1_000_000_000 > recording.header.at.unix_nanos() => {
            at.since(recording.header.at).as_secs_f64() * 1e3
        }
        (None, Ok(_)) => return Err(outside()),
        (None, Err(_)) => {
            return Err(format!("`{text}` is not a time; write 10:32:05 or 2026-11-24T10:32:05Z"));
        }
    };
    // The second of the end may be named although it ends later.
    if at < recording.length + 1_000.0 { Ok(at.min(recording.length)) } else { Err(outside()) }
}

fn print(store: Store, at: f64, player: &Player, filter: &Filter, out: Out) -> Result<(), Stop> {
    let order = Order::parse("-age", false).map_err(Stop::Usage)?;
    let (endpoints, mut rows) = store.into_rows(at);
    rows.retain(|(_, row)| fleet::matches(filter, row));
    rows.sort_by(|(_, a), (_, b)| order.compare(a, b));
    let name = |endpoint: u32| endpoints[endpoint as usize].name.as_str();
    let several = endpoints.len() > 1;
    let moment = player.recording().moment(at);
    for endpoint in &endpoints {
        if let Some(ceiling) = endpoint.full {
            let most = ceiling::in_words(ceiling);
            say(&format!("{}: more than {most}, and the others are not shown", endpoint.name));
        }
    }
    if !out.is_table() {
        let states = endpoints.iter().map(|state| json!({ "endpoint": state.name, "ok": state.is_up() }));
        let items = rows.iter().map(|(endpoint, row)| fleet::with_endpoint(name(*endpoint).into(), json!(row)));
        let mut document = Document { endpoints: states.collect(), ..Document::default() };
        document.more.insert("at".to_owned(), json!(moment));
        return Ok(document.print_with(items, out.format)?);
    }
    let mut table =
        Table::new(&["ENDPOINT", "ID", "SERIAL", "KIND", "AGE", "STATUS", "IN STATUS", "PROGRESS", "PARENT", "ATTRS"]);
    for (endpoint, row) in &rows {
        let mut cells = vec![
            Cell::new(if several { name(*endpoint) } else { "" }, Style::Dim),
            row.id.as_str().into(),
            format::serial(row.serial).into(),
            row.kind.as_deref().unwrap_or_default().into(),
        ];
        cells.extend(format::activity(row));
        cells.extend([format::serial(row.parent).into(), format::attrs(&row.attrs).into()]);
        table.row(cells);
    }
    let table = if table.is_empty() { Table::new(&["ID", "AGE", "STATUS"]) } else { table.without_empty_columns() };
    out.table(&table)?;
    let count = format::count(rows.len() as u64, "task", "tasks");
    say(&format!("{count} at {moment}"));
    for endpoint in endpoints.iter().filter(|endpoint| !endpoint.is_up()) {
        say(&format!("{}: was not connected at that time", endpoint.name));
    }
    Ok(())
}
