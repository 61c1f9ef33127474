//! The built command against servers that are old, broken or gone: output and exit codes.

mod common;

use std::net::TcpListener;
use std::process::Stdio;

use common::{Fake, closed_address, command, err, json, out, pm, reply};

const LIST: &str = r#"{"procs":[
{"id":"young","procTime":"2026-11-24T04:03:36Z","statusTime":"2026-11-24T04:03:36Z","status":"init"},
{"id":"old","attrs":{"n":5,"host":"h"},"procTime":"2026-11-23T23:03:20-05:00","statusTime":"2026-11-24T04:03:30Z",
 "status":"\u001b]0;PWNED\u0007","cancelling":true}],"serverTime":"2026-11-24T04:03:40Z"}"#;
const HISTORY: &str = r#"{"history":[{"ts":"2026-11-24T04:03:36Z","status":"init"},
{"ts":"2026-11-24T04:03:38.5Z","status":"block 7"}],"serverTime":"2026-11-24T04:03:40Z","dropped":240}"#;

#[test]
fn a_go_original_is_listed_oldest_first_without_control_characters() {
    let server = Fake::original(LIST, HISTORY);
    let output = pm(&["ls", "-e", &server.endpoint]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(
        out(&output),
        "ID     AGE     STATUS                            IN STATUS  ATTRS\n\
         old    20.0 s  (cancelling) \\u{1b}]0;PWNED\\u{7}  10.0 s     host=h n=5\n\
         young  4.0 s   init                              4.0 s\n"
    );
    assert!(err(&output).starts_with(&format!("pm: {}: Go original: no serials", server.endpoint)));
}

#[test]
fn filters_order_and_limit_apply_to_a_go_original() {
    let server = Fake::original(LIST, HISTORY);
    let ids = |words: &[&str]| {
        let output = pm(&[&["ls", "-o", "ids", "-e", &server.endpoint], words].concat());
        (out(&output).to_owned(), output.status.code())
    };
    assert_eq!(ids(&["minAge=5s"]), ("id:old\n".into(), Some(0)));
    assert_eq!(ids(&["attr.host=h", "state=cancelling"]), ("id:old\n".into(), Some(0)));
    assert_eq!(ids(&["sort=age", "limit=1"]), ("id:young\n".into(), Some(0)));
    let output = pm(&["ls", "groupBy=state", "-e", &server.endpoint]);
    assert_eq!(out(&output), "TASKS  VALUE\n1      cancelling\n1      running\n");
    assert_eq!(ids(&["kind=import"]), (String::new(), Some(3)));
}

#[test]
fn several_endpoints_are_named_and_so_is_a_failed_one() {
    let (one, three, down) = (Fake::original(LIST, HISTORY), Fake::original(LIST, HISTORY), closed_address());
    let output = pm(&["ls", "-e", &format!("{},{down}", one.endpoint), "-e", &three.endpoint]);
    assert_eq!(output.status.code(), Some(6), "{}", err(&output));
    assert!(out(&output).starts_with("ENDPOINT"));
    assert!(out(&output).contains(&one.endpoint) && out(&output).contains(&three.endpoint));
    assert!(err(&output).contains(&format!("pm: {down}: could not connect to ")), "{}", err(&output));
}

#[test]
fn json_is_one_document_with_every_endpoint() {
    let (server, down) = (Fake::original(LIST, HISTORY), closed_address());
    let output = pm(&["ls", "-o", "json", "-e", &server.endpoint, "-e", &down]);
    assert_eq!(output.status.code(), Some(6));
    let document = json(&output);
    assert_eq!(document["endpoints"][0]["endpoint"], *server.endpoint);
    assert_eq!(document["endpoints"][0]["isOriginal"], true);
    assert_eq!(document["items"][0]["status"], "\u{1b}]0;PWNED\u{7}");
    assert_eq!(document["endpoints"][1]["error"]["code"], "unreachable");
    assert_eq!((&document["total"], &document["truncated"]), (&2.into(), &false.into()));
}

#[test]
fn history_shows_how_long_each_status_lasted_and_what_was_dropped() {
    let server = Fake::original(LIST, HISTORY);
    let output = pm(&["history", "a/b", "-e", &server.endpoint]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        out(&output),
        "TIME                    FOR    STATUS\n\
         2026-11-24T04:03:36Z    2.5 s  init\n\
         2026-11-24T04:03:38.5Z  1.5 s  block 7\n"
    );
    assert!(err(&output).contains("240 older entries dropped"));
    assert!(server.request().starts_with("GET /v1/tasks/id:a%2Fb/history "));
    assert!(server.request().starts_with("GET /procs/a%2Fb/history "));
}

#[test]
fn a_kill_sends_every_word_to_a_go_original() {
    let server = Fake::original(LIST, HISTORY);
    let output = pm(&["kill", "old", "--yes", "-e", &server.endpoint, "--", "too", "slow,", "quit", "please"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(out(&output), "cancel requested: old\n");
    let sent = std::iter::repeat_with(|| server.request()).find(|request| request.starts_with("DELETE")).unwrap();
    assert!(
        sent.starts_with("DELETE /procs/old ") && sent.ends_with(r#"{"message":"too slow, quit please"}"#),
        "{sent}"
    );
}

#[test]
fn a_kill_of_an_unknown_task_is_exit_3() {
    let server = Fake::original(LIST, HISTORY);
    let output = pm(&["kill", "unknown", "-y", "-e", &server.endpoint]);
    assert_eq!(output.status.code(), Some(3));
    assert!(err(&output).contains("no such task") && err(&output).contains("`pm ls` lists"), "{}", err(&output));
    assert_eq!(out(&output), "");
}

#[test]
fn without_a_terminal_a_kill_needs_yes() {
    let server = Fake::original(LIST, HISTORY);
    let output = pm(&["kill", "old", "-e", &server.endpoint]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("add --yes"), "{}", err(&output));
}

#[test]
fn an_unreachable_endpoint_is_exit_5_with_a_next_step() {
    for verb in ["ls", "ended", "tree", "kinds", "audit", "endpoints", "waits"] {
        let output = pm(&[verb, "-e", &closed_address()]);
        assert_eq!(output.status.code(), Some(5), "{verb} {output:?}");
        assert!(err(&output).contains("name another endpoint with -e"), "{}", err(&output));
    }
    for verb in ["show", "history", "why", "wait"] {
        assert_eq!(pm(&[verb, "7", "-e", &closed_address()]).status.code(), Some(5), "{verb}");
    }
    assert_eq!(pm(&["kill", "7", "--yes", "-e", &closed_address()]).status.code(), Some(5));
}

#[test]
fn other_servers_are_errors_and_not_empty_lists() {
    let page = "<h1>\u{1b}[2J</h1>";
    for (what, answer, expected) in [
        ("a web page", reply("200 OK", "text/html", page), "\\u{1b}[2J"),
        ("a page that is not found", reply("404 Not Found", "text/html", page), "check the port"),
        ("an error", reply("500 Oh", "text/plain", "it hurts\u{1b}[2J"), "it hurts\\u{1b}[2J"),
        ("other JSON", reply("200 OK", "application/json", "{\"hello\":1}"), "check the port"),
        ("broken JSON", reply("200 OK", "application/json", "{\"tasks\":[{"), "is broken"),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "check the port"),
        ("nothing", Vec::new(), "ended early"),
        (
            "half of it",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{".to_vec(),
            "ended early",
        ),
        (
            "a redirect",
            b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "elsewhere",
        ),
        (
            "two gigabytes",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2147483648\r\n\r\n{".to_vec(),
            "larger than 67108864 bytes",
        ),
    ] {
        let server = Fake::replying(answer);
        let output = pm(&["ls", "-e", &server.endpoint]);
        assert_eq!(output.status.code(), Some(5), "{what}: {output:?}");
        assert!(err(&output).contains(expected), "{what}: {}", err(&output));
        assert!(err(&output).contains(&server.endpoint) && out(&output).is_empty(), "{what}: {output:?}");
        assert!(!err(&output).contains('\u{1b}'), "{what}");
    }
}

#[test]
fn a_silent_server_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let output = pm(&["ls", "--timeout", "50ms", "-e", &endpoint]);
    assert_eq!(output.status.code(), Some(5));
    assert!(err(&output).contains("within 50ms") && err(&output).contains("--timeout"), "{}", err(&output));
}

#[test]
fn an_invalid_filter_is_an_error_before_any_query() {
    for (args, expected) in [
        (&["ls", "knd=x"][..], "unknown name `knd`; did you mean `kind`?"),
        (&["ended", "minAge=soon"], "`soon` is not a duration"),
        (&["kill", "kind=a", "mnAge=5s"], "did you mean `minAge`?"),
        (&["kill", "id=*"], "matches every task"),
        (&["wait", "kind=a", "limit=5"], "only filters are allowed"),
        (&["tree", "sort=age"], "its own order"),
        (&["watch", "-o", "json"], "use -o ndjson"),
    ] {
        let output = pm(&[args, &["-e", "127.0.0.1:1"]].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?} {output:?}");
        assert!(err(&output).contains(expected), "{args:?} {}", err(&output));
    }
}

#[test]
fn an_invalid_command_line_is_exit_2() {
    for args in [
        &["frobnicate"][..],
        &["kill"],
        &["ls", "-e", "ftp://x"],
        &["ls", "-e", ""],
        &["ls", "--timeout", "x"],
        &["ls", "-o", "yaml"],
        &["man", "frobnicate"],
        &["kill", "a", "--wait", "26s"],
    ] {
        assert_eq!(pm(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let row = &LIST[LIST.find("{\"id\":\"young\"").unwrap()..LIST.find(",\n{\"id\":\"old\"").unwrap()];
    let rows = vec![row; 20_000].join(",");
    let server = Fake::original(&format!("{{\"procs\":[{rows}],\"serverTime\":\"2026-11-24T04:03:40Z\"}}"), HISTORY);
    for format in ["table", "json", "ndjson", "ids"] {
        let mut child = command(&["ls", "-o", format, "-e", &server.endpoint])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format} {output:?}");
        assert!(!err(&output).contains("panic"), "{}", err(&output));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let server = Fake::original(LIST, HISTORY);
    for args in [
        &["ls", "-e", &server.endpoint][..],
        &["ls", "-o", "json", "-e", &server.endpoint],
        &["completions", "bash"],
        &["man"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command(args).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?} {output:?}");
        assert!(err(&output).contains("No space left"), "{args:?} {}", err(&output));
    }
}

#[test]
fn help_lists_the_exit_codes() {
    let output = pm(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(out(&output).contains("6  partial"));
}

#[test]
fn completions_and_man_pages_are_generated() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = pm(&["completions", shell]);
        assert!(output.status.success() && out(&output).contains("endpoints"), "{shell}");
    }
    assert!(out(&pm(&["man"])).starts_with(".ie") || out(&pm(&["man"])).contains(".TH pm 1"));
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("man");
    assert!(pm(&["man", "--to", dir.to_str().unwrap()]).status.success());
    assert!(std::fs::read_to_string(dir.join("pm-kill.1")).unwrap().contains("dry"));
}
