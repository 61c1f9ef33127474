//! The built command against servers that send more than any process list has: it says which ceiling was met, and ends.

mod common;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::{Fake, err, json, out, pm, reply};

const TIME: &str = r#""serverTime":"2026-11-24T04:03:39Z""#;

/// Rows with increasing serials, and a status of this many bytes each.
fn rows(count: u64, status: usize) -> String {
    // Relaxed: only the number matters.
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    let from = SERIAL.fetch_add(count, Relaxed);
    let status = "x".repeat(status);
    let row = |serial| format!(r#"{{"serial":"{serial}","id":"t","ageMs":1,"status":"{status}"}}"#);
    (from..from + count).map(row).collect::<Vec<_>>().join(",")
}

/// A server of pages without streams.
fn pages(page: impl Fn(&str) -> String + Send + Sync + 'static) -> Fake {
    Fake::new(move |request| match request.contains(" /v1/events") {
        true => reply("500 No", "text/plain", ""),
        false => reply("200 OK", "application/json", &page(request)),
    })
}

/// The code of the error of the only endpoint.
fn code(args: &[&str], server: &Fake) -> (String, String) {
    let output = pm(&[args, &["-o", "json", "-e", &server.endpoint]].concat());
    assert_eq!(output.status.code(), Some(5), "{}", err(&output));
    let document = json(&output);
    assert_eq!(document["items"], serde_json::json!([]));
    (document["endpoints"][0]["error"]["code"].as_str().unwrap().to_owned(), err(&output).to_owned())
}

#[test]
fn pages_without_end_take_no_longer_than_the_time_limit() {
    let next = AtomicU64::new(0);
    let server = pages(move |_| {
        let cursor = next.fetch_add(1, Relaxed);
        format!(r#"{{"tasks":[{}],"total":9,"nextCursor":"c{cursor}",{TIME}}}"#, rows(1, 0))
    });
    let (code, message) = code(&["ls", "--timeout", "300ms"], &server);
    assert!(code == "timedOut" && message.contains("within 300ms"), "{code}: {message}");
}

#[test]
fn pages_that_lead_to_themselves_or_are_empty_are_an_error() {
    for tasks in [r#"{"serial":"1"}"#, ""] {
        let server = pages(move |_| format!(r#"{{"tasks":[{tasks}],"total":9,"nextCursor":"c",{TIME}}}"#));
        for verb in ["ls", "ended"] {
            let (code, message) = code(&[verb], &server);
            assert!(code == "endlessPages" && message.contains("one leads to itself or is empty"), "{code}: {message}");
        }
    }
}

#[test]
fn pages_have_a_ceiling_together() {
    let next = AtomicU64::new(0);
    let server = pages(move |_| {
        let cursor = next.fetch_add(1, Relaxed);
        format!(r#"{{"tasks":[{}],"total":9,"nextCursor":"c{cursor}",{TIME}}}"#, rows(4, 1 << 20))
    });
    let (code, message) = code(&["ls", "--timeout", "60s"], &server);
    assert!(code == "tooMuch" && message.contains("more than 201326592 bytes of memory"), "{code}: {message}");
}

#[test]
fn a_snapshot_has_a_ceiling() {
    let server = Fake::new(|request| match request.contains(" /v1/events") {
        true => {
            let part = || format!("event: snapshot\ndata: {{\"tasks\":[{}],\"more\":true}}\n\n", rows(1_000, 0));
            let parts: String = (0..=200).map(|_| part()).collect();
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{parts}").into_bytes()
        }
        false => {
            let page = format!(r#"{{"tasks":[{}],"total":9,"nextCursor":"c",{TIME}}}"#, rows(1_000, 0));
            reply("200 OK", "application/json", &page)
        }
    });
    let (code, message) = code(&["ls", "--timeout", "60s"], &server);
    assert!(code == "tooMuch" && message.contains("more than 200000 tasks at "), "{code}: {message}");
}

#[test]
fn answers_with_too_many_values_are_refused_by_every_verb() {
    let server = pages(|_| {
        let many = "{},".repeat(300_000);
        format!(r#"{{"tasks":[{many}{{}}],"kinds":[],"waits":[],"records":[],"history":[],"task":{{}},{TIME}}}"#)
    });
    for verb in [
        &["ls"][..],
        &["ended"],
        &["tree"],
        &["kinds"],
        &["waits"],
        &["audit"],
        &["endpoints"],
        &["show", "a"],
        &["why", "a"],
        &["history", "a"],
    ] {
        let output = pm(&[verb, &["-o", "json", "-e", &server.endpoint]].concat());
        assert_eq!(output.status.code(), Some(5), "{verb:?}: {}", err(&output));
        assert!(err(&output).contains("would take more than 134217728 bytes of memory"), "{verb:?}: {}", err(&output));
        assert!(out(&output).contains(r#""code":"tooMuch""#), "{verb:?}");
    }
}

#[test]
fn a_watch_ends_at_an_event_that_is_too_large() {
    let event = |data: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {data}\n\n");
    for (data, expected) in [
        ("x".repeat(9 << 20), "is larger than 8388608 bytes"),
        (format!("{{\"tasks\":[{}]}}", "{},".repeat(100_000)), "would take more than 16777216 bytes of memory"),
    ] {
        let output = pm(&["watch", "-e", &Fake::replying(event(&data)).endpoint]);
        assert_eq!(output.status.code(), Some(6), "{output:?}");
        assert!(err(&output).contains(expected), "{}", err(&output));
    }
}
