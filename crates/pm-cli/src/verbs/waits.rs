//! `pm waits`: tasks waiting for others, as a tree with the blocking tasks at the top, and deadlocks.

use pm_client::{BlockedTask, Client, ClientError, Cycle, Serial, WaitReport};
use serde_json::{Value, json};

use super::QueryArgs;
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Answer, Tally};
use crate::out::{Style, Table, format, say, table::Cell};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Most waiting tasks of each endpoint
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    query: QueryArgs,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let (endpoints, out) = args.query.resolve()?;
    let limit = args.limit;
    let answers = fleet::all(endpoints, |client| async move { waits(&client, limit).await }).await;
    let items = |waits: &Option<WaitReport>| match waits {
        Some(waits) => waits.waits.iter().map(|wait| json!(wait)).collect(),
        None => Vec::new(),
    };
    if out.is_table() {
        say_deadlocks(&answers);
    }
    fleet::show(out, || fleet::document(&answers, items, about), || Ok(out.table(&table(&answers))?))?;
    for answer in &answers {
        let name = &answer.endpoint.name;
        match &answer.result {
            Ok(None) => say(&format!("{name}: this server does not report waits")),
            Ok(Some(waits)) => {
                if waits.truncated {
                    let (shown, total) = (waits.waits.len(), waits.total);
                    say(&format!("{name}: showing {shown} of {total} waiting tasks; --limit shows more"));
                }
                if waits.not_shown > 0 {
                    say(&format!("{name}: {} waits are not listed, as its list is full", waits.not_shown));
                }
            }
            Err(_) => {}
        }
    }
    fleet::say_errors(&answers);
    Ok(Tally::of(&answers).exit())
}

/// Prints deadlocks to stderr, before the table.
fn say_deadlocks(answers: &[Answer<Option<WaitReport>>]) {
    for answer in answers {
        for cycle in answer.result.iter().flatten().flat_map(|waits| &waits.cycles) {
            let name = &answer.endpoint.name;
            say(&format!("{name}: deadlock: {}", cycle_text(cycle)));
        }
    }
}

/// Fetches the waits; `None` if the server does not support them.
pub(crate) async fn waits(client: &Client, limit: u32) -> Result<Option<WaitReport>, ClientError> {
    match client.v1().waits(Some(limit)).await {
        Err(ClientError::Problem { problem, .. }) if problem.status == 404 => Ok(None),
        // Not pm, unless it is a Go original with a list.
        Err(ClientError::NoV1 { .. }) => client.procs().list().await.map(|_| None),
        result => result.map(Some),
    }
}

fn about(waits: &Option<WaitReport>) -> Value {
    match waits {
        Some(waits) => json!({
            "serverTime": waits.server_time, "total": waits.total, "truncated": waits.truncated, "cycles": waits.cycles,
            "tree": waits.tree,
        }),
        None => json!({ "isUnknown": true }),
    }
}

fn table(answers: &[Answer<Option<WaitReport>>]) -> Table {
    let mut table = Table::new(&["ENDPOINT", "TASK", "SERIAL", "KIND", "WAITS FOR", "SINCE", "NOTE"]);
    for answer in answers {
        let Ok(Some(waits)) = &answer.result else { continue };
        let endpoint = if answers.len() > 1 { answer.endpoint.name.as_str() } else { "" };
        for row in &waits.tree {
            let in_cycle = waits.cycles.iter().any(|cycle| cycle.steps.iter().any(|step| step.serial == row.serial));
            let note = match (row.repeated, in_cycle) {
                (true, true) => "deadlock, see above",
                (true, false) => "see above",
                (false, true) => "deadlock",
                (false, false) => "",
            };
            let branch = "  ".repeat(usize::try_from(row.depth).unwrap_or(0).min(64));
            table.row(vec![
                Cell::new(endpoint, Style::Dim),
                format!("{branch}{}", row.id).into(),
                format::serial(row.serial).into(),
                row.kind.as_deref().unwrap_or_default().into(),
                row.resource.as_deref().unwrap_or_default().into(),
                format::duration(row.waited).into(),
                Cell::new(note, if in_cycle { Style::Bad } else { Style::Dim }),
            ]);
        }
    }
    if table.is_empty() { Table::new(&["TASK", "WAITS FOR", "SINCE"]) } else { table.without_empty_columns() }
}

/// The name of a task in messages.
pub(crate) fn name(id: &str, serial: Option<Serial>) -> String {
    let serial = format::serial(serial);
    if id.is_empty() { format!("task {serial}") } else { format!("{id} ({serial})") }
}

/// The resource, the time waited, and the holders.
pub(crate) fn waits_for(wait: &BlockedTask) -> String {
    let mut holders: Vec<String> = wait
        .holders
        .iter()
        .take(3)
        .map(|holder| format!("{} for {}", name(&holder.id, holder.serial), format::duration(holder.held)))
        .collect();
    let more = (wait.holders.len() - holders.len()) as u64 + wait.more_holders;
    if more > 0 {
        holders.push(format::count(more, "more task", "more tasks"));
    }
    if wait.unknown_holders > 0 {
        holders.push("others that are not tasks".to_owned());
    }
    let held = match holders.len() {
        0 => String::new(),
        1 => format!(", held by {}", holders[0]),
        _ => format!(", held by {} and {}", holders[..holders.len() - 1].join(", "), holders[holders.len() - 1]),
    };
    format!("{} for {}{held}", wait.resource, format::duration(wait.waited))
}

/// A deadlock as text: each task with the resource it waits for and the holder.
pub(crate) fn cycle_text(cycle: &Cycle) -> String {
    let called = |serial: Option<Serial>| {
        let step = cycle.steps.iter().find(|step| step.serial == serial);
        step.map_or_else(|| name("", serial), |step| name(&step.id, step.serial))
    };
    let step = |step: &pm_client::CycleStep| {
        format!("{} waits for {} of {}", name(&step.id, step.serial), step.resource, called(step.held_by))
    };
    cycle.steps.iter().map(step).collect::<Vec<_>>().join(", ")
}
