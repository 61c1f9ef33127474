//! `pm waits`: who waits for whom, those at the top who hold up all below them, and circles, of which none goes on.

use pm_client::{Client, ClientError, Cycle, Wait, Waits};
use serde_json::{Value, json};

use super::Ask;
use crate::fleet::{self, Answer, Exit, Stop, Tally};
use crate::out::{Style, Table, say, table::Cell, words};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many of those who wait at most, at each endpoint
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    ask: Ask,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let (endpoints, out) = args.ask.begin()?;
    let limit = args.limit;
    let answers = fleet::all(endpoints, |client| async move { waits(&client, limit).await }).await;
    let items = |waits: &Option<Waits>| match waits {
        Some(waits) => waits.waits.iter().map(|wait| json!(wait)).collect(),
        None => Vec::new(),
    };
    if out.is_for_people() {
        say_circles(&answers);
    }
    fleet::show(out, || fleet::document(&answers, items, about), || Ok(out.table(&table(&answers))?))?;
    for answer in &answers {
        let name = &answer.endpoint.name;
        match &answer.result {
            Ok(None) => say(&format!("{name}: its pm does not know yet who waits for what")),
            Ok(Some(waits)) => {
                if waits.truncated {
                    let (shown, total) = (waits.waits.len(), waits.total);
                    say(&format!("{name}: {shown} of {total} who wait are shown; --limit shows more"));
                }
                if waits.not_shown > 0 {
                    say(&format!("{name}: {} waits had no place in its list", waits.not_shown));
                }
            }
            Err(_) => {}
        }
    }
    fleet::say_errors(&answers);
    Ok(Tally::of(&answers).exit())
}

/// What matters most comes first.
fn say_circles(answers: &[Answer<Option<Waits>>]) {
    for answer in answers {
        for cycle in answer.result.iter().flatten().flat_map(|waits| &waits.cycles) {
            let name = &answer.endpoint.name;
            say(&format!("{name}: these wait for each other, and none goes on by itself: {}", circle(cycle)));
        }
    }
}

/// `None`: the server is older than this.
pub(crate) async fn waits(client: &Client, limit: u32) -> Result<Option<Waits>, ClientError> {
    match client.waits(Some(limit)).await {
        Err(ClientError::Problem { problem, .. }) if problem.status == 404 => Ok(None),
        // An original, or nothing of the kind: its list tells.
        Err(ClientError::NoV1 { .. }) => client.list().await.map(|_| None),
        result => result.map(Some),
    }
}

fn about(waits: &Option<Waits>) -> Value {
    match waits {
        Some(waits) => json!({
            "serverTime": waits.server_time, "total": waits.total, "truncated": waits.truncated, "cycles": waits.cycles,
            "tree": waits.tree,
        }),
        None => json!({ "isUnknown": true }),
    }
}

fn table(answers: &[Answer<Option<Waits>>]) -> Table {
    let mut table = Table::new(&["ENDPOINT", "TASK", "SERIAL", "KIND", "WAITS FOR", "SINCE", "NOTE"]);
    for answer in answers {
        let Ok(Some(waits)) = &answer.result else { continue };
        let endpoint = if answers.len() > 1 { answer.endpoint.name.as_str() } else { "" };
        for row in &waits.tree {
            let in_cycle = waits.cycles.iter().any(|cycle| cycle.steps.iter().any(|step| step.serial == row.serial));
            let note = match (row.repeated, in_cycle) {
                (true, true) => "see above: a circle",
                (true, false) => "see above",
                (false, true) => "in a circle",
                (false, false) => "",
            };
            let branch = "  ".repeat(usize::try_from(row.depth).unwrap_or(0).min(64));
            table.row(vec![
                Cell::new(endpoint, Style::Dim),
                format!("{branch}{}", row.id).into(),
                row.serial.as_str().into(),
                row.kind.as_deref().unwrap_or_default().into(),
                row.resource.as_deref().unwrap_or_default().into(),
                words::length(row.wait_ms).into(),
                Cell::new(note, if in_cycle { Style::Bad } else { Style::Dim }),
            ]);
        }
    }
    if table.is_empty() { Table::new(&["TASK", "WAITS FOR", "SINCE"]) } else { table.without_empty_columns() }
}

/// How a task is called.
pub(crate) fn name(id: &str, serial: &str) -> String {
    if id.is_empty() { format!("task {serial}") } else { format!("{id} ({serial})") }
}

/// What is waited for, since when, and who holds it.
pub(crate) fn waits_for(wait: &Wait) -> String {
    let mut holders: Vec<String> = wait
        .holders
        .iter()
        .take(3)
        .map(|holder| format!("{} holds for {}", name(&holder.id, &holder.serial), words::of_millis(holder.held_ms)))
        .collect();
    let more = (wait.holders.len() - holders.len()) as u64 + wait.more_holders;
    if more > 0 {
        holders.push(words::count(more, "more task", "more tasks"));
    }
    if wait.unknown_holders > 0 {
        holders.push(if holders.is_empty() {
            "others hold that are no tasks".into()
        } else {
            "others that are no tasks".to_owned()
        });
    }
    let held = match holders.len() {
        0 => String::new(),
        1 => format!(", which {}", holders[0]),
        _ => format!(", which {}, and {}", holders[..holders.len() - 1].join(", "), holders[holders.len() - 1]),
    };
    format!("{} since {}{held}", wait.resource, words::of_millis(wait.wait_ms))
}

/// A circle in words, each task with what it waits for and who holds it.
pub(crate) fn circle(cycle: &Cycle) -> String {
    let called = |serial: &str| {
        let step = cycle.steps.iter().find(|step| step.serial == serial);
        step.map_or_else(|| format!("task {serial}"), |step| name(&step.id, &step.serial))
    };
    let step = |step: &pm_client::CycleStep| {
        format!("{} for {} of {}", name(&step.id, &step.serial), step.resource, called(&step.held_by))
    };
    cycle.steps.iter().map(step).collect::<Vec<_>>().join(", ")
}
