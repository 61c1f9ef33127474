//! The cost of being read: pages of many tasks, watchers, clients that read nothing, clients that disconnect.
//!
//! The use of a server is measured in a process of its own, so that its clients are not counted with it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pm::{Options, ProcessList, Server};
use pm_bench::{raw, work};

use crate::harness::{Effort, median, spared};
use crate::load::hello;
use crate::report::{Goal, Report};

/// The first word of the command line of a server's process.
pub(crate) const CHILD: &str = "--serve";

/// Instead of a number of tasks: bare hyper.
const HELLO: &str = "hello";

const WATCHERS: usize = 1_000;
const MANY: u64 = 100_000;

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("watched");
    pages(effort, report);
    packed(effort, report);
    watchers(effort, report);
    beside_watchers(effort, report);
    takes_nothing(effort, report);
    cut_off(effort, report);
    few_files(report);
    farewell(effort, report);
}

/// A server in a process of its own. It ends with its input.
struct Served {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Served {
    /// A server with so many tasks; `limits` is what a shell does first.
    fn new(tasks: u64, limits: &str) -> Option<Self> {
        Self::of(&tasks.to_string(), limits)
    }

    fn of(what: &str, limits: &str) -> Option<Self> {
        let program = std::env::current_exe().ok()?;
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limits} exec \"$0\" \"$@\"")])
            .arg(program)
            .args([CHILD, what])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take()?, child.stdout.take()?);
        let mut served = Self { child, input, output: BufReader::new(output), address: ([127, 0, 0, 1], 0).into() };
        served.address = served.line()?.parse().ok()?;
        Some(served)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    }

    /// Processor time in seconds, resident and peak bytes, open files.
    fn usage(&mut self) -> Option<[f64; 4]> {
        writeln!(self.input, "usage").ok()?;
        let line = self.line()?;
        let mut words = line.split(' ').map(str::parse::<f64>);
        Some(std::array::from_fn(|_| words.next().and_then(Result::ok).unwrap_or(f64::NAN)))
    }

    fn ask(&mut self, what: &str) -> Option<String> {
        writeln!(self.input, "{what}").ok()?;
        self.line()
    }

    fn open(&self, target: &str) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).ok()?;
        Some(stream)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = writeln!(self.input, "end");
        let _ = self.child.wait();
    }
}

/// The server's process: does what its input says, a line each, and answers with a line.
pub(crate) fn child(words: &[String]) -> ExitCode {
    let Some(what) = words.first() else { return ExitCode::FAILURE };
    let (mut tasks, mut server) = (Vec::new(), None);
    if what == HELLO {
        println!("{}", hello());
    } else {
        let Ok(count) = what.parse() else { return ExitCode::FAILURE };
        let list = work::list();
        tasks = work::fill(&list, count);
        let Ok(started) = Server::builder().list(&list).listen("127.0.0.1:0").start() else { return ExitCode::FAILURE };
        println!("{}", started.addr());
        server = Some(started);
    }
    let mut step = 0_u64;
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match line.as_str() {
            "usage" => {
                let (resident, peak) = raw::resident().unwrap_or((0, 0));
                let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
                println!("{} {resident} {peak} {files}", raw::processor_seconds().unwrap_or(f64::NAN));
            }
            "forget" => {
                raw::forget_peak();
                println!("ok");
            }
            // Something changes, so that all who watch get a frame.
            "change" => {
                step += 1;
                if let Some(task) = tasks.first() {
                    let _ = pm::status!(task, "step {step}");
                }
                println!("ok");
            }
            "stop" => {
                let begin = Instant::now();
                if let Some(server) = server.take() {
                    server.shutdown();
                }
                println!("{}", begin.elapsed().as_secs_f64());
            }
            _ => return ExitCode::SUCCESS,
        }
    }
    ExitCode::SUCCESS
}

/// A request, and its whole answer, which has a length.
fn get(address: SocketAddr, target: &str) -> usize {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server answers");
    answer.len()
}

fn pages(effort: Effort, report: &mut Report) {
    let list = ProcessList::with_options(Options::new().max_bytes(1 << 30));
    let _tasks = work::fill(&list, MANY);
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().expect("a free port on loopback");
    let target = "/v1/tasks?limit=200&attr.method=GET&status=send*&sort=-statusAge";
    let mut times: Vec<f64> = (0..effort.pick(50, 1_000))
        .map(|_| {
            let begin = Instant::now();
            get(server.addr(), target);
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    report.plain("200 of 100,000 with filter and order, p50", median(&mut times), "ms", Goal::None);
    report.plain("200 of 100,000 with filter and order, p99", times[times.len() * 99 / 100], "ms", Goal::Most(20.0));
}

/// The whole list through the service as it is nested, for a client that wants gzip and one that does not.
fn packed(effort: Effort, report: &mut Report) {
    use http_body_util::BodyExt as _;
    let list = ProcessList::with_options(Options::new().max_bytes(1 << 30));
    let _tasks = work::fill(&list, MANY);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime of one thread");
    let fetch = |encoding: &'static str| {
        let mut service = pm::service(&list);
        let request = http::Request::get("/procs/").header("host", "localhost").header("accept-encoding", encoding);
        let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).expect("a request");
        let begin = Instant::now();
        let size = runtime.block_on(async {
            let call = tower_service::Service::call(&mut service, request);
            let mut body = call.await.expect("it never fails").into_body();
            let mut size = 0;
            while let Some(Ok(frame)) = body.frame().await {
                size += frame.into_data().map_or(0, |data| data.len());
            }
            size
        });
        (begin.elapsed().as_secs_f64() * 1e3, size)
    };
    let rounds = effort.pick(3, 15);
    let (mut plain, mut gzip): (Vec<f64>, Vec<f64>) = Default::default();
    let mut sizes = (0, 0);
    for _ in 0..rounds {
        let (whole, small) = (fetch("identity"), fetch("gzip"));
        plain.push(whole.0);
        gzip.push(small.0);
        sizes = (whole.1, small.1);
    }
    let plain = median(&mut plain);
    report.beside("list of 100,000, packed", median(&mut gzip), "ms", ("as it is", plain), Goal::None);
    let size = sizes.1 as f64 / 1e6;
    report.beside("list of 100,000, packed, its size", size, "MB", ("as it is", sizes.0 as f64 / 1e6), Goal::None);
}

/// Watchers that take what they get, on a thread of their own.
struct Watching {
    frames: thread::JoinHandle<u64>,
    stop: std::sync::mpsc::Sender<()>,
}

impl Watching {
    fn new(address: SocketAddr, count: usize, query: &'static str) -> Self {
        let (stop, stopped) = std::sync::mpsc::channel();
        let (ready, begun) = std::sync::mpsc::channel();
        let frames = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime of one thread").block_on(async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let counter = std::rc::Rc::new(std::cell::Cell::new(0_u64));
                let local = tokio::task::LocalSet::new();
                local
                    .run_until(async {
                        for _ in 0..count {
                            let mut stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
                            let head = format!("GET /v1/events{query} HTTP/1.1\r\nHost: {address}\r\n\r\n");
                            stream.write_all(head.as_bytes()).await.expect("the server reads");
                            let mut block = vec![0; 16 << 10];
                            // The head and the snapshot, to the end of its last part.
                            let mut tail = Vec::new();
                            while !tail.windows(12).any(|window| window == b"\"more\":false") {
                                let length = stream.read(&mut block).await.expect("the server answers");
                                assert!(length > 0, "the server answers in full");
                                tail.drain(..tail.len().saturating_sub(12));
                                tail.extend_from_slice(&block[..length]);
                            }
                            let counter = std::rc::Rc::clone(&counter);
                            tokio::task::spawn_local(async move {
                                while let Ok(length) = stream.read(&mut block).await
                                    && length > 0
                                {
                                    counter.set(counter.get() + 1);
                                }
                            });
                        }
                        let _ = ready.send(());
                        while stopped.try_recv().is_err() {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    })
                    .await;
                counter.get()
            })
        });
        let _ = begun.recv();
        Self { frames, stop }
    }

    fn end(self) -> u64 {
        let _ = self.stop.send(());
        self.frames.join().unwrap_or(0)
    }
}

fn watchers(effort: Effort, report: &mut Report) {
    let Some(mut served) = Served::new(1_000, "") else {
        report.note("watchers: no server could be started in a process of its own");
        return;
    };
    // One first, so that what is there once for all is not counted with the thousand.
    let first = Watching::new(served.address, 1, "?interval=500ms&view=brief");
    let Some([_, before, ..]) = served.usage() else { return };
    let watching = Watching::new(served.address, WATCHERS - 1, "?interval=500ms&view=brief");
    let Some([begun, after, ..]) = served.usage() else { return };
    let begin = Instant::now();
    let length = effort.pick(Duration::from_secs(2), Duration::from_secs(15));
    while begin.elapsed() < length {
        served.ask("change");
        thread::sleep(Duration::from_millis(100));
    }
    let seconds = begin.elapsed().as_secs_f64();
    let Some([ended, ..]) = served.usage() else { return };
    let frames = watching.end() as f64 / (WATCHERS - 1) as f64 / seconds;
    first.end();
    report.plain("1,000 watchers, frames each", frames, "/s", Goal::None);
    report.plain("1,000 watchers, processor", (ended - begun) / seconds * 100.0, "% of a core", Goal::Most(10.0));
    let each = (after - before) / (WATCHERS - 1) as f64 / 1024.0;
    let idle = idle_connection().unwrap_or(f64::NAN);
    let yardstick = ("an idle connection of hyper", idle);
    report.beside("1,000 watchers, memory", each, "KiB each", yardstick, Goal::Over(20.0));
}

/// Returns what a connection takes over which hyper has answered once, in KiB.
fn idle_connection() -> Option<f64> {
    let mut served = Served::of(HELLO, "")?;
    let open = |served: &Served| {
        let mut stream = served.open("/")?;
        (stream.read(&mut [0; 1024]).ok()? > 0).then_some(stream)
    };
    let first = open(&served)?;
    let [_, before, ..] = served.usage()?;
    let rest: Option<Vec<_>> = (1..WATCHERS).map(|_| open(&served)).collect();
    let [_, after, ..] = served.usage()?;
    drop((first, rest?));
    Some((after - before) / (WATCHERS - 1) as f64 / 1024.0)
}

/// The effect of ten watchers of 10,000 tasks on a task.
fn beside_watchers(effort: Effort, report: &mut Report) {
    let list = ProcessList::with_options(Options::new().max_bytes(1 << 30));
    let tasks = work::fill(&list, 10_000);
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().expect("a free port on loopback");
    let clock = raw::Clock::default();
    let nanos = clock.nanos_per_tick();
    let length = effort.pick(Duration::from_millis(600), Duration::from_millis(1500));
    let p999 = || {
        let mut ticks = Vec::with_capacity(4 << 20);
        let begin = Instant::now();
        while begin.elapsed() < length && ticks.len() < ticks.capacity() {
            for task in &tasks[..64] {
                let before = clock.ticks();
                let _ = task.status("reading");
                ticks.push(clock.ticks() - before);
            }
        }
        ticks.sort_unstable();
        ticks[ticks.len() / 1000 * 999] as f64 * nanos
    };
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..effort.pick(3, 10) {
        alone.push(p999());
        let watching = Watching::new(server.addr(), 10, "?view=brief");
        watched.push(p999());
        watching.end();
    }
    let (alone, watched) = (spared(&mut alone), spared(&mut watched));
    report.beside("status beside 10 watchers, p99.9", watched, "ns", ("no watcher", alone), Goal::MostTimes(2.0));
}

/// Clients that ask for more than a connection holds, and take nothing of it.
fn takes_nothing(effort: Effort, report: &mut Report) {
    let Some(mut served) = Served::new(MANY, "") else { return };
    get(served.address, "/procs/absent/history");
    let Some([_, before, ..]) = served.usage() else { return };
    served.ask("forget");
    let targets = ["/procs/", "/v1/events", "/v1/tasks?limit=1000"];
    let clients: Vec<_> = (0..effort.pick(30, 100)).filter_map(|at| served.open(targets[at % targets.len()])).collect();
    // Until the server has filled what the connections hold; others are answered in the meantime.
    for _ in 0..20 {
        get(served.address, "/v1/tasks?limit=0");
        thread::sleep(Duration::from_millis(50));
    }
    let Some([_, _, peak, _]) = served.usage() else { return };
    let name = format!("{} clients that read nothing of 100,000 tasks", clients.len());
    report.plain(name, (peak - before) / f64::from(1 << 20), "MiB more", Goal::Most(64.0));
}

/// Clients that are gone in the middle of a list or a stream.
fn cut_off(effort: Effort, report: &mut Report) {
    let Some(mut served) = Served::new(10_000, "") else { return };
    let cut = |served: &Served, count: usize| {
        for at in 0..count {
            let target = if at % 2 == 0 { "/procs/" } else { "/v1/events" };
            let Some(mut stream) = served.open(target) else { continue };
            let _ = stream.read(&mut [0; 512]);
        }
    };
    // The first few take what is taken once.
    cut(&served, 500);
    let settled = |served: &mut Served| {
        let mut usage = [f64::NAN; 4];
        for _ in 0..200 {
            usage = served.usage().unwrap_or(usage);
            if usage[3] < 20.0 {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        usage
    };
    let before = settled(&mut served);
    let count = effort.pick(1_000, 10_000);
    let begin = Instant::now();
    cut(&served, count);
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    let after = settled(&mut served);
    let name = |what: &str| format!("{count} clients gone in mid-stream, {what}");
    report.plain(name("rate"), rate, "/s", Goal::None);
    report.plain(name("files left open"), after[3] - before[3], "more", Goal::Most(0.0));
    report.plain(name("memory"), (after[1] - before[1]) / f64::from(1 << 20), "MiB more", Goal::Most(8.0));
}

/// 500 clients of a server that may open 64 files.
fn few_files(report: &mut Report) {
    let Some(served) = Served::new(10, "ulimit -n 64 &&") else { return };
    let clients: Vec<_> = (0..500).filter_map(|_| TcpStream::connect(served.address).ok()).collect();
    // To count for itself it would have to open a file.
    let processor = || raw::processor_seconds_of(&served.child.id().to_string()).unwrap_or(f64::NAN);
    let (begin, before) = (Instant::now(), processor());
    thread::sleep(Duration::from_secs(2));
    let share = (processor() - before) / begin.elapsed().as_secs_f64() * 100.0;
    report.plain("500 clients, 64 files: processor", share, "% of a core", Goal::Most(5.0));
    drop(clients);
    let begin = Instant::now();
    get(served.address, "/v1/tasks");
    let after = begin.elapsed().as_secs_f64() * 1e3;
    report.plain("500 clients, 64 files: answers again", after, "ms after", Goal::Most(2000.0));
}

/// The shutdown of a server with many watchers.
fn farewell(effort: Effort, report: &mut Report) {
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..effort.pick(1, 5) {
        let Some(mut served) = Served::new(100, "") else { return };
        let watching = Watching::new(served.address, WATCHERS, "");
        if let Some(seconds) = served.ask("stop").and_then(|line| line.parse::<f64>().ok()) {
            times.push(seconds * 1e3);
        }
        watching.end();
    }
    report.plain("shutdown with 1,000 streams open", median(&mut times), "ms", Goal::Most(1000.0));
}
