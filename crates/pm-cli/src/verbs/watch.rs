//! `pm watch`: prints events of tasks as they happen, like `tail -f`.

use std::time::{Duration, SystemTime};

use pm_client::{Client, ClientError, Event, Outcome, Query, Row, Update};
use pm_wire::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{QueryArgs, TaskName, cancelled_by, cause, find};
use crate::exit::{Exit, Stop};
use crate::feed;
use crate::fleet::{self, Tally, error};
use crate::out::{Document, Format, Out, Style, clean, format, name_of, print, say};
use crate::query::Selection;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks to follow: one by serial or id, until it ends; or filters, as kind=import attr.tenant=acme; all by default
    #[arg(value_name = "TASK|NAME=VALUE")]
    words: Vec<String>,
    /// Stop after this time, as 30s or 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = pm_wire::duration::parse)]
    watch_for: Option<Duration>,
    /// Do not print progress
    #[arg(long)]
    no_progress: bool,
    #[command(flatten)]
    query: QueryArgs,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let (query, name) = parse(&args.words)?;
    let is_one = name.is_some();
    let (endpoints, out) = args.query.resolve()?;
    if out.format == Format::Json {
        return Err(Stop::Usage("watch prints events one by one; use -o ndjson instead of json".to_owned()));
    }
    let several = endpoints.list().len() > 1;
    let (send, mut receive) = mpsc::channel(feed::CAPACITY);
    for endpoint in endpoints {
        let (send, query, name) = (send.clone(), query.clone(), name.clone());
        tokio::spawn(async move {
            if let Some(name) = name.filter(|name| name.ambiguous_digits().is_some())
                && let Err(error @ ClientError::Ambiguous { .. }) = find(&endpoint.client, &name).await
            {
                // The receiver may have ended.
                let _ = send.send((endpoint.name, Err(error))).await;
                return;
            }
            follow(endpoint.client, &query, &endpoint.name, &send).await;
        });
    }
    drop(send);

    let mut printer = Printer { out, several, progress: !args.no_progress };
    let mut tally = Tally::default();
    let timeout = async {
        match args.watch_for {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let mut timeout = std::pin::pin!(timeout);
    let (mut live, mut seen) = (0_u64, false);
    loop {
        let next = tokio::select! {
            next = receive.recv() => next,
            () = &mut timeout => return Ok(tally.exit()),
        };
        let Some((endpoint, update)) = next else { return Ok(tally.exit()) };
        match update {
            Err(error) => {
                say(&error::message(&endpoint, &error));
                tally.add::<()>(&Err(error));
            }
            Ok(update) => {
                let (mut has_ended, mut is_complete) = (false, false);
                match &update {
                    Update::Connected => tally.good += 1,
                    Update::Event(Event::Started(_)) => live += 1,
                    Update::Event(Event::Snapshot(snapshot)) => {
                        live += snapshot.tasks.len() as u64;
                        is_complete = !snapshot.more;
                    }
                    Update::Event(Event::Ended(_)) => {
                        live = live.saturating_sub(1);
                        has_ended = true;
                    }
                    _ => {}
                }
                seen |= live > 0;
                let is_last = is_one && seen && live == 0 && has_ended;
                let is_missing = is_one && !several && !seen && is_complete;
                printer.print(&endpoint, update)?;
                if is_last {
                    return Ok(Exit::Ok);
                }
                if is_missing {
                    say("no such task is running; see `pm ls` and `pm ended`");
                    return Ok(Exit::NotFound);
                }
            }
        }
    }
}

/// Parses the arguments into a query, and the name if it is for one task.
fn parse(words: &[String]) -> Result<(Query, Option<TaskName>), Stop> {
    match words {
        [one] if !one.contains('=') || one.starts_with("id:") => {
            let name = TaskName::new(one);
            Ok((name.query(), Some(name)))
        }
        words => {
            Selection::only_filters(words, "events come in their own order; only filters are allowed")?;
            Ok((Selection::parse(words, false)?.filters(), None))
        }
    }
}

/// Forwards events until the receiver is dropped or the stream ends.
pub(super) async fn follow(
    client: Client,
    query: &Query,
    name: &str,
    send: &mpsc::Sender<(String, Result<Update, ClientError>)>,
) {
    let mut events = client.v1().events(query);
    while let Some(event) = events.next().await {
        if send.send((name.to_owned(), event)).await.is_err() {
            return;
        }
    }
}

struct Printer {
    out: Out,
    several: bool,
    progress: bool,
}

impl Printer {
    fn print(&mut self, endpoint: &str, update: Update) -> Result<(), Stop> {
        let event = match update {
            Update::Lost { error, retry_in } => {
                let retry = pm_wire::duration::show(retry_in);
                say(&format!("{}; retrying in {retry}", error::message(endpoint, &error)));
                return Ok(());
            }
            Update::Event(event) => event,
            _ => return Ok(()),
        };
        match event {
            Event::Gap(why) => say(&format!("{endpoint}: events are missing ({why}); the running tasks follow")),
            Event::Unseen(count) => {
                let tasks = format::count(count, "task", "tasks");
                say(&format!("{endpoint}: {tasks} started and ended unseen"));
            }
            Event::Bye(why) => say(&format!("{endpoint}: shutting down ({why})")),
            Event::Snapshot(snapshot) => {
                for row in &snapshot.tasks {
                    let running = format!("running for {}: {}", format::ran(row), row.status);
                    self.line(endpoint, "running", row, &running, Style::Dim)?;
                }
            }
            Event::Started(task) => self.line(endpoint, "started", &task, "started", Style::Bold)?,
            Event::Status(task) => self.line(endpoint, "status", &task, &task.status, Style::Plain)?,
            Event::Progress(task) if self.progress => {
                let progress = task.progress.as_ref().map(format::progress).unwrap_or_default();
                self.line(endpoint, "progress", &task, &progress, Style::Dim)?;
            }
            Event::Cancel(task) => self.line(endpoint, "cancel", &task, &cancel(&task), Style::Warning)?,
            Event::Ended(task) => {
                let style = Style::of_outcome(task.outcome.as_ref());
                self.line(endpoint, "ended", &task, &ended(&task), style)?;
            }
            Event::Left(serial) => {
                let mut row = Row::default();
                row.serial = Some(serial);
                self.line(endpoint, "left", &row, "no longer matches", Style::Dim)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn line(&self, endpoint: &str, event: &str, row: &Row, what: &str, style: Style) -> Result<(), Stop> {
        let at = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        let text = match self.out.format {
            Format::Table | Format::Wide => {
                let place = if self.several { format!("{endpoint}  ") } else { String::new() };
                let head = clean::line(&format!("{place}{}", name_of(row)));
                format!("{}  {head}: {}\n", clock(at), self.out.styled(style, &clean::line(what)))
            }
            Format::Ids if event != "started" && event != "running" => return Ok(()),
            format => {
                let item = json!({ "event": event, "at": at, "task": row });
                let item = match format {
                    Format::Ids => json!(row),
                    _ => item,
                };
                let item = fleet::with_endpoint(endpoint.into(), item);
                // With several endpoints, the name includes the endpoint.
                let endpoints = vec![Value::Null; if self.several { 2 } else { 1 }];
                return Ok(Document { items: vec![item], endpoints, ..Document::default() }.print(format)?);
            }
        };
        Ok(print(&text)?)
    }
}

/// The time of day, in UTC.
fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    let time = text.split_once('T').map_or("", |(_, time)| time).trim_end_matches('Z');
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{seconds}.{:0<3}Z", &fraction[..fraction.len().min(3)])
}

fn cancel(row: &Row) -> String {
    let Some(cancel) = &row.cancel else { return "cancel requested".to_owned() };
    let by = if cancel.by.is_empty() { String::new() } else { format!(" by {}", cancel.by) };
    let why = if cancel.reason.is_empty() { String::new() } else { format!(": {}", cancel.reason) };
    format!("cancel requested{by}{why}")
}

/// Describes the end: the outcome, after how long, and its cause.
pub(super) fn ended(row: &Row) -> String {
    let outcome = match &row.outcome {
        Some(Outcome::Dropped) => "dropped by its owner",
        outcome => outcome.as_ref().map_or("ended", Outcome::as_str),
    };
    let after = row.age.map(|_| format!(" after {}", format::ran(row))).unwrap_or_default();
    match (&row.outcome, cancelled_by(row), cause(row)) {
        (Some(Outcome::Cancelled), Some(by), _) => format!("{outcome}{after} by {by}"),
        (_, Some(by), Some(why)) => format!("{outcome}{after}: {why}; cancelled by {by}"),
        (_, Some(by), None) if row.cancel.as_ref().is_some_and(|cancel| cancel.observed) => {
            format!("{outcome}{after}, having observed the cancel by {by}")
        }
        (_, Some(by), None) => format!("{outcome}{after}, though cancelled by {by}"),
        (_, None, Some(why)) => format!("{outcome}{after}: {why}"),
        (_, None, None) => format!("{outcome}{after}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_has_milliseconds() {
        assert_eq!(clock("2026-11-24T04:03:36Z".parse().unwrap()), "04:03:36.000Z");
        assert_eq!(clock("2026-11-24T04:03:36.2137Z".parse().unwrap()), "04:03:36.213Z");
    }

    #[test]
    fn an_end_shows_outcome_and_reason() {
        let row = |outcome: &str, status: &str| {
            ended(
                &serde_json::from_value(json!({ "serial": "1", "outcome": outcome, "status": status, "ageMs": 2000 }))
                    .unwrap(),
            )
        };
        assert_eq!(row("failed", "failed: no file: a"), "failed after 2.0 s: no file: a");
        assert_eq!(row("finished", "ended"), "finished after 2.0 s");
        assert_eq!(ended(&Row::default()), "ended");
        assert_eq!(row("dropped", "dropped"), "dropped by its owner after 2.0 s");
        let cancelled = |outcome: &str, status: &str| {
            ended(
                &serde_json::from_value(json!({ "serial": "1", "outcome": outcome, "status": status, "ageMs": 2000,
                    "cancel": { "by": "ann", "reason": "too slow" } }))
                .unwrap(),
            )
        };
        assert_eq!(cancelled("cancelled", "killed: too slow"), "cancelled after 2.0 s by ann: too slow");
        assert_eq!(cancelled("finished", "ended"), "finished after 2.0 s, though cancelled by ann: too slow");
        assert_eq!(cancelled("failed", "failed: no file"), "failed after 2.0 s: no file; cancelled by ann: too slow");
    }
}
