//! Random input: paths, hosts, origins, queries, cursors, bodies, tokens. Nothing panics, and the invariants hold. Half of
//! the input is built from parts with a meaning, so that it is not refused at once.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Instant;

use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use pm_core::{ProcessList, Task};
use pm_wire::{decode_id, encode_id};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tower_service::Service as _;

use crate::access::gate::Gate;
use crate::access::guard::Guard;
use crate::access::tokens::{self, Tokens};
use crate::access::{Caller, Identity, Permission};
use crate::request::route::{OPERATIONS, Route, TaskRef, route};
use crate::response::Body;
use crate::service::{Service, service};
use crate::sync::lock;

/// A text of parts with a meaning, with random text between them.
fn text_of(parts: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    let part = prop_oneof![3 => select(parts).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from), 1 => "[ -~]{0,4}"];
    vec(part, 0..most).prop_map(|parts| parts.concat())
}

// Paths.

const PATH: &[&str] = &[
    "/",
    "/procs/",
    "/procs",
    "/v1/tasks",
    "/v1/tasks/",
    "/v1/cancel",
    "/cancel",
    "/history",
    "/v1/events",
    "/metrics",
    "id:",
    "12",
    "a",
    "%2F",
    "%2f",
    "%",
    "%0",
    "%FF",
    "%00",
    "%25",
    "..",
    ".",
    "//",
    "é",
    "?",
    "#",
    "{ref}",
    "v1",
    "\\",
];

proptest! {
    #[test]
    fn a_path_leads_to_what_it_says_or_nowhere(path in text_of(PATH, 8)) {
        match route(&path) {
            Ok(Route::Task(id)) => {
                let plain = path.trim_end_matches('/');
                prop_assert!(plain.starts_with("/procs") && !plain.ends_with("/history") || id == "history", "{path}");
                prop_assert_eq!(route(&format!("/procs/{}/", encode_id(&id))), Ok(Route::Task(id)));
            }
            Ok(Route::History(id)) => {
                prop_assert!(path.ends_with("/history"));
                prop_assert_eq!(route(&format!("/procs/{}/history", encode_id(&id))), Ok(Route::History(id)));
            }
            Ok(Route::Moved(to)) => {
                // To us, and not back to where it came from.
                prop_assert!(to.starts_with("/procs/") && to != path || (&*path, &*to) == ("", "/"), "{path} {to}");
                prop_assert!(!matches!(route(&to), Ok(Route::Moved(_))), "{path} {to}");
            }
            Ok(Route::Operation(operation, segment)) => {
                prop_assert_eq!(operation.path.replace("{ref}", segment.as_deref().unwrap_or_default()), path);
                prop_assert!(segment.is_none_or(|segment| !segment.contains('/')));
            }
            Ok(Route::List) => prop_assert_eq!(path, "/procs/"),
            Ok(Route::NoSuchId) | Err(_) => prop_assert!(path.starts_with("/procs/") && path.contains('%')),
            Ok(Route::Nothing) => prop_assert!(OPERATIONS.iter().all(|operation| operation.path != path)),
        }
    }

    #[test]
    fn every_id_has_a_path_of_its_own(id in any::<String>()) {
        let segment = encode_id(&id);
        prop_assert_eq!(route(&format!("/procs/{segment}/")), Ok(Route::Task(id.clone())));
        let named = TaskRef::read(&format!("id:{segment}")).unwrap();
        prop_assert_eq!(named, TaskRef::Id(id));
    }

    #[test]
    fn only_digits_are_a_serial(segment in text_of(&["1", "0", "9", "id:", "%31", "%3A", "-", "+", "%", "é", "18446744073709551615"], 6)) {
        match TaskRef::read(&segment) {
            Ok(TaskRef::Serial(serial)) => {
                let decoded = decode_id(segment.as_bytes()).unwrap();
                prop_assert!(decoded.bytes().all(|byte| byte.is_ascii_digit()));
                prop_assert_eq!(decoded.trim_start_matches('0'), serial.to_string());
            }
            Ok(TaskRef::Id(_)) => {}
            Err(failure) => prop_assert!([400, 404].contains(&failure.status().as_u16())),
        }
    }
}

// Hosts and pages.

const HOST: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "[::1]",
    "pm.example",
    "evil.example",
    ":",
    "80",
    "6680",
    "65536",
    ".",
    "@",
    "/",
    "[",
    "]",
    "::ffff:127.0.0.1",
    "0x7f.1",
    "1",
    "LOCALHOST",
    " ",
    "%",
    "\\",
    "#",
    ",",
];

fn guarded(headers: &[(HeaderName, &str)]) -> Option<Result<(), u16>> {
    let mut request = Request::new(());
    for (name, value) in headers {
        request.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    let local: IpAddr = [127, 0, 0, 1].into();
    Some(
        Guard::default()
            .allow("pm.example")
            .check(&request, Some(local), false)
            .map_err(|failure| failure.status().as_u16()),
    )
}

/// A reference implementation of the guard.
fn is_our_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let is_name = ["localhost", "pm.example", "127.0.0.1"].contains(&name.to_ascii_lowercase().as_str());
    let is_mapped = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).is_some_and(|name| {
        name.parse::<std::net::Ipv6Addr>().is_ok_and(|v6| v6.to_ipv4_mapped() == Some([127, 0, 0, 1].into()))
    });
    is_port && (is_name || is_mapped)
}

proptest! {
    #[test]
    fn a_host_passes_only_if_it_is_ours(host in text_of(HOST, 4)) {
        let Some(result) = guarded(&[(HeaderName::from_static("host"), &host)]) else { return Ok(()) };
        match result {
            Ok(()) => prop_assert!(is_our_host(&host), "{host}"),
            Err(status) => prop_assert!(status == 421 && !(is_our_host(&host) && host.is_ascii()), "{host}: {status}"),
        }
    }

    #[test]
    fn a_page_passes_only_if_the_browser_says_that_it_is_ours(
        sites in vec(select(vec!["same-origin", "none", "cross-site", "same-site", "", "Same-Origin", "same-origin, none"]), 0..3),
        origins in vec(
            prop_oneof![
                3 => select(vec!["http://localhost:1", "https://localhost:1", "http://LOCALHOST:1"]).prop_map(str::to_owned),
                2 => select(vec!["null", "", "http://evil.example", "http://localhost", "http://localhost:1/"]).prop_map(str::to_owned),
                1 => text_of(HOST, 4),
            ],
            0..3,
        ),
    ) {
        let mut headers = vec![(HeaderName::from_static("host"), "localhost:1")];
        headers.extend(sites.iter().map(|site| (HeaderName::from_static("sec-fetch-site"), *site)));
        headers.extend(origins.iter().map(|origin| (HeaderName::from_static("origin"), origin.as_str())));
        let Some(result) = guarded(&headers) else { return Ok(()) };
        let by_site = sites.iter().all(|site| ["same-origin", "none"].contains(site));
        let by_origin = origins.iter().all(|origin| {
            ["http://localhost:1", "https://localhost:1"].contains(&origin.to_ascii_lowercase().as_str()) && origin.starts_with("http")
        });
        let passes = if sites.is_empty() { by_origin } else { by_site };
        prop_assert_eq!(result, if passes { Ok(()) } else { Err(403) }, "{:?}", headers);
    }
}

// Whole requests.

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
        4 => select(vec!["filter", "reason", "dryRun", "max", "expectTotal", "wait", "expect", "serial", "minAge", "status", "id", "kind"])
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
            ask(service, "GET", &format!("/v1/tasks?limit=2&sort={sort}&cursor={}", encode_id(cursor)), &[], b"").unwrap()
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
        (target, one) in select(vec![("/v1/cancel", false), ("/v1/tasks/a/cancel", true), ("/v1/tasks/id:/cancel", true), ("/v1/tasks/ended/cancel", true)]),
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
        let Some(answer) = ask(&mut service, "DELETE", &format!("/procs/job?{query}"), &[], &body) else { return Ok(()) };
        answer.assert_sound(false)?;
        prop_assert_eq!(answer.status == 200, task.is_cancelled());
        prop_assert!(tasks.iter().all(|task| !task.is_cancelled()));
    }

    #[test]
    fn nothing_but_a_cancel_cancels(
        method in prop_oneof![4 => select(vec!["GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH", "TRACE", "CONNECT"]).prop_map(str::to_owned), 1 => "[A-Za-z!-]{1,8}"],
        path in text_of(PATH, 6),
        query in text_of(QUERY, 4),
        accept in text_of(&["application/x-ndjson", "text/event-stream", "*/*", ",", ";q=0"], 3),
        last in text_of(&["-", "1", "abcdef", "\"", "18446744073709551615"], 4),
        body in body_bytes(),
    ) {
        let (_list, tasks, mut service) = tasks();
        let headers = [("accept", accept.as_str()), ("last-event-id", last.as_str()), ("accept-encoding", accept.as_str())];
        let Some(answer) = ask(&mut service, &method, &format!("{path}?{query}"), &headers, &body) else { return Ok(()) };
        answer.assert_sound(false)?;
        let may = ["POST", "DELETE"].contains(&method.as_str());
        prop_assert!(may || tasks.iter().all(|task| !task.is_cancelled()), "{method} {path}");
        if tasks.iter().any(|task| task.is_cancelled()) {
            prop_assert!([200, 202].contains(&answer.status), "{}", answer.status);
        }
    }
}

// Tokens.

const RIGHT: &str = "0123456789abcdef0123456789abcdef";
const LINES: &[&str] = &[
    "read ",
    "cancel ",
    "\n",
    "\n",
    "\n",
    "#",
    " ",
    "\t",
    "\r\n",
    RIGHT,
    "fedcba9876543210fedcba9876543210",
    "name",
    "kill ",
    "é",
    "short",
    "~+/=",
    "\0",
];

/// A file that is for its owner only, one for all tests of this file.
fn with_tokens<T>(text: &str, look: impl FnOnce(Result<Tokens, tokens::TokenFileError>) -> T) -> T {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = lock(&ONE);
    let path = std::env::temp_dir().join(format!("pm-fuzz-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let result = look(Tokens::open(&path, Instant::now()));
    std::fs::remove_file(path).unwrap();
    result
}

proptest! {
    #[test]
    fn a_token_file_is_taken_whole_or_refused_without_a_word_of_it(text in text_of(LINES, 12)) {
        let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split_ascii_whitespace().collect()).collect();
        let scope_of = |token: &str| {
            let line = lines.iter().find(|line| line.get(1) == Some(&token))?;
            Permission::parse(line[0])
        };
        with_tokens(&text, |result| {
            match result {
                Ok(tokens) => {
                    prop_assert!(text.ends_with('\n'));
                    prop_assert!(tokens.health().tokens > 0);
                    for token in [RIGHT, "fedcba9876543210fedcba9876543210", "", "name", "short"] {
                        let found = tokens.check(token.as_bytes(), Instant::now());
                        prop_assert_eq!(found.map(|caller| caller.permission), scope_of(token), "{} in {:?}", token, text);
                    }
                }
                Err(error) => {
                    let shown = format!("{error} {error:?}");
                    prop_assert!(!shown.contains(&RIGHT[..8]) && !shown.contains("fedcba98"), "{shown}");
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn only_the_right_token_written_as_it_should_be_lets_in(
        values in vec(text_of(&["Bearer", "bearer", " ", " ", RIGHT, "Basic", "\t", ",", "=", "0", "\"", "é"], 5), 0..3),
    ) {
        let mut headers = HeaderMap::new();
        for value in &values {
            let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else { return Ok(()) };
            headers.append("authorization", value);
        }
        let is_right = |value: &String| {
            let scheme = value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
            scheme && value[7..].trim_matches([' ', '\t']) == RIGHT
        };
        let expected = match &values[..] {
            [] => Some(Permission::Cancel),
            [one] if is_right(one) => Some(Permission::Read),
            _ => None,
        };
        let found = with_tokens(&format!("read {RIGHT}\n"), |tokens| {
            let gate = Gate::new(Some(tokens.unwrap()), false);
            let by_listener = Caller { identity: Identity::Loopback, permission: Permission::Cancel };
            gate.admit(&headers, Some(&by_listener), None, Instant::now())
        });
        prop_assert_eq!(found.as_ref().ok().map(|caller| caller.permission), expected, "{:?}", values);
        if let Err(failure) = found {
            prop_assert_eq!(failure.status().as_u16(), 401);
        }
    }
}
