//! The whole list: as a snapshot, as JSON, and over HTTP, where its first byte counts too.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use pm::{ProcessList, Server};
use pm_bench::{naive, work};
use pm_wire::rows::ListWriter;

use crate::harness::{Effort, median};
use crate::report::{Goal, Report};

/// A list behind HTTP on a thread of its own.
pub(crate) struct Served {
    address: SocketAddr,
    _server: Option<Server>,
}

/// How long it took until the first byte of the answer and until its last, and how many there were.
pub(crate) struct Got {
    pub(crate) first: Duration,
    pub(crate) last: Duration,
    pub(crate) bytes: usize,
}

impl Served {
    pub(crate) fn ours(list: &ProcessList) -> Self {
        let server = Server::builder().list(list).listen("127.0.0.1:0").start().expect("a free port on loopback");
        Self { address: server.addr(), _server: Some(server) }
    }

    /// As one would write it first: a thread for each connection, the answer built whole.
    pub(crate) fn naive(list: &'static naive::List) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || answer(list, stream));
            }
        });
        Self { address, _server: None }
    }

    pub(crate) fn get(&self, path: &str) -> Got {
        let mut buffer = vec![0; 256 << 10];
        let begin = Instant::now();
        let mut stream = TcpStream::connect(self.address).expect("the server listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut got = Got { first: Duration::ZERO, last: Duration::ZERO, bytes: 0 };
        loop {
            let count = stream.read(&mut buffer).expect("the server answers");
            if got.bytes == 0 {
                got.first = begin.elapsed();
            }
            if count == 0 {
                got.last = begin.elapsed();
                return got;
            }
            got.bytes += count;
        }
    }
}

fn answer(list: &naive::List, mut stream: TcpStream) {
    let mut request = [0; 1024];
    let _ = stream.read(&mut request);
    let mut body = Vec::new();
    if request.starts_with(b"GET /procs/ ") {
        list.json(&mut body);
    }
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    // Who went away wants no answer.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("list");
    let naive: &'static naive::List = Box::leak(Box::default());
    let list = work::list();
    let tasks = (work::fill(&list, 100_000), work::naive_fill(naive, 100_000));
    in_process(effort, report, &list, naive);
    over_http(effort, report, &list, naive);
    drop(tasks);
    if !effort.quick {
        let list = work::list();
        let tasks = work::fill(&list, 1_000_000);
        let served = Served::ours(&list);
        let gets: Vec<Got> = (0..5).map(|_| served.get("/procs/")).collect();
        report.plain("1,000,000 over HTTP", millis(gets.iter().map(|got| got.last)), "ms", Goal::Most(300.0));
        report.plain("- its first byte", millis(gets.iter().map(|got| got.first)), "ms", Goal::None);
        drop(tasks);
    }
}

fn in_process(effort: Effort, report: &mut Report, list: &ProcessList, naive: &naive::List) {
    // One after the other, so that the allocator has the memory at hand: new pages would cost more than the copy.
    let snapshots: Vec<_> = (0..effort.pick(5, 15)).map(|_| time(|| drop(black_box(list.snapshot())))).collect();
    let (mut jsons, mut naives) = (Vec::new(), Vec::new());
    let mut out = Vec::new();
    for _ in 0..effort.pick(5, 15) {
        jsons.push(time(|| json(list)));
        naives.push(time(|| naive.json(&mut out)));
        out.clear();
    }
    let json = millis(jsons);
    report.plain("snapshot of 100,000", millis(snapshots), "ms", Goal::Most(4.0));
    report.plain("100,000 as JSON, in process", json, "ms", Goal::None);
    report.beside("naive port: the same", millis(naives), "ms", ("ours", json), Goal::None);
}

fn over_http(effort: Effort, report: &mut Report, list: &ProcessList, naive: &'static naive::List) {
    let (ours, port) = (Served::ours(list), Served::naive(naive));
    let (mut gets, mut naives) = (Vec::new(), Vec::new());
    for _ in 0..effort.pick(5, 15) {
        gets.push(ours.get("/procs/"));
        naives.push(port.get("/procs/"));
    }
    let ours = millis(gets.iter().map(|got| got.last));
    report.plain("100,000 over HTTP", ours, "ms", Goal::Most(25.0));
    report.plain("- its first byte", millis(gets.iter().map(|got| got.first)), "ms", Goal::Most(5.0));
    report.plain("- its size", gets[0].bytes as f64 / 1e6, "MB", Goal::None);
    let name = "naive port: 100,000 over HTTP";
    report.beside(name, millis(naives.iter().map(|got| got.last)), "ms", ("ours", ours), Goal::LeastTimes(15.0));
}

/// As the server does it: in parts, without ever holding the whole.
fn json(list: &ProcessList) {
    let (mut scan, mut writer) = (list.scan(), ListWriter::new());
    writer.begin();
    while let Some(row) = scan.next() {
        writer.row(&row);
        if writer.len() > 64 << 10 {
            black_box(writer.take());
        }
    }
    writer.end(0);
    black_box(writer.take());
}

fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn millis(times: impl IntoIterator<Item = Duration>) -> f64 {
    median(&mut times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect::<Vec<_>>())
}
