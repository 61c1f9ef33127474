//! Sends the requests to cancel, and reports their outcomes.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pm_client::{BulkCancel, CancelOptions, ClientError, Row, TaskRef, TaskVerdict, Verdict};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::fate::{Fate, reason_words, summary, verdict_text, without_wait};
use crate::config::Endpoint;
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Tally, error};
use crate::out::{Document, Format, Out, clean, format, name_of, print, say};

/// Concurrent requests, far fewer than the connections a server accepts.
const CONCURRENT: usize = 32;
/// Tasks in one request, if an endpoint has more than [`CONCURRENT`]; a filter has 256 alternatives at most.
const BATCH: usize = 250;

/// A task to cancel.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    pub(super) row: Row,
    pub(super) is_original: bool,
}

/// The outcome for one task.
struct Outcome {
    target: Target,
    /// `None` if the server accepts cancels without reporting verdicts.
    result: Result<Option<TaskVerdict>, ClientError>,
}

impl Outcome {
    fn fate(&self) -> Fate {
        match &self.result {
            Ok(verdict) => Fate::of_verdict(verdict.as_ref()),
            Err(ClientError::NotFound { .. }) => Fate::EndedBefore,
            Err(error) if is_refused(error) => Fate::Refused,
            Err(_) => Fate::Failure,
        }
    }
}

/// Cancels all targets concurrently, and prints each outcome as soon as it is known.
pub(super) async fn cancel_all(
    out: Out,
    targets: Vec<Target>,
    endpoints: Vec<Value>,
    reason: &str,
    wait: Option<Duration>,
    fetched: Tally,
) -> Result<Exit, Stop> {
    let several = endpoints.len() > 1;
    let bar = bar(targets.len(), wait);
    let permits = Arc::new(Semaphore::new(CONCURRENT));
    let mut requests = JoinSet::new();
    for batch in batches(targets) {
        let (permits, reason) = (Arc::clone(&permits), reason.to_owned());
        requests.spawn(async move {
            let _permit = permits.acquire_owned().await;
            cancel_batch(batch, reason, wait).await
        });
    }
    let mut done = Vec::new();
    while let Some(outcomes) = requests.join_next().await {
        for (at, mut outcome) in outcomes.expect("a request neither panics nor is aborted") {
            bar.inc(1);
            if wait.is_none() {
                outcome.result = outcome.result.map(|verdict| verdict.map(without_wait));
            }
            if out.is_table() {
                bar.suspend(|| print_outcome(out, &outcome, several))?;
            }
            done.push((at, outcome));
        }
    }
    bar.finish_and_clear();
    done.sort_by_key(|(at, _)| *at);
    let outcomes: Vec<Outcome> = done.into_iter().map(|(_, outcome)| outcome).collect();
    if !out.is_table() {
        let document = Document { items: outcomes.iter().map(item).collect(), endpoints, ..Document::default() };
        document.print(out.format)?;
        for outcome in &outcomes {
            if let (Err(error), true) = (&outcome.result, out.format != Format::Json) {
                say(&error::message(&outcome.target.endpoint.name, error));
            }
        }
    }
    say_summary(&outcomes, reason);
    Ok(exit(&outcomes, wait.is_some(), fetched))
}

/// Prints how many tasks came to which end, and the reason that was recorded.
fn say_summary(outcomes: &[Outcome], reason: &str) {
    let fates: Vec<Fate> = outcomes.iter().map(Outcome::fate).collect();
    say(&format!("{}; {}", summary(fates.iter().copied()), reason_words(reason)));
    if fates.contains(&Fate::Dropped) {
        say("dropped: the future ended where it awaited; what it spawned without pm runs on");
    }
}

/// Splits the targets into one request each, or few per endpoint; each target with its index.
fn batches(targets: Vec<Target>) -> Vec<Vec<(usize, Target)>> {
    let mut by_endpoint: Vec<Vec<(usize, Target)>> = Vec::new();
    for (at, target) in targets.into_iter().enumerate() {
        match by_endpoint.iter_mut().find(|all| all[0].1.endpoint.name == target.endpoint.name) {
            Some(all) => all.push((at, target)),
            None => by_endpoint.push(vec![(at, target)]),
        }
    }
    let mut batches = Vec::new();
    for all in by_endpoint {
        let size = if all.len() > CONCURRENT && !all[0].1.is_original { BATCH } else { 1 };
        let mut all = all.into_iter().peekable();
        while all.peek().is_some() {
            batches.push(all.by_ref().take(size).collect());
        }
    }
    batches
}

async fn cancel_batch(batch: Vec<(usize, Target)>, reason: String, wait: Option<Duration>) -> Vec<(usize, Outcome)> {
    if batch.len() > 1 {
        return cancel_many(batch, reason, wait).await;
    }
    let mut outcomes = Vec::new();
    for (at, target) in batch {
        let result = cancel_one(&target, reason.clone(), wait).await;
        outcomes.push((at, Outcome { target, result }));
    }
    outcomes
}

async fn cancel_one(
    target: &Target,
    reason: String,
    wait: Option<Duration>,
) -> Result<Option<TaskVerdict>, ClientError> {
    let client = &target.endpoint.client;
    if target.is_original {
        return client.procs().cancel(&target.row.id, &reason).await.map(|()| None);
    }
    let options = CancelOptions::new(reason);
    let options = match wait {
        Some(wait) => options.wait(wait),
        None => options,
    };
    client.v1().cancel(TaskRef::from(&target.row), &options).await.map(Some)
}

/// Cancels several tasks of one endpoint by one request.
async fn cancel_many(batch: Vec<(usize, Target)>, reason: String, wait: Option<Duration>) -> Vec<(usize, Outcome)> {
    let serials: Vec<String> = batch.iter().map(|(_, target)| format::serial(target.row.serial)).collect();
    let bulk = BulkCancel::new([("serial", serials.join(",").as_str())]).reason(reason).max(batch.len() as u64);
    let bulk = match wait {
        Some(wait) => bulk.wait(wait),
        None => bulk,
    };
    let reply = batch[0].1.endpoint.client.v1().cancel_many(&bulk).await;
    let url = || format!("{}/v1/cancel", batch[0].1.endpoint.client.endpoint());
    let results: Vec<Result<Option<TaskVerdict>, ClientError>> = match reply {
        Ok(reply) => batch
            .iter()
            .map(|(_, target)| {
                let verdict = reply.verdicts.iter().find(|verdict| verdict.serial == target.row.serial).cloned();
                let verdict = verdict.ok_or_else(|| ClientError::NotFound { url: url(), text: String::new() })?;
                match verdict.verdict {
                    Some(Verdict::Refused) => {
                        Err(ClientError::NotCancellable { url: url(), text: verdict.why.unwrap_or_default() })
                    }
                    _ => Ok(Some(verdict)),
                }
            })
            .collect(),
        Err(error) => {
            // The request failed for all; the first reports the error in full.
            let text = error::message(&batch[0].1.endpoint.name, &error);
            let status = |text: &str| ClientError::Status { url: url(), status: 0, excerpt: text.to_owned() };
            let rest = (1..batch.len()).map(|_| Err(status(&text))).collect::<Vec<_>>();
            std::iter::once(Err(error)).chain(rest).collect()
        }
    };
    batch.into_iter().zip(results).map(|((at, target), result)| (at, Outcome { target, result })).collect()
}

fn bar(tasks: usize, wait: Option<Duration>) -> ProgressBar {
    // Hidden unless stderr is a terminal.
    let bar = ProgressBar::with_draw_target(Some(tasks as u64), ProgressDrawTarget::stderr_with_hz(10));
    let message = match wait {
        Some(wait) => format!("waiting up to {} for the tasks to end", pm_wire::duration::show(wait)),
        None => "cancelling".to_owned(),
    };
    if let Ok(style) = ProgressStyle::with_template("[{bar:20}] {pos}/{len} {msg} {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(message);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Prints the outcome for one task.
fn print_outcome(out: Out, outcome: &Outcome, several: bool) -> Result<(), Stop> {
    match &outcome.result {
        Ok(verdict) => {
            let (text, style) = verdict_text(verdict.as_ref());
            let place = if several { format!(" on {}", outcome.target.endpoint.name) } else { String::new() };
            let name = clean::line(&format!(": {}{place}", name_of(&outcome.target.row)));
            print(&format!("{}{name}\n", out.styled(style, &clean::line(&text))))?;
        }
        Err(ClientError::NotFound { .. }) => {
            say(&format!("{}: already ended", name_of(&outcome.target.row)));
        }
        Err(error) => say(&error::message(&outcome.target.endpoint.name, error)),
    }
    Ok(())
}

fn item(outcome: &Outcome) -> Value {
    let row = &outcome.target.row;
    let mut item = match &outcome.result {
        Ok(Some(verdict)) => {
            let mut item = json!(verdict);
            item["below"] = verdict.below.into();
            item
        }
        Ok(None) => json!({ "verdict": "asked" }),
        Err(ClientError::NotFound { .. }) => json!({ "verdict": "notFound" }),
        Err(error) => {
            let verdict = if is_refused(error) { "refused" } else { "unknown" };
            json!({ "verdict": verdict, "error": error::json(error) })
        }
    };
    item["serial"] = format::serial(row.serial).into();
    item["id"] = row.id.as_str().into();
    fleet::with_endpoint(outcome.target.endpoint.name.as_str().into(), item)
}

fn is_refused(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::NotCancellable { .. }
            | ClientError::Ambiguous { .. }
            | ClientError::PreconditionFailed { .. }
            | ClientError::Unauthorized { .. }
            | ClientError::Forbidden { .. }
    )
}

/// The exit code, which reflects the most important failure.
fn exit(outcomes: &[Outcome], has_waited: bool, fetched: Tally) -> Exit {
    let mut tally = Tally { good: 0, ..fetched };
    for outcome in outcomes {
        tally.add(&outcome.result);
    }
    let is_running = |outcome: &Outcome| {
        let verdict = outcome.result.as_ref().ok().and_then(Option::as_ref);
        verdict.is_some_and(|verdict| verdict.verdict == Some(Verdict::Cancelling))
    };
    match tally.exit() {
        // Tasks that had already ended count as cancelled.
        Exit::Ok | Exit::NotFound if has_waited && outcomes.iter().any(is_running) => Exit::StillRunning,
        Exit::NotFound => Exit::Ok,
        exit => exit,
    }
}
