//! Clients that are not written for this server: monitors, load balancers, proxies, and those that send no valid HTTP.

#![cfg(feature = "server")]

mod common;

use std::io::Read as _;

use common::{Reply, code_of, connect, get, raw, request, served};
use pm::server::StartError;
use pm::{ProcessList, Server};

/// The head and the body that are received for these bytes, until the server closes.
fn exchange(server: &Server, text: &str) -> Reply {
    Reply::parse(&raw(server, text.as_bytes()))
}

#[test]
fn head_is_answered_as_get_is_without_the_body() {
    let (list, server) = served();
    let _task = list.task("job").kind("import").start();
    for target in [
        "/",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/v1/tasks",
        "/v1/tasks/job",
        "/v1/tasks/job/history",
        "/v1/tree",
        "/v1/ended",
        "/v1/kinds",
        "/v1/waits",
        "/v1/info",
        "/v1/audit",
        "/procs/",
        "/procs/job/history",
        "/procs",
        "/v1/tasks/unknown",
        "/v1/tasks?x=y",
        "/procs/unknown/history",
        "/nothing",
    ] {
        let (get, head) = (get(&server, target), common::ask(&server, "HEAD", target));
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{target}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{target}");
        // Ages and dates may have other lengths a moment later.
        assert!(head.header("content-length").is_some_and(|length| length != "0"), "{target}: {head:?}");
    }
    // A watcher that wants the head only is not served events.
    let events = common::ask(&server, "HEAD", "/v1/events");
    assert_eq!((events.status, events.body.as_str()), (200, ""));
    for target in ["/v1/cancel", "/v1/tasks/job/cancel", "/procs/job"] {
        assert_eq!(common::ask(&server, "HEAD", target).status, 405, "{target}");
    }
}

#[test]
fn a_head_request_keeps_the_connection_for_the_next_one() {
    let (_list, server) = served();
    let both = "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\
                Connection: close\r\n\r\n";
    let text = String::from_utf8(raw(&server, both.as_bytes())).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{text}");
    assert_eq!(text.matches(r#"{"status":"ok"}"#).count(), 1, "{text}");
}

#[test]
fn health_checks_of_http_1_0_need_no_host() {
    let (_list, server) = served();
    for (method, target) in
        [("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/metrics"), ("OPTIONS", "/"), ("GET", "/")]
    {
        let reply = exchange(&server, &format!("{method} {target} HTTP/1.0\r\n\r\n"));
        assert_eq!(reply.status, 200, "{method} {target}: {reply:?}");
    }
    for (request, status) in [
        ("GET /v1/tasks HTTP/1.0\r\n\r\n", 400),
        ("POST /v1/cancel HTTP/1.0\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        ("GET /healthz HTTP/1.0\r\nHost: evil.example\r\n\r\n", 421),
        ("GET /metrics HTTP/1.0\r\nOrigin: http://evil.example\r\n\r\n", 403),
        ("GET http://evil.example/metrics HTTP/1.0\r\n\r\n", 421),
        ("GET //metrics HTTP/1.0\r\n\r\n", 400),
    ] {
        assert_eq!(exchange(&server, request).status, status, "{request}");
    }
    // With a token required, a probe needs one where others do.
    let list = ProcessList::new();
    let builder = Server::builder().list(&list).listen("127.0.0.1:0");
    let secret = "0123456789abcdef0123456789abcdef";
    let server = builder.token(pm::server::Permission::Read, "probe", secret).require_token(true).start().unwrap();
    assert_eq!(exchange(&server, "GET /healthz HTTP/1.0\r\n\r\n").status, 200);
    assert_eq!(exchange(&server, "GET /metrics HTTP/1.0\r\n\r\n").status, 401);
    let with = format!("GET /metrics HTTP/1.0\r\nAuthorization: Bearer {secret}\r\n\r\n");
    assert_eq!(exchange(&server, &with).status, 200);
}

#[test]
fn a_page_behind_a_proxy_may_cancel_where_its_origin_is_the_host_or_is_allowed() {
    let list = ProcessList::new();
    let builder = Server::builder().list(&list).listen("127.0.0.1:0").allow_host("app");
    let server = builder.allow_origin("https://pm.example.org").start().unwrap();
    let cancel = |host: &str, origin: &str| {
        let text = format!(
            "POST /v1/tasks/none/cancel HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nConnection: close\r\n\
             Content-Length: 0\r\n\r\n"
        );
        exchange(&server, &text).status
    };
    for (host, origin, status) in [
        ("app:443", "https://app", 404),
        ("app", "https://app", 404),
        ("app", "https://app:443", 404),
        ("app:443", "http://app", 403),
        ("app:443", "https://other", 403),
        // The proxy has its own name for this server.
        ("127.0.0.1", "https://pm.example.org", 404),
        ("127.0.0.1", "https://evil.example", 403),
    ] {
        assert_eq!(cancel(host, origin), status, "{host} {origin}");
    }
    let error = Server::builder().listen("127.0.0.1:0").allow_origin("*").start().unwrap_err();
    assert!(
        matches!(error, StartError::Origin { .. }) && error.to_string().contains("`*` is not the origin"),
        "{error}"
    );
}

#[test]
fn every_error_is_a_problem_also_where_the_request_is_not_http() {
    let (_list, server) = served();
    let host = "Host: localhost\r\n";
    let many: String = (0..100).map(|number| format!("X{number}: y\r\n")).collect();
    for (head, status, code) in [
        (format!("GET /v1/tasks?status=\"x\" HTTP/1.1\r\n{host}"), 400, "malformed-head"),
        (format!("GET /v1/tasks?minAge>5s HTTP/1.1\r\n{host}"), 400, "malformed-head"),
        (format!("GET /v1/tasks?id=<b> HTTP/1.1\r\n{host}"), 400, "malformed-head"),
        (format!("GET /v1/tasks?id=a b HTTP/1.1\r\n{host}"), 400, "malformed-head"),
        (format!("GET /<b> HTTP/1.1\r\n{host}"), 400, "malformed-head"),
        (format!("G(T / HTTP/1.1\r\n{host}"), 400, "malformed-head"),
        (format!("GET / HTTP/3.0\r\n{host}"), 400, "malformed-head"),
        (format!("GET / HTTP/1.1\r\n{host}no colon\r\n"), 400, "malformed-head"),
        (format!("GET / HTTP/1.1\r\n{host}Content-Length: x\r\n"), 400, "malformed-head"),
        (format!("POST /v1/cancel HTTP/1.1\r\n{host}Transfer-Encoding: gzip\r\n"), 400, "malformed-head"),
        (format!("GET / HTTP/1.1\r\n{host}{many}"), 431, "head-too-large"),
        (format!("GET / HTTP/1.1\r\n{host}X: {}\r\n", "y".repeat(20_000)), 431, "head-too-large"),
        (format!("GET /{} HTTP/1.1\r\n{host}", "x".repeat(20_000)), 431, "head-too-large"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n".to_owned(), 400, "malformed-head"),
    ] {
        let reply = exchange(&server, &format!("{head}\r\n"));
        assert_eq!(code_of(&reply, status), code, "{head}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{head}");
        assert_eq!(reply.header("connection"), Some("close"), "{head}");
    }
    let reply = exchange(&server, &format!("GET /v1/tasks?status=\"x\" HTTP/1.1\r\n{host}\r\n"));
    assert!(reply.json()["hint"].as_str().unwrap().contains("`\"` as %22"), "{reply:?}");
}

#[test]
fn an_error_of_the_second_request_follows_the_answer_to_the_first() {
    let (list, server) = served();
    // More than one part, so that the first answer takes several writes.
    let tasks: Vec<_> = (0..3_000).map(|number| list.start(&format!("task number {number}"))).collect();
    for target in ["/healthz", "/procs/"] {
        let text =
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\nGET /<b> HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let bytes = raw(&server, text.as_bytes());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{target}");
        assert_eq!(text.matches("HTTP/1.1 400 Bad Request\r\n").count(), 1, "{target}");
    }
    drop(tasks);
}

#[test]
fn a_client_that_waits_before_its_body_is_asked_to_continue() {
    use std::io::Write as _;
    let (list, server) = served();
    let task = list.start("job");
    let mut stream = connect(server.addr());
    let head = "POST /v1/tasks/job/cancel HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\
                Connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut begin = [0; 25];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("HTTP/1.1 202 Accepted\r\n") && task.is_cancelled(), "{rest}");
}

#[test]
fn attributes_are_text_for_clients_of_the_original_and_typed_for_others() {
    let list = ProcessList::new();
    let server = Server::builder().list(&list).listen("127.0.0.1:0").text_attrs(true).start().unwrap();
    let _task = list.task("job").attr("rows", 7).attr("dry", true).attr("share", 0.5).attr("host", "db1").start();
    let old = get(&server, "/procs/").json()["procs"][0]["attrs"].clone();
    assert_eq!(old, serde_json::json!({"rows": "7", "dry": "true", "share": "0.5", "host": "db1"}));
    let ours = get(&server, "/v1/tasks").json()["tasks"][0]["attrs"].clone();
    assert_eq!(ours, serde_json::json!({"rows": 7, "dry": true, "share": 0.5, "host": "db1"}));
    let (list, server) = served();
    let _task = list.task("job").attr("rows", 7).start();
    assert_eq!(get(&server, "/procs/").json()["procs"][0]["attrs"]["rows"], 7);
}

#[test]
fn tasks_of_microseconds_have_buckets_of_their_own() {
    let (list, hand, server) = common::served_by_hand();
    for micros in [8, 30, 80, 700] {
        let task = list.task("x").kind("fast").start();
        hand.advance(std::time::Duration::from_micros(micros));
        task.finish();
    }
    let text = get(&server, "/metrics").body;
    for (bound, count) in [
        ("0.00001", 1),
        ("0.000025", 1),
        ("0.00005", 2),
        ("0.0001", 3),
        ("0.00025", 3),
        ("0.0005", 3),
        ("0.001", 4),
        ("1.0", 4),
        ("600.0", 4),
    ] {
        let line = format!("pm_task_duration_seconds_bucket{{kind=\"fast\",le=\"{bound}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn an_unknown_id_that_is_a_kind_is_answered_with_what_selects_it() {
    let (list, server) = served();
    let _task = list.unnamed().kind("import").start();
    let reply = get(&server, "/v1/tasks/import");
    assert_eq!(code_of(&reply, 404), "task-not-found");
    assert!(reply.json()["hint"].as_str().unwrap().contains("kind=import"), "{reply:?}");
    let reply = request(&server, "POST", "/v1/tasks/other/cancel", &[], "");
    assert!(code_of(&reply, 404) == "task-not-found" && reply.json().get("hint").is_none(), "{reply:?}");
}
