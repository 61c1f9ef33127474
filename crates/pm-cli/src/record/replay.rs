//! `pm replay`: the screen of `pm top` over a recording, or what the list looked like at one moment.

use std::path::PathBuf;
use std::time::Duration;

use pm_wire::Timestamp;
use pm_wire::filter::Filter;
use serde_json::json;
use tokio::sync::mpsc::channel;

use super::player::Player;
use super::reader::Recording;
use crate::config::{Output, Where};
use crate::fleet::{self, Exit, Order, Stop};
use crate::out::{Document, Out, Style, Table, say, table::Cell, words};
use crate::top::model::Store;
use crate::top::run::{Drive, run};
use crate::top::{self, Look};

/// How often the screen changes while it plays.
const INTERVAL: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// The file that `pm record` wrote
    file: PathBuf,
    /// Which tasks, as kind=import minAge=5s
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// Where to begin: a time of day as 10:32:05, or a whole date as 2026-11-24T10:32:05Z; in UTC
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Prints what the list looked like then, or at the end, instead of showing the screen
    #[arg(short, long, value_enum, help_heading = "Output")]
    output: Option<Output>,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    place: Where,
}

pub(crate) fn replay(args: ReplayArgs) -> Result<Exit, Stop> {
    let filter = top::filter(&args.words)?;
    let settings = args.place.settings(args.output)?;
    if args.output.is_none() {
        top::needs_terminal("pm replay without -o")?;
    }
    let recording = Recording::open(&args.file).map_err(|why| Stop::Io(std::io::Error::other(why)))?;
    if let Some(why) = &recording.cut {
        say(&format!("{}: {why}; it is read up to there", args.file.display()));
    }
    let at = args.at.as_deref().map(|text| moment(&recording, text)).transpose().map_err(Stop::Usage)?;
    let mut store = Store::new(recording.header.endpoints.iter().cloned());
    if args.output.is_some() {
        let at = at.unwrap_or(recording.length);
        let player = Player::new(recording, &mut store, at)?;
        print(&store, at, &player, &filter, Out::new(&settings))?;
        return Ok(Exit::Ok);
    }
    let player = Player::new(recording, &mut store, at.unwrap_or(0.0))?;
    let app = top::app(store, filter, &args.look, &settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Nothing comes by these; the recording tells all.
    let (_news, news) = channel(1);
    let (_replies, replies) = channel(1);
    let drive = Drive { news, replies, asker: None, interval: INTERVAL, player: Some(player) };
    top::finish(runtime.block_on(run(app, drive)))
}

/// Milliseconds since the start of what people write.
fn moment(recording: &Recording, text: &str) -> Result<f64, String> {
    let outside = || {
        let [from, to] = [0.0, recording.length].map(|at| recording.moment(at).to_string());
        format!("{text} is not in the recording, which goes from {from} to {to}")
    };
    let at = match (top::app::clock(text), text.parse::<Timestamp>()) {
        (Some(seconds), _) => recording.at_clock(seconds),
        // A second may be said that began before the first thing was told.
        (None, Ok(at)) if at.unix_nanos() + 1_000_000_000 > recording.header.at.unix_nanos() => {
            at.since(recording.header.at).as_secs_f64() * 1e3
        }
        (None, Ok(_)) => return Err(outside()),
        (None, Err(_)) => {
            return Err(format!("`{text}` is no time; write it as 10:32:05 or 2026-11-24T10:32:05Z"));
        }
    };
    // The second in which it ends is in it.
    if at < recording.length + 1_000.0 { Ok(at.min(recording.length)) } else { Err(outside()) }
}

fn print(store: &Store, at: f64, player: &Player, filter: &Filter, out: Out) -> Result<(), Stop> {
    let order = Order::parse("-age", false).map_err(Stop::Usage)?;
    let mut rows: Vec<_> = store.iter().map(|(_, task)| (task.key.endpoint, task.row_at(at))).collect();
    rows.retain(|(_, row)| fleet::fits(filter, row));
    rows.sort_by(|(_, a), (_, b)| order.compare(a, b));
    let name = |endpoint: u32| store.places()[endpoint as usize].name.as_str();
    let several = store.places().len() > 1;
    let moment = player.recording().moment(at);
    if !out.is_for_people() {
        let endpoints = store.places().iter().map(|place| json!({ "endpoint": place.name, "ok": place.is_up() }));
        let items = rows.iter().map(|(endpoint, row)| fleet::with_endpoint(name(*endpoint).into(), json!(row)));
        let mut document = Document { items: items.collect(), endpoints: endpoints.collect(), ..Document::default() };
        document.more.insert("at".to_owned(), json!(moment));
        return Ok(document.print(out.format)?);
    }
    let mut table =
        Table::new(&["ENDPOINT", "ID", "SERIAL", "KIND", "AGE", "STATUS", "IN STATUS", "PROGRESS", "PARENT", "ATTRS"]);
    for (endpoint, row) in &rows {
        table.row(vec![
            Cell::new(if several { name(*endpoint) } else { "" }, Style::Dim),
            row.id.as_str().into(),
            row.serial.as_str().into(),
            row.kind.as_deref().unwrap_or_default().into(),
            words::length(row.age_ms).into(),
            words::status(row),
            words::length(row.status_age_ms).into(),
            row.progress.as_ref().map(words::progress).unwrap_or_default().into(),
            row.parent.as_deref().unwrap_or_default().into(),
            words::attrs(&row.attrs).into(),
        ]);
    }
    let table = if table.is_empty() { Table::new(&["ID", "AGE", "STATUS"]) } else { table.without_empty_columns() };
    out.table(&table)?;
    let count = words::count(rows.len() as u64, "task", "tasks");
    say(&format!("{count} at {moment}"));
    for place in store.places().iter().filter(|place| !place.is_up()) {
        say(&format!("{}: was not heard then", place.name));
    }
    Ok(())
}
