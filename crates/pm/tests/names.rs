//! Digits that are the serial of one task and the id of another: no request reaches a task that it may not mean.

#![cfg(feature = "server")]

mod common;

use common::{Reply, code_of, delete, get, post, served};
use pm::{ProcessList, Server, Task};
use serde_json::{Value, json};

/// A task, and another one whose id is the serial of the first.
fn entangled() -> (ProcessList, Server, Task, Task) {
    let (list, server) = served();
    let by_serial = list.start("job");
    let by_id = list.start(&by_serial.serial().unwrap().to_string());
    (list, server, by_serial, by_id)
}

fn assert_ambiguous(reply: &Reply, by_serial: &Task, by_id: &Task) {
    let (serial, other) = (by_serial.serial().unwrap(), by_id.serial().unwrap());
    assert_eq!(code_of(reply, 409), "ambiguous-id");
    let problem = reply.json();
    assert_eq!(problem["serials"], json!([serial.to_string(), other.to_string()]));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`job`") && detail.contains(&format!("the serial {other}")), "{detail}");
    let hint = problem["hint"].as_str().unwrap();
    for name in [format!("serial:{serial}"), format!("serial:{other}"), format!("id:{serial}")] {
        assert!(hint.contains(&name), "{hint}");
    }
}

#[test]
fn every_route_refuses_digits_that_name_two_tasks() {
    let (_list, server, by_serial, by_id) = entangled();
    let digits = by_serial.serial().unwrap();
    for target in
        [format!("/v1/tasks/{digits}"), format!("/v1/tasks/{digits}/history"), format!("/v1/tree?root={digits}")]
    {
        assert_ambiguous(&get(&server, &target), &by_serial, &by_id);
    }
    let target = format!("/v1/tasks/{digits}/cancel");
    for body in [
        "",
        "{}",
        r#"{"wait":"1s","reason":"x"}"#,
        r#"{"expect":{"minAge":"1ms"}}"#,
        r#"{"expect":{"serial":"999999"}}"#,
    ] {
        assert_ambiguous(&post(&server, &target, body), &by_serial, &by_id);
    }
    assert!(!by_serial.is_cancelled() && !by_id.is_cancelled());
    let record = get(&server, "/v1/audit?limit=1").json()["records"][0].clone();
    assert_eq!((&record["result"], &record["task"]), (&json!("ambiguous-id"), &json!(digits.to_string())), "{record}");
}

#[test]
fn both_can_be_named() {
    let serial_of = |reply: &Reply| reply.json()["task"]["serial"].clone();
    let (_list, server, by_serial, by_id) = entangled();
    let (serial, other) = (by_serial.serial().unwrap(), by_id.serial().unwrap());
    for (name, meant) in [
        (format!("serial:{serial}"), serial),
        (format!("serial%3A{serial}"), serial),
        ("job".to_owned(), serial),
        (format!("id:{serial}"), other),
        (format!("serial:{other}"), other),
    ] {
        assert_eq!(serial_of(&get(&server, &format!("/v1/tasks/{name}"))), meant.to_string(), "{name}");
        assert_eq!(get(&server, &format!("/v1/tree?root={name}")).json()["tasks"][0]["serial"], meant.to_string());
    }
    // `/procs/` knows ids only, as its clients expect.
    assert_eq!(delete(&server, &format!("/procs/{serial}?minAge=1h"), "").status, 412);
    assert_eq!(post(&server, &format!("/v1/tasks/serial:{serial}/cancel"), "").status, 202);
    assert!(by_serial.is_cancelled() && !by_id.is_cancelled());
    assert_eq!(delete(&server, &format!("/procs/{serial}"), "").status, 200);
    assert!(by_id.is_cancelled());
}

#[test]
fn an_expected_serial_says_which_one_is_meant() {
    for expects_first in [true, false] {
        let (_list, server, by_serial, by_id) = entangled();
        let digits = by_serial.serial().unwrap();
        let expected = if expects_first { &by_serial } else { &by_id }.serial().unwrap();
        let body = json!({"expect": {"serial": expected.to_string()}}).to_string();
        let reply = post(&server, &format!("/v1/tasks/{digits}/cancel"), &body);
        assert_eq!((reply.status, &reply.json()["serial"]), (202, &json!(expected.to_string())));
        assert_eq!((by_serial.is_cancelled(), by_id.is_cancelled()), (expects_first, !expects_first));
    }
}

#[test]
fn digits_that_name_one_task_are_its_serial_and_never_an_id_instead() {
    let (list, server) = served();
    let task = list.start("job");
    let serial = task.serial().unwrap();
    assert_eq!(get(&server, &format!("/v1/tasks/{serial}")).json()["task"]["id"], "job");
    // The task with the serial may have ended long ago: what has the digits as its id is not what was meant.
    let named = list.start("987654321");
    for target in ["/v1/tasks/987654321", "/v1/tasks/987654321/history", "/v1/tree?root=987654321"] {
        let reply = get(&server, target);
        assert_eq!(code_of(&reply, 404), "task-not-found", "{target}");
        assert!(reply.json()["hint"].as_str().unwrap().contains("id:987654321"), "{reply:?}");
    }
    assert_eq!(code_of(&post(&server, "/v1/tasks/987654321/cancel", ""), 404), "task-not-found");
    assert!(!named.is_cancelled());
    // A task that is its own namesake.
    let (list, server) = served();
    let first = list.start("x").serial().unwrap().get();
    let own = (first + 1..first + 50)
        .map(|guess| (guess, list.start(&guess.to_string())))
        .find(|(guess, task)| task.serial().unwrap().get() == *guess);
    let (own, _task) = own.expect("serials of a thread follow each other");
    assert_eq!(get(&server, &format!("/v1/tasks/{own}")).json()["task"]["id"], own.to_string());
}

#[test]
fn an_ended_task_keeps_its_serial_and_a_live_one_its_id() {
    let (list, server) = served();
    let ended = list.start("job");
    let serial = ended.serial().unwrap();
    ended.finish();
    let live = list.start(&serial.to_string());
    assert_eq!(code_of(&get(&server, &format!("/v1/tasks/{serial}")), 409), "ambiguous-id");
    assert_eq!(code_of(&post(&server, &format!("/v1/tasks/{serial}/cancel"), ""), 409), "ambiguous-id");
    let row: Value = get(&server, &format!("/v1/tasks/serial:{serial}")).json();
    assert_eq!(row["task"]["state"], "ended");
    assert!(!live.is_cancelled());
}
