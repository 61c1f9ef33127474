//! A server that continues to answer while its list is drained.
#![cfg(feature = "server")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use common::{Reply, connect, served};
use pm::Drain;

/// Sends a request to a server whose thread is busy with its drain.
fn ask(server: SocketAddr, line: &str) -> Reply {
    let (mut stream, mut bytes) = (connect(server), Vec::new());
    write!(stream, "{line} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_to_end(&mut bytes).unwrap();
    Reply::parse(&bytes)
}

#[test]
fn a_server_answers_until_its_list_is_drained() {
    let (list, server) = served();
    let address = server.addr();
    let task = list.start("import-42");
    let (reported, reports) = mpsc::channel();
    let drain = Drain::new().wait(Duration::from_secs(600)).on_progress(Duration::from_secs(600), move |progress| {
        reported.send(progress.remaining).unwrap();
    });
    let drained = std::thread::spawn(move || server.drain(drain));
    assert_eq!(reports.recv().unwrap(), 1);
    assert!(ask(address, "GET /procs/").body.contains("import-42"));
    drop(task);
    let report = drained.join().unwrap();
    assert_eq!((report.finished, report.running), (1, 0));
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_drain_ends_when_its_last_task_is_cancelled_over_http() {
    let (list, server) = served();
    let address = server.addr();
    let task = list.start("import-42");
    let worker = std::thread::spawn(move || {
        while task.checkpoint().is_ok() {
            std::thread::yield_now();
        }
    });
    let drained = std::thread::spawn(move || server.drain(Duration::from_secs(600)));
    assert_eq!(ask(address, "DELETE /procs/import-42").status, 200);
    let report = drained.join().unwrap();
    worker.join().unwrap();
    assert!(report.is_empty(), "{report}");
}
