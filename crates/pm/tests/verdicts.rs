//! A `DELETE` with expectations and a wait for the verdict; and the report of a task that has ended.

#![cfg(feature = "server")]

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{Reply, connect, delete, get, served};
use pm::{Clock, Options, ProcessList, Server};

/// Cancels from another thread, and returns once the request has reached the task.
fn cancel_in_background(list: &ProcessList, server: &Server, target: &str) -> thread::JoinHandle<Reply> {
    let (send, received) = mpsc::channel();
    let hook = list.on_cancel(move |_| send.send(()).unwrap());
    let (address, target) = (server.addr(), target.to_owned());
    let asking = thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = connect(address);
        let head = format!("DELETE {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        Reply::parse(&reply)
    });
    received.recv().unwrap();
    drop(hook);
    asking
}

#[test]
fn a_wait_reports_that_the_task_ended_by_itself() {
    let (list, server) = served();
    let task = list.start("job");
    let serial = task.serial().unwrap().to_string();
    let asking = cancel_in_background(&list, &server, "/procs/job?wait=20s");
    assert!(task.checkpoint().is_err());
    drop(task);
    let reply = asking.join().unwrap();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let json = reply.json();
    assert_eq!((&json["verdict"], &json["outcome"]), (&"finished".into(), &"cancelled".into()), "{json}");
    assert_eq!(json["serial"], serial);
    assert!(json["tookMs"].as_f64().unwrap() >= 0.0, "{json}");
}

#[test]
fn a_wait_reports_that_a_future_was_dropped_and_how_many_tasks_with_it() {
    let (list, server) = served();
    let below = list.clone();
    let mut running = Box::pin(list.task("job").run(async move {
        let _child = below.start("part"); // a child, as the task is current here
        std::future::pending::<()>().await;
    }));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(running.as_mut().poll(&mut context).is_pending());
    let asking = cancel_in_background(&list, &server, "/procs/job?wait=20s");
    assert!(running.as_mut().poll(&mut context).is_ready());
    let json = asking.join().unwrap().json();
    assert_eq!((&json["verdict"], &json["below"]), (&"dropped".into(), &1.into()), "{json}");
    assert!(json.get("outcome").is_none(), "{json}");
}

#[test]
fn a_wait_that_times_out_reports_that_the_task_still_runs() {
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock));
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let task = list.start("unresponsive");
    let asking = cancel_in_background(&list, &server, "/procs/unresponsive?wait=10s");
    // The wait may begin a moment after the hook is called, and then ends ten seconds later.
    while !asking.is_finished() {
        hand.advance(Duration::from_secs(10));
        thread::yield_now();
    }
    let json = asking.join().unwrap().json();
    assert_eq!(json["verdict"], "cancelling", "{json}");
    assert!(json["tookMs"].as_f64().unwrap() >= 10_000.0, "{json}");
    assert!(task.checkpoint().is_err());
}

#[test]
fn a_failed_expectation_cancels_nothing_and_the_answer_has_the_actual_value() {
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock));
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let task = list.start("job");
    task.status("reading block 7").unwrap();
    hand.advance(Duration::from_secs(3));
    let young = delete(&server, "/procs/job?minAge=5s", "");
    assert_eq!(young.status, 412);
    assert!(young.body.starts_with("Precondition Failed\n") && young.body.contains('3'), "{young:?}");
    let other = delete(&server, "/procs/job?status=writing&wait=1s", "");
    assert!(other.status == 412 && other.body.contains("reading block 7"), "{other:?}");
    assert!(!task.is_cancelled());
    assert_eq!(delete(&server, "/procs/job?minAge=3s&status=reading+block%207", "").status, 200);
    assert!(task.is_cancelled());
}

#[test]
fn a_wait_that_is_too_long_or_not_a_duration_is_refused_and_nothing_is_cancelled() {
    let (list, server) = served();
    let task = list.start("job");
    for (query, words) in [("wait=1h", "must be 25.0 s at most"), ("wait=soon", "wait:"), ("minAge=", "minAge:")] {
        let reply = delete(&server, &format!("/procs/job?{query}"), "");
        assert!(reply.status == 400 && reply.body.contains(words), "{reply:?}");
    }
    assert!(!task.is_cancelled());
}

#[test]
fn a_client_that_disconnects_while_it_waits_has_still_cancelled() {
    use std::io::Write as _;
    let (list, server) = served();
    let task = list.start("job");
    let mut stream = connect(server.addr());
    write!(stream, "DELETE /procs/job?wait=20s HTTP/1.1\r\nHost: {}\r\n\r\n", server.addr()).unwrap();
    let (send, received) = mpsc::channel();
    let _hook = list.on_cancel(move |_| _ = send.send(()));
    if !task.is_cancelled() {
        received.recv().unwrap();
    }
    drop(stream);
    assert!(task.checkpoint().is_err());
    assert_eq!(get(&server, "/procs/").status, 200);
}

#[test]
fn the_history_of_a_cancelled_task_is_retained_and_ends_with_the_reason() {
    let (list, server) = served();
    let task = list.start("job");
    delete(&server, "/procs/job", r#"{"message":"too slow"}"#);
    assert!(task.checkpoint().is_err());
    drop(task);
    let json = get(&server, "/procs/job/history").json();
    assert_eq!(json["outcome"], "cancelled");
    let statuses: Vec<_> = json["history"].as_array().unwrap().iter().map(|entry| entry["status"].clone()).collect();
    assert_eq!(statuses, ["init", "[cancel request: too slow]", "killed: too slow"]);
    assert_eq!(delete(&server, "/procs/job", "").status, 404, "it has ended");
}

#[test]
fn the_row_of_a_task_that_does_not_stop_has_requester_reason_and_time() {
    let (list, server) = served();
    let _task = list.start("unresponsive");
    delete(&server, "/procs/unresponsive", r#"{"message":"too slow"}"#);
    let row = &get(&server, "/procs/").json()["procs"][0];
    assert_eq!(row["cancelling"], true);
    let cancel = &row["cancel"];
    assert_eq!((&cancel["reason"], &cancel["by"]), (&"too slow".into(), &"127.0.0.1".into()), "{row}");
    assert!(cancel["time"].as_str().unwrap().ends_with('Z'), "{row}");
}
