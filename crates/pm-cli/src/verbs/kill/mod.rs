//! `pm kill`: shows the selected tasks, asks for confirmation, cancels them, and reports each outcome.
//!
//! | file | contents |
//! |---|---|
//! | `select.rs` | parses the arguments into tasks and a reason |
//! | `confirm.rs` | the confirmation, on a terminal only |
//! | `cancel.rs` | the requests and their outcomes |
//! | `fate.rs` | words for the outcomes |
//!
//! Only tasks that were shown are cancelled: each is named to its server by its serial.

mod cancel;
mod confirm;
mod fate;
mod select;

use std::time::Duration;

use pm_client::ClientError;
use serde_json::{Value, json};

use super::{QueryArgs, TaskName, note_original};
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Answer, Tally};
use crate::out::{Document, Out, Style, Table, format, say, table::Cell};

use cancel::Target;
use fate::reason_words;
pub(crate) use fate::{Fate, summary, verdict_text, without_wait};
use select::{Selected, Selector};

/// The most tasks that one command cancels.
const MAX: u64 = 10_000;

#[derive(Debug, clap::Args)]
#[command(override_usage = "pm kill [OPTIONS] TASK... [-m TEXT]\n       pm kill [OPTIONS] NAME=VALUE... [-m TEXT]")]
pub(crate) struct Args {
    /// Tasks to cancel, each by serial or id (serial:12 or id:12 if both exist); or conditions that select them, as
    /// kind=import minAge=5m
    #[arg(required = true, value_name = "TASK|NAME=VALUE")]
    words: Vec<String>,
    /// The reason, after --, as an alternative to -m
    #[arg(last = true, value_name = "REASON")]
    rest: Vec<String>,
    /// Reason, recorded in the history of each task
    #[arg(short = 'm', long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not ask for confirmation; required without a terminal
    #[arg(short, long)]
    yes: bool,
    /// Only show the tasks that would be cancelled
    #[arg(long)]
    dry_run: bool,
    /// Cancel none if more tasks than this match; at most 10000
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = max)]
    max: u64,
    /// How long to wait for the tasks to end, at most 25s
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = wait)]
    wait: Duration,
    /// Do not wait for the tasks to end
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
    #[command(flatten)]
    query: QueryArgs,
}

fn wait(text: &str) -> Result<Duration, String> {
    match pm_wire::duration::parse(text).map_err(|error| error.to_string())? {
        wait if wait > pm_wire::VerdictReply::MAX_WAIT => Err("the longest is 25s".to_owned()),
        wait => Ok(wait),
    }
}

fn max(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("write a number from 1 to {MAX}")),
        Ok(max) if max > MAX => {
            Err(format!("one command cancels {MAX} tasks at most; select fewer, and repeat it for the others"))
        }
        Ok(max) => Ok(max),
    }
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let (selector, reason) = select::parse(&args.words, args.reason.as_deref(), &args.rest)?;
    let (endpoints, out) = args.query.resolve()?;
    if !args.yes && !args.dry_run && !confirm::is_possible() {
        let place = if args.rest.iter().any(|word| word.starts_with('-')) { " before the --" } else { "" };
        return Err(Stop::Usage(format!("cannot ask for confirmation without a terminal; add --yes{place}")));
    }
    let answers = fleet::all(endpoints, |client| {
        let selector = selector.clone();
        async move { selector.fetch(&client, args.max).await }
    })
    .await;
    let tally = Tally::of(&answers);
    let total: u64 =
        answers.iter().filter_map(|answer| answer.result.as_ref().ok()).map(|found| found.tasks.total).sum();
    fleet::say_errors(&answers);
    if let Selector::Named(names) = &selector {
        let is_unknown = say_absent(names, &answers, &reason);
        let is_ambiguous = answers.iter().any(|answer| matches!(answer.result, Err(ClientError::Ambiguous { .. })));
        if is_unknown || is_ambiguous {
            if names.len() > 1 || answers.len() > 1 {
                say("none was cancelled");
            }
            return Ok(tally.exit_with(0));
        }
    }
    let several = answers.len() > 1;
    let queried = fleet::document(&answers, |_| Vec::new(), |found| fleet::at(found.tasks.server_time)).endpoints;
    let mut targets = Vec::new();
    for answer in answers {
        let Ok(Selected { tasks: found, .. }) = answer.result else { continue };
        if found.is_original {
            note_original(&answer.endpoint.name);
        }
        fleet::say_not_shown(&answer.endpoint.name, found.not_shown);
        targets.extend(found.rows.into_iter().map(|row| Target {
            endpoint: answer.endpoint.clone(),
            row,
            is_original: found.is_original,
        }));
    }
    if targets.is_empty() {
        if tally.good > 0 && matches!(selector, Selector::Matching(_)) {
            say("no running task matches; none was cancelled");
        }
        return Ok(tally.exit_with(0));
    }
    let table = table(&targets, several);
    let refusal = refusal(&selector, &targets, total, args.max);
    if args.dry_run {
        show(out, &targets, &table, queried)?;
        if let Some(why) = refusal {
            say(&format!("{why}; none would be cancelled"));
            return Ok(Exit::Refused);
        }
        let tasks = format::count(total, "task", "tasks");
        say(&format!("{tasks} would be cancelled, {}", reason_words(&reason)));
        return Ok(tally.exit());
    }
    if let Some(why) = refusal {
        out.table_to_stderr(&table);
        say(&format!("{why}; none was cancelled"));
        return Ok(Exit::Refused);
    }
    let reason = if args.yes {
        reason
    } else {
        out.table_to_stderr(&table);
        match confirm::ask(targets.len(), reason)? {
            Some(reason) => reason,
            None => {
                say("none was cancelled");
                return Ok(Exit::Failure);
            }
        }
    };
    let wait = (!args.no_wait).then_some(args.wait);
    cancel::cancel_all(out, targets, queried, &reason, wait, tally).await
}

/// Prints which names have no running task at any endpoint that answered. Returns whether one of them is unknown, not
/// that of an ended task: it may be a word of the reason, so that nothing may be cancelled.
fn say_absent(names: &[TaskName], answers: &[Answer<Selected>], reason: &str) -> bool {
    let found: Vec<(&str, &Selected)> = (answers.iter())
        .filter_map(|answer| Some((answer.endpoint.name.as_str(), answer.result.as_ref().ok()?)))
        .collect();
    let mut first_unknown = None;
    for (at, name) in names.iter().enumerate() {
        let absent = |selected: &&Selected| selected.absent.iter().any(|absent| absent.at == at);
        if found.is_empty() || !found.iter().all(|(_, selected)| absent(selected)) {
            continue;
        }
        let absent = || found.iter().flat_map(|(place, selected)| selected.absent.iter().map(move |one| (place, one)));
        let absent: Vec<_> = absent().filter(|(_, absent)| absent.at == at).collect();
        let ended = absent.iter().find_map(|(_, absent)| absent.ended.as_deref());
        match (names.len(), ended) {
            (1, _) => absent.iter().for_each(|(place, absent)| say(&fleet::error::message(place, &absent.error))),
            (_, Some(outcome)) => say(&format!("{}: it has already ended: {outcome}", name.text())),
            (_, None) => say(&format!("{}: no such task", name.text())),
        }
        if ended.is_none() && first_unknown.is_none() {
            first_unknown = Some(at);
        }
    }
    let Some(at) = first_unknown else { return false };
    if names.len() > 1 {
        let words: Vec<&str> = names.iter().map(TaskName::text).collect();
        let (tasks, others) = words.split_at(at.max(1));
        say(&format!("every word names a task; for a reason, write: {}", select::line(tasks, reason, others)));
    }
    true
}

/// The reason to cancel none, if any.
fn refusal(selector: &Selector, targets: &[Target], total: u64, max: u64) -> Option<String> {
    if total > max {
        return Some(format!("{total} tasks match, more than --max {max}"));
    }
    let Selector::Named(names) = selector else { return None };
    for digits in names.iter().filter_map(TaskName::digits) {
        let has = |target: &&Target| match target.is_original {
            true => target.row.id == digits,
            false => format::serial(target.row.serial) == digits,
        };
        let places: Vec<&str> = targets.iter().filter(has).map(|target| target.endpoint.name.as_str()).collect();
        if places.len() > 1 {
            let places = format::list(places);
            return Some(format!("{places} each have a task with the serial {digits}; name one endpoint with -e"));
        }
    }
    None
}

/// Prints the tasks to stdout.
fn show(out: Out, targets: &[Target], table: &Table, endpoints: Vec<Value>) -> Result<(), Stop> {
    if out.is_table() {
        return Ok(out.table(table)?);
    }
    let item = |target: &Target| fleet::with_endpoint(target.endpoint.name.as_str().into(), json!(target.row));
    let mut document = Document { items: targets.iter().map(item).collect(), endpoints, ..Document::default() };
    document.more.insert("dryRun".to_owned(), true.into());
    Ok(document.print(out.format)?)
}

fn table(targets: &[Target], several: bool) -> Table {
    let mut table = Table::new(&["ENDPOINT", "ID", "SERIAL", "KIND", "AGE", "STATUS", "ATTRS"]);
    for Target { endpoint, row, .. } in targets {
        table.row(vec![
            Cell::new(if several { endpoint.name.as_str() } else { "" }, Style::Dim),
            row.id.as_str().into(),
            format::serial(row.serial).into(),
            row.kind.as_deref().unwrap_or_default().into(),
            format::ran(row).into(),
            format::status(row),
            format::attrs(&row.attrs).into(),
        ]);
    }
    table.without_empty_columns()
}
