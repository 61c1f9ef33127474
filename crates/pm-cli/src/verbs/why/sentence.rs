//! What the evidence means, from the surest to the least sure: it has ended; it was asked to stop; those below it still
//! run; it says what it does itself. Then whether that is usual for its kind.

use pm_client::{Kind, Row};

use super::evidence::Evidence;
use crate::out::{name_of, words};
use crate::verbs::waits;

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// It has ended.
    Nothing,
    /// Its own end, for which it was asked.
    End,
    /// Something that others hold.
    Resource,
    /// Others that wait, in the end, for it.
    Circle,
    /// Tasks below it.
    Children,
    /// What its status says.
    Status,
}

impl WaitsFor {
    /// For programs.
    pub(super) fn word(self) -> &'static str {
        match self {
            WaitsFor::Nothing => "nothing",
            WaitsFor::End => "end",
            WaitsFor::Resource => "resource",
            WaitsFor::Circle => "circle",
            WaitsFor::Children => "children",
            WaitsFor::Status => "status",
        }
    }
}

/// The answer.
#[derive(Debug)]
pub(super) struct Why {
    pub(super) waits_for: WaitsFor,
    pub(super) sentence: String,
    pub(super) since_ms: Option<f64>,
    /// Longer than 95 of 100 of its kind; `None` if nothing is known to compare with.
    pub(super) is_unusual: Option<bool>,
    /// What it rests on, a sentence each.
    pub(super) facts: Vec<String>,
}

/// What the task waits for.
pub(super) fn explain(evidence: &Evidence) -> Why {
    let task = &evidence.task;
    let usual = evidence.kind.as_ref().and_then(|kind| compared(task, kind));
    let (waits_for, what, since_ms) = reason(evidence);
    let mut sentence = format!("{} {what}", name_of(task));
    if let Some(usual) = usual.as_ref().filter(|_| waits_for != WaitsFor::Nothing) {
        sentence += &format!("; {}", usual.words);
    }
    sentence.push('.');
    Why { waits_for, sentence, since_ms, is_unusual: usual.map(|usual| usual.is_unusual), facts: facts(evidence) }
}

fn reason(evidence: &Evidence) -> (WaitsFor, String, Option<f64>) {
    let task = &evidence.task;
    if task.state == "ended" {
        let what = match &task.outcome {
            Some(outcome) => format!("waits for nothing: it {} {}", outcome_words(outcome), ran(task)),
            None => format!("waits for nothing: it ended {}", ran(task)),
        };
        return (WaitsFor::Nothing, what, None);
    }
    if let Some(cancel) = task.cancel.as_ref().filter(|_| task.state == "cancelling") {
        let since = words::length(cancel.age_ms);
        let how = match (task.protected, still_moves(task, cancel.age_ms)) {
            (true, _) => "is in a section that must not be cut, and ends behind it".to_owned(),
            (false, true) => format!("goes on, {}", doing(task)),
            (false, false) => {
                format!("has not come to a point where it would hear it: {}", doing(task))
            }
        };
        return (WaitsFor::End, format!("was asked to stop {since} ago and {how}"), cancel.age_ms);
    }
    if let Some(wait) = evidence.waits.first() {
        let (how, waits_for) = match (wait.in_cycle, wait.is_stuck) {
            (true, _) => (format!(", and these wait for each other: {}", circle(evidence)), WaitsFor::Circle),
            (false, true) => (format!(", which goes on for ever: {}", circle(evidence)), WaitsFor::Circle),
            (false, false) => (String::new(), WaitsFor::Resource),
        };
        return (waits_for, format!("waits for {}{how}", waits::waits_for(wait)), Some(wait.wait_ms));
    }
    if let Some(slowest) = evidence.children.first() {
        let children = words::count(evidence.children_total, "task", "tasks");
        let below =
            format!("waits for {children} below it, the oldest of which, {}, {}", name_of(slowest), doing(slowest));
        return (WaitsFor::Children, below, slowest.age_ms);
    }
    (WaitsFor::Status, doing(task), task.status_age_ms)
}

/// The circle that the task is in or waits for.
fn circle(evidence: &Evidence) -> String {
    let Some(all) = &evidence.all_waits else { return "a circle".to_owned() };
    let has = |serial: &str| all.cycles.iter().find(|cycle| cycle.steps.iter().any(|step| step.serial == serial));
    // Who waits for a circle reaches it by those who hold what it waits for.
    let mut serial = evidence.task.serial.as_str();
    for _ in 0..=all.waits.len() {
        if let Some(cycle) = has(serial) {
            return waits::circle(cycle);
        }
        let wait = all.waits.iter().find(|wait| wait.serial == serial && wait.is_stuck);
        match wait.and_then(|wait| wait.holders.first()) {
            Some(holder) => serial = &holder.serial,
            None => break,
        }
    }
    "others wait in a circle".to_owned()
}

/// Whether it has said something since it was asked to stop.
fn still_moves(task: &Row, cancel_age_ms: Option<f64>) -> bool {
    // The request is a status as well, and not what the task does.
    let is_request = task.status.starts_with("[cancel request");
    !is_request && matches!((task.status_age_ms, cancel_age_ms), (Some(status), Some(cancel)) if status < cancel)
}

fn doing(task: &Row) -> String {
    let since = words::length(task.status_age_ms);
    match task.status.as_str() {
        "init" => format!("has said nothing since it started {since} ago"),
        status => format!("has been in `{status}` for {since}"),
    }
}

fn ran(task: &Row) -> String {
    task.age_ms.map(|age| format!("after {}", words::of_millis(age))).unwrap_or_default()
}

fn outcome_words(outcome: &str) -> &str {
    match outcome {
        "cancelled" => "was cancelled",
        "aborted" => "was aborted",
        "dropped" => "was dropped",
        other => other,
    }
}

struct Usual {
    words: String,
    is_unusual: bool,
}

/// Where the age of the task lies among those of its kind that have ended.
fn compared(task: &Row, kind: &Kind) -> Option<Usual> {
    let (age, latency) = (task.age_ms?, &kind.latency);
    if latency.count == 0 {
        return None;
    }
    let (p50, p95, p99) = (latency.p50_ms?, latency.p95_ms?, latency.p99_ms?);
    let max = latency.max_ms.unwrap_or(f64::INFINITY);
    let place = match age {
        age if age > max => format!("longer than any of the {} of its kind that ended", latency.count),
        age if age > p99 => "longer than 99 of 100 of its kind".to_owned(),
        age if age > p95 => "longer than 95 of 100 of its kind".to_owned(),
        age if age > p50 => "longer than half of its kind".to_owned(),
        _ => "which is usual for its kind".to_owned(),
    };
    let half = words::of_millis(p50);
    let words = match age > p50 {
        true => format!("it runs for {}, {place}, of which half take {half} at most", words::of_millis(age)),
        false => format!("it runs for {}, {place}: half take {half} at most", words::of_millis(age)),
    };
    Some(Usual { words, is_unusual: age > p95 })
}

/// What the sentence rests on.
fn facts(evidence: &Evidence) -> Vec<String> {
    let task = &evidence.task;
    let mut facts = Vec::new();
    if let Some(parent) = &evidence.parent {
        facts.push(format!("it is part of {}, which {}", name_of(parent), doing(parent)));
    } else if task.parent_ended {
        facts.push("the task that it is part of has ended".to_owned());
    }
    for wait in evidence.waits.iter().skip(1) {
        facts.push(format!("it waits for {} as well", waits::waits_for(wait)));
    }
    for wait in &evidence.holds_up {
        let (name, since) = (waits::name(&wait.id, &wait.serial), words::of_millis(wait.wait_ms));
        facts.push(format!("it holds up {name}, which waits for {} since {since}", wait.resource));
    }
    if let Some(cancel) = &task.cancel {
        let by = if cancel.by.is_empty() { "somebody" } else { &cancel.by };
        let reason = if cancel.reason.is_empty() { "without a reason" } else { &cancel.reason };
        facts.push(format!("asked to stop {} ago by {by}: {reason}", words::length(cancel.age_ms)));
    }
    if let Some(progress) = &task.progress {
        facts.push(format!("it has come as far as {}", words::progress(progress)));
    }
    if let Some(status) = usual_status(evidence) {
        facts.push(status);
    }
    if let Some(kind) = evidence.kind.as_ref().filter(|kind| kind.latency.count > 0) {
        let latency = &kind.latency;
        if let (Some(p50), Some(p95), Some(p99)) = (latency.p50_ms, latency.p95_ms, latency.p99_ms) {
            let [p50, p95, p99] = [p50, p95, p99].map(words::of_millis);
            facts.push(format!(
                "{} of its kind ended: half within {p50}, 95 of 100 within {p95}, 99 within {p99}",
                latency.count
            ));
        }
        let bad = kind.failed + kind.aborted + kind.cancelled + kind.dropped;
        if bad > 0 {
            facts.push(format!("of its kind, {} finished and {bad} did not", kind.finished));
        }
    }
    if !task.is_cancellable() {
        facts.push("a cancel of it would be refused".to_owned());
    }
    facts
}

/// How long tasks of its kind are in this status as a rule.
fn usual_status(evidence: &Evidence) -> Option<String> {
    let task = &evidence.task;
    let status = evidence.kind.as_ref()?.statuses.iter().find(|found| found.status.as_ref() == Some(&task.status))?;
    let (entered, now) = (status.entered.max(1), task.status_age_ms?);
    if task.state == "ended" {
        return None;
    }
    let mean = status.time_ms / entered as f64;
    let by = match now / mean {
        times if times >= 2.0 => format!(", {} times as long as usual", times.floor()),
        _ => String::new(),
    };
    let mean = words::of_millis(mean);
    Some(format!(
        "tasks of its kind are in `{}` for {mean} on average; this one for {}{by}",
        task.status,
        words::of_millis(now)
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
        let mut task = json!({ "serial": "7", "id": "a", "state": "running", "ageMs": 14_000, "status": "reading", "statusAgeMs": 3_000 });
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        task
    }

    fn kind() -> Value {
        json!({ "kind": "import", "finished": 90, "failed": 3, "latency": { "count": 93, "p50Ms": 300, "p95Ms": 2_000, "p99Ms": 5_000, "maxMs": 9_000 },
            "statuses": [{ "status": "reading", "entered": 10, "timeMs": 500 }] })
    }

    #[test]
    fn a_task_that_runs_says_itself_what_it_does() {
        let why = explain(&evidence(task(json!({})), None, vec![]));
        assert_eq!(why.sentence, "a (7) has been in `reading` for 3.0 s.");
        assert_eq!((why.waits_for, why.since_ms, why.is_unusual), (WaitsFor::Status, Some(3_000.0), None));
        let why = explain(&evidence(task(json!({ "status": "init" })), None, vec![]));
        assert!(why.sentence.contains("has said nothing since it started 3.0 s ago"), "{}", why.sentence);
    }

    #[test]
    fn it_is_compared_with_its_kind() {
        let why = explain(&evidence(task(json!({})), Some(kind()), vec![]));
        assert!(why.sentence.ends_with("; it runs for 14.0 s, longer than any of the 93 of its kind that ended, of which half take 300 ms at most."), "{}", why.sentence);
        assert_eq!(why.is_unusual, Some(true));
        assert!(
            why.facts
                .iter()
                .any(|fact| fact.ends_with("for 50 ms on average; this one for 3.0 s, 60 times as long as usual")),
            "{:?}",
            why.facts
        );
        let why = explain(&evidence(task(json!({ "ageMs": 200 })), Some(kind()), vec![]));
        assert!(
            why.sentence.ends_with("it runs for 200 ms, which is usual for its kind: half take 300 ms at most."),
            "{}",
            why.sentence
        );
        assert_eq!(why.is_unusual, Some(false));
    }

    #[test]
    fn those_below_it_are_what_it_waits_for() {
        let child = json!({ "serial": "9", "id": "b", "ageMs": 5_000, "status": "sending", "statusAgeMs": 4_000 });
        let why = explain(&evidence(task(json!({})), None, vec![child.clone(), child]));
        assert_eq!(
            why.sentence,
            "a (7) waits for 2 tasks below it, the oldest of which, b (9), has been in `sending` for 4.0 s."
        );
        assert_eq!(why.waits_for, WaitsFor::Children);
    }

    #[test]
    fn what_others_hold_is_named_with_its_holder() {
        let mut evidence = evidence(task(json!({})), None, vec![]);
        let wait = json!({ "serial": "7", "id": "a", "resource": "lock:cache", "waitMs": 3_000.0,
            "holders": [{ "serial": "9", "id": "b", "heldMs": 5_000.0 }], "unknownHolders": 1 });
        evidence.waits = vec![serde_json::from_value(wait).unwrap()];
        let why = explain(&evidence);
        assert_eq!(
            why.sentence,
            "a (7) waits for lock:cache since 3.0 s, which b (9) holds for 5.0 s, and others that are no tasks."
        );
        assert_eq!((why.waits_for, why.since_ms), (WaitsFor::Resource, Some(3_000.0)));

        let all = json!({ "serverTime": "2026-11-24T04:03:36Z", "waits": [], "cycles": [{ "steps": [
            { "serial": "7", "id": "a", "resource": "lock:cache", "heldBy": "9" },
            { "serial": "9", "id": "b", "resource": "lock:disk", "heldBy": "7" }] }] });
        evidence.waits[0].in_cycle = true;
        evidence.all_waits = Some(serde_json::from_value(all).unwrap());
        let why = explain(&evidence);
        assert!(
            why.sentence.ends_with(
                "and these wait for each other: a (7) for lock:cache of b (9), b (9) for lock:disk of a (7)."
            ),
            "{}",
            why.sentence
        );
        assert_eq!(why.waits_for, WaitsFor::Circle);
    }

    #[test]
    fn a_cancel_goes_before_all_else_while_it_runs() {
        let cancel = json!({ "ageMs": 2_000, "reason": "deploy", "by": "uid:7" });
        let deaf = task(
            json!({ "state": "cancelling", "cancel": cancel, "status": "[cancel request: deploy]", "statusAgeMs": 2_000 }),
        );
        let why = explain(&evidence(deaf, None, vec![]));
        assert!(
            why.sentence.starts_with("a (7) was asked to stop 2.0 s ago and has not come to a point where"),
            "{}",
            why.sentence
        );
        assert!(why.facts.contains(&"asked to stop 2.0 s ago by uid:7: deploy".to_owned()), "{:?}", why.facts);
        let moving = task(json!({ "state": "cancelling", "cancel": { "ageMs": 5_000 } }));
        assert!(explain(&evidence(moving, None, vec![])).sentence.contains("and goes on, has been in `reading`"));
        let guarded = task(json!({ "state": "cancelling", "cancel": { "ageMs": 5_000 }, "protected": true }));
        assert!(explain(&evidence(guarded, None, vec![])).sentence.contains("a section that must not be cut"));
    }

    #[test]
    fn what_has_ended_waits_for_nothing() {
        let why = explain(&evidence(task(json!({ "state": "ended", "outcome": "failed" })), Some(kind()), vec![]));
        assert_eq!(why.sentence, "a (7) waits for nothing: it failed after 14.0 s.");
        assert_eq!(why.waits_for, WaitsFor::Nothing);
    }
}
