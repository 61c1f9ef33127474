//! The threads of a server: code of the program delays no other request, and no signal of the program is taken.

#![cfg(all(feature = "server", unix))]

mod common;

use std::io::{Read as _, Write as _};
use std::sync::mpsc;
use std::thread;

use common::{connect, delete, get, post, served};
use pm::{ProcessList, Server};

/// A list whose cancel hook waits: says when it is called, and returns when it may.
fn with_hook(list: &ProcessList) -> (mpsc::Receiver<()>, mpsc::SyncSender<()>, pm::Subscription) {
    let (called, is_called) = mpsc::sync_channel(100);
    let (go, may_go) = mpsc::sync_channel::<()>(100);
    let may_go = std::sync::Mutex::new(may_go);
    let hook = list.on_cancel(move |_| {
        called.send(()).unwrap();
        may_go.lock().unwrap().recv().unwrap();
    });
    (is_called, go, hook)
}

#[test]
fn others_are_answered_while_a_cancel_hook_blocks() {
    for (method, target, body) in [
        ("POST", "/v1/tasks/job/cancel", "{}"),
        ("POST", "/v1/tasks/job/cancel", r#"{"wait":"1ms"}"#),
        ("POST", "/v1/cancel", r#"{"filter":"id=job"}"#),
        ("DELETE", "/procs/job", ""),
    ] {
        let (list, server) = served();
        let task = list.start("job");
        let (called, go, _hook) = with_hook(&list);
        let address = server.addr();
        let cancel = thread::spawn(move || {
            let mut stream = connect(address);
            let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
            write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        called.recv().unwrap();
        // Would wait for the hook on the thread that it blocks.
        for other in ["/healthz", "/v1/tasks", "/procs/", "/metrics"] {
            assert_eq!(get(&server, other).status, 200, "{method} {target} {other}");
        }
        assert_eq!(post(&server, "/v1/tasks/none/cancel", "").status, 404);
        assert!(task.is_cancelled());
        go.send(()).unwrap();
        let text = cancel.join().unwrap();
        assert!(text.starts_with("HTTP/1.1 20"), "{method} {target}: {text}");
    }
}

#[test]
fn other_cancels_and_long_lists_are_answered_while_more_hooks_block_than_there_are_threads_at_first() {
    let (list, server) = served();
    let _tasks: Vec<_> = (0..6_000).map(|number| list.start(&number.to_string())).collect();
    let _blocking: Vec<_> = (0..6).map(|number| list.start(&format!("blocks-{number}"))).collect();
    let (called, is_called) = mpsc::sync_channel(100);
    let (go, may_go) = mpsc::sync_channel::<()>(100);
    let may_go = std::sync::Mutex::new(may_go);
    let _hook = list.on_cancel(move |task| {
        if task.id().to_string().starts_with("blocks") {
            called.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
        }
    });
    thread::scope(|scope| {
        let cancels: Vec<_> = (0..6)
            .map(|number| {
                let cancel = scope.spawn({
                    let server = &server;
                    move || delete(server, &format!("/procs/blocks-{number}"), "").status
                });
                is_called.recv().unwrap();
                cancel
            })
            .collect();
        assert_eq!(delete(&server, "/procs/7", "").status, 200);
        assert_eq!(post(&server, "/v1/cancel", r#"{"filter":"id=8,9"}"#).json()["total"], 2);
        for other in ["/healthz", "/v1/tasks", "/procs/", "/metrics", "/v1/tree", "/v1/info"] {
            assert_eq!(get(&server, other).status, 200, "{other}");
        }
        (0..6).for_each(|_| go.send(()).unwrap());
        for cancel in cancels {
            assert_eq!(cancel.join().unwrap(), 200);
        }
    });
}

#[test]
fn a_cancel_whose_client_leaves_is_made_and_recorded() {
    let (list, server) = served();
    let _task = list.start("job");
    let (called, go, _hook) = with_hook(&list);
    let mut stream = connect(server.addr());
    stream.write_all(b"DELETE /procs/job HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    called.recv().unwrap();
    drop(stream);
    go.send(()).unwrap();
    // The record is made when the hook has returned.
    let records = || get(&server, "/v1/audit").json()["records"].as_array().unwrap().clone();
    while records().is_empty() {
        thread::yield_now();
    }
    assert_eq!(records()[0]["result"], "asked");
}

#[test]
fn a_deep_tree_is_cancelled_beside_other_requests() {
    let (list, server) = served();
    let mut chain = vec![list.start("top")];
    for _ in 0..2_000 {
        let parent = chain.last().unwrap().handle();
        chain.push(list.unnamed().parent(parent).start());
    }
    assert_eq!(post(&server, "/v1/tasks/top/cancel", "").json()["below"], 2_000);
    assert!(chain.iter().all(|task| task.is_cancelled()));
}

#[cfg(target_os = "linux")]
#[test]
fn no_thread_of_a_server_takes_a_signal_of_the_program() {
    let folder = std::env::temp_dir().join(format!("pm-signals-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let list = ProcessList::new();
    let builder = Server::builder().list(&list).listen("127.0.0.1:0").listen_unix(folder.join("pm.sock"));
    let server = builder.audit_file(folder.join("audit.log")).start().unwrap();
    let _task = list.start("job");
    let (called, go, _hook) = with_hook(&list);
    let mut events = connect(server.addr());
    events.write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut begin = [0; 8];
    events.read_exact(&mut begin).unwrap();
    let cancel = thread::scope(|scope| {
        let cancel = scope.spawn(|| delete(&server, "/procs/job", "").status);
        called.recv().unwrap();
        // A thread has the name of the one that started it until it runs.
        let mut missing = vec!["pm-server", "pm-audit", "pm-feed", "pm-worker"];
        while !missing.is_empty() {
            for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
                // Threads of other tests may end in the meantime.
                let Ok(status) = std::fs::read_to_string(thread.path().join("status")) else { continue };
                let of =
                    |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
                let name = of("Name:");
                if name.starts_with("pm-") {
                    let blocked = u64::from_str_radix(of("SigBlk:"), 16).unwrap();
                    // SIGHUP, SIGINT, SIGUSR1, SIGPIPE, SIGTERM, SIGCHLD.
                    for signal in [1, 2, 10, 13, 15, 17] {
                        assert!(blocked & 1 << (signal - 1) != 0, "{name} takes signal {signal}: {blocked:x}");
                    }
                    missing.retain(|missing| *missing != name);
                }
            }
            thread::yield_now();
        }
        go.send(()).unwrap();
        cancel.join().unwrap()
    });
    assert_eq!(cancel, 200);
    drop(server);
    let _ = std::fs::remove_dir_all(folder);
}
