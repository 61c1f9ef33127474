//! Interprets the evidence, from the most to the least certain explanation: the task has ended, was cancelled, waits
//! for a resource, waits for children, or is in a status. Then compares it with its kind.

use std::time::Duration;

use pm_client::{KindStats, Outcome, Row, Serial};

use super::evidence::Evidence;
use crate::out::{format, name_of};
use crate::verbs::{cancelled_by, cause, waits};

/// The reason why a task is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// It has ended.
    Nothing,
    /// Its own end, after a cancel.
    End,
    /// A resource.
    Resource,
    /// A resource, in or behind a deadlock.
    Deadlock,
    /// Its children.
    Children,
    /// The activity that its status describes.
    Status,
}

impl WaitsFor {
    /// The name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            WaitsFor::Nothing => "nothing",
            WaitsFor::End => "end",
            WaitsFor::Resource => "resource",
            WaitsFor::Deadlock => "circle",
            WaitsFor::Children => "children",
            WaitsFor::Status => "status",
        }
    }
}

/// The explanation.
#[derive(Debug)]
pub(super) struct Why {
    pub(super) waits_for: WaitsFor,
    pub(super) sentence: String,
    pub(super) since: Option<Duration>,
    /// Set if it runs longer than 95 % of its kind; `None` without data on its kind.
    pub(super) is_unusual: Option<bool>,
    /// The facts behind it, a sentence each.
    pub(super) facts: Vec<String>,
}

/// Explains what the task is waiting for.
pub(super) fn explain(evidence: &Evidence) -> Why {
    let task = &evidence.task;
    let usual = evidence.kind.as_ref().and_then(|kind| compared(task, kind));
    let (waits_for, what, since) = reason(evidence);
    let mut sentence = format!("{} {what}", name_of(task));
    if let Some(usual) = usual.as_ref().filter(|_| waits_for != WaitsFor::Nothing) {
        sentence += &format!("; {}", usual.text);
    }
    sentence.push('.');
    Why { waits_for, sentence, since, is_unusual: usual.map(|usual| usual.is_unusual), facts: facts(evidence) }
}

fn reason(evidence: &Evidence) -> (WaitsFor, String, Option<Duration>) {
    let task = &evidence.task;
    if task.has_ended() {
        let outcome = task.outcome.as_ref().map_or("ended", outcome_words);
        let what = format!("is not waiting: it {outcome} {}{}", ran(task), why_ended(task));
        return (WaitsFor::Nothing, what, None);
    }
    if let Some(cancel) = task.cancel.as_ref().filter(|_| task.is_cancelling()) {
        let since = format::duration(cancel.age);
        let how = match (task.protected, still_moves(task, cancel.age)) {
            (true, _) => "is in a protected section, at the end of which it will stop".to_owned(),
            (false, true) => format!("is still making progress: it {}", doing(task)),
            (false, false) => format!("has not observed the cancel: it {}", doing(task)),
        };
        return (WaitsFor::End, format!("was cancelled {since} ago and {how}"), cancel.age);
    }
    if let Some(wait) = evidence.waits.first() {
        let (how, waits_for) = match (wait.in_cycle, wait.is_stuck) {
            (true, _) => (format!("; it is in a deadlock: {}", deadlock(evidence)), WaitsFor::Deadlock),
            (false, true) => (format!("; it is behind a deadlock: {}", deadlock(evidence)), WaitsFor::Deadlock),
            (false, false) => (String::new(), WaitsFor::Resource),
        };
        return (waits_for, format!("has waited for {}{how}", waits::waits_for(wait)), Some(wait.waited));
    }
    if let Some(slowest) = evidence.children.first() {
        let children = format::count(evidence.children_total, "child", "children");
        let text = format!("is waiting for {children}, the oldest of which, {}, {}", name_of(slowest), doing(slowest));
        return (WaitsFor::Children, text, slowest.age);
    }
    (WaitsFor::Status, doing(task), task.status_age)
}

/// Describes the deadlock that the task is in or waits for.
fn deadlock(evidence: &Evidence) -> String {
    let Some(all) = &evidence.all_waits else { return "unknown tasks".to_owned() };
    let has =
        |serial: Option<Serial>| all.cycles.iter().find(|cycle| cycle.steps.iter().any(|step| step.serial == serial));
    // Following the holders of stuck waits leads to the deadlock.
    let mut serial = evidence.task.serial;
    for _ in 0..=all.waits.len() {
        if let Some(cycle) = has(serial) {
            return waits::cycle_text(cycle);
        }
        let wait = all.waits.iter().find(|wait| wait.serial == serial && wait.is_stuck);
        match wait.and_then(|wait| wait.holders.first()) {
            Some(holder) => serial = holder.serial,
            None => break,
        }
    }
    "unknown tasks".to_owned()
}

/// Returns whether its status changed after the cancel.
fn still_moves(task: &Row, cancel_age: Option<Duration>) -> bool {
    // The request itself is recorded as a status.
    let is_request = task.status.starts_with("[cancel request");
    !is_request && matches!((task.status_age, cancel_age), (Some(status), Some(cancel)) if status < cancel)
}

fn doing(task: &Row) -> String {
    let since = format::in_status(task);
    match task.status.as_str() {
        "init" => format!("has set no status since it started {since} ago"),
        status => format!("has been in `{status}` for {since}"),
    }
}

fn ran(task: &Row) -> String {
    task.age.map(|_| format!("after {}", format::ran(task))).unwrap_or_default()
}

/// The cause of the end: the caller that cancelled the task, or what the task named, or else what it was doing.
fn why_ended(task: &Row) -> String {
    let closing = ["", "init", "ended", "killed", "aborted", "dropped", "failed"];
    match (&task.outcome, cancelled_by(task), cause(task)) {
        (Some(Outcome::Cancelled), Some(by), _) => format!(", by {by}"),
        (_, _, Some(cause)) => format!(": {cause}"),
        (Some(Outcome::Finished) | None, ..) => String::new(),
        _ if closing.contains(&task.status.as_str()) => String::new(),
        _ => format!(", in `{}`", task.status),
    }
}

fn outcome_words(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Cancelled => "was cancelled",
        Outcome::Aborted => "was aborted",
        Outcome::Dropped => "was dropped by its owner",
        other => other.as_str(),
    }
}

struct Usual {
    text: String,
    is_unusual: bool,
}

/// Compares the age of the task with the latencies of its kind.
fn compared(task: &Row, kind: &KindStats) -> Option<Usual> {
    let (age, latency) = (task.age?, &kind.latency);
    if latency.count == 0 {
        return None;
    }
    let (p50, p95, p99) = (latency.p50?, latency.p95?, latency.p99?);
    let max = latency.max.unwrap_or(Duration::MAX);
    let rank = match age {
        age if age > max && latency.count == 1 => "longer than the one ended task of its kind".to_owned(),
        age if age > max => format!("longer than all {} ended tasks of its kind", latency.count),
        age if age > p99 => "longer than 99 % of its kind".to_owned(),
        age if age > p95 => "longer than 95 % of its kind".to_owned(),
        age if age > p50 => "longer than half of its kind".to_owned(),
        _ => "as usual for its kind".to_owned(),
    };
    let text = format!("it has run for {}, {rank} (median {})", format::duration(age), format::duration(p50));
    Some(Usual { text, is_unusual: age > p95 })
}

/// The facts behind the sentence.
fn facts(evidence: &Evidence) -> Vec<String> {
    let task = &evidence.task;
    let mut facts = Vec::new();
    if let Some(parent) = &evidence.parent {
        facts.push(format!("its parent is {}, which {}", name_of(parent), doing(parent)));
    } else if task.parent_ended {
        facts.push("its parent has ended".to_owned());
    }
    for wait in evidence.waits.iter().skip(1) {
        facts.push(format!("it has also waited for {}", waits::waits_for(wait)));
    }
    for wait in &evidence.holds_up {
        let (name, since) = (waits::name(&wait.id, wait.serial), format::duration(wait.waited));
        facts.push(format!("it blocks {name}, which has waited for {} for {since}", wait.resource));
    }
    if let Some(cancel) = &task.cancel {
        let by = if cancel.by.is_empty() { "an unknown caller" } else { &cancel.by };
        let reason = if cancel.reason.is_empty() { "without a reason" } else { &cancel.reason };
        facts.push(format!("cancelled {} ago by {by}: {reason}", format::duration(cancel.age)));
    }
    if let Some(progress) = &task.progress {
        facts.push(format!("its progress is {}", format::progress(progress)));
    }
    if let Some(status) = usual_status(evidence) {
        facts.push(status);
    }
    if let Some(kind) = evidence.kind.as_ref().filter(|kind| kind.latency.count > 0) {
        let latency = &kind.latency;
        if let (Some(p50), Some(p95), Some(p99)) = (latency.p50, latency.p95, latency.p99) {
            let [p50, p95, p99] = [p50, p95, p99].map(|duration| format::latency(Some(duration)));
            let ended = match latency.count {
                1 => "1 task of its kind has ended".to_owned(),
                count => format!("{count} tasks of its kind have ended"),
            };
            facts.push(format!("{ended}: p50 {p50}, p95 {p95}, p99 {p99}"));
        }
        let bad = kind.failed + kind.aborted + kind.cancelled + kind.dropped;
        if bad > 0 {
            facts.push(format!("of its kind, {} finished and {bad} did not", kind.finished));
        }
    }
    if !task.is_cancellable() {
        facts.push("it is not cancellable".to_owned());
    }
    facts
}

/// Compares the time in this status with the average of its kind.
fn usual_status(evidence: &Evidence) -> Option<String> {
    let task = &evidence.task;
    let status = evidence.kind.as_ref()?.statuses.iter().find(|found| found.status.as_ref() == Some(&task.status))?;
    let (entered, now) = (status.entered.max(1), task.status_age?);
    if task.has_ended() {
        return None;
    }
    let mean = status.time.div_f64(entered as f64);
    let by = match now.as_secs_f64() / mean.as_secs_f64() {
        times if times >= 2.0 && times.is_finite() => format!(", {} times as long", times.floor()),
        _ => String::new(),
    };
    let mean = format::duration(mean);
    Some(format!(
        "tasks of its kind are in `{}` for {mean} on average, this one for {}{by}",
        task.status,
        format::duration(now)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn evidence(task: Value, kind: Option<Value>, children: Vec<Value>) -> Evidence {
        let row = |value| serde_json::from_value::<Row>(value).unwrap();
        let children: Vec<Row> = children.into_iter().map(row).collect();
        Evidence {
            task: row(task),
            kind: kind.map(|kind| serde_json::from_value(kind).unwrap()),
            children_total: children.len() as u64,
            children,
            ..Evidence::default()
        }
    }

    fn task(more: Value) -> Value {
        let mut task = json!({ "serial": "7", "id": "a", "state": "running", "ageMs": 14_000,
            "status": "reading", "statusAgeMs": 3_000 });
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        task
    }

    fn kind() -> Value {
        json!({ "kind": "import", "finished": 90, "failed": 3,
            "latency": { "count": 93, "p50Ms": 300, "p95Ms": 2_000, "p99Ms": 5_000, "maxMs": 9_000 },
            "statuses": [{ "status": "reading", "entered": 10, "timeMs": 500 }] })
    }

    #[test]
    fn a_running_task_is_explained_by_its_status() {
        let why = explain(&evidence(task(json!({})), None, vec![]));
        assert_eq!(why.sentence, "a (7) has been in `reading` for 3.0 s.");
        assert_eq!((why.waits_for, why.since, why.is_unusual), (WaitsFor::Status, Some(Duration::from_secs(3)), None));
        let why = explain(&evidence(task(json!({ "status": "init" })), None, vec![]));
        assert!(why.sentence.contains("has set no status since it started 3.0 s ago"), "{}", why.sentence);
    }

    #[test]
    fn it_is_compared_with_its_kind() {
        let why = explain(&evidence(task(json!({})), Some(kind()), vec![]));
        let expected = "; it has run for 14.0 s, longer than all 93 ended tasks of its kind (median 300 ms).";
        assert!(why.sentence.ends_with(expected), "{}", why.sentence);
        assert_eq!(why.is_unusual, Some(true));
        assert!(
            why.facts.iter().any(|fact| fact.ends_with("for 50 ms on average, this one for 3.0 s, 60 times as long")),
            "{:?}",
            why.facts
        );
        let why = explain(&evidence(task(json!({ "ageMs": 200 })), Some(kind()), vec![]));
        assert!(
            why.sentence.ends_with("it has run for 200 ms, as usual for its kind (median 300 ms)."),
            "{}",
            why.sentence
        );
        assert_eq!(why.is_unusual, Some(false));
    }

    #[test]
    fn a_task_with_children_waits_for_them() {
        let child = json!({ "serial": "9", "id": "b", "ageMs": 5_000, "status": "sending", "statusAgeMs": 4_000 });
        let why = explain(&evidence(task(json!({})), None, vec![child.clone(), child]));
        assert_eq!(
            why.sentence,
            "a (7) is waiting for 2 children, the oldest of which, b (9), has been in `sending` for 4.0 s."
        );
        assert_eq!(why.waits_for, WaitsFor::Children);
    }

    #[test]
    fn a_resource_is_named_with_its_holders() {
        let mut evidence = evidence(task(json!({})), None, vec![]);
        let wait = json!({ "serial": "7", "id": "a", "resource": "lock:cache", "waitMs": 3_000.0,
            "holders": [{ "serial": "9", "id": "b", "heldMs": 5_000.0 }], "unknownHolders": 1 });
        evidence.waits = vec![serde_json::from_value(wait).unwrap()];
        let why = explain(&evidence);
        assert_eq!(
            why.sentence,
            "a (7) has waited for lock:cache for 3.0 s, held by b (9) for 5.0 s and others that are not tasks."
        );
        assert_eq!((why.waits_for, why.since), (WaitsFor::Resource, Some(Duration::from_secs(3))));

        let all = json!({ "serverTime": "2026-11-24T04:03:36Z", "waits": [], "cycles": [{ "steps": [
            { "serial": "7", "id": "a", "resource": "lock:cache", "heldBy": "9" },
            { "serial": "9", "id": "b", "resource": "lock:disk", "heldBy": "7" }] }] });
        evidence.waits[0].in_cycle = true;
        evidence.all_waits = Some(serde_json::from_value(all).unwrap());
        let why = explain(&evidence);
        assert!(
            why.sentence.ends_with(
                "; it is in a deadlock: a (7) waits for lock:cache of b (9), b (9) waits for lock:disk of a (7)."
            ),
            "{}",
            why.sentence
        );
        assert_eq!(why.waits_for, WaitsFor::Deadlock);
    }

    #[test]
    fn a_pending_cancel_takes_precedence() {
        let cancel = json!({ "ageMs": 2_000, "reason": "deploy", "by": "uid:7" });
        let unresponsive = task(json!({ "state": "cancelling", "cancel": cancel, "status": "[cancel request: deploy]",
                "statusAgeMs": 2_000 }));
        let why = explain(&evidence(unresponsive, None, vec![]));
        assert!(
            why.sentence.starts_with("a (7) was cancelled 2.0 s ago and has not observed the cancel"),
            "{}",
            why.sentence
        );
        assert!(why.facts.contains(&"cancelled 2.0 s ago by uid:7: deploy".to_owned()), "{:?}", why.facts);
        let moving = task(json!({ "state": "cancelling", "cancel": { "ageMs": 5_000 } }));
        assert!(
            explain(&evidence(moving, None, vec![]))
                .sentence
                .contains("and is still making progress: it has been in `reading`")
        );
        let guarded = task(json!({ "state": "cancelling", "cancel": { "ageMs": 5_000 }, "protected": true }));
        assert!(explain(&evidence(guarded, None, vec![])).sentence.contains("in a protected section"));
    }

    #[test]
    fn an_ended_task_waits_for_nothing() {
        let why = explain(&evidence(task(json!({ "state": "ended", "outcome": "failed" })), Some(kind()), vec![]));
        assert_eq!(why.sentence, "a (7) is not waiting: it failed after 14.0 s, in `reading`.");
        assert_eq!(why.waits_for, WaitsFor::Nothing);
    }

    #[test]
    fn an_ended_task_has_its_cause_in_the_sentence() {
        let cancel = json!({ "ageMs": 2_000, "reason": "deploy", "by": "uid:7" });
        for (outcome, status, cancel, expected) in [
            ("failed", "failed: no file: a", json!(null), "it failed after 14.0 s: no file: a."),
            ("aborted", "aborted", json!(null), "it was aborted after 14.0 s."),
            ("cancelled", "killed: deploy", cancel.clone(), "it was cancelled after 14.0 s, by uid:7: deploy."),
            ("dropped", "dropped", json!(null), "it was dropped by its owner after 14.0 s."),
            ("finished", "ended", cancel, "it finished after 14.0 s."),
        ] {
            let ended = json!({ "state": "ended", "outcome": outcome, "status": status, "cancel": cancel });
            let why = explain(&evidence(task(ended), None, vec![]));
            assert!(why.sentence.ends_with(expected), "{}", why.sentence);
        }
    }
}
