//! Cancelling tasks over `/v1`: one, and many; with expectations, with a wait, and with a repeated request.

#![cfg(feature = "server")]

mod common;

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::{Reply, code_of, connect, get, post, request, served, served_by_hand};
use pm::{Options, ProcessList, Server};
use serde_json::{Value, json};

/// Posts from another thread, and returns once the request has reached that many tasks.
fn post_in_background(
    list: &ProcessList,
    server: &Server,
    target: &str,
    key: &str,
    body: &str,
    tasks: usize,
) -> JoinHandle<Reply> {
    let (send, received) = mpsc::channel();
    let hook = list.on_cancel(move |_| send.send(()).unwrap());
    let address = server.addr();
    let text = format!(
        "POST {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nIdempotency-Key: {key}\r\n\
                 Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let asking = thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = connect(address);
        stream.write_all(text.as_bytes()).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        Reply::parse(&reply)
    });
    (0..tasks).for_each(|_| received.recv().unwrap());
    drop(hook);
    asking
}

/// Advances the clock until the answer is there: the wait may begin a moment after the task is cancelled.
fn answer_in_time(asking: JoinHandle<Reply>, hand: &pm::ManualClock, step: Duration) -> Reply {
    while !asking.is_finished() {
        hand.advance(step);
        thread::yield_now();
    }
    asking.join().unwrap()
}

fn with_key(server: &Server, target: &str, key: &str, body: &str) -> Reply {
    request(server, "POST", target, &[&format!("Idempotency-Key: {key}")], body)
}

// One.

#[test]
fn a_task_that_still_runs_is_202_and_has_the_request() {
    let (list, server) = served();
    let task = list.start("job");
    let child = list.task("part").parent(&task).start();
    let reply = post(&server, "/v1/tasks/job/cancel", r#"{"reason":"too slow"}"#);
    let serial = task.serial().unwrap().to_string();
    assert_eq!((reply.status, reply.header("content-type")), (202, Some("application/json")));
    let json = reply.json();
    let took = json["tookMs"].as_f64().unwrap();
    assert_eq!(json, json!({"verdict": "cancelling", "serial": serial, "id": "job", "tookMs": took, "below": 1}));
    assert_eq!(task.checkpoint().unwrap_err().reason(), "too slow");
    assert!(child.is_cancelled());
    let cancel = get(&server, "/v1/tasks/job").json()["task"]["cancel"].clone();
    assert_eq!(
        (&cancel["reason"], &cancel["by"], &cancel["origin"]),
        (&"too slow".into(), &"127.0.0.1".into(), &serial.into())
    );
    // Cancelled again, it keeps the first reason.
    assert_eq!(post(&server, "/v1/tasks/job/cancel", r#"{"reason":"other"}"#).status, 202);
    assert_eq!(task.checkpoint().unwrap_err().reason(), "too slow");
}

#[test]
fn a_body_may_be_missing_or_empty() {
    let (list, server) = served();
    for body in ["", " \n", "{}", r#"{"expect":{}}"#] {
        let task = list.start("job");
        assert_eq!(
            post(&server, &format!("/v1/tasks/{}/cancel", task.serial().unwrap()), body).status,
            202,
            "{body:?}"
        );
        assert_eq!(task.checkpoint().unwrap_err().reason(), "");
    }
}

#[test]
fn a_wait_returns_how_the_task_ended() {
    let (list, server) = served();
    let task = list.start("job");
    let asking = post_in_background(&list, &server, "/v1/tasks/job/cancel", "k", r#"{"wait":"20s"}"#, 1);
    assert!(task.checkpoint().is_err());
    drop(task);
    let reply = asking.join().unwrap();
    assert_eq!(reply.status, 200);
    let json = reply.json();
    assert_eq!((&json["verdict"], &json["outcome"]), (&"finished".into(), &"cancelled".into()));
    assert!(json.get("below").is_none() && json.get("alreadyEnded").is_none(), "{json}");
}

#[test]
fn a_wait_that_times_out_reports_that_the_task_still_runs() {
    let (list, hand, server) = served_by_hand();
    let _task = list.start("unresponsive");
    let asking = post_in_background(&list, &server, "/v1/tasks/unresponsive/cancel", "k", r#"{"wait":"10s"}"#, 1);
    let reply = answer_in_time(asking, &hand, Duration::from_secs(10));
    assert_eq!((reply.status, &reply.json()["verdict"]), (202, &"cancelling".into()));
    assert!(reply.json()["tookMs"].as_f64().unwrap() >= 10_000.0);
}

#[test]
fn a_retained_ended_task_is_already_finished() {
    let (list, server) = served();
    let task = list.start("job");
    let serial = task.serial().unwrap();
    task.fail("no file");
    for name in ["job".to_owned(), serial.to_string()] {
        let reply = post(&server, &format!("/v1/tasks/{name}/cancel"), "{}");
        let expected = json!({
            "verdict": "finished", "serial": serial.to_string(), "id": "job", "tookMs": 0.0, "outcome": "failed",
            "alreadyEnded": true,
        });
        assert_eq!((reply.status, reply.json()), (200, expected));
    }
}

#[test]
fn a_task_that_cannot_be_cancelled_is_refused_with_the_reason() {
    let (list, server) = served();
    let fixed = list.task("fixed").on_cancel(pm::CancelPolicy::Refuse).start();
    let twins = [list.start("twin"), list.start("twin")];
    assert_eq!(code_of(&post(&server, "/v1/tasks/fixed/cancel", "{}"), 403), "not-cancellable");
    assert_eq!(code_of(&post(&server, "/v1/tasks/unknown/cancel", "{}"), 404), "task-not-found");
    assert_eq!(code_of(&post(&server, "/v1/tasks/0/cancel", "{}"), 404), "task-not-found");
    let reply = post(&server, "/v1/tasks/twin/cancel", "{}");
    assert_eq!(code_of(&reply, 409), "ambiguous-id");
    assert_eq!(
        reply.json()["serials"],
        json!([twins[0].serial().unwrap().to_string(), twins[1].serial().unwrap().to_string()])
    );
    assert!(!fixed.is_cancelled() && twins.iter().all(|task| !task.is_cancelled()));
    assert_eq!(post(&server, &format!("/v1/tasks/{}/cancel", twins[1].serial().unwrap()), "{}").status, 202);
    assert!(!twins[0].is_cancelled() && twins[1].is_cancelled());
}

#[test]
fn a_list_that_may_only_be_looked_at_refuses_on_every_route() {
    let list = ProcessList::with_options(pm::Options::new().look_only(true));
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let task = list.task("job").kind("import").start();
    let reply = post(&server, "/v1/tasks/job/cancel", "{}");
    assert_eq!(code_of(&reply, 403), "not-cancellable");
    assert!(reply.json()["detail"].as_str().unwrap().contains("may only be looked at"));
    let reply = post(&server, "/v1/cancel", r#"{"filter":{"kind":"import"}}"#);
    assert_eq!(reply.json()["verdicts"][0]["verdict"], "refused", "{}", reply.json());
    assert_eq!(request(&server, "DELETE", "/procs/job", &[], "").status, 403);
    assert!(!task.is_cancelled());
    let info = get(&server, "/v1/info").json();
    assert_eq!(info["settings"], json!({ "enabled": true, "lookOnly": true, "ignored": [] }));
    assert_eq!(info["scope"], "read", "no face offers a cancel");
}

#[test]
fn nothing_is_cancelled_unless_all_expectations_hold() {
    let (list, hand, server) = served_by_hand();
    let task = list.start("job");
    task.status("reading").unwrap();
    hand.advance(Duration::from_secs(5));
    let serial = task.serial().unwrap().to_string();
    for expect in [
        json!({"serial": "999999999"}),
        json!({"serial": ""}),
        json!({"minAge": "6s"}),
        json!({"status": "writing"}),
        json!({"serial": serial, "minAge": "1s", "status": "read"}),
    ] {
        let reply = post(&server, "/v1/tasks/job/cancel", &json!({ "expect": expect }).to_string());
        assert_eq!(code_of(&reply, 412), "precondition-failed", "{expect}");
        assert!(!task.is_cancelled(), "{expect}");
    }
    let expect = json!({"expect": {"serial": serial, "minAge": "5s", "status": "reading"}});
    assert_eq!(post(&server, "/v1/tasks/job/cancel", &expect.to_string()).status, 202);
    assert!(task.is_cancelled());
}

#[test]
fn an_invalid_body_cancels_nothing() {
    let (list, server) = served();
    let task = list.start("job");
    for (body, parameter) in [
        ("x", None),
        ("{", None),
        ("null", None),
        ("[]", None),
        ("5", None),
        (r#"{} {}"#, None),
        (r#"{"reason":5}"#, Some("reason")),
        (r#"{"reason":null}"#, Some("reason")),
        (r#"{"wait":10}"#, Some("wait")),
        (r#"{"wait":"10 parsecs"}"#, Some("wait")),
        (r#"{"wait":"0s"}"#, Some("wait")),
        (r#"{"wait":"26s"}"#, Some("wait")),
        (r#"{"expect":{"serial":1}}"#, Some("serial")),
        (r#"{"expect":{"minAge":"x"}}"#, Some("minAge")),
        (r#"{"expect":[]}"#, None),
        (r#"{"expect":null}"#, None),
        (r#"{"expect":{"stauts":"x"}}"#, Some("stauts")),
        (r#"{"reasn":"x"}"#, Some("reasn")),
    ] {
        let reply = post(&server, "/v1/tasks/job/cancel", body);
        assert_eq!(code_of(&reply, 400), "invalid-body", "{body}");
        assert_eq!(reply.json()["parameter"].as_str(), parameter, "{body}");
    }
    assert!(post(&server, "/v1/tasks/job/cancel", r#"{"reasn":"x"}"#).body.contains("did you mean `reason`?"));
    assert_eq!(code_of(&post(&server, "/v1/tasks/job/cancel?wait=1s", "{}"), 400), "unknown-parameter");
    assert!(!task.is_cancelled());
}

// Repeated requests.

#[test]
fn a_repeated_key_gets_the_first_answer_and_does_nothing() {
    let (list, server) = served();
    let task = list.start("job");
    let first = with_key(&server, "/v1/tasks/job/cancel", "one", "{}");
    assert_eq!(first.status, 202);
    drop(task);
    let other = list.start("job");
    let again = with_key(&server, "/v1/tasks/job/cancel", "one", "{}");
    assert_eq!((again.status, &again.body), (202, &first.body));
    assert!(!other.is_cancelled());
    // For any other request the key is used up.
    for (target, body) in
        [("/v1/tasks/job/cancel", r#"{"reason":"x"}"#), ("/v1/tasks/other/cancel", "{}"), ("/v1/cancel", "{}")]
    {
        assert_eq!(code_of(&with_key(&server, target, "one", body), 422), "idempotency-key-reused", "{target} {body}");
    }
    assert!(!other.is_cancelled());
    assert_eq!(with_key(&server, "/v1/tasks/job/cancel", "two", "{}").status, 202);
    assert!(other.is_cancelled());
}

#[test]
fn a_refusal_does_not_use_up_the_key() {
    let (list, server) = served();
    assert_eq!(with_key(&server, "/v1/tasks/job/cancel", "k", "{}").status, 404);
    let task = list.start("job");
    assert_eq!(with_key(&server, "/v1/tasks/job/cancel", "k", "{}").status, 202);
    assert!(task.is_cancelled());
}

#[test]
fn a_key_whose_request_is_in_progress_is_a_conflict_until_it_is_answered() {
    let (list, server) = served();
    let task = list.start("job");
    let body = r#"{"wait":"20s"}"#;
    let asking = post_in_background(&list, &server, "/v1/tasks/job/cancel", "k", body, 1);
    let reply = with_key(&server, "/v1/tasks/job/cancel", "k", body);
    assert_eq!(code_of(&reply, 409), "request-under-way");
    assert_eq!((reply.header("retry-after"), &reply.json()["retryAfterMs"]), (Some("1"), &1_000.into()));
    drop(task);
    let first = asking.join().unwrap();
    let again = with_key(&server, "/v1/tasks/job/cancel", "k", body);
    assert_eq!((first.status, again.status, &again.body), (200, 200, &first.body));
}

#[test]
fn a_key_is_one_short_string() {
    let (list, server) = served();
    let task = list.start("job");
    for headers in [
        &["Idempotency-Key: "][..],
        &["Idempotency-Key: \u{e9}"],
        &["Idempotency-Key: a", "Idempotency-Key: a"],
        &[&format!("Idempotency-Key: {}", "x".repeat(201))],
    ] {
        let reply = request(&server, "POST", "/v1/tasks/job/cancel", headers, "{}");
        assert_eq!(code_of(&reply, 400), "invalid-parameter", "{headers:?}");
        assert_eq!(reply.json()["parameter"], "Idempotency-Key");
    }
    assert!(!task.is_cancelled());
    assert_eq!(with_key(&server, "/v1/tasks/job/cancel", &"x".repeat(200), "{}").status, 202);
}

// Many.

fn verdicts(json: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    json["verdicts"].as_array().unwrap().iter().map(|one| (text(&one["id"]), text(&one["verdict"]))).collect()
}

#[test]
fn without_a_selective_filter_nothing_is_cancelled() {
    let (list, server) = served();
    let task = list.start("job");
    for body in [
        "",
        "{}",
        r#"{"filter":""}"#,
        r#"{"filter":" "}"#,
        r#"{"filter":{}}"#,
        r#"{"filter":"id=*"}"#,
        r#"{"filter":{"id":"*"}}"#,
        r#"{"filter":{"id":["x","*"],"kind":"*"}}"#,
        r#"{"filter":"state=running,cancelling,ended"}"#,
        r#"{"filter":{"state":"*","attr.x":"*"}}"#,
        r#"{"filter":"maxAge=9999999h"}"#,
        r#"{"filter":{},"dryRun":true}"#,
        r#"{"reason":"x"}"#,
    ] {
        assert_eq!(code_of(&post(&server, "/v1/cancel", body), 400), "missing-filter", "{body}");
    }
    assert_eq!(code_of(&post(&server, "/v1/cancel", r#"{"filter":"*"}"#), 400), "invalid-filter");
    assert!(!task.is_cancelled());
}

#[test]
fn every_match_is_cancelled_oldest_first_and_reported_with_its_verdict() {
    let (list, hand, server) = served_by_hand();
    let mut tasks = Vec::new();
    for id in ["c", "b", "a"] {
        tasks.push(list.task(id).kind("import").start());
        hand.advance(Duration::from_secs(1));
    }
    let fixed = list.task("fixed").kind("import").on_cancel(pm::CancelPolicy::Refuse).start();
    let other = list.task("other").kind("export").start();
    let reply = post(&server, "/v1/cancel", r#"{"filter":"kind=import","reason":"deploy"}"#);
    assert_eq!(reply.status, 200);
    let json = reply.json();
    let received: Vec<_> = verdicts(&json);
    let received: Vec<_> = received.iter().map(|(id, verdict)| (id.as_str(), verdict.as_str())).collect();
    assert_eq!(received, [("c", "cancelling"), ("b", "cancelling"), ("a", "cancelling"), ("fixed", "refused")]);
    assert_eq!((&json["total"], &json["dryRun"]), (&4.into(), &false.into()));
    assert_eq!(json["counts"], json!({"cancelling": 3, "refused": 1}));
    assert!(json["verdicts"][3]["why"].as_str().unwrap().contains("not cancellable"));
    assert!(tasks.iter().all(|task| task.checkpoint().unwrap_err().reason() == "deploy"));
    assert!(!fixed.is_cancelled() && !other.is_cancelled());
}

#[test]
fn all_forms_of_a_filter_are_equivalent() {
    let (list, server) = served();
    let _tasks: Vec<_> = ["a", "b b", "c"].map(|id| list.task(id).kind("k").attr("host", id).start()).into();
    for (filter, found) in [
        (json!("kind=k id=a,c"), 2),
        (json!({"kind": "k", "id": "a,c"}), 2),
        (json!({"kind": "k", "id": ["a", "c"]}), 2),
        (json!(r#"attr.host="b b""#), 1),
        (json!({"attr.host": "b b"}), 1),
        (json!({"attr.host": "b*"}), 1),
        (json!("id=unknown"), 0),
    ] {
        let json = post(&server, "/v1/cancel", &json!({"filter": filter, "dryRun": true}).to_string()).json();
        assert_eq!(json["total"], found, "{filter}");
    }
    for (filter, position) in [
        (json!("knd=x"), 0),
        (json!("kind=x id=a*b"), 11),
        (json!({"id": 5}), 0),
        (json!(5), 0),
        (json!(null), 0),
        (json!([]), 0),
    ] {
        let reply = post(&server, "/v1/cancel", &json!({ "filter": filter }).to_string());
        assert_eq!(code_of(&reply, 400), "invalid-filter", "{filter}");
        let json = reply.json();
        assert_eq!((&json["parameter"], &json["position"]), (&"filter".into(), &position.into()), "{filter}: {json}");
    }
}

#[test]
fn a_dry_run_reports_the_targets_and_cancels_none() {
    let (list, server) = served();
    let tasks: Vec<_> = (0..3).map(|_| list.start("job")).collect();
    let json = post(&server, "/v1/cancel", r#"{"filter":"id=job","dryRun":true}"#).json();
    let would: Vec<_> =
        tasks.iter().map(|task| json!({"serial": task.serial().unwrap().to_string(), "id": "job"})).collect();
    assert_eq!(json, json!({"dryRun": true, "total": 3, "counts": {}, "verdicts": would}));
    assert!(tasks.iter().all(|task| !task.is_cancelled()));
}

#[test]
fn more_targets_than_the_cap_or_than_expected_cancel_none() {
    let (list, server) = served();
    let tasks: Vec<_> = (0..101).map(|_| list.start("job")).collect();
    for (body, status, code) in [
        (json!({"filter": "id=job"}), 409, "too-many-victims"),
        (json!({"filter": "id=job", "dryRun": true}), 409, "too-many-victims"),
        (json!({"filter": "id=job", "max": 0}), 409, "too-many-victims"),
        (json!({"filter": "id=job", "max": 1000, "expectTotal": 100}), 412, "precondition-failed"),
        (json!({"filter": "id=job", "expectTotal": 0}), 412, "precondition-failed"),
    ] {
        let reply = post(&server, "/v1/cancel", &body.to_string());
        assert_eq!(code_of(&reply, status), code, "{body}");
        assert_eq!(reply.json()["total"], 101);
    }
    for (name, bad) in [
        ("max", json!(10_001)),
        ("max", json!(-1)),
        ("max", json!(1.5)),
        ("max", json!("5")),
        ("expectTotal", json!(1e30)),
        ("dryRun", json!("true")),
        ("dryRun", json!(1)),
        ("wait", json!("1d")),
        ("reason", json!(["x"])),
    ] {
        let reply = post(&server, "/v1/cancel", &json!({"filter": "id=job", name: bad}).to_string());
        assert_eq!(code_of(&reply, 400), "invalid-body", "{name} {bad}");
        assert_eq!(reply.json()["parameter"], name, "{bad}");
    }
    assert!(tasks.iter().all(|task| !task.is_cancelled()));
    let body = json!({"filter": "id=job", "max": 200.0, "expectTotal": 101});
    assert_eq!(post(&server, "/v1/cancel", &body.to_string()).json()["counts"], json!({"cancelling": 101}));
    assert!(tasks.iter().all(|task| task.is_cancelled()));
}

#[test]
fn children_are_cancelled_with_their_parents_even_if_they_do_not_match() {
    let (list, server) = served();
    let parent = list.task("parent").kind("k").start();
    let child = list.task("child").kind("k").parent(&parent).start();
    let other = list.task("other").parent(&child).start();
    let json = post(&server, "/v1/cancel", r#"{"filter":{"kind":"k"},"reason":"x"}"#).json();
    assert_eq!(
        verdicts(&json),
        [("parent", "cancelling"), ("child", "cancelling")].map(|(id, verdict)| (id.to_owned(), verdict.to_owned()))
    );
    assert_eq!(json["total"], 2, "what is below is not counted");
    assert!(child.is_cancelled() && other.is_cancelled());
}

#[test]
fn a_wait_for_many_lasts_until_the_last_ends_or_the_timeout() {
    let (list, hand, server) = served_by_hand();
    let (observes, unresponsive) =
        (list.task("observes").kind("k").start(), list.task("unresponsive").kind("k").start());
    let asking = post_in_background(&list, &server, "/v1/cancel", "a", r#"{"filter":"kind=k","wait":"10s"}"#, 2);
    assert!(observes.checkpoint().is_err());
    drop(observes);
    let json = answer_in_time(asking, &hand, Duration::from_secs(5)).json();
    assert_eq!(json["counts"], json!({"finished": 1, "cancelling": 1}));
    assert_eq!(json["verdicts"][0]["outcome"], "cancelled");

    let next = list.task("next").kind("k").start();
    let asking = post_in_background(&list, &server, "/v1/cancel", "b", r#"{"filter":"kind=k","wait":"10s"}"#, 1);
    drop((unresponsive, next));
    let json = asking.join().unwrap().json();
    assert_eq!(json["counts"], json!({"finished": 2}), "the time was not up");
}

#[test]
fn a_cancel_says_that_descendants_may_be_missing_from_a_list_that_was_full() {
    let list = ProcessList::with_options(Options::new().max_bytes(1 << 20));
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let parent = list.start("parent");
    let all: Vec<_> = (0..10_000).map(|number| list.task(&number.to_string()).parent(&parent).start()).collect();
    let missing = serde_json::json!({ "tasksNotShown": list.not_shown() });
    assert!(list.not_shown() > 0);
    let dry = post(&server, "/v1/cancel", r#"{"filter":"id=parent","dryRun":true}"#);
    assert_eq!(dry.json()["missing"], missing);
    assert_eq!(post(&server, "/v1/tasks/parent/cancel", "{}").json()["missing"], missing);
    drop(all);
}
