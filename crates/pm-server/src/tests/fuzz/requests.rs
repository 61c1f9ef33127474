//! Random requests: queries, cursors, bodies.

use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use pm_core::{ProcessList, Task};
use pm_wire::encode_id;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tower_service::Service as _;

use super::paths::PATH;
use super::text_of;
use crate::response::Body;
use crate::service::{Service, service};

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn of(response: Response<Body>) -> Answer {
        let (head, body) = response.into_parts();
        // A stream of events has no end.
        let is_endless = head.headers.get("content-type").is_some_and(|kind| {
            kind.as_bytes().starts_with(b"text/event-stream") || kind.as_bytes().starts_with(b"application/x-ndjson")
        });
        let body =
            if is_endless { Vec::new() } else { body.collect().now_or_never().unwrap().unwrap().to_bytes().to_vec() };
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Checks the invariants of every response.
    fn assert_sound(&self, is_v1: bool) -> Result<(), TestCaseError> {
        prop_assert!((200..=503).contains(&self.status) && self.status != 500, "{}", self.status);
        for name in ["x-content-type-options", "cache-control", "content-security-policy", "x-frame-options"] {
            prop_assert!(self.headers.contains_key(name), "{name}");
        }
        prop_assert!(self.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
        if is_v1 && self.status >= 400 {
            let problem = self.json();
            prop_assert_eq!(&problem["status"], &json!(self.status));
            let (code, kind) = (problem["code"].as_str().unwrap(), problem["type"].as_str().unwrap());
            prop_assert_eq!(format!("urn:pm:problem:{code}"), kind);
            prop_assert!(!problem["detail"].as_str().unwrap().is_empty());
        }
        Ok(())
    }
}

/// Returns the response to a request; `None` if the request is not valid, or the response waits.
fn ask(service: &mut Service, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    let mut request = Request::builder().method(method).uri(target).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    let request = request.body(http_body_util::Full::new(bytes::Bytes::copy_from_slice(body))).ok()?;
    service.call(request).now_or_never().map(|answer| Answer::of(answer.unwrap()))
}

/// A list with a few tasks, two of which have the same id.
fn tasks() -> (ProcessList, Vec<Task>, Service) {
    let list = ProcessList::new();
    let tasks = vec![
        list.task("a").kind("import").attr("host", "db1").attr("n", 7).start(),
        list.start("a"),
        list.task("ünï \"x\"").kind("GET /x").start(),
        list.start(""),
    ];
    drop(list.task("ended").kind("import").start());
    let service = service(&list);
    (list, tasks, service)
}

const QUERY: &[&str] = &[
    "limit=",
    "sort=",
    "cursor=",
    "fields=",
    "view=",
    "groupBy=",
    "kind=",
    "id=",
    "status=",
    "minAge=",
    "maxAge=",
    "attr.host=",
    "attr.",
    "state=",
    "root=",
    "interval=",
    "outcome=",
    "serial=",
    "parent=",
    "-age",
    "statusAge",
    "brief",
    "full",
    "import",
    "running",
    "a",
    "*",
    ",",
    "&",
    "&",
    "&",
    "=",
    "%",
    "%2C",
    "%FF",
    "+",
    "\\",
    "%5C",
    "5s",
    "1h",
    "-1",
    "0",
    "1000",
    "1001",
    "18446744073709551616",
    "id,kind",
    "wait=",
    "\"",
    "é",
];
const TARGETS: [&str; 10] = [
    "/v1/tasks",
    "/v1/tasks/a",
    "/v1/tasks/12/history",
    "/v1/tree",
    "/v1/ended",
    "/v1/kinds",
    "/v1/events",
    "/v1/info",
    "/metrics",
    "/procs/",
];

/// A JSON value of parts that mean something to a cancel.
fn body_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec![
            "",
            "*",
            "id=a",
            "kind=import",
            "id=*",
            "0s",
            "1s",
            "5m",
            "26s",
            "a",
            "id=\"",
            "minAge=5",
            "attr.=x",
            "kind=im*,x minAge=0s"
        ])
        .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let name = prop_oneof![
        4 => select(vec![
            "filter", "reason", "dryRun", "max", "expectTotal", "wait", "expect", "serial", "minAge", "status", "id",
            "kind",
        ])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name.clone(), inner), 0..5).prop_map(|all| Value::Object(all.into_iter().collect()))
        ]
    })
}

fn body_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => body_value().prop_map(|value| value.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..100),
        // One byte changed or cut off.
        2 => (body_value(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, index, byte)| {
            let mut bytes = value.to_string().into_bytes();
            let at = index.index(bytes.len());
            if byte == 0 { bytes.truncate(at) } else { bytes[at] = byte }
            bytes
        }),
    ]
}

proptest! {
    #[test]
    fn any_query_is_answered_or_its_error_is_reported(target in select(&TARGETS[..]), query in text_of(QUERY, 10)) {
        let (_list, tasks, mut service) = tasks();
        let Some(answer) = ask(&mut service, "GET", &format!("{target}?{query}"), &[], b"") else { return Ok(()) };
        answer.assert_sound(target != "/procs/")?;
        prop_assert!([200, 400, 404, 409, 410].contains(&answer.status), "{}", answer.status);
        if answer.status == 200 && ["/v1/tasks", "/v1/ended"].contains(&target) {
            let page = answer.json();
            let shown = page["tasks"].as_array().unwrap().len() as u64;
            let total = page["total"].as_u64().unwrap();
            prop_assert!(shown <= total && total <= tasks.len() as u64, "{page}");
            prop_assert_eq!(page.get("nextCursor").is_some(), page["truncated"] == true && shown > 0);
        }
        prop_assert!(tasks.iter().all(|task| !task.is_cancelled()));
    }

    #[test]
    fn a_cursor_that_was_tampered_with_is_refused_or_shows_a_page(
        sort in select(vec!["id", "-age", "status,id", "serial", "-kind,-statusAge"]),
        index in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
        json in body_value(),
    ) {
        let (_list, _tasks, mut service) = tasks();
        let first = ask(&mut service, "GET", &format!("/v1/tasks?limit=2&sort={sort}"), &[], b"").unwrap().json();
        let good = first["nextCursor"].as_str().unwrap().to_owned();
        let again = |service: &mut Service, cursor: &str| {
            let target = format!("/v1/tasks?limit=2&sort={sort}&cursor={}", encode_id(cursor));
            ask(service, "GET", &target, &[], b"").unwrap()
        };
        prop_assert_eq!(again(&mut service, &good).status, 200);
        let mut bytes = good.clone().into_bytes();
        let at = index.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        // The same frame, with anything in place of the keys.
        let (boot, hex) = good.split_once('.').unwrap();
        let digits = hex.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
        let text: Vec<u8> = digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect();
        let mut value: Value = serde_json::from_slice(&text).unwrap();
        value[2] = json;
        let forged: String = value.to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
        let forged = format!("{boot}.{forged}");
        for cursor in [String::from_utf8_lossy(&bytes).into_owned(), forged] {
            let answer = again(&mut service, &cursor);
            answer.assert_sound(true)?;
            prop_assert!([200, 400, 410].contains(&answer.status), "{cursor}: {}", answer.status);
        }
    }

    #[test]
    fn a_cancel_does_what_it_says_or_nothing(
        (target, one) in select(vec![
            ("/v1/cancel", false),
            ("/v1/tasks/a/cancel", true),
            ("/v1/tasks/id:/cancel", true),
            ("/v1/tasks/ended/cancel", true),
        ]),
        key in prop::option::of(text_of(&["key", "\"", " ", "é"], 3)),
        body in body_bytes(),
    ) {
        let (_list, tasks, mut service) = tasks();
        let headers: Vec<_> = key.as_deref().map(|key| ("idempotency-key", key)).into_iter().collect();
        let answer = ask(&mut service, "POST", target, &headers, &body);
        let cancelled = tasks.iter().filter(|task| task.is_cancelled()).count();
        // It waits for the verdict.
        let Some(answer) = answer else { return Ok(()) };
        answer.assert_sound(true)?;
        let said = answer.json();
        match answer.status {
            202 => prop_assert!(one && said["verdict"] == "cancelling" && cancelled == 1, "{said}"),
            200 if one => prop_assert_eq!((&said["alreadyEnded"], cancelled), (&json!(true), 0), "{}", said),
            200 if said["dryRun"] == true => prop_assert_eq!(cancelled, 0),
            200 => {
                prop_assert_eq!(said["total"].as_u64(), Some(cancelled as u64), "{}", said);
                let filter = serde_json::from_slice::<Value>(&body).unwrap()["filter"].clone();
                prop_assert!(filter.is_string() || filter.is_object(), "{filter}");
                prop_assert!(filter != "" && filter != "*" && filter != "id=*" || cancelled == 0, "{filter}");
            }
            _ => prop_assert_eq!(cancelled, 0, "{}", said),
        }
    }

    #[test]
    fn a_body_at_procs_is_lenient_and_cancels_only_its_task(body in body_bytes(), query in text_of(QUERY, 4)) {
        let (list, tasks, mut service) = tasks();
        let task = list.start("job");
        let target = format!("/procs/job?{query}");
        let Some(answer) = ask(&mut service, "DELETE", &target, &[], &body) else { return Ok(()) };
        answer.assert_sound(false)?;
        prop_assert_eq!(answer.status == 200, task.is_cancelled());
        prop_assert!(tasks.iter().all(|task| !task.is_cancelled()));
    }

    #[test]
    fn nothing_but_a_cancel_cancels(
        method in prop_oneof![
            4 => select(vec!["GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH", "TRACE", "CONNECT"])
                .prop_map(str::to_owned),
            1 => "[A-Za-z!-]{1,8}",
        ],
        path in text_of(PATH, 6),
        query in text_of(QUERY, 4),
        accept in text_of(&["application/x-ndjson", "text/event-stream", "*/*", ",", ";q=0"], 3),
        last in text_of(&["-", "1", "abcdef", "\"", "18446744073709551615"], 4),
        body in body_bytes(),
    ) {
        let (_list, tasks, mut service) = tasks();
        let (accept, last) = (accept.as_str(), last.as_str());
        let headers = [("accept", accept), ("last-event-id", last), ("accept-encoding", accept)];
        let target = format!("{path}?{query}");
        let Some(answer) = ask(&mut service, &method, &target, &headers, &body) else { return Ok(()) };
        answer.assert_sound(false)?;
        let may = ["POST", "DELETE"].contains(&method.as_str());
        prop_assert!(may || tasks.iter().all(|task| !task.is_cancelled()), "{method} {path}");
        if tasks.iter().any(|task| task.is_cancelled()) {
            prop_assert!([200, 202].contains(&answer.status), "{}", answer.status);
        }
    }
}
