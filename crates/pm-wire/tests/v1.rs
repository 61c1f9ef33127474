//! The shapes of `/v1` compared with files that show them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pm_wire::v1::*;
use pm_wire::{Progress, members_of};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a file by its type, and compares what is written back byte for byte.
fn check<T: DeserializeOwned + Serialize>(name: &str) -> Value {
    let text = file(name);
    let read: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(serde_json::to_string(&read).unwrap(), text.trim_end(), "{name}");
    serde_json::from_str(&text).unwrap()
}

/// Returns the members of the objects at a place, such as `tasks/*/cancel`.
fn members(value: &Value, place: &str) -> BTreeSet<String> {
    let (step, rest) = place.split_once('/').unwrap_or((place, ""));
    match step {
        "" => value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default(),
        "*" => value.as_array().into_iter().flatten().flat_map(|item| members(item, rest)).collect(),
        step => members(&value[step], rest),
    }
}

/// Asserts that a file shows each member of a type, so that none can be added without being shown.
#[track_caller]
fn shows<T: DeserializeOwned>(value: &Value, place: &str) {
    let known: BTreeSet<String> = members_of::<T>().iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(members(value, place), known, "{place}");
}

#[test]
fn pages_and_tasks_are_written_as_they_were_read() {
    let page = check::<TaskPage>("tasks.json");
    shows::<TaskPage>(&page, "");
    shows::<Group>(&page, "groups/*");
    shows::<Missing>(&page, "missing");
    shows::<CancelRequest>(&page, "tasks/*/cancel");
    shows::<Progress>(&page, "tasks/*/progress");
    let tree = check::<TaskPage>("tree.json");
    let row = &members(&page, "tasks/*") | &members(&tree, "tasks/*");
    assert_eq!(row, members_of::<Row>().iter().map(|name| (*name).to_owned()).collect());
    let task = check::<TaskReply>("task.json");
    shows::<TaskReply>(&task, "");
    shows::<BlockedTask>(&task, "waits/*");
    shows::<ResourceHolder>(&task, "waits/*/holders/*");
    shows::<Waiter>(&task, "holdsUp/*");
    let history = check::<History>("history.json");
    shows::<History>(&history, "");
    shows::<HistoryEntry>(&history, "history/*");
}

#[test]
fn reports_are_written_as_they_were_read() {
    let kinds = check::<KindReport>("kinds.json");
    shows::<KindReport>(&kinds, "");
    shows::<KindStats>(&kinds, "kinds/*");
    shows::<Latency>(&kinds, "kinds/*/latency");
    shows::<Bucket>(&kinds, "kinds/*/latency/buckets/*");
    shows::<StatusTime>(&kinds, "kinds/*/statuses/*");
    let waits = check::<WaitReport>("waits.json");
    shows::<WaitReport>(&waits, "");
    shows::<Cycle>(&waits, "cycles/*");
    shows::<CycleStep>(&waits, "cycles/*/steps/*");
    shows::<WaitTreeRow>(&waits, "tree/*");
    let audit = check::<AuditReport>("audit.json");
    shows::<AuditReport>(&audit, "");
    shows::<AuditRecord>(&audit, "records/*");
    let info = check::<Info>("info.json");
    shows::<Info>(&info, "");
    shows::<Limits>(&info, "limits");
    shows::<ListSettings>(&info, "settings");
    shows::<Counters>(&info, "counters");
    shows::<Dropped>(&info, "dropped");
    shows::<Own>(&info, "own");
    shows::<AuditHealth>(&info, "audit");
    shows::<TokensHealth>(&info, "tokens");
    shows::<TlsHealth>(&info, "tls");
}

#[test]
fn requests_to_cancel_and_their_answers_are_written_as_they_were_read() {
    let one = check::<CancelOptions>("cancel-one.json");
    shows::<CancelOptions>(&one, "");
    shows::<Expect>(&one, "expect");
    shows::<BulkCancel>(&check::<BulkCancel>("cancel-many.json"), "");
    shows::<TaskVerdict>(&check::<TaskVerdict>("verdict.json"), "");
    shows::<BulkReply>(&check::<BulkReply>("verdicts.json"), "");
    shows::<Problem>(&check::<Problem>("problem.json"), "");
}

#[test]
fn events_are_written_as_they_were_read() {
    let mut seen = BTreeSet::new();
    for line in file("events.ndjson").lines() {
        let event: Event = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), line);
        seen.insert(event.type_name().to_owned());
    }
    assert_eq!(seen, Event::TYPES.iter().map(|name| (*name).to_owned()).collect());
    let snapshots = file("events.ndjson").lines().take(2).map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown = members(&Value::Array(snapshots), "*");
    let known = members_of::<Snapshot>().iter().copied().chain(["type"]);
    assert_eq!(shown, known.map(str::to_owned).collect());
}

#[test]
fn unknown_members_are_ignored_and_unknown_words_and_events_are_kept() {
    let row: Row = serde_json::from_str(r#"{"serial":"12","id":"a","state":"paused","later":{"x":[1]}}"#).unwrap();
    assert_eq!(serde_json::to_string(&row).unwrap(), r#"{"serial":"12","id":"a","state":"paused"}"#);
    let later = json!({ "type": "later", "task": 5 });
    let event: Event = serde_json::from_value(later.clone()).unwrap();
    assert_eq!(event, Event::Unknown(later.clone()));
    assert_eq!((serde_json::to_value(&event).unwrap(), event.type_name()), (later, "later"));
    assert!(serde_json::from_str::<Event>(r#"{"type":"left"}"#).is_err());
    let gap: Event = serde_json::from_str(r#"{"type":"gap","why":"moon"}"#).unwrap();
    assert_eq!(gap, Event::Gap(GapReason::Unknown("moon".into())));
}

#[test]
fn an_absent_member_is_unknown() {
    let row: Row = serde_json::from_str(r#"{"serial":"12"}"#).unwrap();
    assert_eq!((row.serial.map(|serial| serial.get()), row.age, row.state.as_ref()), (Some(12), None, None));
    assert!(row.is_cancellable() && !row.has_ended());
    let row: Row = serde_json::from_str(r#"{"serial":"x7","id":"a"}"#).unwrap();
    assert_eq!(row.serial, None, "not a serial of ours");
    assert_eq!(serde_json::to_string(&Row::default()).unwrap(), r#"{"serial":"","id":""}"#);
    let info: Info = serde_json::from_str(r#"{"version":"9","serverTime":"2026-11-24T04:03:36Z"}"#).unwrap();
    assert_eq!((info.uptime, info.counters.live), (None, 0));
}

#[test]
fn a_body_has_only_what_was_set() {
    assert_eq!(serde_json::to_string(&CancelOptions::default().idempotency_key("k")).unwrap(), "{}");
    assert_eq!(serde_json::to_string(&BulkCancel::new("kind=a")).unwrap(), r#"{"filter":"kind=a"}"#);
    let named = BulkCancel::new([("kind", "a")]);
    assert_eq!(serde_json::to_string(&named).unwrap(), r#"{"filter":{"kind":"a"}}"#);
}

#[test]
fn verdicts_are_counted() {
    let text = r#"[{"verdict":"finished","serial":"1","id":""},{"verdict":"later","serial":"2","id":""},
        {"verdict":"finished","serial":"3","id":""}]"#;
    let reply = BulkReply::new(serde_json::from_str(text).unwrap());
    assert_eq!((reply.total, json!(reply.counts)), (3, json!({ "finished": 2, "later": 1 })));
}

#[test]
fn a_short_text_does_not_become_millions_of_elements() {
    let many =
        format!(r#"{{"tasks":[{}{{}}],"serverTime":"2026-11-24T04:03:39Z","total":0}}"#, "{},".repeat(1_100_000));
    let error = serde_json::from_str::<TaskPage>(&many).unwrap_err().to_string();
    assert!(error.contains("invalid length 1000001, expected an array of at most 1000000 elements"), "{error}");
}
