//! `pm kill`: shows the selected tasks, asks for confirmation, cancels them, and reports each outcome.
//!
//! | file | contents |
//! |---|---|
//! | `select.rs` | parses the arguments into tasks and a reason |
//! | `confirm.rs` | the confirmation, on a terminal only |
//! | `cancel.rs` | the requests and their outcomes |
//!
//! Only tasks that were shown are cancelled: each is named to its server by its serial.

mod cancel;
mod confirm;
mod select;

use std::time::Duration;

use serde_json::{Value, json};

use super::{QueryArgs, note_original};
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Tally};
use crate::out::{Document, Out, Style, Table, format, say, table::Cell};

use cancel::Target;
pub(crate) use cancel::verdict_text;
use select::Selector;

#[derive(Debug, clap::Args)]
#[command(override_usage = "pm kill [OPTIONS] TASK [REASON]...\n       pm kill [OPTIONS] NAME=VALUE... [REASON]...")]
pub(crate) struct Args {
    /// Task to cancel, by serial or id (id:12 if the id is all digits), or filters, as kind=import minAge=5m; then the
    /// reason
    #[arg(required = true, value_name = "TASK|NAME=VALUE")]
    words: Vec<String>,
    /// Reason, after --, if it could be mistaken for filters
    #[arg(last = true, value_name = "REASON")]
    reason: Vec<String>,
    /// Do not ask for confirmation; required without a terminal
    #[arg(short, long)]
    yes: bool,
    /// Only show the tasks that would be cancelled
    #[arg(long)]
    dry_run: bool,
    /// Cancel none if more tasks than this match
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
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

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let (selector, reason) = select::parse(&args.words, &args.reason)?;
    let (endpoints, out) = args.query.resolve()?;
    if !args.yes && !args.dry_run && !confirm::is_possible() {
        return Err(Stop::Usage("cannot ask for confirmation without a terminal; add --yes".to_owned()));
    }
    let answers = fleet::all(endpoints, |client| {
        let selector = selector.clone();
        async move { selector.fetch(&client, args.max).await }
    })
    .await;
    let tally = Tally::of(&answers);
    let total: u64 = answers.iter().filter_map(|answer| answer.result.as_ref().ok()).map(|found| found.total).sum();
    match selector {
        Selector::One(_) => fleet::say_errors_about_a_task(&answers),
        Selector::Matching(_) => fleet::say_errors(&answers),
    }
    let several = answers.len() > 1;
    let queried = fleet::document(&answers, |_| Vec::new(), |found| fleet::at(found.server_time)).endpoints;
    let mut targets = Vec::new();
    for answer in answers {
        let Ok(found) = answer.result else { continue };
        if found.is_original {
            note_original(&answer.endpoint.name);
        }
        targets.extend(found.rows.into_iter().map(|row| Target {
            endpoint: answer.endpoint.clone(),
            row,
            is_original: found.is_original,
        }));
    }
    if targets.is_empty() {
        if tally.good > 0 {
            say("no running task matches; none was cancelled");
        }
        return Ok(tally.exit_with(0));
    }
    let table = table(&targets, several);
    let refusal = refusal(&selector, &targets, total, args.max);
    if args.dry_run {
        show(out, &targets, &table, queried)?;
        refusal.iter().for_each(|why| say(why));
        say(&format!("{} would be cancelled", format::count(total, "task", "tasks")));
        return Ok(if refusal.is_some() { Exit::Refused } else { tally.exit() });
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

/// The reason to cancel none, if any.
fn refusal(selector: &Selector, targets: &[Target], total: u64, max: u64) -> Option<String> {
    if total > max {
        return Some(format!("{total} tasks match, more than --max {max}"));
    }
    let is_serial = matches!(selector, Selector::One(name) if name.is_serial());
    if is_serial && targets.len() > 1 {
        let names = format::list(targets.iter().map(|target| target.endpoint.name.as_str()));
        return Some(format!("{names} each have a task with this serial; name one endpoint with -e"));
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
            format::duration(row.age).into(),
            format::status(row),
            format::attrs(&row.attrs).into(),
        ]);
    }
    table.without_empty_columns()
}
