//! Every route of `/v1` with every method, and bodies and targets that are too large.

#![cfg(feature = "server")]

mod common;

use common::{ask, code_of, get, post, raw, request, served};

const ROUTES: [(&str, &str); 17] = [
    ("GET", "/v1/tasks"),
    ("GET", "/v1/tasks/job"),
    ("GET", "/v1/tasks/job/history"),
    ("POST", "/v1/tasks/job/cancel"),
    ("POST", "/v1/cancel"),
    ("GET", "/v1/tree"),
    ("GET", "/v1/ended"),
    ("GET", "/v1/kinds"),
    ("GET", "/v1/events"),
    ("GET", "/v1/waits"),
    ("GET", "/v1/audit"),
    ("GET", "/v1/info"),
    ("GET", "/metrics"),
    ("GET", "/healthz"),
    ("GET", "/openapi.json"),
    ("GET", "/"),
    ("GET", "/page/none.js"),
];

#[test]
fn every_route_reports_its_method_for_all_others() {
    let (list, server) = served();
    let task = list.start("job");
    for (good, target) in ROUTES {
        let allow = if good == "GET" { "get, head, options" } else { "post, options" };
        let reply = ask(&server, "OPTIONS", target);
        assert_eq!((reply.status, reply.header("allow"), reply.body.as_str()), (200, Some(allow), ""), "{target}");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "QUERY", "get", "post", "BREW"] {
            if method == good || (good, method) == ("GET", "HEAD") {
                continue;
            }
            let reply = ask(&server, method, target);
            assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {target}");
            if method != "HEAD" {
                assert_eq!(code_of(&reply, 405), "method-not-allowed", "{method} {target}");
            }
        }
    }
    assert!(!task.is_cancelled());
}

#[test]
fn a_path_that_is_nearly_a_route_is_404() {
    let (_list, server) = served();
    for target in [
        "/v1",
        "/v1/",
        "/v1/tasks/a/",
        "/v1/tasks/a/histories",
        "/v1/tasks/a/b/cancel",
        "//v1/tasks",
        "/V1/tasks",
        "/v1/Tasks",
        "/v1/info/",
        "/v2/tasks",
        "/metrics/",
        "/healthz/x",
        "/openapi.yaml",
        "/index.html",
        "/v1/tasks//",
        "/v1/../v1/info",
        "/v1/%74asks",
    ] {
        let reply = get(&server, target);
        assert_eq!(code_of(&reply, 404), "not-found", "{target}");
        assert!(reply.json()["hint"].as_str().unwrap().contains("/v1/tasks"));
    }
}

#[test]
fn every_answer_forbids_sniffing_and_caching_and_none_allows_other_sites() {
    let (list, server) = served();
    let _task = list.start("job");
    for (method, target) in ROUTES {
        if target == "/v1/events" {
            continue; // It has no end; its head is checked elsewhere.
        }
        for reply in [ask(&server, method, target), ask(&server, "DELETE", target), ask(&server, "OPTIONS", target)] {
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{method} {target}");
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{method} {target}");
            assert!(!reply.head.contains("access-control"), "{method} {target}");
        }
    }
}

#[test]
fn a_body_that_is_too_large_is_413_and_closes_the_connection() {
    let (list, server) = served();
    let task = list.start("job");
    let body = format!(r#"{{"reason":"{}"}}"#, "x".repeat(64 << 10));
    for target in ["/v1/tasks/job/cancel", "/v1/cancel"] {
        let reply = post(&server, target, &body);
        assert_eq!(code_of(&reply, 413), "body-too-large", "{target}");
        assert_eq!(reply.header("connection"), Some("close"));
        // Announced in advance: the server does not even wait for it.
        let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n");
        let reply = common::Reply::parse(&raw(&server, head.as_bytes()));
        assert_eq!(code_of(&reply, 413), "body-too-large", "{target}");
    }
    assert!(!task.is_cancelled());
    let fits = format!(r#"{{"reason":"{}"}}"#, "x".repeat((64 << 10) - 13));
    assert_eq!(fits.len(), 64 << 10);
    assert_eq!(post(&server, "/v1/tasks/job/cancel", &fits).status, 202);
}

#[test]
fn an_unexpected_body_changes_nothing() {
    let (_list, server) = served();
    assert_eq!(request(&server, "GET", "/v1/tasks", &[], r#"{"limit":0}"#).status, 200);
}

#[test]
fn a_target_that_is_too_long_is_414() {
    let (_list, server) = served();
    let reply = get(&server, &format!("/v1/tasks?id={}", "x".repeat(8 << 10)));
    assert_eq!(code_of(&reply, 414), "target-too-long");
    assert_eq!(get(&server, &format!("/v1/tasks?id={}", "x".repeat((8 << 10) - 13))).status, 200);
}

#[test]
fn unknown_hosts_and_cross_site_pages_get_problems() {
    let (_list, server) = served();
    for (method, target) in ROUTES {
        let text = format!("{method} {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        assert_eq!(code_of(&common::Reply::parse(&raw(&server, text.as_bytes())), 421), "foreign-host", "{target}");
        let reply = request(&server, method, target, &["Sec-Fetch-Site: cross-site"], "");
        assert_eq!(code_of(&reply, 403), "cross-site", "{target}");
        let reply = request(&server, method, target, &["Origin: http://evil.example"], "");
        assert_eq!(code_of(&reply, 403), "cross-site", "{target}");
    }
}
