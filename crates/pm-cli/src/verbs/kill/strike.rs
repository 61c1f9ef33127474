//! The requests, the wait for what comes of them, and what is said about it.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pm_client::{BulkCancel, CancelOptions, ClientError, TaskRef, Verdict};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Victim;
use crate::config::Output;
use crate::fleet::{self, Exit, Stop, Tally, fault};
use crate::out::{Document, Out, Style, clean, name_of, print, say, words};

/// Requests at once: far fewer than a server has connections for.
const AT_ONCE: usize = 32;
/// Tasks in one request, when there are more of them at one endpoint than requests at once; a filter has 256
/// alternatives at most.
const BATCH: usize = 250;

/// What came of one task.
struct Blow {
    victim: Victim,
    /// `None`: it was asked, and the server does not tell what comes of it.
    result: Result<Option<Verdict>, ClientError>,
}

/// Asks all of them at once, and tells of each as soon as it is known.
pub(super) async fn strike(
    out: Out,
    victims: Vec<Victim>,
    endpoints: Vec<Value>,
    reason: &str,
    wait: Option<Duration>,
    gathered: Tally,
) -> Result<Exit, Stop> {
    let several = endpoints.len() > 1;
    let bar = bar(victims.len(), wait);
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut blows = JoinSet::new();
    for batch in batches(victims) {
        let (slots, reason) = (Arc::clone(&slots), reason.to_owned());
        blows.spawn(async move {
            let _slot = slots.acquire_owned().await;
            blow(batch, reason, wait).await
        });
    }
    let mut done = Vec::new();
    while let Some(blows) = blows.join_next().await {
        for (at, blow) in blows.expect("asking does not panic, and nobody aborts it") {
            bar.inc(1);
            if out.is_for_people() {
                bar.suspend(|| tell(out, &blow, several))?;
            }
            done.push((at, blow));
        }
    }
    bar.finish_and_clear();
    done.sort_by_key(|(at, _)| *at);
    let blows: Vec<Blow> = done.into_iter().map(|(_, blow)| blow).collect();
    if !out.is_for_people() {
        let document = Document { items: blows.iter().map(item).collect(), endpoints, ..Document::default() };
        document.print(out.format)?;
        for blow in &blows {
            if let (Err(error), true) = (&blow.result, out.format != Output::Json) {
                say(&fault::sentence(&blow.victim.endpoint.name, error));
            }
        }
    }
    Ok(exit(&blows, wait.is_some(), gathered))
}

/// A request for each task, or for many of one endpoint; each task with its place.
fn batches(victims: Vec<Victim>) -> Vec<Vec<(usize, Victim)>> {
    let mut by_endpoint: Vec<Vec<(usize, Victim)>> = Vec::new();
    for (at, victim) in victims.into_iter().enumerate() {
        match by_endpoint.iter_mut().find(|all| all[0].1.endpoint.name == victim.endpoint.name) {
            Some(all) => all.push((at, victim)),
            None => by_endpoint.push(vec![(at, victim)]),
        }
    }
    let mut batches = Vec::new();
    for all in by_endpoint {
        let size = if all.len() > AT_ONCE && !all[0].1.is_original { BATCH } else { 1 };
        let mut all = all.into_iter().peekable();
        while all.peek().is_some() {
            batches.push(all.by_ref().take(size).collect());
        }
    }
    batches
}

async fn blow(batch: Vec<(usize, Victim)>, reason: String, wait: Option<Duration>) -> Vec<(usize, Blow)> {
    if batch.len() > 1 {
        return many(batch, reason, wait).await;
    }
    let mut blows = Vec::new();
    for (at, victim) in batch {
        let result = one(&victim, reason.clone(), wait).await;
        blows.push((at, Blow { victim, result }));
    }
    blows
}

async fn one(victim: &Victim, reason: String, wait: Option<Duration>) -> Result<Option<Verdict>, ClientError> {
    let client = &victim.endpoint.client;
    if victim.is_original {
        return client.cancel(&victim.row.id, &reason).await.map(|()| None);
    }
    let options = CancelOptions::new(reason);
    let options = match wait {
        Some(wait) => options.wait(wait),
        None => options,
    };
    client.cancel_task(TaskRef::from(&victim.row), &options).await.map(Some)
}

/// Many of one endpoint, at least one.
async fn many(batch: Vec<(usize, Victim)>, reason: String, wait: Option<Duration>) -> Vec<(usize, Blow)> {
    let serials: Vec<&str> = batch.iter().map(|(_, victim)| victim.row.serial.as_str()).collect();
    let bulk = BulkCancel::new([("serial", serials.join(",").as_str())]).reason(reason).max(batch.len() as u64);
    let bulk = match wait {
        Some(wait) => bulk.wait(wait),
        None => bulk,
    };
    let reply = batch[0].1.endpoint.client.cancel_many(&bulk).await;
    let url = || format!("{}/v1/cancel", batch[0].1.endpoint.client.endpoint());
    let results: Vec<Result<Option<Verdict>, ClientError>> = match reply {
        Ok(reply) => batch
            .iter()
            .map(|(_, victim)| {
                let verdict = reply.verdicts.iter().find(|verdict| verdict.serial == victim.row.serial).cloned();
                let verdict = verdict.ok_or_else(|| ClientError::NotFound { url: url(), text: String::new() })?;
                match verdict.verdict.as_str() {
                    "refused" => Err(ClientError::NotCancellable { url: url(), text: verdict.why.unwrap_or_default() }),
                    _ => Ok(Some(verdict)),
                }
            })
            .collect(),
        Err(error) => {
            // One request failed for all; the first tells why in full.
            let text = fault::sentence(&batch[0].1.endpoint.name, &error);
            let status = |text: &str| ClientError::Status { url: url(), status: 0, excerpt: text.to_owned() };
            let rest = (1..batch.len()).map(|_| Err(status(&text))).collect::<Vec<_>>();
            std::iter::once(Err(error)).chain(rest).collect()
        }
    };
    batch.into_iter().zip(results).map(|((at, victim), result)| (at, Blow { victim, result })).collect()
}

fn bar(tasks: usize, wait: Option<Duration>) -> ProgressBar {
    // Hidden where stderr is no terminal.
    let bar = ProgressBar::with_draw_target(Some(tasks as u64), ProgressDrawTarget::stderr_with_hz(10));
    let message = match wait {
        Some(wait) => format!("waiting for the end of them, {} at most", pm_wire::duration::show(wait)),
        None => "asking".to_owned(),
    };
    if let Ok(style) = ProgressStyle::with_template("[{bar:20}] {pos}/{len} {msg} {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(message);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Tells people what came of one.
fn tell(out: Out, blow: &Blow, several: bool) -> Result<(), Stop> {
    match &blow.result {
        Ok(verdict) => {
            let (text, style) = outcome(verdict.as_ref());
            let place = if several { format!(" on {}", blow.victim.endpoint.name) } else { String::new() };
            let name = clean::line(&format!(": {}{place}", name_of(&blow.victim.row)));
            print(&format!("{}{name}\n", out.styled(style, &clean::line(&text))))?;
        }
        Err(ClientError::NotFound { .. }) => {
            say(&format!("{}: it ended before it was asked", name_of(&blow.victim.row)));
        }
        Err(error) => say(&fault::sentence(&blow.victim.endpoint.name, error)),
    }
    Ok(())
}

fn item(blow: &Blow) -> Value {
    let row = &blow.victim.row;
    let mut item = match &blow.result {
        Ok(Some(verdict)) => json!(verdict),
        Ok(None) => json!({ "verdict": "asked" }),
        Err(ClientError::NotFound { .. }) => json!({ "verdict": "notFound" }),
        Err(error) => {
            let verdict = if is_refused(error) { "refused" } else { "unknown" };
            json!({ "verdict": verdict, "error": fault::json(error) })
        }
    };
    item["serial"] = row.serial.as_str().into();
    item["id"] = row.id.as_str().into();
    fleet::with_endpoint(blow.victim.endpoint.name.as_str().into(), item)
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

/// The worst that a script must know.
fn exit(blows: &[Blow], has_waited: bool, gathered: Tally) -> Exit {
    let mut tally = Tally { good: 0, ..gathered };
    for blow in blows {
        tally.add(&blow.result);
    }
    let still_runs = |blow: &Blow| matches!(&blow.result, Ok(Some(verdict)) if verdict.verdict == "cancelling");
    match tally.exit() {
        // Those that ended before they were asked have what was wanted for them.
        Exit::Ok | Exit::NotFound if has_waited && blows.iter().any(still_runs) => Exit::StillRuns,
        Exit::NotFound => Exit::Ok,
        exit => exit,
    }
}

/// What came of a kill, in words.
pub(crate) fn outcome(verdict: Option<&Verdict>) -> (String, Style) {
    let Some(verdict) = verdict else { return ("cancel requested".to_owned(), Style::Plain) };
    let took = verdict.took_ms.map(words::of_millis).unwrap_or_default();
    let below = match verdict.below {
        0 => String::new(),
        several => format!(", and {} below it", words::count(several, "task", "tasks")),
    };
    match (verdict.verdict.as_str(), verdict.outcome.as_deref()) {
        _ if verdict.already_ended => ("had ended already".to_owned(), Style::Plain),
        ("dropped", _) => (format!("dropped after {took}{below}"), Style::Good),
        ("finished", Some("cancelled") | None) => (format!("stopped by itself after {took}{below}"), Style::Good),
        ("finished", Some(outcome)) => (format!("{outcome} after {took}{below}"), Style::Good),
        // Without a wait nobody looked whether it still runs.
        ("cancelling", _) if verdict.took_ms.is_none_or(|took| took < 1.0) => {
            (format!("cancel requested{below}"), Style::Plain)
        }
        ("cancelling", _) => (format!("asked to stop, but still running after {took}{below}"), Style::Odd),
        (other, _) => (format!("{other} after {took}{below}"), Style::Plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: Value) -> String {
        outcome(Some(&serde_json::from_value(json).unwrap())).0
    }

    #[test]
    fn each_verdict_has_words() {
        for (json, expected) in [
            (json!({ "verdict": "dropped", "tookMs": 0.3 }), "dropped after 0.3 ms"),
            (
                json!({ "verdict": "finished", "outcome": "cancelled", "tookMs": 12.0, "below": 1 }),
                "stopped by itself after 12 ms, and 1 task below it",
            ),
            (json!({ "verdict": "finished", "outcome": "failed", "tookMs": 2e3 }), "failed after 2.0 s"),
            (json!({ "verdict": "cancelling", "tookMs": 1e4 }), "asked to stop, but still running after 10.0 s"),
            (json!({ "verdict": "finished", "alreadyEnded": true }), "had ended already"),
        ] {
            assert_eq!(said(json), expected);
        }
        assert_eq!(outcome(None).0, "cancel requested");
    }
}
