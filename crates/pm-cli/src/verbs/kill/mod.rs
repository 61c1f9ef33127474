//! `pm kill`: shows what would be stopped, asks, asks the tasks, waits, and says what came of each.
//!
//! | file | what |
//! |---|---|
//! | `aim.rs` | from words to the tasks that are meant, and the reason |
//! | `question.rs` | the question, on a terminal only |
//! | `strike.rs` | the requests, and the wait for what comes of them |
//!
//! Nothing is stopped that was not shown: each task is named to its server by its serial.

mod aim;
mod question;
mod strike;

use std::time::Duration;

use pm_client::Row;
use serde_json::{Value, json};

use super::{Ask, say_original};
use crate::config::Endpoint;
use crate::fleet::{self, Exit, Stop, Tally};
use crate::out::{Document, Out, Style, Table, say, table::Cell, words};

use aim::Aim;
pub(crate) use strike::outcome;

#[derive(Debug, clap::Args)]
#[command(override_usage = "pm kill [OPTIONS] TASK [REASON]...\n       pm kill [OPTIONS] NAME=VALUE... [REASON]...")]
pub(crate) struct Args {
    /// What to stop: a serial, an id (id:12 for one of digits), or filters as kind=import minAge=5m; then the reason, in
    /// as many words as you like
    #[arg(required = true, value_name = "TASK|NAME=VALUE")]
    words: Vec<String>,
    /// The reason, whatever its words look like
    #[arg(last = true, value_name = "REASON")]
    reason: Vec<String>,
    /// Does not ask first; needed where there is no terminal to ask on
    #[arg(short, long)]
    yes: bool,
    /// Only shows what would be stopped
    #[arg(long)]
    dry_run: bool,
    /// Stops none if there are more tasks than this
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    max: u64,
    /// How long to wait for the end of the tasks, at most 25s
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = wait)]
    wait: Duration,
    /// Only asks them; does not wait for what comes of it
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
    #[command(flatten)]
    ask: Ask,
}

fn wait(text: &str) -> Result<Duration, String> {
    match pm_wire::duration::parse(text).map_err(|error| error.to_string())? {
        wait if wait > pm_wire::VerdictReply::MAX_WAIT => Err("25s is the longest; ask again after it".to_owned()),
        wait => Ok(wait),
    }
}

/// A task that is to be stopped, and where it is.
#[derive(Clone, Debug)]
struct Victim {
    endpoint: Endpoint,
    row: Row,
    is_original: bool,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let (aim, reason) = aim::read(&args.words, &args.reason)?;
    let (endpoints, out) = args.ask.begin()?;
    if !args.yes && !args.dry_run && !question::can_be_asked() {
        return Err(Stop::Usage("kill asks first, and there is no terminal to ask on; add --yes".to_owned()));
    }
    let answers = fleet::all(endpoints, |client| {
        let aim = aim.clone();
        async move { aim.victims(&client, args.max).await }
    })
    .await;
    let tally = Tally::of(&answers);
    let total: u64 = answers.iter().filter_map(|answer| answer.result.as_ref().ok()).map(|found| found.total).sum();
    match aim {
        Aim::One(_) => fleet::say_errors_about_a_task(&answers),
        Aim::All(_) => fleet::say_errors(&answers),
    }
    let several = answers.len() > 1;
    let asked = fleet::document(&answers, |_| Vec::new(), |found| fleet::at(found.server_time)).endpoints;
    let mut victims = Vec::new();
    for answer in answers {
        let Ok(found) = answer.result else { continue };
        if found.is_original {
            say_original(&answer.endpoint.name);
        }
        victims.extend(found.rows.into_iter().map(|row| Victim {
            endpoint: answer.endpoint.clone(),
            row,
            is_original: found.is_original,
        }));
    }
    if victims.is_empty() {
        if tally.good > 0 {
            say("no task that runs is meant; none was asked");
        }
        return Ok(tally.exit_with(0));
    }
    let table = table(&victims, several);
    let refusal = refusal(&aim, &victims, total, args.max);
    if args.dry_run {
        show(out, &victims, &table, asked)?;
        refusal.iter().for_each(|why| say(why));
        say(&format!("{} would be asked to stop; none was asked", words::count(total, "task", "tasks")));
        return Ok(if refusal.is_some() { Exit::Refused } else { tally.exit() });
    }
    if let Some(why) = refusal {
        out.table_of_words(&table);
        say(&format!("{why}; none was asked"));
        return Ok(Exit::Refused);
    }
    let reason = if args.yes {
        reason
    } else {
        out.table_of_words(&table);
        match question::ask(victims.len(), reason)? {
            Some(reason) => reason,
            None => {
                say("none was asked");
                return Ok(Exit::Failure);
            }
        }
    };
    let wait = (!args.no_wait).then_some(args.wait);
    strike::strike(out, victims, asked, &reason, wait, tally).await
}

/// Why it is not done.
fn refusal(aim: &Aim, victims: &[Victim], total: u64, max: u64) -> Option<String> {
    if total > max {
        return Some(format!("{total} tasks are meant, more than --max {max}"));
    }
    let is_serial = matches!(aim, Aim::One(target) if target.is_serial());
    if is_serial && victims.len() > 1 {
        let names = words::list(victims.iter().map(|victim| victim.endpoint.name.as_str()));
        return Some(format!("{names} each have a task with this serial; name one endpoint with -e"));
    }
    None
}

/// The tasks, as data.
fn show(out: Out, victims: &[Victim], table: &Table, endpoints: Vec<Value>) -> Result<(), Stop> {
    if out.is_for_people() {
        return Ok(out.table(table)?);
    }
    let item = |victim: &Victim| fleet::with_endpoint(victim.endpoint.name.as_str().into(), json!(victim.row));
    let mut document = Document { items: victims.iter().map(item).collect(), endpoints, ..Document::default() };
    document.more.insert("dryRun".to_owned(), true.into());
    Ok(document.print(out.format)?)
}

fn table(victims: &[Victim], several: bool) -> Table {
    let mut table = Table::new(&["ENDPOINT", "ID", "SERIAL", "KIND", "AGE", "STATUS", "ATTRS"]);
    for Victim { endpoint, row, .. } in victims {
        table.row(vec![
            Cell::new(if several { endpoint.name.as_str() } else { "" }, Style::Dim),
            row.id.as_str().into(),
            row.serial.as_str().into(),
            row.kind.as_deref().unwrap_or_default().into(),
            words::length(row.age_ms).into(),
            words::status(row),
            words::attrs(&row.attrs).into(),
        ]);
    }
    table.without_empty_columns()
}
