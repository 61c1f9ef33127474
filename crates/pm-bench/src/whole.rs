//! A whole task: start with three attributes, three statuses, end. Its clock is read at the start, at each status and
//! at the end.

use std::hint::black_box;
use std::process::Command;

use crate::harness::{Effort, compare, one_and_two};
use crate::report::{Goal, Report, thousands};
use pm::{Options, ProcessList};
use pm_bench::naive;
use pm_bench::raw::Clock;
use pm_bench::work::{self, ID};

fn clock(count: u64) {
    let clock = Clock::default();
    for _ in 0..count * 5 {
        black_box(clock.ticks());
    }
}

/// Numbers without an order, for which task ends next.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("whole task");
    alone(effort, report);
    for live in [0_u64, 100_000, 1_000_000] {
        beside(effort, report, live);
    }
    among(effort, report, 100_000, true);
    among(effort, report, 1_000_000, false);
}

fn alone(effort: Effort, report: &mut Report) {
    let (list, naive) = (work::list(), naive::List::default());
    let mut naive_whole = |count| {
        for _ in 0..count {
            work::naive_statuses(&work::naive_start(&naive, black_box(ID)));
        }
    };
    let mut whole = |count| {
        for _ in 0..count {
            work::whole(&list, black_box(ID));
        }
    };
    let mut clock = clock;
    let medians = compare(effort, &mut [&mut clock, &mut whole, &mut naive_whole]);
    report.beside("no other task", medians[1], "ns", ("5 clock reads", medians[0]), Goal::MostTimes(2.0));
    report.beside("naive port, beside ours", medians[2], "ns", ("ours", medians[1]), Goal::LeastTimes(10.0));

    let slim = ProcessList::with_options(Options::new().max_bytes(2 << 30).keep_ended(0).max_kinds(0));
    let unkept = ProcessList::with_options(Options::new().max_bytes(2 << 30).keep_ended(0));
    let whole_of = |list: &ProcessList, count| {
        for _ in 0..count {
            work::whole(list, black_box(ID));
        }
    };
    let [mut slim, mut unkept, mut full] = [&slim, &unkept, &list].map(|list| move |count| whole_of(list, count));
    let medians = compare(effort, &mut [&mut slim, &mut unkept, &mut full]);
    report.beside("its kind counted", medians[1], "ns", ("without", medians[0]), Goal::None);
    report.beside("its kind counted, and kept when ended", medians[2], "ns", ("without", medians[0]), Goal::Over(40.0));

    match counted_allocations() {
        Some((ours, naive)) => {
            report.plain("allocations", ours, "per task", Goal::Most(0.001));
            report.plain("allocations of the naive port", naive, "per task", Goal::None);
        }
        None => report.note("allocations are not counted: pm-bench-allocations is not beside this program"),
    }
}

/// Returns the allocations that the other program of this crate counts, for ours and for the naive port.
fn counted_allocations() -> Option<(f64, f64)> {
    let program = std::env::current_exe().ok()?.with_file_name("pm-bench-allocations");
    let text = String::from_utf8(Command::new(program).output().ok()?.stdout).ok()?;
    let (ours, naive) = text.trim().split_once(' ')?;
    Some((ours.parse().ok()?, naive.parse().ok()?))
}

fn beside(effort: Effort, report: &mut Report, live: u64) {
    let list = work::list();
    let tasks = work::fill(&list, live);
    let whole = |count| {
        for _ in 0..count {
            work::whole(&list, black_box(ID));
        }
    };
    if live > 0 {
        let (mut clock, mut whole) = (clock, whole);
        let medians = compare(effort, &mut [&mut clock, &mut whole]);
        let name = format!("{} idle tasks beside", thousands(live));
        report.beside(name, medians[1], "ns", ("5 clock reads", medians[0]), Goal::MostTimes(2.0));
    }
    if live == 0 {
        let naive = naive::List::default();
        let naive_whole = |count: u64| {
            for number in 0..count {
                // Each thread its own ids: in a map they must differ.
                let id = work::id(std::ptr::from_ref(&number) as usize as u64, &mut [0; 16]).to_owned();
                work::naive_statuses(&work::naive_start(&naive, &id));
            }
        };
        let both = one_and_two(effort, &[&arithmetic, &whole, &naive_whole]);
        for ((one, two), name) in both[1..].iter().zip(["per second with 2 threads", "naive port, the same"]) {
            report.beside(name, 1e9 / two, "/s", ("with 1 thread", 1e9 / one), Goal::None);
        }
        scaling(report, "2 threads", &both);
    } else {
        let both = one_and_two(effort, &[&arithmetic, &whole]);
        scaling(report, &format!("2 threads, {} idle tasks beside", thousands(live)), &both);
    }
    drop(tasks);
}

/// Two processors may be one core, or shared with neighbours: arithmetic shows how much two threads can do.
fn scaling(report: &mut Report, with: &str, both: &[(f64, f64)]) {
    let [arithmetic, ours] = [0, 1].map(|case: usize| both[case].0 / both[case].1);
    let name = format!("times as many with {with}");
    report.beside(name, ours, "x", ("turns of arithmetic", arithmetic), Goal::LeastTimes(0.95));
}

/// Registers only.
fn arithmetic(count: u64) {
    for number in 0..count {
        let mut random = Random(number | 1);
        for _ in 0..32 {
            black_box(random.below(1 << 20));
        }
    }
}

/// Each new task replaces any one of those that live: what counts is how far away memory is.
fn among(effort: Effort, report: &mut Report, live: u64, with_naive: bool) {
    let (list, naive) = (work::list(), naive::List::default());
    let mut tasks = work::fill(&list, live);
    let (mut number, mut random) = (live, Random(0x9e37_79b9_7f4a_7c15));
    let mut whole = |count| {
        for _ in 0..count {
            let task = work::start(&list, work::id(number, &mut [0; 16]));
            work::statuses(&task);
            number += 1;
            let place = random.below(tasks.len());
            tasks[place] = task;
        }
    };
    let name = format!("among {}, any of which ends", thousands(live));
    if !with_naive {
        let median = compare(effort, &mut [&mut whole])[0];
        report.plain(name, median, "ns", Goal::None);
        return;
    }
    let mut naive_tasks = work::naive_fill(&naive, live);
    let (mut naive_number, mut naive_random) = (live, Random(0x9e37_79b9_7f4a_7c15));
    let mut naive_whole = |count| {
        for _ in 0..count {
            let task = work::naive_start(&naive, work::id(naive_number, &mut [0; 16]));
            work::naive_statuses(&task);
            naive_number += 1;
            let place = naive_random.below(naive_tasks.len());
            naive_tasks[place] = task;
        }
    };
    let medians = compare(effort, &mut [&mut whole, &mut naive_whole]);
    report.plain(&name, medians[0], "ns", Goal::None);
    report.beside(format!("naive port, {name}"), medians[1], "ns", ("ours", medians[0]), Goal::None);
}
