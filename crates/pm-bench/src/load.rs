//! Small answers, many of them, beside the least that the same HTTP library can do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pm::{Options, ProcessList, Server};
use pm_bench::work;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Effort, median};
use crate::report::{Goal, Report, thousands};

const CONNECTIONS: usize = 8;

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("load");
    // Of another size than the lists before, so that it takes over none of their memory: what a list once held is
    // looked through for tasks.
    let list = ProcessList::with_options(Options::new());
    let _ten = work::fill(&list, 10);
    let id = work::id(3, &mut [0; 16]).to_owned();
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().expect("a free port on loopback");
    let hello = hello();
    let cases = [
        (hello, "/".to_owned()),
        (server.addr(), format!("/procs/{id}/history")),
        (server.addr(), "/procs/".to_owned()),
        (server.addr(), "/procs/absent/history".to_owned()),
        (server.addr(), "/v1/tasks".to_owned()),
        (server.addr(), format!("/v1/tasks/{id}/history")),
        (server.addr(), format!("/v1/tasks/{id}")),
    ];
    let length = effort.pick(Duration::from_millis(200), Duration::from_secs(1));
    let mut rates = vec![Vec::new(); cases.len()];
    for _ in 0..effort.pick(3, 7) {
        for ((address, path), rates) in cases.iter().zip(&mut rates) {
            rates.push(rate(*address, path, length));
        }
    }
    let rates: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
    for (name, rate, goal) in [
        ("history of a task", rates[1], Goal::LeastTimes(0.7)),
        ("list of 10", rates[2], Goal::LeastTimes(0.7)),
        ("unknown task", rates[3], Goal::None),
        ("/v1, list of 10", rates[4], Goal::LeastTimes(0.7)),
        ("/v1, history of a task", rates[5], Goal::LeastTimes(0.7)),
        ("/v1, one task", rates[6], Goal::LeastTimes(0.7)),
    ] {
        report.beside(name, rate, "/s", ("bare hyper hello", rates[0]), goal);
    }
    drop(server);
    long_lists(effort, report);
}

/// Asks for one task in longer and longer lists.
fn long_lists(effort: Effort, report: &mut Report) {
    let counts: &[u64] = effort.pick(&[10, 100_000], &[10, 100_000, 1_000_000]);
    let served: Vec<_> = counts
        .iter()
        .map(|&count| {
            let list = work::list();
            let tasks = work::fill(&list, count);
            let server = Server::builder().list(&list).listen("127.0.0.1:0").start().expect("a free port on loopback");
            (tasks, server)
        })
        .collect();
    let path = format!("/procs/{}/history", work::id(3, &mut [0; 16]));
    let length = effort.pick(Duration::from_millis(200), Duration::from_secs(1));
    let mut rates = vec![Vec::new(); served.len()];
    for _ in 0..effort.pick(4, 8) {
        for ((_, server), rates) in served.iter().zip(&mut rates) {
            rates.push(rate(server.addr(), &path, length));
        }
    }
    let rates: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
    for (rate, &count) in rates.iter().zip(counts).skip(1) {
        let name = format!("history of a task among {}", thousands(count));
        report.beside(name, *rate, "/s", ("among 10", rates[0]), Goal::LeastTimes(0.9));
    }
}

/// hyper on a thread of its own, as our server runs it, with nothing to do.
pub(crate) fn hello() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("a listener may be so");
    thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::from_std(listener).expect("the runtime has I/O");
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let answer = service_fn(|_| async {
                    Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(b"hello"))))
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
    });
    address
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime of one thread")
}

/// Answers per second over connections that are kept.
pub(crate) fn rate(address: SocketAddr, path: &str, length: Duration) -> f64 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    runtime().block_on(async {
        let begin = Instant::now();
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let request = request.clone();
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(address).await.expect("the server listens");
                    let _ = stream.set_nodelay(true);
                    let (mut count, mut buffer, mut shape) = (0_u64, vec![0; 64 << 10], Shape::default());
                    while begin.elapsed() < length {
                        stream.write_all(request.as_bytes()).await.expect("the server reads");
                        answer(&mut stream, &mut buffer, &mut shape).await;
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut total = 0;
        for client in clients {
            total += client.await.unwrap_or(0);
        }
        total as f64 / begin.elapsed().as_secs_f64()
    })
}

/// The positions in the last answer. The next one is mostly alike, so reading it takes hardly any time: the server is
/// what is measured.
#[derive(Default)]
pub(crate) struct Shape {
    length_at: usize,
    head: usize,
}

const LENGTH: &[u8] = b"\r\ncontent-length: ";

impl Shape {
    /// Bytes of the answer that begins here, once its head is whole.
    fn size(&mut self, bytes: &[u8]) -> Option<usize> {
        let is_same = self.head > 0
            && bytes.get(self.head - 4..self.head) == Some(b"\r\n\r\n")
            && bytes[self.length_at..].starts_with(LENGTH);
        if !is_same {
            self.head = 4 + bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
            let head = &bytes[..self.head];
            self.length_at = head.windows(LENGTH.len()).position(|window| window == LENGTH).expect("it has a length");
        }
        let digits = bytes[self.length_at + LENGTH.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        Some(self.head + digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
    }
}

/// Reads one answer, which has a length.
pub(crate) async fn answer(stream: &mut TcpStream, buffer: &mut [u8], shape: &mut Shape) {
    let mut have = 0;
    loop {
        have += stream.read(&mut buffer[have..]).await.expect("the server answers");
        if shape.size(&buffer[..have]).is_some_and(|size| have >= size) {
            return;
        }
    }
}
