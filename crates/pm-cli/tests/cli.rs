//! The built command against small servers: what it prints, where, and how it ends.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;

const LIST: &str = r#"{"procs":[
{"id":"young","procTime":"2026-11-24T04:03:36Z","statusTime":"2026-11-24T04:03:36Z","status":"init"},
{"id":"old","attrs":{"n":5,"host":"h"},"procTime":"2026-11-23T23:03:20-05:00","statusTime":"2026-11-24T04:03:30Z",
 "status":"\u001b]0;PWNED\u0007","cancelling":true}],"serverTime":"2026-11-24T04:03:40Z"}"#;
const HISTORY: &str = r#"{"history":[{"ts":"2026-11-24T04:03:36Z","status":"init"},
{"ts":"2026-11-24T04:03:38.5Z","status":"block 7"}],"serverTime":"2026-11-24T04:03:40Z","dropped":240}"#;

/// A server that answers one request; joining it gives the request.
struct Fake {
    endpoint: String,
    served: thread::JoinHandle<String>,
}

fn fake(status: &str, content_type: &str, body: &str) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let length = body.len();
    let reply = format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}");
    let served = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut request, mut part) = (Vec::new(), [0; 4096]);
        let is_complete = |request: &[u8]| {
            let text = String::from_utf8_lossy(request);
            text.starts_with("GET") && text.contains("\r\n\r\n") || text.ends_with('}')
        };
        while !is_complete(&request) {
            let count = socket.read(&mut part).unwrap();
            assert_ne!(count, 0);
            request.extend_from_slice(&part[..count]);
        }
        socket.write_all(reply.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    Fake { endpoint, served }
}

fn good(body: &str) -> Fake {
    fake("200 OK", "application/json", body)
}

/// An address where nobody listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn pm(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pm")).args(args).env_remove("PM_ENDPOINTS").env("PM_CONFIG", "").output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn ls_shows_the_oldest_first_and_nothing_a_terminal_obeys() {
    let server = good(LIST);
    let output = pm(&["ls", "-e", &server.endpoint]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        "ID     AGE     STATUS                            IN STATUS  ATTRS\n\
         old    20.0 s  (cancelling) \\u{1b}]0;PWNED\\u{7}  10.0 s     host=h n=5\n\
         young  4.0 s   init                              4.0 s\n"
    );
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn ls_of_several_endpoints_names_each_and_the_one_that_failed() {
    let (one, three, down) = (good(LIST), good(LIST), nobody());
    let output = pm(&["ls", "-e", &format!("{},{}", one.endpoint, down), "-e", &three.endpoint]);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("ENDPOINT"));
    assert!(text(&output.stdout).contains(&one.endpoint) && text(&output.stdout).contains(&three.endpoint));
    assert!(text(&output.stderr).starts_with(&format!("pm: {down}: could not connect to ")));
}

#[test]
fn endpoints_come_from_the_environment_too() {
    let server = good(LIST);
    let output =
        Command::new(env!("CARGO_BIN_EXE_pm")).arg("ls").env("PM_ENDPOINTS", &server.endpoint).output().unwrap();
    assert!(text(&output.stdout).contains("young"));
}

#[test]
fn json_is_one_document_with_every_endpoint() {
    let (server, down) = (good(LIST), nobody());
    let output = pm(&["ls", "-o", "json", "-e", &server.endpoint, "-e", &down]);
    assert_eq!(output.status.code(), Some(6));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["endpoints"][0]["endpoint"], *server.endpoint);
    assert_eq!(document["endpoints"][0]["procs"][1]["status"], "\u{1b}]0;PWNED\u{7}");
    assert_eq!(document["endpoints"][1]["error"]["code"], "unreachable");
}

#[test]
fn nobody_there_is_exit_5_with_a_next_step() {
    let output = pm(&["ls", "-e", &nobody()]);
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("name another with -e"), "{}", text(&output.stderr));
}

#[test]
fn a_web_page_is_not_an_empty_list() {
    let server = fake("200 OK", "text/html", "<h1>\u{1b}[2J</h1>");
    let output = pm(&["ls", "-e", &server.endpoint]);
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("\\u{1b}[2J"), "{}", text(&output.stderr));
}

#[test]
fn a_silent_server_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = pm(&["ls", "--timeout", "50ms", "-e", &listener.local_addr().unwrap().to_string()]);
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("within 50ms"), "{}", text(&output.stderr));
}

#[test]
fn history_shows_how_long_each_status_lasted_and_what_was_dropped() {
    let server = good(HISTORY);
    let output = pm(&["history", "a/b", "-e", &server.endpoint]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        text(&output.stdout),
        "TIME                    FOR    STATUS\n\
         2026-11-24T04:03:36Z    2.5 s  init\n\
         2026-11-24T04:03:38.5Z  1.5 s  block 7\n"
    );
    assert!(text(&output.stderr).contains("240 older entries dropped"));
    assert!(server.served.join().unwrap().starts_with("GET /procs/a%2Fb/history "));
}

#[test]
fn kill_sends_every_word_and_names_where_the_task_was() {
    let there = fake("200 OK", "text/plain", "");
    let elsewhere = fake("404 Not Found", "text/plain", "Not Found\n");
    let endpoints = format!("{},{}", elsewhere.endpoint, there.endpoint);
    let output = pm(&["kill", "job-1", "too", "slow,", "quit", "please", "-e", &endpoints]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), format!("cancel requested: job-1 on {}\n", there.endpoint));
    assert_eq!(text(&output.stderr), "");
    assert!(there.served.join().unwrap().ends_with(r#"{"message":"too slow, quit please"}"#));
}

#[test]
fn a_kill_that_fails_says_so() {
    for (status, code) in [("404 Not Found", 3), ("403 Forbidden", 4), ("409 Conflict", 4), ("500 Oh", 5)] {
        let server = fake(status, "text/plain", "words of the server\n");
        let output = pm(&["kill", "job-1", "-e", &server.endpoint]);
        assert_eq!(output.status.code(), Some(code), "{status}");
        assert_eq!(text(&output.stdout), "");
        assert!(text(&output.stderr).contains("words of the server"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_2() {
    for args in [&["frobnicate"][..], &["kill"], &["ls", "-e", "ftp://x"], &["ls", "-e", ""], &["ls", "--timeout", "x"]]
    {
        assert_eq!(pm(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let row = &LIST[LIST.find("{\"id\":\"young\"").unwrap()..LIST.find(",\n{\"id\":\"old\"").unwrap()];
    let rows = vec![row; 20_000].join(",");
    let server = good(&format!("{{\"procs\":[{rows}],\"serverTime\":\"2026-11-24T04:03:40Z\"}}"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_pm"))
        .args(["ls", "-e", &server.endpoint])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn help_lists_the_exit_codes() {
    let output = pm(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("6  partial"));
}
