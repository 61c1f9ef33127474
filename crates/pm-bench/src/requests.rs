//! A small axum service: as it is, with our layer, and with tower-http's for traces whose subscriber writes nothing.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use pm::{Options, ProcessList};
use tower_http::trace::TraceLayer;

use crate::harness::{Effort, median, spared};
use crate::load::{Shape, answer, rate, runtime};
use crate::report::{Goal, Report};

const PATH: &str = "/hosts/db1";

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("requests");
    let list = ProcessList::with_options(Options::new());
    let router = || Router::new().route("/hosts/{host}", get(async || "hello"));
    let cases = [
        serve(router()),
        serve(router().layer(pm::tower::TasksLayer::new().list(&list))),
        serve(router().layer(TraceLayer::new_for_http())),
    ];

    let length = effort.pick(Duration::from_millis(200), Duration::from_secs(1));
    let (mut rates, mut tails) = (vec![Vec::new(); cases.len()], vec![Vec::new(); cases.len()]);
    for _ in 0..effort.pick(3, 15) {
        for ((case, rates), tails) in cases.iter().zip(&mut rates).zip(&mut tails) {
            rates.push(rate(*case, PATH, length));
            tails.push(p99(*case, effort.pick(500, 4_000)));
        }
    }
    let rates: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
    report.plain("a small axum service, bare", rates[0], "/s", Goal::None);
    report.beside("with our layer", rates[1], "/s", ("bare", rates[0]), Goal::LeastTimes(0.97));
    report.beside("with TraceLayer, nothing written", rates[2], "/s", ("bare", rates[0]), Goal::None);
    report.beside("with our layer, beside TraceLayer", rates[1], "/s", ("TraceLayer", rates[2]), Goal::LeastTimes(1.0));
    let tails: Vec<f64> = tails.iter_mut().map(|tails| spared(tails)).collect();
    report.plain("bare, p99", tails[0], "us", Goal::None);
    report.beside("with our layer, p99", tails[1], "us", ("bare", tails[0]), Goal::None);
    report.beside("with TraceLayer, p99", tails[2], "us", ("bare", tails[0]), Goal::None);
    let note = "requests: axum on a thread of its own, 8 connections that are kept, the median of rounds by turns; p99 of one \
                connection alone, the best quarter of rounds; the fmt subscriber writes warnings and worse, and there are none";
    report.note(note);
}

fn serve(router: Router) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("a listener may be so");
    thread::spawn(move || {
        // As programs have it: lines for warnings and worse, of which there are none. For this thread only.
        let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::sink).finish();
        let _subscribed = tracing::subscriber::set_default(lines);
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime has I/O");
            axum::serve(listener, router).await
        })
    });
    address
}

/// In microseconds.
fn p99(address: SocketAddr, count: usize) -> f64 {
    use tokio::io::AsyncWriteExt as _;
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    runtime().block_on(async {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
        let _ = stream.set_nodelay(true);
        let (mut times, mut buffer, mut shape) = (Vec::with_capacity(count), vec![0; 4 << 10], Shape::default());
        for _ in 0..count {
            let begin = Instant::now();
            stream.write_all(request.as_bytes()).await.expect("the server reads");
            answer(&mut stream, &mut buffer, &mut shape).await;
            times.push(begin.elapsed().as_secs_f64() * 1e6);
        }
        times.sort_by(f64::total_cmp);
        times[count * 99 / 100]
    })
}
