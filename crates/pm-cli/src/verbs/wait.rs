//! `pm wait`: waits for tasks to end; the exit code reflects their outcomes.
//!
//! The stream only signals when to check; the list decides, so a lost event costs time but not correctness.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pm_client::{Client, ClientError, Event, Outcome, Query, Row, Serial, TaskRef, Update};
use serde_json::json;
use tokio::sync::mpsc;

use super::{QueryArgs, TaskName, find, note_original, watch};
use crate::config::Endpoint;
use crate::exit::{Exit, Stop};
use crate::feed;
use crate::fleet::ceiling::{self, Amount};
use crate::fleet::{self, Source, Tally, Tasks};
use crate::out::{Document, Out, Style, clean, format, name_of, print, say};
use crate::query::Selection;

/// The most serials in one filter; for more tasks, the whole endpoint is followed.
const MAX_SERIALS: usize = 250;
/// How often a Go original, which has no stream, is polled.
const POLL: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks to wait for: one by serial or id, or those now running that match filters, as kind=import attr.tenant=acme
    #[arg(required = true, value_name = "TASK|NAME=VALUE")]
    words: Vec<String>,
    /// Give up after this time, as 30s or 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = pm_wire::duration::parse)]
    wait_for: Option<Duration>,
    #[command(flatten)]
    query: QueryArgs,
}

/// An ended task: its last row, without an outcome if that is unknown.
type End = (Endpoint, Row);

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let target = match &args.words[..] {
        [one] if !one.contains('=') || one.starts_with("id:") => Some(TaskName::new(one)),
        _ => None,
    };
    Selection::only_filters(&args.words, "all matching tasks are awaited; only filters are allowed")?;
    let selection =
        if target.is_some() { Selection::parse(&[], false)? } else { Selection::parse(&args.words, false)? };
    let (endpoints, out) = args.query.resolve()?;
    let answers = fleet::all(endpoints, |client| {
        let (target, selection) = (target.clone(), selection.clone());
        async move {
            match target {
                Some(target) => find(&client, &target).await.map(|found| Tasks {
                    rows: vec![found.row],
                    total: 1,
                    server_time: found.server_time,
                    is_original: found.is_original,
                    ..Tasks::default()
                }),
                None => fleet::tasks(&client, &selection, Source::Live).await,
            }
        }
    })
    .await;
    match target {
        Some(_) => fleet::say_errors_about_a_task(&answers),
        None => fleet::say_errors(&answers),
    }
    let mut tally = Tally::of(&answers);
    let several = answers.len() > 1;
    let queried = fleet::document(&answers, |_| Vec::new(), |found| fleet::at(found.server_time)).endpoints;
    let (send, mut receive) = mpsc::channel(feed::CAPACITY);
    let (mut all, mut ends) = (0, Vec::new());
    for answer in answers {
        let Ok(found) = answer.result else { continue };
        if found.is_original {
            note_original(&answer.endpoint.name);
        }
        all += found.rows.len();
        let (over, live): (Vec<Row>, Vec<Row>) = found.rows.into_iter().partition(|row| row.has_ended());
        ends.extend(over.into_iter().map(|row| (answer.endpoint.clone(), row)));
        if !live.is_empty() {
            let (endpoint, send) = (answer.endpoint, send.clone());
            tokio::spawn(async move {
                let result = match found.is_original {
                    true => poll(&endpoint, live, &send).await,
                    false => follow(&endpoint, live, &send).await,
                };
                if let Err(error) = result {
                    let _ = send.send(Err((endpoint.name.clone(), error))).await;
                }
            });
        }
    }
    drop(send);
    if all == 0 {
        if tally.good > 0 {
            say("no running task matches");
        }
        return Ok(tally.exit_with(0));
    }

    let bar = bar(all);
    let mut timed_out = false;
    let timeout = async {
        match args.wait_for {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let mut timeout = std::pin::pin!(timeout);
    for end in &ends {
        bar.inc(1);
        bar.suspend(|| print_end(out, end, several))?;
    }
    while ends.len() < all {
        let next = tokio::select! {
            next = receive.recv() => next,
            () = &mut timeout => {
                timed_out = true;
                break;
            }
        };
        match next {
            Some(Ok(end)) => {
                bar.inc(1);
                bar.suspend(|| print_end(out, &end, several))?;
                ends.push(end);
            }
            Some(Err((name, error))) => {
                bar.suspend(|| say(&fleet::error::message(&name, &error)));
                tally.failed += 1;
            }
            None => break,
        }
    }
    bar.finish_and_clear();
    if !out.is_table() {
        let item = |(endpoint, row): &End| fleet::with_endpoint(endpoint.name.as_str().into(), json!(row));
        let mut document =
            Document { items: ends.iter().map(item).collect(), endpoints: queried, ..Document::default() };
        document.more.insert("stillRunning".to_owned(), (all - ends.len()).into());
        document.print(out.format)?;
    }
    if timed_out {
        let tasks = format::count((all - ends.len()) as u64, "task still running", "tasks still running");
        say(&format!("timed out; {tasks}"));
        return Ok(Exit::StillRunning);
    }
    Ok(match tally.exit() {
        Exit::Ok if ends.iter().any(|(_, row)| row.outcome != Some(Outcome::Finished)) => Exit::Failure,
        exit => exit,
    })
}

fn bar(tasks: usize) -> ProgressBar {
    let bar = ProgressBar::new(tasks as u64);
    if let Ok(style) = ProgressStyle::with_template("[{bar:20}] {pos}/{len} ended {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn print_end(out: Out, (endpoint, row): &End, several: bool) -> Result<(), Stop> {
    if !out.is_table() {
        return Ok(());
    }
    let place = if several { format!(" on {}", endpoint.name) } else { String::new() };
    let what = match &row.outcome {
        Some(_) => watch::ended(row),
        None => "ended, outcome unknown".to_owned(),
    };
    let what = out.styled(Style::of_outcome(row.outcome.as_ref()), &clean::line(&what));
    Ok(print(&format!("{what}: {}\n", clean::line(&format!("{}{place}", name_of(row)))))?)
}

type Ends = mpsc::Sender<Result<End, (String, ClientError)>>;

/// Follows the stream until all tasks have ended.
async fn follow(endpoint: &Endpoint, live: Vec<Row>, ends: &Ends) -> Result<(), ClientError> {
    let mut live: HashMap<Option<Serial>, Row> = live.into_iter().map(|row| (row.serial, row)).collect();
    let serials: Vec<String> = live.keys().map(|serial| format::serial(*serial)).collect();
    let query = match live.len() {
        ..=MAX_SERIALS => Query::new().filter("serial", serials.join(",")),
        _ => Query::new(),
    };
    let mut events = endpoint.client.v1().events(&query);
    // The running tasks of a snapshot, until it is complete.
    let mut running = HashSet::new();
    let mut held = Amount::default();
    while !live.is_empty() {
        let over: Vec<Row> = match events.next().await {
            Some(Ok(Update::Event(Event::Ended(task)))) => {
                live.remove(&task.serial).map(|_| task).into_iter().collect()
            }
            Some(Ok(Update::Event(Event::Snapshot(snapshot)))) => {
                let serials = snapshot.tasks.into_iter().map(|task| task.serial);
                running.extend(serials.filter(|serial| live.contains_key(serial)));
                if snapshot.more {
                    continue;
                }
                let running = std::mem::take(&mut running);
                let gone: Vec<Option<Serial>> =
                    live.keys().filter(|serial| !running.contains(*serial)).copied().collect();
                gone.iter().filter_map(|serial| live.remove(serial)).collect()
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(error),
            None => return Ok(()),
        };
        for row in over {
            let row = if row.outcome.is_some() { row } else { last_row(&endpoint.client, row).await };
            held.add(&row).map_err(|ceiling| ceiling::too_much(endpoint.client.endpoint(), ceiling))?;
            if ends.send(Ok((endpoint.clone(), row))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The last row of an ended task, if the list still retains it.
async fn last_row(client: &Client, row: Row) -> Row {
    match client.v1().task(TaskRef::from(&row)).await {
        Ok(reply) => reply.task,
        Err(_) => row,
    }
}

/// Polls a Go original until none of the tasks is listed.
async fn poll(endpoint: &Endpoint, mut live: Vec<Row>, ends: &Ends) -> Result<(), ClientError> {
    while !live.is_empty() {
        tokio::time::sleep(POLL).await;
        let list = endpoint.client.procs().list().await?;
        let is_listed =
            |row: &Row| list.procs.iter().any(|task| task.id == row.id && Some(task.proc_time) == row.started_at);
        let (still, over): (Vec<Row>, Vec<Row>) = live.into_iter().partition(is_listed);
        live = still;
        for row in over {
            if ends.send(Ok((endpoint.clone(), row))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
