//! The defaults that protect us from others and others from us, one by one: a change of any of them fails here.
//!
//! Each test names the default that it asserts. The rest is tested elsewhere: permissions in `access.rs`, malicious
//! requests in `framing.rs` and `hostile.rs`.

#![cfg(all(feature = "server", unix))]

mod safety;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use pm::server::StartError;
use pm::{ProcessList, Server, Task};
use safety::{CANCEL, Dir, READ, Stream, head, request, status, tcp, unix};
use serde_json::{Value, json};

/// Returns a new list and its server, with all defaults.
fn served() -> (ProcessList, Server) {
    let list = ProcessList::new();
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    (list, server)
}

fn ask(server: &Server, method: &str, target: &str, headers: &[&str], body: &str) -> u16 {
    status(&mut tcp(server.addr()), &request(method, target, headers, body))
}

/// The head of the answer to a GET.
fn head_of(server: &Server, target: &str) -> String {
    let mut stream = tcp(server.addr());
    stream.write_all(request("GET", target, &[], "").as_bytes()).unwrap();
    head(&mut stream)
}

fn body(stream: &mut dyn Stream, text: &str) -> Value {
    stream.write_all(text.as_bytes()).unwrap();
    let head = head(stream);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn get(server: &Server, target: &str) -> Value {
    body(&mut tcp(server.addr()), &request("GET", target, &[], ""))
}

/// Returns an address of this machine that others can reach, if it has one. Sends nothing.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|own| !own.is_loopback())
}

// Listeners.

#[test]
fn nothing_listens_before_it_is_asked_to() {
    assert!(matches!(Server::builder().start(), Err(StartError::NoAddress)));
}

#[test]
fn beyond_loopback_nothing_starts_without_a_token_or_the_dangerous_option() {
    let dir = Dir::new();
    for address in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0"] {
        let builder = || Server::builder().list(&ProcessList::new()).listen(address);
        assert!(matches!(builder().start(), Err(StartError::BeyondLoopback { .. })), "{address}");
        // Machines without IPv6 refuse for another reason.
        let may = |result: Result<Server, StartError>| !matches!(result, Err(StartError::BeyondLoopback { .. }));
        assert!(may(builder().token_file(dir.tokens()).start()), "{address} with tokens");
        assert!(may(builder().dangerously_listen_beyond_loopback(true).start()), "{address} dangerously");
    }
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let handed_over = Server::builder().listener(open.try_clone().unwrap()).start();
    assert!(
        matches!(handed_over, Err(StartError::BeyondLoopback { .. })),
        "a listener that was handed over counts as well"
    );
}

#[test]
fn one_address_beyond_loopback_among_others_is_enough_to_refuse_all() {
    let (loopback, dir) = ("127.0.0.1:0", Dir::new());
    let builder = Server::builder().listen(loopback).listen_unix(dir.path("pm.sock")).listen("0.0.0.0:0");
    assert!(matches!(builder.start(), Err(StartError::BeyondLoopback { .. })));
    assert!(!dir.path("pm.sock").exists(), "nothing is left of those that were opened before");
}

#[test]
fn on_loopback_other_machines_cannot_reach_the_port() {
    let (_list, server) = served();
    let Some(own) = own_address() else { return };
    let elsewhere = TcpStream::connect(SocketAddr::new(own, server.addr().port()));
    assert!(elsewhere.is_err(), "{elsewhere:?}");
}

#[test]
fn all_of_127_is_loopback() {
    if let Ok(server) = Server::builder().list(&ProcessList::new()).listen("127.0.0.9:0").start() {
        assert!(server.addr().ip().is_loopback());
    }
}

#[test]
fn a_unix_socket_is_private_to_its_owner_and_removed_with_its_server() {
    let dir = Dir::new();
    let path = dir.path("pm.sock");
    let server = Server::builder().list(&ProcessList::new()).listen_unix(&path).start().unwrap();
    assert_eq!(std::fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(status(&mut unix(&path), &request("GET", "/v1/tasks", &[], "")), 200);
    drop(server);
    assert!(!path.exists());
}

#[test]
fn a_generated_token_has_256_random_bits_and_a_private_file() {
    let dir = Dir::new();
    let tokens: Vec<String> = ["one", "two"]
        .iter()
        .map(|name| {
            let path = dir.path(name);
            drop(Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0").token_file(&path).start().unwrap());
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
            let text = std::fs::read_to_string(&path).unwrap();
            text.lines().last().unwrap().split(' ').nth(1).unwrap().to_owned()
        })
        .collect();
    for token in &tokens {
        assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "64 digits of 4 bits");
    }
    assert_ne!(tokens[0], tokens[1]);
}

#[test]
fn a_token_has_32_characters_or_more() {
    let dir = Dir::new();
    let start = |length: usize| {
        let path = dir.write("tokens", &format!("cancel {}\n", "x".repeat(length)));
        Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0").token_file(path).start().map(drop)
    };
    assert!(matches!(start(31), Err(StartError::Tokens { .. })));
    assert!(start(32).is_ok());
}

#[test]
fn a_read_token_cannot_cancel_and_a_cancel_token_can_read() {
    let (list, dir) = (ProcessList::new(), Dir::new());
    let task = list.start("job");
    let server = Server::builder().list(&list).listen("127.0.0.1:0").token_file(dir.tokens()).start().unwrap();
    let [read, cancel] = [READ, CANCEL].map(|token| format!("Authorization: Bearer {token}"));
    assert_eq!(ask(&server, "GET", "/v1/tasks", &[&read], ""), 200);
    assert_eq!(ask(&server, "POST", "/v1/tasks/job/cancel", &[&read], ""), 403);
    assert!(!task.is_cancelled());
    assert_eq!(ask(&server, "GET", "/v1/tasks", &[&cancel], ""), 200);
    assert_eq!(ask(&server, "POST", "/v1/tasks/job/cancel", &[&cancel], ""), 202);
}

#[test]
fn on_loopback_list_and_cancel_need_no_token_and_require_token_closes_it() {
    let (list, server) = served();
    let task = list.start("job");
    assert_eq!(ask(&server, "GET", "/v1/tasks", &[], ""), 200);
    assert_eq!(ask(&server, "DELETE", "/procs/job", &[], ""), 200);
    assert!(task.is_cancelled());
    let dir = Dir::new();
    let builder = Server::builder().list(&list).listen("127.0.0.1:0").token_file(dir.tokens());
    let closed = builder.require_token(true).start().unwrap();
    assert_eq!(ask(&closed, "GET", "/v1/tasks", &[], ""), 401);
}

#[test]
fn every_attempt_to_cancel_is_in_the_audit_log_which_is_private_to_its_owner() {
    let (list, dir) = (ProcessList::new(), Dir::new());
    let _task = list.start("job");
    let file = dir.path("audit");
    let builder = Server::builder().list(&list).listen("127.0.0.1:0").token_file(dir.tokens());
    let server = builder.audit_file(&file).start().unwrap();
    let read = format!("Authorization: Bearer {READ}");
    assert_eq!(ask(&server, "POST", "/v1/tasks/job/cancel", &[&read], ""), 403);
    assert_eq!(ask(&server, "POST", "/v1/tasks/none/cancel", &[], ""), 404);
    assert_eq!(ask(&server, "DELETE", "/procs/job", &[], ""), 200);
    let records = get(&server, "/v1/audit")["records"].as_array().unwrap().len();
    assert_eq!(records, 3);
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    server.shutdown();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3);
}

#[test]
fn ten_wrong_tokens_in_ten_seconds_are_the_limit() {
    let dir = Dir::new();
    let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0").token_file(dir.tokens());
    let server = builder.start().unwrap();
    let wrong = ["Authorization: Bearer x"];
    let statuses: Vec<u16> = (0..11).map(|_| ask(&server, "GET", "/v1/tasks", &wrong, "")).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429]].concat());
}

// Browsers.

#[test]
fn the_host_is_localhost_the_own_address_or_an_allowed_name() {
    let list = ProcessList::new();
    let server = Server::builder().list(&list).listen("127.0.0.1:0").allow_host("pm.example").start().unwrap();
    let ask = |host: &str| {
        let text = request("GET", "/healthz", &[], "").replace("localhost", host);
        status(&mut tcp(server.addr()), &text)
    };
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "pm.example", "PM.example:443"] {
        assert_eq!(ask(host), 200, "{host}");
    }
    for host in [
        "evil.example",
        "127.0.0.2",
        "0.0.0.0",
        "127.1",
        "localhost.",
        "[::1]",
        "x.pm.example",
        "",
        "localhost:",
        "a b",
    ] {
        assert_eq!(ask(host), 421, "{host}");
    }
    let none = "GET /healthz HTTP/1.1\r\n\r\n";
    assert_eq!(status(&mut tcp(server.addr()), none), 400, "no host at all");
}

#[test]
fn host_and_origin_are_checked_first_on_every_route() {
    let (_list, server) = served();
    for target in ["/", "/healthz", "/openapi.json", "/v1/tasks", "/procs/", "/procs", "/nothing", "/procs/50%"] {
        for method in ["GET", "POST", "DELETE", "OPTIONS", "PUT"] {
            let text = request(method, target, &[], "").replace("localhost", "evil.example");
            assert_eq!(status(&mut tcp(server.addr()), &text), 421, "{method} {target}");
            assert_eq!(ask(&server, method, target, &["Sec-Fetch-Site: same-site"], ""), 403, "{method} {target}");
            assert_eq!(ask(&server, method, target, &["Origin: null"], ""), 403, "{method} {target}");
        }
    }
}

#[test]
fn sec_fetch_site_is_checked_first_then_origin_and_a_client_without_either_is_not_a_browser() {
    let (_list, server) = served();
    for (headers, expected) in [
        (&[][..], 200),
        (&["Sec-Fetch-Site: same-origin"], 200),
        (&["Sec-Fetch-Site: none"], 200),
        (&["Sec-Fetch-Site: same-origin", "Origin: null"], 200),
        (&["Sec-Fetch-Site: same-site"], 403),
        (&["Sec-Fetch-Site: cross-site"], 403),
        (&["Sec-Fetch-Site: cross-site", "Origin: http://localhost"], 403),
        (&["Origin: http://localhost"], 200),
        (&["Origin: http://localhost:1"], 403),
        (&["Origin: http://evil.example"], 403),
    ] {
        assert_eq!(ask(&server, "GET", "/v1/tasks", headers, ""), expected, "{headers:?}");
    }
}

#[test]
fn no_header_allows_anything_to_another_site() {
    let (_list, server) = served();
    let preflight = ["Origin: http://localhost", "Access-Control-Request-Method: DELETE"];
    let mut stream = tcp(server.addr());
    stream.write_all(request("OPTIONS", "/procs/job", &preflight, "").as_bytes()).unwrap();
    let preflight = head(&mut stream);
    for answer in [preflight, head_of(&server, "/v1/tasks"), head_of(&server, "/procs/"), head_of(&server, "/nothing")]
    {
        assert!(!answer.contains("access-control-") && !answer.contains("set-cookie"), "{answer}");
    }
}

#[test]
fn a_token_in_the_query_is_not_accepted() {
    let dir = Dir::new();
    let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0").token_file(dir.tokens());
    let server = builder.require_token(true).start().unwrap();
    assert_eq!(ask(&server, "GET", &format!("/v1/tasks?token={CANCEL}"), &[], ""), 401);
    let (_list, open) = served();
    assert_eq!(ask(&open, "GET", &format!("/v1/tasks?token={CANCEL}"), &[], ""), 400);
}

// Headers.

/// The header lines of every answer.
const SAFETY: [(&str, &str); 8] = [
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "deny"),
    ("content-security-policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

fn assert_safe(answer: &str) {
    for (name, value) in SAFETY {
        assert!(answer.contains(&format!("\r\n{name}: {value}\r\n")), "no {name}: {answer}");
    }
    for name in ["server", "x-powered-by", "via", "set-cookie"] {
        assert!(!answer.contains(&format!("\r\n{name}:")), "{name}: {answer}");
    }
    assert!(!answer.contains("hyper") && !answer.contains(env!("CARGO_PKG_VERSION")), "{answer}");
}

#[test]
fn every_answer_forbids_sniffing_caching_framing_and_other_sites_and_names_no_server() {
    let (list, server) = served();
    let _task = list.start("job");
    let targets = [
        "/",
        "/healthz",
        "/openapi.json",
        "/metrics",
        "/v1/tasks",
        "/v1/tasks/job",
        "/v1/tasks/none",
        "/v1/info",
        "/v1/kinds",
        "/v1/tree",
        "/v1/ended",
        "/v1/events",
        "/v1/tasks?x=y",
        "/procs/",
        "/procs/job/history",
        "/procs",
        "/nothing",
        "/procs/50%",
    ];
    for target in targets {
        assert_safe(&head_of(&server, target));
    }
    let mut stream = tcp(server.addr());
    stream.write_all(request("DELETE", "/procs/job", &[], "").as_bytes()).unwrap();
    assert_safe(&head(&mut stream));
    let cross_site = request("GET", "/", &[], "").replace("localhost", "evil.example");
    let mut stream = tcp(server.addr());
    stream.write_all(cross_site.as_bytes()).unwrap();
    assert_safe(&head(&mut stream));
}

#[test]
#[cfg(feature = "dashboard")]
fn the_page_may_run_only_its_own_files_and_each_file_may_be_cached() {
    let (_list, server) = served();
    let get = |target: &str, headers: &[&str]| {
        let mut stream = tcp(server.addr());
        stream.write_all(request("GET", target, headers, "").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let safe = |answer: &str, differs: &[&str]| {
        let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase() + "\r\n";
        for (name, value) in SAFETY.iter().filter(|(name, _)| !differs.contains(name)) {
            assert!(head.contains(&format!("\r\n{name}: {value}\r\n")), "no {name}: {head}");
        }
        head
    };
    let page = get("/", &["Accept: text/html,*/*;q=0.8", "Connection: close"]);
    let head = safe(&page, &["cache-control", "content-security-policy"]);
    for line in [
        "cache-control: no-cache",
        "vary: accept",
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    let files: Vec<&str> = page.split("\"page/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(files.len(), 3, "{page}");
    for name in files {
        let head = safe(&get(&format!("/page/{name}"), &["Connection: close"]), &["cache-control"]);
        assert!(head.contains("\r\ncache-control: public, max-age=31536000, immutable\r\n"), "{name}: {head}");
    }
    assert_safe(&head_of(&server, "/page/main.js").replace(" 404", ""));
}

#[test]
fn a_refusal_for_lack_of_space_has_the_same_headers() {
    let list = ProcessList::new();
    let server = Server::builder().list(&list).listen("127.0.0.1:0").max_connections(1).start().unwrap();
    let _unresponsive = list.start("job");
    let mut first = tcp(server.addr());
    first.write_all(request("DELETE", "/procs/job?wait=25s", &[], "").as_bytes()).unwrap();
    while list.counters().cancel_requests == 0 {
        std::thread::yield_now();
    }
    let refused = head(&mut tcp(server.addr()));
    assert!(refused.starts_with("http/1.1 503"), "{refused}");
    assert_safe(&refused);
}

#[test]
fn text_is_served_with_a_type_that_runs_nowhere() {
    let (_list, server) = served();
    for (target, kind) in [
        ("/v1/tasks", "application/json"),
        ("/v1/nothing", "application/problem+json"),
        ("/procs/", "application/json"),
        ("/procs/none", "text/plain; charset=utf-8"),
        ("/", "text/plain; charset=utf-8"),
        ("/v1/events", "text/event-stream"),
    ] {
        let answer = head_of(&server, target);
        assert!(answer.contains(&format!("\r\ncontent-type: {kind}")), "{target}: {answer}");
    }
}

// Limits.

#[test]
fn a_head_has_16_kib_at_most() {
    let (_list, server) = served();
    let with = |bytes: usize| {
        let frame = request("GET", "/healthz", &["X: "], "").len();
        ask(&server, "GET", "/healthz", &[&format!("X: {}", "x".repeat(bytes - frame))], "")
    };
    assert_eq!(with((16 << 10) - 1), 200);
    assert_eq!(with((16 << 10) + 2), 431);
}

#[test]
fn a_head_has_64_fields_at_most() {
    let (_list, server) = served();
    // Besides the host.
    assert_eq!(ask(&server, "GET", "/healthz", &["X: y"; 63], ""), 200);
    assert_eq!(ask(&server, "GET", "/healthz", &["X: y"; 64], ""), 431);
}

#[test]
fn a_path_and_query_have_8_kib_at_most() {
    let (_list, server) = served();
    let with = |bytes: usize| format!("/v1/tasks?id={}", "x".repeat(bytes - "/v1/tasks?id=".len()));
    assert_ne!(ask(&server, "GET", &with(8 << 10), &[], ""), 414);
    assert_eq!(ask(&server, "GET", &with((8 << 10) + 1), &[], ""), 414);
}

#[test]
fn a_body_has_64_kib_at_most() {
    let (list, server) = served();
    let task = list.start("job");
    let with = |bytes: usize| format!(r#"{{"reason":"{}"}}"#, "x".repeat(bytes - 13));
    assert_eq!(ask(&server, "POST", "/v1/tasks/job/cancel", &[], &with((64 << 10) + 1)), 413);
    assert!(!task.is_cancelled());
    assert_eq!(ask(&server, "POST", "/v1/tasks/job/cancel", &[], &with(64 << 10)), 202);
}

#[test]
fn the_timeouts_are_5_seconds_for_heads_10_for_bodies_and_30_when_idle() {
    let shown = format!("{:?}", Server::builder());
    for default in ["head_timeout: 5s", "body_timeout: 10s", "idle_timeout: 30s"] {
        assert!(shown.contains(default), "{shown}");
    }
}

/// Opens connections that wait for a verdict until one is refused; the first `most` are accepted.
fn assert_places(list: &ProcessList, most: usize, connect: impl Fn() -> Box<dyn Stream>) -> Waiting {
    let tasks: Vec<_> = (0..most).map(|number| list.start(&format!("{most}-{number}"))).collect();
    let before = list.counters().cancel_requests;
    let all: Vec<_> = (0..most)
        .zip(before..)
        .map(|(number, before)| {
            let mut stream = connect();
            let target = format!("/procs/{most}-{number}?wait=25s");
            stream.write_all(request("DELETE", &target, &[], "").as_bytes()).unwrap();
            while list.counters().cancel_requests == before {
                std::thread::yield_now();
            }
            stream
        })
        .collect();
    assert_eq!(status(&mut *connect(), ""), 503, "one more than {most}");
    (tasks, all)
}

type Waiting = (Vec<Task>, Vec<Box<dyn Stream>>);

#[test]
fn the_limit_is_512_connections_and_16_more_for_the_owner() {
    if !has_files(4 * 512) {
        return;
    }
    let (list, dir) = (ProcessList::new(), Dir::new());
    let path = dir.path("pm.sock");
    let server = Server::builder().list(&list).listen("127.0.0.1:0").listen_unix(&path).start().unwrap();
    let all = assert_places(&list, 512, || Box::new(tcp(server.addr())));
    let own = assert_places(&list, 16, || Box::new(unix(&path)));
    drop((all, own));
}

/// Returns `true` if this process may have that many files open.
fn has_files(count: usize) -> bool {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let most = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let has = most.is_none_or(|most: usize| most >= count);
    if !has {
        eprintln!("not tested: it needs {count} open files");
    }
    has
}

#[test]
fn a_remote_address_may_have_64_connections_and_local_ones_are_not_counted() {
    let Some(own) = own_address() else {
        eprintln!("not tested: this machine has no address of its own");
        return;
    };
    let list = ProcessList::new();
    let builder = Server::builder().list(&list).listen("0.0.0.0:0").dangerously_listen_beyond_loopback(true);
    let server = builder.allow_host("localhost").start().unwrap();
    let port = server.addr().port();
    let all = assert_places(&list, 64, || Box::new(tcp(SocketAddr::new(own, port))));
    for _ in 0..65 {
        let mut here = tcp(([127, 0, 0, 1], port).into());
        assert_eq!(status(&mut here, &request("OPTIONS", "/procs/x", &[], "")), 200);
    }
    drop(all);
    // The server notices their end a moment later.
    while status(&mut tcp(SocketAddr::new(own, port)), &request("GET", "/healthz", &[], "")) != 200 {}
}

/// Runs one of these tests again, as a child of a shell that sets a limit first.
fn again_under(limit: &str, test: &str) {
    let me = std::env::current_exe().unwrap();
    let script = format!("{limit}; exec \"$0\" {test} --exact --nocapture");
    let output = Command::new("sh").args(["-c", &script]).arg(me).env(CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

const CHILD: &str = "PM_TEST_CHILD";

#[cfg(target_os = "linux")]
#[test]
fn connections_and_watchers_take_a_quarter_each_of_the_files_that_the_program_may_open() {
    if std::env::var_os(CHILD).is_none() {
        let this = "connections_and_watchers_take_a_quarter_each_of_the_files_that_the_program_may_open";
        return again_under("ulimit -n 256", this);
    }
    let dir = Dir::new();
    let path = dir.path("pm.sock");
    let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0").listen_unix(&path);
    let server = builder.start().unwrap();
    let limits = &get(&server, "/v1/info")["limits"];
    assert_eq!((&limits["maxConnections"], &limits["maxWatchers"]), (&json!(64), &json!(64)));
    let watch = request("GET", "/v1/events", &[], "");
    // Some of these are ours, as are the ends of the connections.
    let watchers: Vec<TcpStream> = (0..80)
        .map(|_| {
            let mut stream = tcp(server.addr());
            stream.write_all(watch.as_bytes()).unwrap();
            stream
        })
        .collect();
    let info = body(&mut unix(&path), &request("GET", "/v1/info", &[], ""));
    assert!(info["own"]["watchers"].as_u64().unwrap() <= 64, "{info}");
    assert!(std::fs::File::open("/proc/self/limits").is_ok(), "the program can still open a file");
    drop(watchers);
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_the_length_of_files_costs_records_and_not_the_program() {
    if std::env::var_os(CHILD).is_none() {
        // In blocks of 512 bytes, or of 1,024 by some shells.
        return again_under("ulimit -f 2", "a_limit_of_the_length_of_files_costs_records_and_not_the_program");
    }
    let dir = Dir::new();
    let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0");
    let server = builder.audit_file(dir.path("audit")).strict_audit(true).start().unwrap();
    assert!((0..40).any(|_| ask(&server, "DELETE", "/procs/none", &[], "") == 503), "no cancel without a record");
    let audit = get(&server, "/v1/info")["audit"].clone();
    assert!(audit["error"].as_str().unwrap().contains("File too large"), "{audit}");
}

#[test]
fn the_limit_is_1000_watchers_and_one_more_gets_503_while_others_are_answered() {
    if !has_files(4 * 1000) {
        return;
    }
    let (_list, server) = served();
    assert_eq!(get(&server, "/v1/info")["limits"]["maxWatchers"], 1000);
    let watch = request("GET", "/v1/events", &[], "");
    let watchers: Vec<TcpStream> = (0..1000)
        .map(|number| {
            let mut stream = tcp(server.addr());
            assert_eq!(status(&mut stream, &watch), 200, "watcher {number}");
            stream
        })
        .collect();
    let problem = get(&server, "/v1/events");
    assert_eq!((&problem["status"], &problem["code"]), (&json!(503), &json!("too-many-watchers")));
    assert_eq!(get(&server, "/v1/info")["own"]["watchers"], 1000);
    drop(watchers);
}

#[test]
fn only_http_1_is_supported() {
    let (_list, server) = served();
    let mut stream = tcp(server.addr());
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
    let upgrade = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"];
    assert_eq!(ask(&server, "GET", "/healthz", &upgrade, ""), 200, "not 101");
}

#[cfg(feature = "tls")]
#[test]
fn over_tls_only_http_1_and_recent_tls_are_negotiated() {
    use std::sync::Arc;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::version::TLS12;
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};

    let authority = safety::tls::Authority::new();
    let (certificate, key) = authority.sign("server");
    let tls = pm::server::Tls::new(certificate, key);
    let server = Server::builder().list(&ProcessList::new()).listen_tls("127.0.0.1:0", tls).start().unwrap();
    let mut stream = authority.connect(server.addr(), None);
    assert_eq!(status(&mut stream, &request("GET", "/healthz", &[], "")), 200);
    assert_eq!(stream.conn.protocol_version().unwrap(), tokio_rustls::rustls::ProtocolVersion::TLSv1_3);

    let agreed = |protocols: &[&str]| {
        use tokio_rustls::rustls::pki_types::pem::PemObject as _;
        let mut roots = RootCertStore::empty();
        roots.add(tokio_rustls::rustls::pki_types::CertificateDer::from_pem_file(authority.file()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, tcp(server.addr()));
        let status = status(&mut stream, &request("GET", "/healthz", &[], ""));
        (status, stream.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(agreed(&["h2", "http/1.1"]), (200, Some(b"http/1.1".to_vec())));
    assert_eq!(agreed(&["h2"]).0, 0);
}

// Data.

#[test]
fn serials_and_integers_beyond_2_to_the_53_are_strings() {
    let (list, server) = served();
    let small = (1_u64 << 53) - 1;
    let task = list.task("job").attr("large", small + 1).attr("least", i64::MIN).attr("small", small).start();
    let row = &get(&server, "/v1/tasks/job")["task"];
    assert_eq!(row["serial"], task.serial().unwrap().to_string());
    let expected = json!({ "large": "9007199254740992", "least": i64::MIN.to_string(), "small": small });
    assert_eq!(row["attrs"], expected);
    assert_eq!(get(&server, "/procs/")["procs"][0]["attrs"]["large"], small + 1, "numbers, as in VividCortex/pm");
}

#[test]
fn the_list_has_default_limits() {
    let (_list, server) = served();
    let limits = &get(&server, "/v1/info")["limits"];
    for (name, value) in [
        ("maxAttrs", json!(128)),
        ("maxAttrName", json!(128)),
        ("maxAttrValue", json!(4 << 10)),
        ("maxStatus", json!(1 << 10)),
        ("keepEnded", json!(1000)),
        ("keepEndedBytes", json!(16 << 20)),
        ("keepEndedForMs", json!(15 * 60 * 1000)),
    ] {
        assert_eq!(limits[name], value, "{name}: {limits}");
    }
    // The number of whole chunks that fit.
    let bytes = limits["maxBytes"].as_u64().unwrap();
    assert!((250 << 20..=256 << 20).contains(&bytes), "{bytes}");
    let entries = limits["firstEntries"].as_u64().unwrap() + limits["newestEntries"].as_u64().unwrap();
    assert_eq!(entries, 128);
}

#[test]
fn values_beyond_a_limit_are_counted_and_reported() {
    let (list, server) = served();
    let _task = list.task("job").attr("long", "x".repeat(5_000).as_str()).start();
    let dropped = &get(&server, "/v1/info")["dropped"];
    assert!(dropped["textsCut"].as_u64().unwrap() >= 1, "{dropped}");
}

#[test]
fn by_default_a_page_has_100_tasks_and_a_bulk_cancel_100_targets() {
    let (list, server) = served();
    let tasks: Vec<_> = (0..101).map(|number| list.start(&format!("job-{number}"))).collect();
    let page = get(&server, "/v1/tasks");
    assert_eq!((page["tasks"].as_array().unwrap().len(), &page["truncated"]), (100, &json!(true)));
    assert_eq!(ask(&server, "POST", "/v1/cancel", &[], r#"{"filter":"id=job-*"}"#), 409);
    assert_eq!(ask(&server, "POST", "/v1/cancel", &[], r#"{"filter":"*"}"#), 400, "no filter");
    assert_eq!(ask(&server, "POST", "/v1/cancel", &[], "{}"), 400, "no filter");
    assert!(tasks.iter().all(|task| !task.is_cancelled()));
}

#[test]
fn a_cancel_with_another_serial_does_nothing() {
    let (list, server) = served();
    let task = list.start("job");
    let other = format!(r#"{{"expect":{{"serial":"{}"}}}}"#, task.serial().unwrap().get() + 1);
    assert_eq!(ask(&server, "POST", "/v1/tasks/job/cancel", &[], &other), 412);
    assert!(!task.is_cancelled());
}

#[test]
fn every_answer_has_the_time_of_the_server() {
    let (list, server) = served();
    let _task = list.start("job");
    for target in
        ["/v1/tasks", "/v1/tasks/job", "/v1/tasks/job/history", "/v1/tree", "/v1/ended", "/v1/kinds", "/v1/info"]
    {
        let time = get(&server, target)["serverTime"].as_str().unwrap().to_owned();
        assert!(time.ends_with('Z') && time.starts_with("20"), "{target}: {time}");
    }
}

#[test]
fn values_that_look_secret_are_masked_when_recorded() {
    let (list, server) = served();
    let secret = "hunter2-0123456789";
    let mut task = list.task("job");
    let names = [
        "authorization",
        "Cookie",
        "PASSWORD",
        "db_passwd",
        "pwd",
        "clientSecret",
        "csrf-token",
        "api_key",
        "apikey",
        "x-auth",
        "credentials",
        "private_key",
        "session_id",
        "bearer",
        "signature",
        "dsn",
    ];
    for name in names {
        task = task.attr(name, secret);
    }
    let task = task.attr("url", format!("postgres://me:{secret}@db/x?a=1&token={secret}").as_str()).start();
    let _ = task.status(&format!("GET https://me:{secret}@host/?password={secret}"));
    for target in ["/v1/tasks", "/v1/tasks/job/history", "/procs/", "/procs/job/history"] {
        let answer = get(&server, target).to_string();
        assert!(!answer.contains(secret), "{target}: {answer}");
    }
}
