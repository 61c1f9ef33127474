//! `pm history`: the statuses of one task.

use pm_client::{Client, ClientError, History};
use serde_json::{Value, json};

use super::{TaskArgs, TaskName};
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Answer, Tally};
use crate::out::{Style, Table, say, table::Cell};

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
    match client.v1().history(target.task_ref()).await {
        Err(ClientError::NoV1 { .. }) => {
            let old = client.procs().history(target.id()).await?;
            let mut history = History::default();
            history.history = old
                .history
                .into_iter()
                .map(|entry| {
                    let mut new = pm_client::HistoryEntry::default();
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

/// How long each status lasted. The last one of a running task lasts until now, that of an ended one is zero.
pub(crate) fn durations(history: &History) -> impl Iterator<Item = std::time::Duration> {
    let now = if history.outcome.is_some() { None } else { Some(history.server_time) };
    history.history.iter().enumerate().map(move |(at, entry)| {
        let until = history.history.get(at + 1).map(|next| next.at).or(now);
        until.map_or(std::time::Duration::ZERO, |until| until.since(entry.at))
    })
}

fn items(history: &History) -> Vec<Value> {
    let item = |(entry, duration): (&pm_client::HistoryEntry, std::time::Duration)| {
        let millis = pm_wire::duration::millis(duration);
        json!({ "at": entry.at, "forMs": millis, "status": entry.status })
    };
    history.history.iter().zip(durations(history)).map(item).collect()
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
        for (at, (entry, duration)) in history.history.iter().zip(durations(history)).enumerate() {
            if history.dropped > 0 && history.dropped_after == Some(at as u64) {
                let gap = format!("... {} entries dropped ...", history.dropped);
                table.row(vec![endpoint.into(), "".into(), "".into(), Cell::new(gap, Style::Dim)]);
            }
            let is_last = at + 1 == history.history.len();
            let shown =
                if is_last && history.outcome.is_some() { String::new() } else { pm_wire::duration::show(duration) };
            table.row(vec![endpoint.into(), entry.at.to_string().into(), shown.into(), entry.status.as_str().into()]);
        }
    }
    if table.is_empty() { Table::new(&["TIME", "FOR", "STATUS"]) } else { table.without_empty_columns() }
}
