//! The JSON output matches `docs/cli.schema.json`: every member is described there and has its type.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use common::{closed_address, command, json, out, pm, serve};
use serde_json::Value;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/cli.schema.json")).unwrap()
}

/// Checks the subset of JSON Schema that is used. Stricter than the standard: undescribed members are errors.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(place) = schema["$ref"].as_str() {
        return check(
            root,
            root.pointer(place.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{place}")),
            value,
            at,
        );
    }
    let is_of_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64(),
        Some("number") => value.is_number(),
        other => panic!("{at}: type {other:?} in the schema"),
    };
    assert!(is_of_type, "{at}: {value} is not of type {}", schema["type"]);
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value} is not in {words:?}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(!value[name.as_str().unwrap()].is_null(), "{at}: {name} is missing in {value}");
    }
    if let (Some(known), Some(members)) = (schema["properties"].as_object(), value.as_object()) {
        for (name, value) in members {
            let schema = known.get(name).unwrap_or_else(|| panic!("{at}.{name} is not in the schema: {value}"));
            check(root, schema, value, &format!("{at}.{name}"));
        }
    }
    if schema.get("items").is_some() {
        for (place, item) in value.as_array().unwrap().iter().enumerate() {
            check(root, &schema["items"], item, &format!("{at}[{place}]"));
        }
    }
}

/// Checks the items of this verb, and returns their number.
fn check_items(verb: &str, items: &[Value]) -> usize {
    let root = schema();
    let schema = root["$defs"]["items"][verb].clone();
    for item in items {
        check(&root, &schema, item, verb);
        if verb != "config" {
            assert!(item["endpoint"].is_string(), "{verb}: {item}");
        }
    }
    items.len()
}

/// A program with tasks in all states.
fn busy() -> (pm::ProcessList, Vec<pm::Task>) {
    let list = pm::ProcessList::new();
    let parent = list.task("parent").kind("import").attr("host", "db1").attr("n", 5_u64).start();
    let child = list.task("child").kind("import").parent(&parent).start();
    child.status("reading").unwrap();
    child.progress(3, 10, "files");
    let fixed = list.task("fixed").on_cancel(pm::CancelPolicy::Refuse).start();
    list.task("done").kind("import").start().finish();
    list.start("gone").fail("no file");
    let asked = list.start("asked");
    list.cancel("asked", "too slow").unwrap();
    (list, vec![parent, child, fixed, asked])
}

#[test]
fn every_document_matches_the_schema() {
    let (list, tasks) = busy();
    let lock = pm::Resource::fair("lock:cache", pm::ResourceKind::Mutex, Some(1));
    let _hold = tasks[0].holding(lock.clone());
    let _wait = tasks[1].waiting_on(lock);
    let (_server, endpoint) = serve(&list);
    let down = closed_address();
    let serial = tasks[0].serial().unwrap().to_string();
    for (verb, words, least) in [
        ("ls", &[][..], 4),
        ("ended", &[], 2),
        ("ls", &["groupBy=kind"], 2),
        ("ended", &["groupBy=outcome"], 2),
        ("show", &[serial.as_str()], 1),
        ("show", &["child"], 1),
        ("history", &["child"], 2),
        ("tree", &[], 4),
        ("kinds", &[], 1),
        ("waits", &[], 1),
        ("why", &["child"], 1),
        ("why", &["parent"], 1),
        ("kill", &["kind=import", "--dry-run"], 0),
        ("kill", &["asked", "--yes", "--wait", "1ms"], 1),
        ("kill", &["fixed", "--yes"], 1),
        ("audit", &[], 2),
        ("endpoints", &[], 2),
        ("config", &[], 7),
    ] {
        let place = ["-o", "json", "-e", &endpoint, "-e", &down];
        let output = pm(&[&[verb], words, &place].concat());
        let document = json(&output);
        let root = schema();
        check(&root, &root["$defs"]["document"], &document, verb);
        let items = document["items"].as_array().unwrap();
        let shape = match words.first() {
            Some(word) if word.starts_with("groupBy=") => "groups",
            _ if words.contains(&"--dry-run") => "ls",
            _ => verb,
        };
        assert!(check_items(shape, items) >= least, "{verb} {words:?} {document}");
        // The same line by line.
        let output = pm(&[&[verb], words, &["-o", "ndjson", "-e", &endpoint, "-e", &down]].concat());
        let lines: Vec<Value> = out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(check_items(shape, &lines) >= least, "{verb} {words:?} {output:?}");
    }
}

#[test]
fn events_and_waits_match_the_schema() {
    let (list, mut tasks) = busy();
    let (_server, endpoint) = serve(&list);
    let mut watch = command(&["watch", "-o", "ndjson", "-e", &endpoint]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let running: Vec<Value> = (0..4).map(|_| next()).collect();
    assert_eq!(check_items("watch", &running), 4);
    tasks[1].status("writing").unwrap();
    let event = next();
    check_items("watch", std::slice::from_ref(&event));
    assert_eq!((&event["event"], &event["task"]["status"]), (&"status".into(), &"writing".into()));
    watch.kill().unwrap();
    watch.wait().unwrap();
    tasks.drain(..).for_each(pm::Task::finish);
    let output = pm(&["wait", "child", "-o", "json", "-e", &endpoint]);
    let document = json(&output);
    check(&schema(), &schema()["$defs"]["document"], &document, "wait");
    assert_eq!(check_items("wait", document["items"].as_array().unwrap()), 1);
}

#[test]
#[should_panic(expected = "is not in the schema")]
fn an_undescribed_member_is_an_error() {
    check_items("config", &[serde_json::json!({ "key": "a", "value": "b", "from": "c", "more": 1 })]);
}

#[test]
fn the_schema_has_the_members_of_the_types() {
    use pm_wire::members_of;
    use pm_wire::v1::*;
    let schema = schema();
    for (name, members, own) in [
        ("task", members_of::<Row>(), &["endpoint", "waits", "holdsUp"][..]),
        ("task/properties/progress", members_of::<pm_wire::Progress>(), &[]),
        ("task/properties/cancel", members_of::<CancelRequest>(), &[]),
        ("wait", members_of::<BlockedTask>(), &["endpoint"]),
        ("wait/properties/holders/items", members_of::<ResourceHolder>(), &[]),
        ("cycle", members_of::<Cycle>(), &[]),
        ("cycle/properties/steps/items", members_of::<CycleStep>(), &[]),
        ("blocked", members_of::<WaitTreeRow>(), &[]),
        ("kind", members_of::<KindStats>(), &["endpoint"]),
        ("record", members_of::<AuditRecord>(), &["endpoint"]),
        ("verdict", members_of::<TaskVerdict>(), &["endpoint", "error"]),
        ("entry", members_of::<HistoryEntry>(), &["endpoint", "forMs"]),
    ] {
        let described = schema.pointer(&format!("/$defs/{name}/properties")).unwrap_or_else(|| panic!("{name}"));
        let described: BTreeSet<&str> = described.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, members.iter().chain(own).copied().collect(), "{name}");
    }
}
