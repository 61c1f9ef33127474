//! A small axum service: as it is, with our layer, and with tower-http's for traces whose subscriber writes nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use pm::{Options, ProcessList};
use tower_http::trace::TraceLayer;
use tower_layer::layer_fn;

use crate::calls;
use crate::harness::{Effort, median, spared};
use crate::load::{Shape, answer, rate, runtime};
use crate::report::{Goal, Report};

const PATH: &str = "/hosts/db1";

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("requests");
    calls::measure(effort, report);
    let list = ProcessList::with_options(Options::new());
    let router = || Router::new().route("/hosts/{host}", get(async || "hello"));
    let cases = [
        Case::serve(router()),
        Case::serve(router().layer(pm::tower::TasksLayer::new().list(&list))),
        Case::serve(router().layer(TraceLayer::new_for_http())),
        Case::serve(router().layer(layer_fn(calls::Empty))),
    ];

    // Many short rounds, each beginning with another case: a disturbance of the machine lasts longer than a round and
    // affects all cases alike. So the ratios within a round count.
    let (length, rounds) = effort.pick((Duration::from_millis(60), 5), (Duration::from_millis(100), 100));
    let mut rates = vec![Vec::new(); cases.len()];
    let (mut times, mut tails) = (rates.clone(), rates.clone());
    for round in 0..rounds {
        for turn in 0..cases.len() {
            let at = (round + turn) % cases.len();
            let (rate, time) = cases[at].rate(length);
            rates[at].push(rate);
            times[at].push(time);
            tails[at].push(p99(cases[at].address, 500));
        }
    }
    let bare = median(&mut rates[0].clone());
    let against = |rates: &[f64], yardstick: &[f64]| {
        median(&mut rates.iter().zip(yardstick).map(|(rate, yardstick)| rate / yardstick).collect::<Vec<_>>())
    };
    let (ours, trace) = (against(&rates[1], &rates[0]), against(&rates[2], &rates[0]));
    report.plain("a small axum service, bare", bare, "/s", Goal::None);
    report.beside("with our layer", bare * ours, "/s", ("bare", bare), Goal::LeastTimes(0.97));
    report.beside("with TraceLayer, nothing written", bare * trace, "/s", ("bare", bare), Goal::None);
    let beside = against(&rates[1], &rates[2]);
    report.beside(
        "with our layer, beside TraceLayer",
        bare * trace * beside,
        "/s",
        ("TraceLayer", bare * trace),
        Goal::LeastTimes(1.0),
    );
    if times[0].iter().all(|time| time.is_finite()) {
        let bare = spared(&mut times[0]);
        report.plain("bare, processor time of the server", bare, "ns", Goal::None);
        for (name, times) in
            ["with our layer, the same", "with TraceLayer, the same", "with a layer that does nothing, the same"]
                .into_iter()
                .zip(&mut times[1..])
        {
            report.beside(name, spared(times), "ns", ("bare", bare), Goal::None);
        }
    }
    let tails: Vec<f64> = tails.iter_mut().map(|tails| spared(tails)).collect();
    report.plain("bare, p99", tails[0], "us", Goal::None);
    report.beside("with our layer, p99", tails[1], "us", ("bare", tails[0]), Goal::None);
    report.beside("with TraceLayer, p99", tails[2], "us", ("bare", tails[0]), Goal::None);
    let note = "requests: axum on a thread of its own, 8 connections that are kept, the median of the ratios within \
                each of 100 rounds by turns; processor time and the p99 of one connection alone, the best quarter of \
                rounds; the fmt subscriber writes warnings and worse, and there are none. Without a network, the \
                service is called as hyper calls it. Axum boxes the future and the body of whatever is layered on a \
                route, and copies request and answer on their way; TraceLayer pays that as well, and reads the clock \
                three times";
    report.note(note);
}

/// A service on a thread of its own.
struct Case {
    address: SocketAddr,
    /// The file in which Linux reports how long the thread has run.
    schedule: PathBuf,
}

impl Case {
    fn serve(router: Router) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("a listener may be so");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let _ = sender.send(std::fs::read_link("/proc/thread-self").unwrap_or_default());
            // As programs have it: lines for warnings and worse, of which there are none. For this thread only.
            let lines =
                tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::sink).finish();
            let _subscribed = tracing::subscriber::set_default(lines);
            runtime().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime has I/O");
                axum::serve(listener, router).await
            })
        });
        let schedule = Path::new("/proc").join(receiver.recv().unwrap_or_default()).join("schedstat");
        Self { address, schedule }
    }

    /// Requests per second, and nanoseconds of the server's thread for each.
    fn rate(&self, length: Duration) -> (f64, f64) {
        let before = self.run_for();
        let (begin, rate) = (Instant::now(), rate(self.address, PATH, length));
        let count = rate * begin.elapsed().as_secs_f64();
        (rate, (self.run_for() - before) / count)
    }

    /// Nanoseconds; NaN where the system does not report them.
    fn run_for(&self) -> f64 {
        let text = std::fs::read_to_string(&self.schedule).unwrap_or_default();
        text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
    }
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
