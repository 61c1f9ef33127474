//! Single operations, and the yardsticks they are held against.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::harness::{Effort, compare, median};
use crate::report::{Goal, Report, thousands};
use pm::{ProcessList, Task};
use pm_bench::raw::Clock;
use pm_bench::work::{self, ID};

/// A text on the stack, as one would format into.
struct Buffer {
    bytes: [u8; 64],
    length: usize,
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// A case that does the same thing again and again.
macro_rules! again {
    ($work:expr) => {
        &mut |count: u64| {
            for _ in 0..count {
                $work;
            }
        }
    };
}

pub(crate) fn yardsticks(effort: Effort, report: &mut Report) {
    report.section("yardstick");
    let word = AtomicU64::new(1);
    let word = black_box(&word);
    let clock = Clock::default();
    let medians = compare(
        effort,
        &mut [
            again!(black_box(word.load(Ordering::Acquire))),
            again!(black_box(word).store(1, Ordering::Release)),
            again!(black_box(word.compare_exchange(1, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok())),
            again!(black_box(clock.ticks())),
            again!(black_box(Instant::now())),
        ],
    );
    let names = ["atomic load (acquire)", "atomic store (release)", "compare and swap", "clock read", "`Instant::now`"];
    for (name, median) in names.into_iter().zip(medians) {
        report.plain(name, median, "ns", Goal::None);
    }
}

pub(crate) fn operations(effort: Effort, report: &mut Report) {
    report.section("operation");
    let list = work::list();
    let clock = Clock::default();
    let text = String::from("reading block 42");
    let word = AtomicU64::new(0);
    let word = black_box(&word);

    let medians = compare(effort, &mut [again!(black_box(clock.ticks())), again!(drop(list.start(black_box(ID))))]);
    report.beside("start and end", medians[1], "ns", ("2 clock reads", 2.0 * medians[0]), Goal::MostTimes(1.6));

    let tasks = [work::start(&list, "a"), work::start(&list, "b"), work::start(&list, "c")];
    let mut block = 0_u64;
    let mut formatted = |count: u64| {
        for _ in 0..count {
            block += 1;
            let mut buffer = Buffer { bytes: [0; 64], length: 0 };
            let _ = write!(buffer, "reading block {}", black_box(block));
            black_box(&buffer);
        }
    };
    let mut number = 0_u64;
    let mut status_formatted = |count: u64| {
        for _ in 0..count {
            number += 1;
            let _ = pm::status!(tasks[2], "reading block {}", black_box(number));
        }
    };
    let medians = compare(
        effort,
        &mut [
            again!(black_box(clock.ticks())),
            again!(drop(tasks[0].status("reading"))),
            again!(drop(tasks[1].status(black_box(&text)))),
            &mut formatted,
            &mut status_formatted,
        ],
    );
    report.beside("status, static text", medians[1], "ns", ("clock read", medians[0]), Goal::MostTimes(1.3));
    report.beside("status, 16 bytes borrowed", medians[2], "ns", ("clock read", medians[0]), Goal::MostTimes(1.3));
    report.beside("status, formatted", medians[4], "ns", ("formatting alone", medians[3]), Goal::Over(12.0));

    let task = black_box(&tasks[0]);
    let medians = compare(
        effort,
        &mut [again!(black_box(word.load(Ordering::Acquire))), again!(black_box(black_box(task).checkpoint().is_ok()))],
    );
    report.beside("checkpoint", medians[1], "ns", ("atomic load", medians[0]), Goal::MostTimes(2.0));

    attributes(effort, report, &tasks[1]);

    let off = work::list();
    off.set_enabled(false);
    let mut disabled = |count: u64| {
        for _ in 0..count {
            let task = off.start(black_box(ID));
            let _ = task.status("reading");
        }
    };
    let median = compare(effort, &mut [&mut disabled])[0];
    report.plain("list disabled: start, status, end", median, "ns", Goal::Most(5.0));
}

/// Values that replace others, of the same size or shorter, beside the least that each could be.
fn attributes(effort: Effort, report: &mut Report, task: &Task) {
    let clock = Clock::default();
    let phases = ["reading block 42", "sending block 43"].map(String::from);
    task.set("phase", phases[0].as_str());
    task.progress(0, 1 << 40, "rows");
    let (mut copied, mut same, mut shorter, mut integer, mut done) = (0_usize, 0_usize, 0_usize, 0_u64, 0_u64);
    let mut copy = |count: u64| {
        for _ in 0..count {
            copied += 1;
            let mut bytes = [0_u8; 16];
            bytes.copy_from_slice(black_box(&phases[copied % 2]).as_bytes());
            black_box(&bytes);
        }
    };
    let mut set_same = |count: u64| {
        for _ in 0..count {
            same += 1;
            task.set("phase", black_box(&phases[same % 2]).as_str());
        }
    };
    let mut set_shorter = |count: u64| {
        for _ in 0..count {
            shorter += 1;
            task.set("phase", black_box(&phases[0][..8 + shorter % 8]));
        }
    };
    let mut set_integer = |count: u64| {
        for _ in 0..count {
            integer += 1;
            task.set("block", black_box(integer));
        }
    };
    let mut progress = |count: u64| {
        for _ in 0..count {
            done += 1;
            task.progress(black_box(done), 1 << 40, "rows");
        }
    };
    let medians = compare(
        effort,
        &mut [
            again!(black_box(clock.ticks())),
            &mut copy,
            &mut set_integer,
            &mut progress,
            &mut set_same,
            &mut set_shorter,
        ],
    );
    let (read, copy) = (("clock read", medians[0]), ("a copy of it", medians[1]));
    report.beside("overwrite an integer", medians[2], "ns", read, Goal::Over(10.0));
    report.beside("report progress", medians[3], "ns", read, Goal::Over(10.0));
    report.beside("overwrite a string of 16 bytes", medians[4], "ns", copy, Goal::Over(15.0));
    report.beside("overwrite a string by a shorter one", medians[5], "ns", copy, Goal::Over(15.0));
}

/// One task among few and among many.
pub(crate) fn find(effort: Effort, report: &mut Report) {
    report.section("find");
    let (few, many) = (work::list(), work::list());
    let (few_tasks, count) = (work::fill(&few, 10), effort.pick(100_000, 1_000_000));
    let many_tasks = work::fill(&many, count);
    // The index of ids is made by the first look-ups.
    for _ in 0..2_000 {
        black_box(many.find(ID));
    }
    let by_id = |list: &ProcessList, number: u64| {
        black_box(list.find(work::id(number, &mut [0; 16])));
    };
    let by_serial = |list: &ProcessList, task: &Task| {
        black_box(list.view(task.serial(), |task| task.history_len()));
    };
    let mut at = [0_usize; 4];
    let [a, b, c, d] = &mut at;
    let mut cases = [
        &mut (|turns: u64| (0..turns).for_each(|_| by_id(&few, next(a, 10) as u64))) as &mut dyn FnMut(u64),
        &mut |turns: u64| (0..turns).for_each(|_| by_id(&many, next(b, 10) as u64 * 7919)),
        &mut |turns: u64| (0..turns).for_each(|_| by_serial(&few, &few_tasks[next(c, 10)])),
        &mut |turns: u64| (0..turns).for_each(|_| by_serial(&many, &many_tasks[next(d, 10) * 7919])),
    ];
    let medians = compare(effort, &mut cases);
    let name = |what: &str| format!("a task by its {what} among {}", thousands(count));
    report.beside(name("id"), medians[1], "ns", ("among 10", medians[0]), Goal::MostTimes(2.0));
    report.beside(name("serial"), medians[3], "ns", ("among 10", medians[2]), Goal::MostTimes(2.0));
    for (depth, goal) in [(100, Goal::Most(5.0)), (20_000, Goal::Most(40.0))] {
        let mut times: Vec<f64> = (0..effort.pick(3, 7)).map(|_| cancel(&many, depth)).collect();
        let name = format!("cancel of {depth} levels beside {}", thousands(count));
        report.plain(name, median(&mut times), "ms", goal);
    }
    drop((few_tasks, many_tasks));
}

fn next(at: &mut usize, end: usize) -> usize {
    *at = (*at + 1) % end;
    *at
}

/// Returns how long it takes to cancel a chain of tasks, in milliseconds.
fn cancel(list: &ProcessList, depth: usize) -> f64 {
    let mut chain = vec![list.start("chain")];
    for level in 1..depth {
        let task = list.task("chain").parent(&chain[level - 1]).start();
        chain.push(task);
    }
    let begin = Instant::now();
    let cancelled = chain[0].serial().map(|root| list.cancel(root, "enough"));
    let time = begin.elapsed().as_secs_f64() * 1e3;
    if matches!(cancelled, Some(Ok(handle)) if handle.below() as usize == depth - 1) { time } else { f64::NAN }
}
