//! The demo as a separate process: started, inspected, partly killed, ended.

#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    banner: String,
    list: String,
    app: String,
}

/// A fixed directory tree to search and sum.
fn tree() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("demo-tree");
    for folder in ["a", "b", "b/c"] {
        fs::create_dir_all(root.join(folder)).unwrap();
        for number in 0..5 {
            fs::write(root.join(folder).join(format!("{number}.txt")), "the list of running tasks\n".repeat(2_000))
                .unwrap();
        }
    }
    root
}

fn demo_under(shell: &str, args: &[&str]) -> Demo {
    let program = env!("CARGO_BIN_EXE_pm");
    let script = format!("{shell} exec \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &script, "sh", program, "demo", "--listen", "127.0.0.1:0", "--app", "127.0.0.1:0", "--root"])
        .arg(tree())
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut banner = String::new();
    while !banner.contains("Ctrl-C stops it.") {
        assert_ne!(out.read_line(&mut banner).unwrap(), 0, "{banner}");
    }
    let after = |word: &str| {
        let rest = &banner[banner.find(word).unwrap()..];
        let rest = &rest[rest.find("http://").unwrap() + 7..];
        rest[..rest.find('/').unwrap()].to_owned()
    };
    let (list, app) = (after("process list"), after("service"));
    Demo { child, out, banner, list, app }
}

fn demo(args: &[&str]) -> Demo {
    demo_under("", args)
}

impl Demo {
    fn pm(&self, args: &[&str]) -> Output {
        common::command(args).args(["-e", &self.list]).output().unwrap()
    }

    /// The rows of the list, once `enough` accepts them.
    fn rows(&self, enough: impl Fn(&[serde_json::Value]) -> bool) -> Vec<serde_json::Value> {
        loop {
            let output = self.pm(&["ls", "-o", "json"]);
            assert!(output.status.success(), "{output:?}");
            let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let rows = json["items"].as_array().unwrap().clone();
            if enough(&rows) {
                return rows;
            }
        }
    }

    fn open(&self, target: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.app).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.app).unwrap();
        stream
    }

    /// Interrupts it and returns its last output.
    fn end(mut self) -> String {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
        let mut last = String::new();
        self.out.read_to_string(&mut last).unwrap();
        assert!(self.child.wait().unwrap().success(), "{last}");
        last
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has already ended, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn is(row: &serde_json::Value, kind: &str) -> bool {
    row["kind"] == kind
}

#[test]
fn a_stuck_request_is_listed_killed_and_answered_with_the_reason() {
    let demo = demo(&["--rate", "0"]);
    let stuck = demo.open("/stuck");
    let rows = demo.rows(|rows| rows.iter().any(|row| row["status"] == "waiting to be cancelled"));
    let id = rows.iter().find(|row| is(row, "GET /stuck")).unwrap()["id"].as_str().unwrap().to_owned();
    let output = demo.pm(&["kill", &id, "-m", "too slow", "--yes"]);
    assert!(output.status.success(), "{output:?}");
    let text = answer(stuck);
    assert!(text.starts_with("HTTP/1.1 503") && text.ends_with("cancelled: too slow\n"), "{text}");
    demo.rows(|rows| !rows.iter().any(|row| is(row, "GET /stuck")));
    let last = demo.end();
    // The index and the three jobs of the deadlock are cancelled at the end.
    assert!(last.contains("5 cancelled") && last.contains("0 live"), "{last}");
}

/// Opens a page, waits until its task has this status, kills it, and returns the output of the kill and the response.
fn killed(demo: &Demo, page: &str, kind: &str, status: &str, wait: &str) -> (Output, String) {
    let caller = demo.open(page);
    let rows = demo.rows(|rows| rows.iter().any(|row| is(row, kind) && row["status"] == status));
    let id = rows.iter().find(|row| is(row, kind)).unwrap()["id"].as_str().unwrap().to_owned();
    let output = demo.pm(&["kill", &id, "-m", "enough", "--yes", "--wait", wait]);
    let answer = if output.status.success() { answer(caller) } else { String::new() };
    (output, answer)
}

#[test]
fn a_kill_reports_the_outcome_of_tasks_without_checkpoints() {
    let demo = demo(&["--rate", "0"]);
    let (output, answer) = killed(&demo, "/await", "GET /await", "waiting forever", "20s");
    assert!(output.status.success() && answer.contains("cancelled: enough"), "{output:?} {answer}");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("dropped by the cancel after"));

    // Killed in its protected section, it ends after it, as the history shows.
    let (output, answer) = killed(&demo, "/transfer", "GET /transfer", "moving the money, protected", "20s");
    assert!(output.status.success() && answer.contains("cancelled: enough"), "{output:?} {answer}");
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.starts_with("dropped by the cancel after"), "{words}");
    let id = words.split_whitespace().find(|word| word.starts_with("req-")).unwrap();
    let history = String::from_utf8(demo.pm(&["history", id]).stdout).unwrap();
    assert!(history.contains("notifying both owners") && history.contains("killed: enough"), "{history}");

    let (output, _) =
        killed(&demo, "/unresponsive?seconds=300", "GET /unresponsive", "computing without checkpoints", "100ms");
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let rows = demo.rows(|rows| rows.iter().any(|row| is(row, "GET /unresponsive")));
    assert!(rows.iter().any(|row| is(row, "GET /unresponsive") && row["state"] == "cancelling"), "{rows:?}");
    demo.end();
}

#[test]
fn a_disconnected_client_ends_its_task() {
    let demo = demo(&["--rate", "0"]);
    let stuck = demo.open("/stuck");
    demo.rows(|rows| rows.iter().any(|row| is(row, "GET /stuck")));
    drop(stuck);
    demo.rows(|rows| !rows.iter().any(|row| is(row, "GET /stuck")));
    demo.end();
}

#[test]
fn requests_do_real_work_and_show_their_status() {
    let demo = demo(&["--rate", "0"]);
    let text = answer(demo.open("/search?q=running"));
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("a/0.txt:1: the list of running tasks"), "{text}");
    let summing = demo.open("/checksum?path=.");
    let rows =
        demo.rows(|rows| rows.iter().any(|row| is(row, "checksum folder")) || rows.iter().all(|row| is(row, "index")));
    if let Some(child) = rows.iter().find(|row| is(row, "checksum folder")) {
        let parent = rows.iter().find(|row| is(row, "GET /checksum")).unwrap();
        assert_eq!(child["parent"], parent["serial"]);
    }
    let text = answer(summing);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("  b\n"), "{text}");
    let index = demo.pm(&["history", "demo-index"]);
    assert!(String::from_utf8(index.stdout).unwrap().contains("init"));
    demo.end();
}

#[test]
fn idle_tasks_fill_the_list() {
    let demo = demo(&["--rate", "0", "--tasks", "5000"]);
    let rows = demo.rows(|rows| rows.len() >= 5_000);
    assert_eq!(rows[0]["id"], "demo-index");
    assert_eq!(rows.iter().filter(|row| is(row, "idle")).count(), 5_000);
    demo.end();
}

#[test]
fn a_signal_ends_it_while_it_still_starts_tasks() {
    // From its first output on, whether or not all tasks have been started.
    let mut demo = demo(&["--tasks", "1000000", "--rate", "0"]);
    assert!(Command::new("kill").args(["-TERM", &demo.child.id().to_string()]).status().unwrap().success());
    assert!(demo.child.wait().unwrap().success());
}

#[test]
fn its_client_keeps_it_busy_and_it_ends_by_itself() {
    let mut demo = demo(&["--rate", "100", "--for", "1s"]);
    let mut last = String::new();
    demo.out.read_to_string(&mut last).unwrap();
    assert!(demo.child.wait().unwrap().success());
    assert!(last.starts_with("requests: ") && last.contains("0 live"), "{last}");
    assert!(!last.contains("requests: 0 answered"), "{last}");
}

#[test]
fn the_commands_it_prints_work() {
    let demo = demo(&["--rate", "0"]);
    let mut tried = 0;
    for line in demo.banner.lines().filter_map(|line| line.split_once(" curl ")).map(|(_, line)| line.trim()) {
        let words: Vec<&str> = line.split(['\'', ' ']).filter(|word| !word.is_empty()).collect();
        let url = words.iter().find_map(|word| word.strip_prefix("http://")).unwrap();
        let (host, path) = url.split_at(url.find('/').unwrap());
        let (method, body) = match line.strip_prefix("-d '").and_then(|rest| rest.split_once('\'')) {
            Some((body, _)) => ("POST", body),
            None => ("GET", ""),
        };
        // The first waits to be cancelled, the second never ends.
        if path == "/stuck" || words[0] == "-N" {
            continue;
        }
        let mut stream = TcpStream::connect(host).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}");
        write!(stream, "{head}\r\n\r\n{body}").unwrap();
        let text = answer(stream);
        assert!(text.starts_with("HTTP/1.1 200"), "{line}: {text}");
        tried += 1;
    }
    assert_eq!(tried, 5);
    demo.end();
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        Command::new(env!("CARGO_BIN_EXE_pm")).args(["demo", "--rate", "0", "--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(&format!("could not listen on {address}: the port is in use")), "{text}");
}

#[test]
fn without_file_descriptors_it_waits_and_recovers() {
    let demo = demo_under("ulimit -n 40;", &["--rate", "0"]);
    // More connections than descriptors: the rest wait in the queue of the system.
    let idle: Vec<_> = (0..80).map(|_| TcpStream::connect(&demo.list).unwrap()).collect();
    drop(idle);
    demo.rows(|rows| rows.iter().any(|row| is(row, "index")));
    demo.end();
}

#[test]
fn three_jobs_are_reported_as_a_deadlock_until_one_is_cancelled() {
    let demo = demo(&["--rate", "0"]);
    let waits = || -> serde_json::Value {
        let mut stream = TcpStream::connect(&demo.list).unwrap();
        write!(stream, "GET /v1/waits HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", demo.list).unwrap();
        let text = answer(stream);
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let cycle = loop {
        if let Some(cycle) = waits()["cycles"].get(0) {
            break cycle["steps"].clone();
        }
    };
    let steps: std::collections::BTreeSet<(&str, &str)> = (cycle.as_array().unwrap().iter())
        .map(|step| (step["id"].as_str().unwrap(), step["resource"].as_str().unwrap()))
        .collect();
    let known = [("closing", "printer"), ("letters", "lock:accounts"), ("payroll", "lock:ledger")];
    assert_eq!(steps, known.into());
    let killed = demo.pm(&["kill", "closing", "-m", "one has to go", "--yes", "--wait", "5s"]);
    assert!(killed.status.success(), "{killed:?}");
    while waits()["total"] != 0 {}
    demo.end();
}
