//! `pm history`: the statuses of one task.

use std::time::Duration;

use pm_client::{Client, ClientError, History, HistoryEntry};
use serde_json::{Value, json};

use super::{TaskArgs, TaskName, find};
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Answer, Tally};
use crate::out::{Style, Table, format, say, table::Cell};

pub(crate) async fn run(task: TaskArgs) -> Result<Exit, Stop> {
    let (out, answers) = task.query_all(|client, target| async move { history(&client, &target).await }).await?;
    fleet::show(out, || fleet::document(&answers, items, about), || Ok(out.table(&table(&answers))?))?;
    for answer in &answers {
        if let Ok(history) = &answer.result
            && history.dropped > 0
        {
            say(&format!("{}: {} older entries dropped", answer.endpoint.name, history.dropped));
        }
    }
    fleet::say_errors_about_a_task(&answers);
    Ok(Tally::of(&answers).exit())
}

/// Fetches the history, also from a Go original.
pub(crate) async fn history(client: &Client, target: &TaskName) -> Result<History, ClientError> {
    if target.ambiguous_digits().is_some() {
        find(client, target).await?;
    }
    match client.v1().history(target.task_ref()).await {
        Err(ClientError::NoV1 { .. }) => {
            let old = client.procs().history(target.id()).await?;
            let mut history = History::default();
            history.history = old
                .history
                .into_iter()
                .map(|entry| {
                    let mut new = HistoryEntry::default();
                    (new.at, new.status) = (entry.ts, entry.status);
                    new
                })
                .collect();
            (history.dropped, history.outcome, history.server_time) = (old.dropped, old.outcome, old.server_time);
            Ok(history)
        }
        result => result,
    }
}

/// A line of a timeline.
pub(crate) enum Line<'h> {
    /// A status, and how long it lasted: until the next one, or until now if the task runs. `None` for the last status
    /// of an ended task, and for one that is followed by a gap, as the next status is unknown.
    Entry(&'h HistoryEntry, Option<Duration>),
    /// Entries that were dropped, and the time that they cover, together with the end of the status before them.
    Gap { entries: u64, covers: Option<Duration> },
}

/// The entries of a history and the gap in it. No status is credited with time in which others may have been set.
pub(crate) fn lines(history: &History) -> Vec<Line<'_>> {
    let entries = &history.history;
    let gap = history.dropped_after.filter(|_| history.dropped > 0).and_then(|at| usize::try_from(at).ok());
    let now = history.outcome.is_none().then_some(history.server_time);
    let mut lines = Vec::with_capacity(entries.len() + 1);
    for (at, entry) in entries.iter().enumerate() {
        if gap == Some(at) {
            let before = at.checked_sub(1).map(|before| &entries[before]);
            let covers = before.map(|before| entry.at.since(before.at));
            lines.push(Line::Gap { entries: history.dropped, covers });
        }
        let until = match entries.get(at + 1) {
            Some(_) if gap == Some(at + 1) => None,
            Some(next) => Some(next.at),
            None => now,
        };
        lines.push(Line::Entry(entry, until.map(|until| until.since(entry.at))));
    }
    lines
}

fn items(history: &History) -> Vec<Value> {
    let item = |line: Line<'_>| {
        let Line::Entry(entry, duration) = line else { return None };
        let is_last_of_ended = history.outcome.is_some() && history.history.last().is_some_and(|last| last == entry);
        let mut item = json!({ "at": entry.at, "status": entry.status });
        if let Some(duration) = duration.or(is_last_of_ended.then_some(Duration::ZERO)) {
            item["forMs"] = pm_wire::duration::millis(duration).into();
        }
        Some(item)
    };
    lines(history).into_iter().filter_map(item).collect()
}

fn about(history: &History) -> Value {
    let mut about = json!({ "serverTime": history.server_time, "dropped": history.dropped });
    if let Some(serial) = history.serial {
        about["serial"] = serial.to_string().into();
    }
    if let Some(outcome) = &history.outcome {
        about["outcome"] = outcome.as_str().into();
    }
    if let Some(after) = history.dropped_after {
        about["droppedAfter"] = after.into();
    }
    about
}

fn table(answers: &[Answer<History>]) -> Table {
    let mut table = Table::new(&["ENDPOINT", "TIME", "FOR", "STATUS"]);
    for answer in answers {
        let Ok(history) = &answer.result else { continue };
        let endpoint = if answers.len() > 1 { answer.endpoint.name.as_str() } else { "" };
        for line in lines(history) {
            table.row(match line {
                Line::Gap { entries, covers } => {
                    let gap = format!("... {} dropped ...", format::count(entries, "entry", "entries"));
                    let [covers, gap] = [format::duration(covers), gap].map(|text| Cell::new(text, Style::Dim));
                    vec![endpoint.into(), "".into(), covers, gap]
                }
                Line::Entry(entry, duration) => {
                    let duration = format::duration(duration);
                    vec![endpoint.into(), entry.at.to_string().into(), duration.into(), entry.status.as_str().into()]
                }
            });
        }
    }
    if table.is_empty() { Table::new(&["TIME", "FOR", "STATUS"]) } else { table.without_empty_columns() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(history: Value) -> Vec<String> {
        let history: History = serde_json::from_value(history).unwrap();
        let shown = |line: &Line<'_>| match line {
            Line::Entry(entry, duration) => format!("{} {}", entry.status, format::duration(*duration)),
            Line::Gap { entries, covers } => format!("-{entries} {}", format::duration(*covers)),
        };
        lines(&history).iter().map(shown).collect()
    }

    fn with_gap(after: u64, outcome: Option<&str>) -> Value {
        let entries = [(0, "init"), (1, "scan"), (40, "pause"), (50, "scan")]
            .map(|(at, status)| json!({ "at": format!("2026-11-24T10:00:{at:02}Z"), "status": status }));
        let mut history = json!({ "serial": "7", "serverTime": "2026-11-24T10:00:59Z", "history": entries,
            "dropped": 1984, "droppedAfter": after });
        if let Some(outcome) = outcome {
            history["outcome"] = outcome.into();
        }
        history
    }

    #[test]
    fn no_status_is_credited_with_the_time_of_dropped_entries() {
        assert_eq!(shown(with_gap(2, None)), ["init 1.0 s", "scan ", "-1984 39.0 s", "pause 10.0 s", "scan 9.0 s"]);
        // Before the newest entry, in a task that has ended, and before the first.
        assert_eq!(
            shown(with_gap(3, Some("failed"))),
            ["init 1.0 s", "scan 39.0 s", "pause ", "-1984 10.0 s", "scan "]
        );
        assert_eq!(shown(with_gap(0, None))[..2], ["-1984 ", "init 1.0 s"]);
        let items = items(&serde_json::from_value(with_gap(2, None)).unwrap());
        assert_eq!(items.len(), 4);
        assert!(items[1].get("forMs").is_none() && items[2]["forMs"] == 10_000.0, "{items:?}");
    }
}
