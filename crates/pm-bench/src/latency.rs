//! The latency of single calls while the list is read in a loop, beside a thread that only spins in the reader's place,
//! and alone: the tail counts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pm::ProcessList;
use pm_bench::raw::Clock;
use pm_bench::{naive, work};

use crate::harness::{Effort, spared};
use crate::list::Served;
use crate::report::{Goal, Report};

const LIVE: u64 = 100_000;
const OPERATIONS: [&str; 3] = ["start", "status", "end"];

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("latency");
    let (list, naive): (_, &'static naive::List) = (work::list(), Box::leak(Box::default()));
    let tasks = (work::fill(&list, LIVE), work::naive_fill(naive, LIVE));
    let (ours, port) = (Served::ours(&list), Served::naive(naive));
    let nanos = Clock::default().nanos_per_tick();
    compare(effort, report, nanos, "", &ours, || our_task(&list));
    compare(effort, report, nanos, "naive port: ", &port, || naive_task(naive));
    drop(tasks);
    let note = "latency: one thread that starts, reports and ends tasks beside 100,000 live ones, each call timed by \
                itself (two clock reads are part of it), the best quarter of rounds by turns; `read in a loop`: a \
                client takes the whole list over HTTP, again and again; `spinning`: a thread is busy with nothing \
                instead";
    report.note(note);
}

/// Ticks of one start, one status and one end.
type Sample = [u64; 3];

fn our_task(list: &ProcessList) -> Sample {
    let clock = Clock::default();
    let a = clock.ticks();
    let task = work::start(list, work::ID);
    let b = clock.ticks();
    let _ = task.status("reading");
    let c = clock.ticks();
    drop(task);
    [b - a, c - b, clock.ticks() - c]
}

fn naive_task(list: &naive::List) -> Sample {
    let clock = Clock::default();
    let a = clock.ticks();
    let task = work::naive_start(list, work::ID);
    let b = clock.ticks();
    let _ = task.status("reading");
    let c = clock.ticks();
    drop(task);
    [b - a, c - b, clock.ticks() - c]
}

fn compare(
    effort: Effort,
    report: &mut Report,
    nanos: f64,
    who: &str,
    served: &Served,
    task: impl Fn() -> Sample + Sync,
) {
    let rounds = effort.pick(4, 12);
    let length = effort.pick(Duration::from_millis(300), Duration::from_secs(1));
    // By turns, so that a noisy neighbour meets both alike.
    let figures: Vec<[Figures; 3]> =
        (0..rounds).map(|_| BESIDE.map(|beside| figures(samples(served, &task, beside, length), nanos))).collect();
    for (operation, operation_name) in OPERATIONS.into_iter().enumerate() {
        for (rank, rank_name) in RANKS.into_iter().map(|(_, name)| name).enumerate() {
            let of = |beside: Beside| {
                spared(&mut figures.iter().map(|round| round[beside as usize][operation][rank]).collect::<Vec<_>>())
            };
            let goal = if who.is_empty() && rank_name == "p99.9" { Goal::MostTimes(2.0) } else { Goal::None };
            let name = format!("{who}{operation_name}, read in a loop, {rank_name}");
            report.beside(name, of(Beside::Reader), "ns", ("spinning", of(Beside::Spinning)), goal);
            if rank_name == "p99.9" {
                report.plain(
                    format!("{who}{operation_name}, alone, {rank_name}"),
                    of(Beside::Nothing),
                    "ns",
                    Goal::None,
                );
            }
        }
    }
}

/// Of each operation, each rank, in nanoseconds.
type Figures = [[f64; 4]; 3];

const RANKS: [(f64, &str); 4] = [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "max")];

/// The other thread.
#[derive(Clone, Copy)]
enum Beside {
    Nothing,
    Spinning,
    Reader,
}

const BESIDE: [Beside; 3] = [Beside::Nothing, Beside::Spinning, Beside::Reader];

fn samples(served: &Served, task: &(impl Fn() -> Sample + Sync), beside: Beside, length: Duration) -> Vec<Sample> {
    let done = AtomicBool::new(false);
    let until_done = |turn: &dyn Fn()| {
        while !done.load(Ordering::Relaxed) {
            turn();
        }
    };
    thread::scope(|scope| {
        match beside {
            Beside::Nothing => {}
            Beside::Spinning => drop(scope.spawn(|| until_done(&std::hint::spin_loop))),
            Beside::Reader => drop(scope.spawn(|| until_done(&|| _ = served.get("/procs/")))),
        }
        let mut samples = Vec::with_capacity(4 << 20);
        let begin = Instant::now();
        while begin.elapsed() < length && samples.len() < samples.capacity() {
            for _ in 0..64 {
                samples.push(task());
            }
        }
        // Filling the memory early does not help: the writer waits for the reader all the same.
        done.store(true, Ordering::Relaxed);
        samples
    })
}

fn figures(samples: Vec<Sample>, nanos: f64) -> Figures {
    std::array::from_fn(|operation| {
        let mut ticks: Vec<u64> = samples.iter().map(|sample| sample[operation]).collect();
        ticks.sort_unstable();
        RANKS.map(|(rank, _)| {
            let last = ticks.len() - 1;
            ticks[((ticks.len() as f64 * rank) as usize).min(last)] as f64 * nanos
        })
    })
}
