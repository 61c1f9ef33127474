//! Watching: snapshots, changes, watchers that are disconnected, slow or too many, and that no ghost is ever shown.

#![cfg(feature = "server")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use common::{connect, get};
use pm::{Options, ProcessList, Server};
use serde_json::Value;

fn serve(list: &ProcessList) -> Server {
    Server::builder().list(list).listen("127.0.0.1:0").start().unwrap()
}

/// A watcher, with a small HTTP client of its own.
struct Watcher {
    stream: BufReader<TcpStream>,
    head: String,
    /// The bytes that have arrived and were not parsed yet.
    text: String,
    last_id: String,
}

#[derive(Debug)]
struct Event {
    name: String,
    data: Value,
}

impl Watcher {
    fn open(server: &Server, query: &str, headers: &str) -> Self {
        let mut stream = connect(server.addr());
        write!(stream, "GET /v1/events{query} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", server.addr()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        Self { stream, head: head.to_ascii_lowercase(), text: String::new(), last_id: String::new() }
    }

    fn new(server: &Server) -> Self {
        Self::open(server, "", "")
    }

    /// Reads the next chunk; `false` at the end.
    fn take_chunk(&mut self) -> bool {
        let mut length = String::new();
        self.stream.read_line(&mut length).unwrap();
        let length = usize::from_str_radix(length.trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).unwrap();
        self.text += std::str::from_utf8(&chunk[..length]).unwrap();
        length > 0
    }

    /// The next event; `None` at the end.
    fn next(&mut self) -> Option<Event> {
        loop {
            let Some((block, rest)) = self.text.split_once("\n\n") else {
                if self.take_chunk() {
                    continue;
                }
                return None;
            };
            let mut event = None;
            let (mut name, mut data) = ("", "");
            for line in block.lines() {
                match line.split_once(": ") {
                    Some(("event", value)) => name = value,
                    Some(("data", value)) => data = value,
                    Some(("id", value)) => self.last_id = value.to_owned(),
                    _ => assert!(line.starts_with(':') || line.starts_with("retry:"), "{line}"),
                }
            }
            if !name.is_empty() {
                let data: Value = serde_json::from_str(data).unwrap();
                assert_eq!(data["type"], name);
                event = Some(Event { name: name.to_owned(), data });
            }
            self.text = rest.to_owned();
            if event.is_some() {
                return event;
            }
        }
    }

    /// Reads all parts of a snapshot.
    fn snapshot(&mut self) -> Vec<Value> {
        let mut tasks = Vec::new();
        loop {
            let event = self.next().unwrap();
            assert_eq!(event.name, "snapshot", "{event:?}");
            tasks.extend(event.data["tasks"].as_array().unwrap().iter().cloned());
            if event.data["more"] == false {
                assert_eq!(event.data["total"], tasks.len());
                return tasks;
            }
        }
    }

    fn expect(&mut self, name: &str) -> Value {
        let event = self.next().unwrap();
        assert_eq!(event.name, name, "{event:?}");
        event.data
    }
}

/// Polls the number of watchers until it is `count`.
fn until_watchers(server: &Server, count: u64) {
    while get(server, "/v1/info").json()["own"]["watchers"] != count {
        std::thread::yield_now();
    }
}

#[test]
fn a_watcher_gets_a_snapshot_and_then_changes() {
    let list = ProcessList::new();
    let server = serve(&list);
    let _before = list.task("before").kind("import").start();
    let mut watcher = Watcher::new(&server);
    assert!(watcher.head.contains("content-type: text/event-stream\r\n"), "{}", watcher.head);
    assert!(watcher.head.contains("cache-control: no-store\r\n"), "{}", watcher.head);
    let snapshot = watcher.snapshot();
    assert_eq!((snapshot.len(), &snapshot[0]["id"], &snapshot[0]["kind"]), (1, &"before".into(), &"import".into()));
    let task = list.start("job");
    assert_eq!(watcher.expect("started")["task"]["id"], "job");
    task.status("reading").unwrap();
    assert_eq!(watcher.expect("status")["task"]["status"], "reading");
    task.progress(3, 4, "files");
    assert_eq!(watcher.expect("progress")["task"]["progress"]["done"], 3);
    list.cancel("job", "why").unwrap();
    assert_eq!(watcher.expect("cancel")["task"]["cancel"]["reason"], "why");
    task.fail("no file");
    assert_eq!(watcher.expect("ended")["task"]["outcome"], "failed");
}

#[test]
fn json_lines_carry_the_same_events() {
    let list = ProcessList::new();
    let server = serve(&list);
    let _task = list.start("job");
    let mut watcher = Watcher::open(&server, "?view=brief", "Accept: application/x-ndjson\r\n");
    assert!(watcher.head.contains("content-type: application/x-ndjson\r\n"), "{}", watcher.head);
    while !watcher.text.contains('\n') {
        watcher.take_chunk();
    }
    let line: Value = serde_json::from_str(watcher.text.lines().next().unwrap()).unwrap();
    assert_eq!((&line["type"], &line["tasks"][0]["id"]), (&"snapshot".into(), &"job".into()));
    assert!(line["tasks"][0].get("startedAt").is_none(), "brief: {line}");
}

#[test]
fn a_disconnected_watcher_resumes_where_it_was() {
    let list = ProcessList::new();
    let server = serve(&list);
    let mut watcher = Watcher::new(&server);
    watcher.snapshot();
    let task = list.start("job");
    watcher.expect("started");
    let last = watcher.last_id.clone();
    drop(watcher);
    task.status("reading").unwrap();
    let mut again = Watcher::open(&server, "", &format!("Last-Event-ID: {last}\r\n"));
    assert_eq!(again.expect("status")["task"]["status"], "reading", "no snapshot, nothing missed");
}

#[test]
fn a_watcher_that_cannot_resume_gets_a_gap_and_a_new_snapshot() {
    let list = ProcessList::new();
    let server = serve(&list);
    let _task = list.start("job");
    let mut first = Watcher::new(&server);
    first.snapshot();
    let boot = first.last_id.split_once('-').unwrap().0.to_owned();
    let late = [format!("{boot}-0"), "0123456789ab-7".to_owned(), "rubbish".to_owned(), format!("{boot}-x")];
    let future = format!("{boot}-99999999999");
    for id in late.iter().chain([&future]) {
        let mut again = Watcher::open(&server, "", &format!("Last-Event-ID: {id}\r\n"));
        let gap = again.expect("gap");
        // There is nothing to resume from until the snapshot is complete.
        assert_eq!((&gap["why"], &gap["id"], again.last_id.as_str()), (&"resume".into(), &Value::Null, ""), "{id}");
        assert_eq!(again.snapshot().len(), 1);
    }
}

#[test]
fn filters_apply_to_snapshot_and_changes() {
    let list = ProcessList::new();
    let server = serve(&list);
    let _other = list.task("other").kind("export").start();
    let task = list.task("job").kind("import").start();
    let mut watcher = Watcher::open(&server, "?kind=imp*&state=running", "");
    assert_eq!(watcher.snapshot().len(), 1);
    list.cancel("job", "").unwrap();
    assert_eq!(watcher.expect("left")["serial"], task.serial().unwrap().to_string());
}

#[test]
fn invalid_requests_are_refused_before_anything_is_sent() {
    let (_list, server) = common::served();
    for (query, code) in [
        ("?knd=x", "unknown-parameter"),
        ("?interval=1ms", "invalid-parameter"),
        ("?interval=2h", "invalid-parameter"),
        ("?fields=nothing", "invalid-parameter"),
        ("?kind=a*b", "invalid-filter"),
        ("?view=full&view=full", "invalid-parameter"),
    ] {
        let reply = get(&server, &format!("/v1/events{query}"));
        assert_eq!((reply.status, &reply.json()["code"]), (400, &code.into()), "{query}");
    }
}

#[test]
fn watchers_get_a_closing_event_when_the_server_stops() {
    let list = ProcessList::new();
    let server = serve(&list);
    let mut watchers: Vec<_> = (0..20).map(|_| Watcher::new(&server)).collect();
    watchers.iter_mut().for_each(|watcher| drop(watcher.snapshot()));
    server.shutdown();
    for watcher in &mut watchers {
        assert_eq!(watcher.expect("bye")["why"], "shutdown");
        assert!(watcher.next().is_none(), "and then the end");
    }
}

#[test]
fn watchers_are_limited_and_one_that_leaves_frees_its_place() {
    let list = ProcessList::new();
    let server =
        Server::builder().list(&list).listen("127.0.0.1:0").max_watchers(8).max_connections(4).start().unwrap();
    let mut watchers: Vec<_> = (0..8).map(|_| Watcher::new(&server)).collect();
    watchers.iter_mut().for_each(|watcher| drop(watcher.snapshot()));
    let reply = get(&server, "/v1/events");
    assert_eq!((reply.status, &reply.json()["code"]), (503, &"too-many-watchers".into()));
    assert_eq!(reply.header("retry-after"), Some("5"));
    assert_eq!(get(&server, "/v1/tasks").status, 200, "watchers are no connections");
    // One closes, one only its sending half: both are detected without waiting for a heartbeat.
    watchers.pop();
    until_watchers(&server, 7);
    watchers[1].stream.get_ref().shutdown(Shutdown::Write).unwrap();
    until_watchers(&server, 6);
    Watcher::new(&server).snapshot();
}

#[test]
fn a_slow_reader_gets_a_gap_and_is_up_to_date_after_it() {
    let list = ProcessList::with_options(Options::new());
    let server = serve(&list);
    let tasks: Vec<_> = (0..1_000).map(|number| list.start(&format!("job-{number}"))).collect();
    let mut watcher = Watcher::new(&server);
    assert_eq!(watcher.snapshot().len(), 1_000);
    // Each scan finds more than is retained for watchers that do not read.
    let word = "x".repeat(2_000);
    let looks = || get(&server, "/v1/info").json()["own"]["looks"].as_u64().unwrap();
    let mut value = 0;
    let mut change_all = || {
        value += 1;
        tasks.iter().for_each(|task| task.set("text", &format!("{value}{word}")));
        let before = looks();
        while looks() == before {
            std::thread::yield_now();
        }
    };
    change_all();
    loop {
        let event = watcher.next().unwrap();
        if event.name == "gap" {
            assert_eq!(event.data["why"], "slow");
            break;
        }
    }
    let snapshot = watcher.snapshot();
    assert!(snapshot.iter().all(|task| task["attrs"]["text"].as_str().unwrap().starts_with("1x")), "all of them");
}

#[test]
fn a_watcher_reconstructs_the_list_without_ghosts() {
    let list = ProcessList::new();
    let server = serve(&list);
    let mut watcher = Watcher::open(&server, "?fields=id,status,state", "");
    let mut seen: BTreeMap<String, Value> =
        watcher.snapshot().into_iter().map(|task| (task["serial"].as_str().unwrap().to_owned(), task)).collect();
    let workers: Vec<_> = (0..3_u64)
        .map(|seed| {
            let list = list.clone();
            std::thread::spawn(move || {
                let mut random = seed * 7919 + 1;
                let mut below = move |bound: u64| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random % bound
                };
                let mut live = Vec::new();
                for round in 0..60_000 {
                    match below(4) {
                        0 => live.push(list.start(&format!("job-{seed}-{round}"))),
                        1 if !live.is_empty() => drop(live.swap_remove(below(live.len() as u64) as usize)),
                        _ if !live.is_empty() => {
                            let at = below(live.len() as u64) as usize;
                            let _ = live[at].status(&format!("step {round}"));
                        }
                        _ => {}
                    }
                    while live.len() > 50 {
                        drop(live.swap_remove(0));
                    }
                }
                live
            })
        })
        .collect();
    let mut left: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    // The last change: once it is seen, all earlier ones have been sent.
    let last = list.start("last");
    left.push(last);
    loop {
        let event = watcher.next().unwrap();
        let task = &event.data["task"];
        let serial = task["serial"].as_str().unwrap_or_default().to_owned();
        match event.name.as_str() {
            "started" | "status" | "progress" | "cancel" => drop(seen.insert(serial, task.clone())),
            "ended" => drop(seen.remove(&serial)),
            "gap" => seen.clear(),
            "snapshot" => {
                let tasks = event.data["tasks"].as_array().unwrap().iter();
                seen.extend(tasks.map(|task| (task["serial"].as_str().unwrap().to_owned(), task.clone())));
            }
            "unseen" => continue,
            other => panic!("{other}"),
        }
        // Within a frame, ends come after starts.
        let is_complete = seen.len() == left.len() && seen.values().any(|task| task["id"] == "last");
        if is_complete {
            break;
        }
    }
    let snapshot = list.snapshot();
    let expected: BTreeMap<String, String> =
        snapshot.iter().map(|task| (task.serial().to_string(), task.status().to_string())).collect();
    let shown: BTreeMap<String, String> =
        seen.iter().map(|(serial, task)| (serial.clone(), task["status"].as_str().unwrap().to_owned())).collect();
    assert_eq!(shown, expected);
}
