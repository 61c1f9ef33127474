//! The one-shot verbs: `ls`, `history`, `kill`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use pm_client::ClientError;
use pm_wire::{HistoryReply, TaskList, TaskRow, Timestamp, VerdictReply};
use serde_json::{Value, json};

use crate::Which;
use crate::ask::{self, Answer, Exit, Tally};
use crate::clean;
use crate::config::{Endpoints, Output};
use crate::table::{Table, screen};
use pm_wire::duration::show as age;

/// Lists the tasks of all endpoints, oldest first.
pub(crate) fn ls(endpoints: Endpoints, output: Output) -> io::Result<Exit> {
    let answers = ask::all(endpoints, |client| async move { client.list().await })?;
    match output {
        Output::Json => ask::print_json(&answers, |list| json!(list))?,
        Output::Table => ask::print(&list_table(&answers).render(screen()))?,
    }
    say_errors(&answers);
    let tally = Tally::of(&answers);
    Ok(match tally {
        // A list has no task to be missing or to refuse.
        Tally { good: 0, .. } => Exit::Unreachable,
        tally => tally.exit(),
    })
}

fn list_table(answers: &[Answer<TaskList>]) -> Table {
    let mut rows: Vec<(&str, Timestamp, &TaskRow)> = Vec::new();
    for answer in answers {
        if let Ok(list) = &answer.result {
            rows.extend(list.procs.iter().map(|task| (answer.endpoint.as_str(), list.server_time, task)));
        }
    }
    // By age and not by date: the clocks of two endpoints need not agree.
    rows.sort_by_key(|(_, now, task)| std::cmp::Reverse(now.since(task.proc_time)));

    let endpoints = answers.len() > 1;
    let kinds = rows.iter().any(|(_, _, task)| task.kind.is_some());
    let progress = rows.iter().any(|(_, _, task)| task.progress.is_some());
    let twins = has_twins(&rows);
    let columns = [
        (endpoints, "ENDPOINT"),
        (true, "ID"),
        (twins, "SERIAL"),
        (kinds, "KIND"),
        (true, "AGE"),
        (true, "STATUS"),
        (true, "IN STATUS"),
        (progress, "PROGRESS"),
        (true, "ATTRS"),
    ];
    let titles: Vec<&str> = columns.iter().filter(|(shown, _)| *shown).map(|(_, title)| *title).collect();
    let mut table = Table::new(&titles);
    for (endpoint, now, task) in rows {
        let cells = [
            endpoint.to_owned(),
            task.id.clone(),
            task.serial.clone().unwrap_or_default(),
            task.kind.clone().unwrap_or_default(),
            age(now.since(task.proc_time)),
            status(task),
            age(now.since(task.status_time)),
            task.progress.as_ref().map(how_far).unwrap_or_default(),
            attrs(task),
        ];
        let shown = columns.iter().zip(cells).filter(|((shown, _), _)| *shown);
        table.row(shown.map(|(_, cell)| cell).collect());
    }
    table
}

/// Whether two tasks of one endpoint bear the same id, so that only the serial tells them apart.
fn has_twins(rows: &[(&str, Timestamp, &TaskRow)]) -> bool {
    let mut seen = HashSet::new();
    !rows.iter().all(|(endpoint, _, task)| seen.insert((endpoint, &task.id)))
}

/// The mark comes first, so that it is there when the text is cut.
fn status(task: &TaskRow) -> String {
    let mark = match (task.cancelling, task.protected, task.is_cancellable()) {
        (true, true, _) => "(cancelling, protected) ",
        (true, false, _) => "(cancelling) ",
        (false, _, false) => "(not cancellable) ",
        (false, true, true) => "(protected) ",
        (false, false, true) => "",
    };
    format!("{mark}{}", task.status)
}

fn how_far(progress: &pm_wire::Progress) -> String {
    let total = if progress.total > 0 { format!("/{}", progress.total) } else { String::new() };
    format!("{}{total} {}", progress.done, progress.unit).trim_end().to_owned()
}

fn attrs(task: &TaskRow) -> String {
    let mut out = String::new();
    for (name, value) in &task.attrs {
        let gap = if out.is_empty() { "" } else { " " };
        // A string accepts whatever is written to it.
        let _ = match value {
            Value::String(text) if !text.is_empty() && !text.contains([' ', '"']) => write!(out, "{gap}{name}={text}"),
            value => write!(out, "{gap}{name}={value}"),
        };
    }
    out
}

/// Shows what the task did, on every endpoint that knows it.
pub(crate) fn history(endpoints: Endpoints, task: &Which, output: Output) -> io::Result<Exit> {
    let answers = ask::all(endpoints, |client| {
        let (id, serial) = (task.id.clone(), task.serial);
        async move {
            match serial {
                Some(serial) => client.history_of(&id, serial).await,
                None => client.history(&id).await,
            }
        }
    })?;
    match output {
        Output::Json => ask::print_json(&answers, |reply| json!(reply))?,
        Output::Table => {
            if answers.iter().any(|answer| answer.result.is_ok()) {
                ask::print(&history_table(&answers).render(screen()))?;
            }
            for answer in &answers {
                if let Ok(HistoryReply { dropped: 1.., .. }) = &answer.result {
                    let dropped = answer.result.as_ref().map_or(0, |reply| reply.dropped);
                    ask::say(&format!("{}: {dropped} older entries dropped", answer.endpoint));
                }
            }
        }
    }
    say_errors_about_a_task(&answers);
    Ok(Tally::of(&answers).exit())
}

fn history_table(answers: &[Answer<HistoryReply>]) -> Table {
    let endpoints = answers.len() > 1;
    let mut titles = vec!["TIME", "FOR", "STATUS"];
    if endpoints {
        titles.insert(0, "ENDPOINT");
    }
    let mut table = Table::new(&titles);
    for answer in answers {
        let Ok(reply) = &answer.result else { continue };
        for (at, entry) in reply.history.iter().enumerate() {
            let until = reply.history.get(at + 1).map_or(reply.server_time, |next| next.ts);
            let mut cells = vec![entry.ts.to_string(), age(until.since(entry.ts)), entry.status.clone()];
            if endpoints {
                cells.insert(0, answer.endpoint.clone());
            }
            table.row(cells);
        }
    }
    table
}

/// Asks the task to stop, wherever it is, waits for what comes of it, and says where it was.
pub(crate) fn kill(
    endpoints: Endpoints,
    task: &Which,
    reason: &str,
    wait: Option<Duration>,
    output: Output,
) -> io::Result<Exit> {
    let answers = ask::all(endpoints, |client| {
        let (id, serial, reason) = (task.id.clone(), task.serial, reason.to_owned());
        async move {
            match (wait, serial) {
                (Some(wait), _) => client.cancel_and_wait(&id, serial, &reason, wait).await,
                (None, Some(serial)) => client.cancel_one(&id, serial, &reason).await.map(|()| None),
                (None, None) => client.cancel(&id, &reason).await.map(|()| None),
            }
        }
    })?;
    match output {
        Output::Json => ask::print_json(&answers, |verdict| match verdict {
            Some(verdict) => json!(verdict),
            None => json!({ "cancelRequested": true }),
        })?,
        Output::Table => {
            let mut text = String::new();
            for answer in &answers {
                let Ok(verdict) = &answer.result else { continue };
                let line = format!("{}: {} on {}", outcome(verdict.as_ref()), task.id, answer.endpoint);
                let _ = writeln!(text, "{}", clean::line(&line));
            }
            ask::print(&text)?;
        }
    }
    say_errors_about_a_task(&answers);
    let still_runs = |answer: &Answer<Option<VerdictReply>>| match &answer.result {
        Ok(Some(verdict)) => verdict.verdict == "cancelling",
        _ => false,
    };
    Ok(match Tally::of(&answers).exit() {
        Exit::Ok if answers.iter().any(still_runs) => Exit::StillRuns,
        exit => exit,
    })
}

/// What came of a kill, in words.
fn outcome(verdict: Option<&VerdictReply>) -> String {
    let Some(verdict) = verdict else { return "cancel requested".to_owned() };
    let took = match verdict.took_ms {
        short if short < 10.0 => format!("{short:.1} ms"),
        long => age(Duration::from_secs_f64(long / 1e3)),
    };
    let below = match verdict.below {
        0 => String::new(),
        1 => ", and 1 task below it".to_owned(),
        several => format!(", and {several} tasks below it"),
    };
    match (verdict.verdict.as_str(), verdict.outcome.as_deref()) {
        ("dropped", _) => format!("dropped after {took}{below}"),
        ("finished", Some("cancelled") | None) => format!("stopped by itself after {took}{below}"),
        ("finished", Some(outcome)) => format!("{outcome} after {took}{below}"),
        ("cancelling", _) => format!("asked to stop, but still running after {took}{below}"),
        (other, _) => format!("{other} after {took}{below}"),
    }
}

fn say_errors<T>(answers: &[Answer<T>]) {
    for answer in answers {
        if let Err(error) = &answer.result {
            ask::say_error(&answer.endpoint, error);
        }
    }
}

/// An endpoint that does not know the task is only worth a word if no other knows it.
fn say_errors_about_a_task<T>(answers: &[Answer<T>]) {
    let found = answers.iter().any(|answer| answer.result.is_ok());
    for answer in answers {
        match &answer.result {
            Err(ClientError::NotFound { .. }) if found => {}
            Err(error) => ask::say_error(&answer.endpoint, error),
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(procs: &str) -> TaskList {
        serde_json::from_str(&format!(r#"{{"procs":[{procs}],"serverTime":"2026-11-24T04:03:40Z"}}"#)).unwrap()
    }

    fn task(more: &str) -> String {
        format!(
            r#"{{"id":"a","procTime":"2026-11-24T04:03:36Z","statusTime":"2026-11-24T04:03:37.5Z","status":"x"{more}}}"#
        )
    }

    fn shown(procs: &str) -> String {
        list_table(&[Answer { endpoint: "one".into(), result: Ok(list(procs)) }]).render(None)
    }

    #[test]
    fn a_column_that_nobody_uses_is_not_there() {
        assert_eq!(shown(&task("")), "ID  AGE    STATUS  IN STATUS  ATTRS\na   4.0 s  x       2.5 s\n");
        let more = task(r#","kind":"import","progress":{"done":3,"total":10,"unit":"files"}"#);
        assert!(shown(&more).starts_with("ID  KIND    AGE    STATUS  IN STATUS  PROGRESS    ATTRS\n"));
        assert!(shown(&more).contains("3/10 files"));
    }

    #[test]
    fn tasks_that_share_an_id_show_their_serials() {
        let two = format!("{},{}", task(r#","serial":"7""#), task(r#","serial":"9""#));
        let text = shown(&two);
        assert!(text.starts_with("ID  SERIAL  AGE") && text.contains("a   7 ") && text.contains("a   9 "), "{text}");
    }

    #[test]
    fn attributes_of_any_type_are_shown() {
        let text = shown(&task(r#","attrs":{"b":"two words","a":"x=1","n":5,"o":{"k":[null]},"e":""}"#));
        assert!(text.contains(r#"a=x=1 b="two words" e="" n=5 o={"k":[null]}"#), "{text}");
    }

    #[test]
    fn the_state_of_a_cancel_is_in_the_status() {
        assert!(shown(&task(r#","cancelling":true"#)).contains("(cancelling) x"));
        assert!(shown(&task(r#","cancellable":false"#)).contains("(not cancellable) x"));
    }
}
