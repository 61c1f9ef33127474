//! The cases, and how each is run.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::client::{PATIENCE, Program, Reply, connect, get, post, write_some};

const MIB: u64 = 1 << 20;
/// `Builder::max_memory` by default.
const BUDGET: u64 = 64 * MIB;
/// The bytes that a connection may take besides: its state, the head of a request, a short response.
const CONNECTION: u64 = 32 << 10;

/// Differences between cases, apart from the request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    None,
    /// The client is on another machine, as far as the server knows.
    Remote,
    /// The response ends only when the client leaves.
    Watches,
    /// As `Watches`; the client was there before, and something has changed since.
    Resumes,
    /// The last byte of the request comes late.
    Holds,
}

type Request = fn(SocketAddr, usize) -> Vec<u8>;

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    readers: usize,
    special: Special,
    /// The codes of refusals that may be.
    codes: &'static [&'static str],
    request: Request,
}

const FULL: &[&str] = &["out-of-memory", "too-many-readings"];
const CANCELS: &[&str] = &["out-of-memory", "too-many-cancels", "body-too-large"];
const WATCHES: &[&str] = &["too-many-watches"];
/// Without optimizations a third as many, which is enough to exceed the budget, and takes a minute.
const READERS: usize = if cfg!(debug_assertions) { 150 } else { 500 };
const WATCHERS: usize = if cfg!(debug_assertions) { 300 } else { 900 };
/// Each of these requests takes long.
const FEW: usize = if cfg!(debug_assertions) { 40 } else { 100 };

const fn case(name: &'static str, request: Request) -> Case {
    Case { name, readers: READERS, special: Special::None, codes: FULL, request }
}

const fn watch(name: &'static str, special: Special, request: Request) -> Case {
    Case { name, readers: WATCHERS, special, codes: WATCHES, request }
}

const fn cancel(name: &'static str, readers: usize, request: Request) -> Case {
    Case { name, readers, special: Special::None, codes: CANCELS, request }
}

const GZIP: &str = "Accept-Encoding: gzip\r\n";
const LINES: &str = "Accept: application/x-ndjson\r\n";

const CASES: [Case; 30] = [
    // First, as their channels stay the longest.
    watch("/v1/events", Special::Watches, |at, _| get(at, "/v1/events", "")),
    watch("/v1/events as lines", Special::Watches, |at, _| get(at, "/v1/events", LINES)),
    watch("/v1/events of few tasks", Special::Watches, |at, _| get(at, "/v1/events?kind=work+1&kind=work+2", "")),
    watch("/v1/events, all different", Special::Watches, |at, number| {
        get(at, &format!("/v1/events?minAge={}ms", number + 1), "")
    }),
    watch("/v1/events again", Special::Resumes, |at, _| get(at, "/v1/events", "")),
    case("a client that asks for nothing", |_, _| b"GET / HTTP/1.1\r\n".to_vec()).held(),
    case("/v1/tasks", |at, _| get(at, "/v1/tasks?limit=1000", "")),
    case("/v1/tasks by two keys", |at, _| get(at, "/v1/tasks?limit=1000&sort=status,-id", "")),
    case("/v1/tasks with groups", |at, _| get(at, "/v1/tasks?limit=1000&groupBy=status", "")),
    case("/v1/tasks as gzip", |at, _| get(at, "/v1/tasks?limit=1000", GZIP)).remote(),
    case("/v1/tree", |at, _| get(at, "/v1/tree?limit=1000", "")),
    case("/v1/ended", |at, _| get(at, "/v1/ended?limit=1000", "")),
    case("/v1/tasks/{ref}", |at, _| get(at, "/v1/tasks/large", "")),
    case("/v1/tasks/{ref}/history", |at, _| get(at, "/v1/tasks/large/history", "")),
    case("/v1/kinds", |at, _| get(at, "/v1/kinds", "")),
    case("/v1/waits", |at, _| get(at, "/v1/waits?limit=10000", "")),
    case("/v1/audit", |at, _| get(at, "/v1/audit?limit=1000", "")),
    case("/v1/info", |at, _| get(at, "/v1/info", "")),
    Case { readers: FEW, ..case("/metrics", |at, _| get(at, "/metrics", "")) },
    case("/procs/", |at, _| get(at, "/procs/", "")),
    Case { readers: FEW, ..case("/procs/ as gzip", |at, _| get(at, "/procs/", GZIP)) }.remote(),
    case("/procs/{id}/history", |at, _| get(at, "/procs/large/history", "")),
    case("/ and /openapi.json", |at, number| match number % 2 {
        0 => get(at, "/", "Accept: text/html\r\n"),
        _ => get(at, "/openapi.json", ""),
    }),
    case("all of them", |at, number| {
        let all = ["/v1/tasks?limit=1000", "/v1/tree?limit=1000", "/procs/", "/v1/waits", "/v1/ended?limit=1000"];
        get(at, all[number % all.len()], "")
    }),
    case("many requests at once", |at, _| get(at, "/v1/tasks?limit=1000", "").repeat(200)),
    cancel("dry runs", FEW, |at, _| post(at, "/v1/cancel", "", DRY_RUN)),
    cancel("cancels", FEW, |at, _| post(at, "/v1/cancel", "", CANCEL)),
    cancel("cancels with a key", READERS, |at, number| {
        let reason = format!("{{\"reason\":\"{}\"}}", "x".repeat(1_000));
        let tasks = [number, number + READERS].map(|number| format!("/v1/tasks/branch-{number}/cancel"));
        tasks.map(|task| post(at, &task, &format!("Idempotency-Key: {task}\r\n"), &reason)).concat()
    }),
    case("long bodies", |at, _| {
        let body = format!("[{}", "0,".repeat((32 << 10) - 1));
        let mut request = post(at, "/v1/cancel", "", &format!("{body}]"));
        request.pop();
        request
    })
    .held(),
    cancel("bodies without an end", READERS, |at, _| {
        let mut request =
            format!("POST /v1/cancel HTTP/1.1\r\nHost: {at}\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n");
        request.push_str(&"x".repeat(1 << 20));
        request.into_bytes()
    }),
];

const DRY_RUN: &str = r#"{"filter":"kind=work*","max":10000,"dryRun":true}"#;
const CANCEL: &str = r#"{"filter":"kind=work*","max":10000,"reason":"a test","wait":"5s"}"#;

impl Case {
    const fn remote(mut self) -> Self {
        self.special = Special::Remote;
        self
    }

    const fn held(mut self) -> Self {
        self.special = Special::Holds;
        self
    }
}

/// Runs the cases with these words in their names, or all.
pub(crate) fn run(words: &[String]) {
    let words: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let limit = getrlimit(Resource::Nofile);
    let mut raised = limit;
    raised.current = limit.maximum;
    setrlimit(Resource::Nofile, raised).expect("the soft limit may be raised to the hard one");
    // A server takes a quarter of the files for connections, and another for watchers. One is that of the health.
    let most = limit.maximum.map_or(usize::MAX, |files| files as usize / 4).saturating_sub(8);
    println!(
        "{:<29} {:>7} {:>5} {:>5} {:>9} {:>9} {:>9} {:>12}",
        "case", "readers", "200", "other", "peak MiB", "most MiB", "after MiB", "health ms"
    );
    let began = Instant::now();
    let chosen = |case: &Case| words.is_empty() || words.iter().any(|word| case.name.contains(word.as_str()));
    let beyond: Vec<&str> = thread::scope(|scope| {
        // A channel of events stays for half a minute after its last watcher: the next case begins in the meantime.
        let cases = CASES.into_iter().filter(chosen).filter_map(|case| {
            let attacked = attack(Case { readers: case.readers.min(most), ..case })?;
            Some(scope.spawn(move || attacked.leave()))
        });
        let cases: Vec<_> = cases.collect();
        cases.into_iter().filter_map(|case| case.join().expect("it says what is wrong")).collect()
    });
    println!("{:.1} s", began.elapsed().as_secs_f64());
    assert!(beyond.is_empty(), "beyond the ceiling: {beyond:?}");
}

/// Returns an address of this machine that is not a loopback address.
fn other_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip().to_string()).filter(|ip| !ip.starts_with("127."))
}

/// A case whose peak was measured, before its clients leave.
struct Attacked {
    case: Case,
    program: Program,
    readers: Vec<TcpStream>,
    replies: BTreeMap<String, usize>,
    before: u64,
    peak: u64,
    health: Duration,
}

/// Runs a case until its peak; returns `None` if that is not possible here.
fn attack(case: Case) -> Option<Attacked> {
    let address = match case.special {
        Special::Remote => match other_address() {
            Some(address) => format!("{address}:0"),
            None => {
                println!("{:<29} left out: the machine has no other address", case.name);
                return None;
            }
        },
        _ => "127.0.0.1:0".to_owned(),
    };
    let mut program = Program::start(&address);
    let at = program.address;
    // What is made once is not a reader's.
    assert_eq!((program.get("/healthz").status, program.get("/").status), (200, 200));
    let resumed = (case.special == Special::Resumes).then(|| change(&mut program));
    program.settle();
    let before = program.memory("VmRSS");
    program.forget_peak();

    let is_over = AtomicBool::new(false);
    let (mut readers, replies, health) = thread::scope(|scope| {
        let over = Over(&is_over);
        let health = scope.spawn(|| healthy(&program, &is_over));
        let mut readers: Vec<TcpStream> = Vec::with_capacity(case.readers);
        for number in 0..case.readers {
            let mut request = (case.request)(at, number);
            if let Some(last) = &resumed {
                request.truncate(request.len() - 2);
                request.extend_from_slice(format!("Last-Event-ID: {last}\r\n\r\n").as_bytes());
            }
            let mut stream = connect(at);
            write_some(&mut stream, &request);
            readers.push(stream);
        }
        let replies = (case.special != Special::Holds).then(|| begin(&case, &mut readers));
        if matches!(case.special, Special::Watches | Special::Resumes) {
            let looks = program.own()["looks"].as_u64().unwrap();
            program.until("looks", |own| own["looks"].as_u64().unwrap() >= looks + 2);
        }
        program.settle();
        drop(over);
        (readers, replies, health.join().unwrap())
    });
    let small = program.get("/v1/tasks?limit=2&fields=id");
    assert_eq!(small.status, 200, "{}: a small list beside: {}", case.name, small.body);
    let peak = program.memory("VmHWM").saturating_sub(before);
    let replies = replies.unwrap_or_else(|| {
        readers.iter_mut().for_each(|reader| drop(reader.write_all(b"]")));
        BTreeMap::new()
    });
    Some(Attacked { case, program, readers, replies, before, peak, health })
}

impl Attacked {
    /// Lets the clients leave, and returns the name of the case if it took too much.
    fn leave(self) -> Option<&'static str> {
        let Self { case, program, readers, replies, before, peak, health } = self;
        drop(readers);
        program.until_at_last("all have left", |own| {
            own["watchers"] == 0
                && own["responseBytes"] == own["watchBytes"]
                && own["connections"].as_u64().unwrap() <= 1
        });
        let after = program.memory("VmRSS").saturating_sub(before);
        let most = BUDGET + BUDGET / 10 + CONNECTION * case.readers as u64;
        let ok = replies.get("200").copied().unwrap_or_default();
        let mib = |bytes: u64| bytes as f64 / MIB as f64;
        println!(
            "{:<29} {:>7} {ok:>5} {:>5} {:>9.1} {:>9.1} {:>9.1} {:>12.1}  {}",
            case.name,
            case.readers,
            replies.values().sum::<usize>() - ok,
            mib(peak),
            mib(most),
            mib(after),
            health.as_secs_f64() * 1e3,
            replies
                .iter()
                .filter(|(code, _)| *code != "200")
                .map(|(code, count)| format!("{code} {count} "))
                .collect::<String>(),
        );
        (peak > most).then_some(case.name)
    }
}

/// Ends the questions for the health, also where a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts the responses by their status, or code.
fn begin(case: &Case, readers: &mut [TcpStream]) -> BTreeMap<String, usize> {
    let mut replies = BTreeMap::new();
    for reader in readers {
        let reply = Reply::begin(reader);
        let is_ok = reply.status < 300;
        let code = if is_ok { "200".to_owned() } else { reply.code() };
        assert!(is_ok || case.codes.contains(&&*code), "{}: {reply:?}", case.name);
        *replies.entry(code).or_default() += 1;
    }
    replies
}

/// Asks for the health again and again; returns the longest time that took.
fn healthy(program: &Program, is_over: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let reply = program.get("/healthz");
        assert_eq!(reply.status, 200, "{}", reply.body);
        longest = longest.max(began.elapsed());
        // Not more often than anyone would.
        thread::sleep(Duration::from_millis(10));
    }
    longest
}

/// Watches until something has changed; returns the position before.
fn change(program: &mut Program) -> String {
    use std::io::{BufRead as _, BufReader};
    let mut stream = TcpStream::connect(program.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&get(program.address, "/v1/events", "")).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let id = |line: String| line.strip_prefix("id: ").map(str::to_owned);
    let before = lines.find_map(id).unwrap();
    program.change();
    let after = lines.find_map(id).unwrap();
    assert_ne!(before, after);
    before
}
