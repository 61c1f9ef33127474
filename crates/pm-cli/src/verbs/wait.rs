//! `pm wait`: waits until tasks have ended, and tells by the exit code how.
//!
//! The stream says when to look; what counts is what the list says, so an event that is lost only costs time.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use pm_client::{Client, ClientError, Event, Query, Row, TaskRef};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Ask, Target, find, say_original, watch};
use crate::config::Endpoint;
use crate::fleet::{self, Exit, Source, Stop, Tally, Tasks};
use crate::out::{Document, Out, Style, clean, name_of, print, say, words};
use crate::query::Wanted;

/// Serials in one filter; beyond it, all tasks of the endpoint are followed.
const MOST_SERIALS: usize = 250;
/// How often a Go original is asked, which has no stream.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to wait for: one task by serial or id, or filters as kind=import attr.tenant=acme; those that run now count
    #[arg(required = true, value_name = "TASK|NAME=VALUE")]
    words: Vec<String>,
    /// Gives up after this long, as 30s or 5m
    #[arg(long = "for", value_name = "DURATION", value_parser = pm_wire::duration::parse)]
    wait_for: Option<Duration>,
    #[command(flatten)]
    ask: Ask,
}

/// A task that has ended: its last row, without an outcome if that is not known.
type End = (Endpoint, Row);

pub(crate) async fn run(args: Args) -> Result<Exit, Stop> {
    let target = match &args.words[..] {
        [one] if !one.contains('=') || one.starts_with("id:") => Some(Target::new(one)),
        _ => None,
    };
    Wanted::only_filters(&args.words, "all that fit are waited for; only filters say which")?;
    let wanted = if target.is_some() { Wanted::read(&[], false)? } else { Wanted::read(&args.words, false)? };
    let (endpoints, out) = args.ask.begin()?;
    let answers = fleet::all(endpoints, |client| {
        let (target, wanted) = (target.clone(), wanted.clone());
        async move {
            match target {
                Some(target) => find(&client, &target).await.map(|found| Tasks {
                    rows: vec![found.row],
                    total: 1,
                    server_time: found.server_time,
                    is_original: found.is_original,
                    ..Tasks::default()
                }),
                None => fleet::tasks(&client, &wanted, Source::Live).await,
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
    let asked = fleet::document(&answers, |_| Vec::new(), |found| fleet::at(found.server_time)).endpoints;
    let (send, mut receive) = mpsc::channel(256);
    let (mut all, mut ends) = (0, Vec::new());
    for answer in answers {
        let Ok(found) = answer.result else { continue };
        if found.is_original {
            say_original(&answer.endpoint.name);
        }
        all += found.rows.len();
        let (over, live): (Vec<Row>, Vec<Row>) = found.rows.into_iter().partition(|row| row.state == "ended");
        ends.extend(over.into_iter().map(|row| (answer.endpoint.clone(), row)));
        if !live.is_empty() {
            let (endpoint, send) = (answer.endpoint, send.clone());
            tokio::spawn(async move {
                let result = match found.is_original {
                    true => look(&endpoint, live, &send).await,
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
            say("no task that runs is meant");
        }
        return Ok(tally.exit_with(0));
    }

    let bar = bar(all);
    let mut is_over = false;
    let over = async {
        match args.wait_for {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    let mut over = std::pin::pin!(over);
    for end in &ends {
        bar.inc(1);
        bar.suspend(|| tell(out, end, several))?;
    }
    while ends.len() < all {
        let next = tokio::select! {
            next = receive.recv() => next,
            () = &mut over => {
                is_over = true;
                break;
            }
        };
        match next {
            Some(Ok(end)) => {
                bar.inc(1);
                bar.suspend(|| tell(out, &end, several))?;
                ends.push(end);
            }
            Some(Err((name, error))) => {
                bar.suspend(|| say(&fleet::fault::sentence(&name, &error)));
                tally.failed += 1;
            }
            None => break,
        }
    }
    bar.finish_and_clear();
    if !out.is_for_people() {
        let item = |(endpoint, row): &End| fleet::with_endpoint(endpoint.name.as_str().into(), json!(row));
        let mut document = Document { items: ends.iter().map(item).collect(), endpoints: asked, ..Document::default() };
        document.more.insert("stillRunning".to_owned(), (all - ends.len()).into());
        document.print(out.format)?;
    }
    if is_over {
        let tasks = words::count((all - ends.len()) as u64, "task still runs", "tasks still run");
        say(&format!("the wait is over; {tasks}"));
        return Ok(Exit::StillRuns);
    }
    Ok(match tally.exit() {
        Exit::Ok if ends.iter().any(|(_, row)| row.outcome.as_deref() != Some("finished")) => Exit::Failure,
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

fn tell(out: Out, (endpoint, row): &End, several: bool) -> Result<(), Stop> {
    if !out.is_for_people() {
        return Ok(());
    }
    let place = if several { format!(" on {}", endpoint.name) } else { String::new() };
    let what = match &row.outcome {
        Some(_) => watch::ended(row),
        None => "ended, but how is not known".to_owned(),
    };
    let what = out.styled(Style::of_outcome(row.outcome.as_deref()), &clean::line(&what));
    Ok(print(&format!("{what}: {}\n", clean::line(&format!("{}{place}", name_of(row)))))?)
}

type Ends = mpsc::Sender<Result<End, (String, ClientError)>>;

/// Follows the stream until all of them have ended.
async fn follow(endpoint: &Endpoint, live: Vec<Row>, ends: &Ends) -> Result<(), ClientError> {
    let mut live: HashMap<String, Row> = live.into_iter().map(|row| (row.serial.clone(), row)).collect();
    let serials: Vec<&str> = live.keys().map(String::as_str).collect();
    let query = match live.len() {
        ..=MOST_SERIALS => Query::new().filter("serial", serials.join(",")),
        _ => Query::new(),
    };
    let mut events = endpoint.client.events(&query);
    // Those that a snapshot has shown to run, until it is complete.
    let mut shown = HashSet::new();
    while !live.is_empty() {
        let over: Vec<Row> = match events.next().await {
            Some(Ok(Event::Ended { task })) => live.remove(&task.serial).map(|_| task).into_iter().collect(),
            Some(Ok(Event::Snapshot { tasks, more, .. })) => {
                shown.extend(tasks.into_iter().map(|task| task.serial));
                if more {
                    continue;
                }
                let shown = std::mem::take(&mut shown);
                let gone: Vec<String> = live.keys().filter(|serial| !shown.contains(*serial)).cloned().collect();
                gone.iter().filter_map(|serial| live.remove(serial)).collect()
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(error),
            None => return Ok(()),
        };
        for row in over {
            let row = if row.outcome.is_some() { row } else { last_row(&endpoint.client, row).await };
            if ends.send(Ok((endpoint.clone(), row))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What the list says about a task that is gone, if it still knows it.
async fn last_row(client: &Client, row: Row) -> Row {
    match client.task(TaskRef::from(&row)).await {
        Ok(reply) => reply.task,
        Err(_) => row,
    }
}

/// Asks a Go original again and again, until none of the ids is there.
async fn look(endpoint: &Endpoint, mut live: Vec<Row>, ends: &Ends) -> Result<(), ClientError> {
    while !live.is_empty() {
        tokio::time::sleep(LOOK_EVERY).await;
        let list = endpoint.client.list().await?;
        let runs =
            |row: &Row| list.procs.iter().any(|task| task.id == row.id && Some(task.proc_time) == row.started_at);
        let (still, over): (Vec<Row>, Vec<Row>) = live.into_iter().partition(runs);
        live = still;
        for row in over {
            if ends.send(Ok((endpoint.clone(), row))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
