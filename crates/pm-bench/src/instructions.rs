//! Counts the instructions that an operation executes, with Valgrind's callgrind.
//!
//! A count depends on neither the machine's speed nor its load, so two commits can be compared to a fraction of a
//! percent. Each operation runs in a process of its own, N times and then 2N times after the same warm-up; the
//! difference divided by N is the count of one. `cargo xtask instructions` runs this program.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Empty};
use pm_bench::pending::{Waits, polls};
use pm_bench::work::{self, ID};
use serde_json::{Map, Value};
use tower_service::Service as _;

const HELP: &str = "\
usage: pm-bench-instructions [--json FILE] [--against FILE]

  --json FILE     also writes the counts to FILE
  --against FILE  compares with the counts that --json wrote; exits with 1 if one has grown by more than 3 %";

/// The first argument of the child process that runs one operation; its name and a count follow.
const CHILD: &str = "run-operation";

/// The growth of a count that `--against` accepts, in percent.
const TOLERANCE: f64 = 3.0;

/// Does an operation as many times as its argument says.
type Repeat = Box<dyn FnMut(u64)>;

struct Operation {
    name: &'static str,
    /// The N of the module's documentation.
    count: u64,
    prepare: fn() -> Repeat,
}

/// Operations of tasks run often enough that what is done once per 32 tasks, or per page of history, is averaged.
const OPERATIONS: [Operation; 8] = [
    Operation { name: "start, 3 attributes, 3 statuses, end", count: 16_384, prepare: whole },
    Operation { name: "start, end", count: 16_384, prepare: start_and_end },
    Operation { name: "status", count: 16_384, prepare: status },
    Operation { name: "set an attribute", count: 16_384, prepare: set_attribute },
    Operation { name: "checkpoint", count: 16_384, prepare: checkpoint },
    Operation { name: "poll of a wrapped future", count: 16_384, prepare: poll },
    Operation { name: "GET /procs/ with 10 tasks", count: 512, prepare: || get("/procs/") },
    Operation { name: "GET /v1/tasks with 10 tasks", count: 512, prepare: || get("/v1/tasks") },
];

fn whole() -> Repeat {
    let list = work::list();
    Box::new(move |count| (0..count).for_each(|_| work::whole(&list, black_box(ID))))
}

fn start_and_end() -> Repeat {
    let list = work::list();
    Box::new(move |count| (0..count).for_each(|_| drop(list.start(black_box(ID)))))
}

fn status() -> Repeat {
    let task = work::start(&work::list(), ID);
    Box::new(move |count| {
        for number in 0..count {
            let _ = task.status(black_box(if number % 2 == 0 { "reading" } else { "sending" }));
        }
    })
}

fn set_attribute() -> Repeat {
    let task = work::start(&work::list(), ID);
    Box::new(move |count| (0..count).for_each(|number| task.set("block", black_box(number))))
}

fn checkpoint() -> Repeat {
    let task = work::start(&work::list(), ID);
    Box::new(move |count| {
        for _ in 0..count {
            black_box(black_box(&task).checkpoint().is_ok());
        }
    })
}

fn poll() -> Repeat {
    Box::new(polls(work::list().task("future").kind("bench").run(Waits::default())))
}

/// A request to the service in this process, and its whole answer.
fn get(path: &'static str) -> Repeat {
    let list = work::list();
    let tasks = work::fill(&list, 10);
    let mut service = pm::service(&list);
    Box::new(move |count| {
        for _ in 0..count {
            let request = http::Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new());
            let answer = service.call(request.expect("the request is valid")).now_or_never();
            let answer = answer.expect("the service answers at once").expect("it never fails");
            assert_eq!(answer.status(), http::StatusCode::OK);
            let body = answer.into_body().collect().now_or_never().expect("the body is ready at once");
            black_box(body.is_ok());
        }
        black_box(&tasks);
    })
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let [child, name, count] = words[..]
        && child == CHILD
    {
        return run_operation(name, count);
    }
    let (mut json, mut against) = (None, None);
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        let file = match word {
            "--json" => &mut json,
            "--against" => &mut against,
            "--help" | "-h" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            other => return usage(&format!("`{other}` is not an option")),
        };
        match rest.next() {
            Some(name) => *file = Some(PathBuf::from(name)),
            None => return usage(&format!("{word} needs the name of a file")),
        }
    }
    if cfg!(debug_assertions) {
        return usage("the counts of a debug build mean nothing; build with --release");
    }
    match count_all(json.as_deref(), against.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn usage(wrong: &str) -> ExitCode {
    eprintln!("{wrong}\n\n{HELP}");
    ExitCode::from(2)
}

fn run_operation(name: &str, count: &str) -> ExitCode {
    let Some(operation) = OPERATIONS.iter().find(|operation| operation.name == name) else {
        return usage(&format!("`{name}` is not an operation"));
    };
    let Ok(count) = count.parse() else { return usage(&format!("`{count}` is not a number")) };
    let mut repeat = (operation.prepare)();
    // Initialises lazily created state and fills histories up to their limits.
    repeat(operation.count);
    counted(&mut *repeat, count);
    ExitCode::SUCCESS
}

/// Runs what is counted: callgrind collects only while this function is on the stack.
#[inline(never)]
fn counted(repeat: &mut dyn FnMut(u64), count: u64) {
    repeat(black_box(count));
}

fn count_all(json: Option<&Path>, against: Option<&Path>) -> Result<(), String> {
    let baseline = against.map(read).transpose()?;
    let mut counts = Map::new();
    let mut grown = Vec::new();
    println!("{:<40}{:>14}{:>14}{:>10}", "instructions of one", "now", "before", "change");
    for operation in &OPERATIONS {
        let (once, twice) = (collect(operation, operation.count)?, collect(operation, 2 * operation.count)?);
        let now = twice.saturating_sub(once) as f64 / operation.count as f64;
        counts.insert(operation.name.to_owned(), ((now * 10.0).round() / 10.0).into());
        let before = baseline.as_ref().and_then(|counts| counts.get(operation.name)?.as_f64());
        let change = before.map(|before| (now / before - 1.0) * 100.0);
        let (before, shown) = (
            before.map_or("-".to_owned(), |before| format!("{before:.1}")),
            change.map_or("-".to_owned(), |change| format!("{change:+.2} %")),
        );
        println!("{:<40}{now:>14.1}{before:>14}{shown:>10}", operation.name);
        if change.is_some_and(|change| change > TOLERANCE) {
            grown.push(format!("{} ({shown})", operation.name));
        }
    }
    if let Some(file) = json {
        let text = format!("{:#}\n", Value::Object(counts));
        fs::write(file, text).map_err(|error| format!("could not write {}: {error}", file.display()))?;
    }
    if grown.is_empty() {
        return Ok(());
    }
    Err(format!("more than {TOLERANCE} % above the counts before: {}", grown.join(", ")))
}

fn read(file: &Path) -> Result<Map<String, Value>, String> {
    let text = fs::read(file).map_err(|error| format!("could not read {}: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{} does not hold counts: {error}", file.display()))
}

/// Returns how many instructions [`counted`] and all that it calls execute.
fn collect(operation: &Operation, count: u64) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| format!("could not find this program: {error}"))?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]);
    valgrind.arg("--toggle-collect=pm_bench_instructions::counted*").arg(program);
    let output = valgrind.args([CHILD, operation.name, &count.to_string()]).output();
    let output = output.map_err(|error| format!("could not start valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match collected {
        Some(collected) if output.status.success() && collected > 0 => Ok(collected),
        _ => Err(format!("{}: valgrind counted nothing ({}):\n{text}", operation.name, output.status)),
    }
}
