//! `pm show`: one task in detail.

use std::time::Duration;

use std::fmt::Write as _;

use pm_client::{Outcome, Row, TaskState};
use pm_wire::Timestamp;
use serde_json::{Value, json};

use super::{Found, TaskArgs, find, finish};
use crate::exit::{Exit, Stop};
use crate::fleet;
use crate::out::{Out, Style, clean, format, print};

pub(crate) async fn run(task: TaskArgs) -> Result<Exit, Stop> {
    let (out, answers) = task.query_all(|client, target| async move { find(&client, &target).await }).await?;
    fleet::show(
        out,
        || fleet::document(&answers, |found| vec![item(found)], |found| fleet::at(found.server_time)),
        || {
            let mut text = String::new();
            for answer in &answers {
                if let Ok(found) = &answer.result {
                    let endpoint = (answers.len() > 1).then_some(answer.endpoint.name.as_str());
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    text += &page(out, endpoint, found);
                }
            }
            Ok(print(&text)?)
        },
    )?;
    Ok(finish(&answers, |found| found.is_original))
}

/// The row, with its waits.
fn item(found: &Found) -> Value {
    let mut item = json!(found.row);
    for (name, waits) in [("waits", &found.waits), ("holdsUp", &found.holds_up)] {
        if !waits.is_empty() {
            item[name] = json!(waits);
        }
    }
    item
}

/// A line for each known fact.
fn page(out: Out, endpoint: Option<&str>, found: &Found) -> String {
    let row = &found.row;
    let now = found.server_time;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            // Padded before colours are added.
            let _ = writeln!(text, "{}  {}", out.styled(Style::Bold, &format!("{name:<11}")), clean::line(&value));
        }
    };
    line("endpoint", endpoint.unwrap_or_default().to_owned());
    line("id", row.id.clone());
    line("serial", format::serial(row.serial));
    line("kind", row.kind.clone().unwrap_or_default());
    line("state", state(row, now));
    line("status", status(row));
    line("progress", row.progress.as_ref().map(|progress| progress_with_rate(progress, row.age)).unwrap_or_default());
    for wait in &found.waits {
        line("waits for", super::waits::waits_for(wait));
    }
    for wait in &found.holds_up {
        let since = format::duration(wait.waited);
        line(
            "blocks",
            format!(
                "{}, which has waited for {} for {since}",
                super::waits::name(&wait.id, wait.serial),
                wait.resource
            ),
        );
    }
    line("parent", parent(row));
    line("cancel", cancel(row));
    line("cancellable", if row.is_cancellable() { String::new() } else { "no".to_owned() });
    line(
        "protected",
        if row.protected { "cancels are deferred to the end of this section".to_owned() } else { String::new() },
    );
    for (at, (name, value)) in row.attrs.iter().enumerate() {
        line(if at == 0 { "attributes" } else { "" }, format!("{name}={}", format::attr(value)));
    }
    line("history", row.history_len.map(|len| format::count(len, "entry", "entries")).unwrap_or_default());
    text
}

fn state(row: &Row, now: Timestamp) -> String {
    let age = format::ran(row);
    let started = row.started_at.map(|at| format!(", since {at}")).unwrap_or_default();
    if row.has_ended() {
        let outcome = row.outcome.as_ref().map_or("unknown outcome", Outcome::as_str);
        return format!("ended {}: {outcome}, after {age}", format::ago(row.ended_at, now));
    }
    format!("{}, for {age}{started}", row.state.as_ref().map_or("", TaskState::as_str))
}

fn status(row: &Row) -> String {
    if row.has_ended() {
        return row.status.clone();
    }
    format!("{} (for {})", row.status, format::in_status(row))
}

fn parent(row: &Row) -> String {
    let ended = if row.parent_ended { " (it has ended)" } else { "" };
    row.parent.map(|parent| format!("{parent}{ended}")).unwrap_or_default()
}

fn cancel(row: &Row) -> String {
    let Some(cancel) = &row.cancel else { return String::new() };
    let by = if cancel.by.is_empty() { String::new() } else { format!(" by {}", cancel.by) };
    let origin = cancel.origin.map(|origin| format!(" ({origin})")).unwrap_or_default();
    let reason = if cancel.reason.is_empty() { "no reason given" } else { &cancel.reason };
    let observed = if cancel.observed { ", observed by the task" } else { "" };
    format!("requested {} ago{by}{origin}{observed}: {reason}", format::duration(cancel.age))
}

/// The progress with percentage, rate and remaining time.
fn progress_with_rate(progress: &pm_wire::Progress, age: Option<Duration>) -> String {
    let mut text = format::progress(progress);
    let (done, total) = (progress.done as f64, progress.total as f64);
    if progress.total > 0 {
        let _ = write!(text, ", {:.0} %", (100.0 * done / total).min(100.0).floor());
    }
    let seconds = age.unwrap_or_default().as_secs_f64();
    if progress.done > 0 && seconds > 0.0 {
        let rate = done / seconds;
        let _ = if rate >= 10.0 { write!(text, ", {rate:.0}/s") } else { write!(text, ", {rate:.1}/s") };
        if progress.total > progress.done {
            let _ = write!(text, ", {} left at this rate", format::millis((total - done) / rate * 1e3));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_shows_rate_and_time_left() {
        let progress =
            |done, total| serde_json::from_value(json!({ "done": done, "total": total, "unit": "rows" })).unwrap();
        assert_eq!(
            progress_with_rate(&progress(50, 100), Some(Duration::from_secs(5))),
            "50/100 rows, 50 %, 10/s, 5.0 s left at this rate"
        );
        assert_eq!(progress_with_rate(&progress(0, 100), Some(Duration::from_secs(5))), "0/100 rows, 0 %");
        assert_eq!(progress_with_rate(&progress(7, 0), None), "7 rows");
        assert_eq!(progress_with_rate(&progress(9, 5), Some(Duration::from_secs(1))), "9/5 rows, 100 %, 9.0/s");
    }
}
