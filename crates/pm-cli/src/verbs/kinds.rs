//! `pm kinds`: outcomes and latencies by kind, and where time goes.

use std::time::Duration;

use pm_client::{KindReport, KindStats};
use serde_json::{Value, json};

use super::QueryArgs;
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Answer, Tally};
use crate::out::{Style, Table, format, say, table::Cell};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    query: QueryArgs,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let (endpoints, out) = args.query.resolve()?;
    let answers = fleet::all(endpoints, |client| async move { client.v1().kinds().await }).await;
    let items = |kinds: &KindReport| kinds.kinds.iter().map(|kind| json!(kind)).collect::<Vec<Value>>();
    fleet::show(
        out,
        || fleet::document(&answers, items, |kinds| fleet::at(kinds.server_time)),
        || Ok(out.table(&table(&answers))?),
    )?;
    for answer in &answers {
        if let Some(hint) = answer.result.as_ref().ok().and_then(KindReport::hint) {
            say(&format!("{}: {hint}", answer.endpoint.name));
        }
    }
    fleet::say_errors(&answers);
    Ok(Tally::of(&answers).exit())
}

fn table(answers: &[Answer<KindReport>]) -> Table {
    let mut table = Table::new(&[
        "ENDPOINT",
        "KIND",
        "RUNNING",
        "FINISHED",
        "FAILED",
        "CANCELLED",
        "ABORTED",
        "DROPPED",
        "P50",
        "P95",
        "P99",
        "MAX",
        "WHERE TIME GOES",
    ]);
    let count = |number: u64, style| Cell::new(if number == 0 { String::new() } else { number.to_string() }, style);
    for answer in answers {
        let Ok(kinds) = &answer.result else { continue };
        let endpoint = if answers.len() > 1 { answer.endpoint.name.as_str() } else { "" };
        for kind in &kinds.kinds {
            let latency = &kind.latency;
            let duration = |duration: Option<Duration>| format::latency(duration.filter(|_| latency.count > 0));
            table.row(vec![
                Cell::new(endpoint, Style::Dim),
                name(kind).into(),
                kind.running.to_string().into(),
                kind.finished.to_string().into(),
                count(kind.failed, Style::Bad),
                count(kind.cancelled, Style::Warning),
                count(kind.aborted, Style::Bad),
                count(kind.dropped, Style::Warning),
                duration(latency.p50).into(),
                duration(latency.p95).into(),
                duration(latency.p99).into(),
                duration(latency.max).into(),
                where_time_goes(kind).into(),
            ]);
        }
    }
    if table.is_empty() { Table::new(&["KIND", "RUNNING", "FINISHED"]) } else { table.without_empty_columns() }
}

pub(crate) fn name(kind: &KindStats) -> &str {
    match (&kind.kind, kind.other) {
        (_, true) => "(all other kinds)",
        (Some(kind), false) => kind,
        (None, false) => "(without a kind)",
    }
}

/// The three statuses that took most time, with percentages; empty if no task has set one.
pub(crate) fn where_time_goes(kind: &KindStats) -> String {
    if kind.statuses.iter().all(|status| status.status.as_deref() == Some("init")) {
        return String::new();
    }
    let all: Duration = kind.statuses.iter().map(|status| status.time).sum();
    let mut statuses: Vec<_> = kind.statuses.iter().filter(|status| !status.time.is_zero()).collect();
    statuses.sort_by_key(|status| std::cmp::Reverse(status.time));
    let part = |status: &&pm_client::StatusTime| {
        let name = status.status.as_deref().unwrap_or("(unknown or other)");
        format!("{name} {:.0} %", 100.0 * status.time.as_secs_f64() / all.as_secs_f64())
    };
    statuses.iter().take(3).map(part).collect::<Vec<_>>().join(", ")
}
