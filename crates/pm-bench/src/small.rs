//! Single operations, and the yardsticks they are held against.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::harness::{Effort, compare};
use crate::report::{Goal, Report};
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
    report.beside("start and end", medians[1], "ns", ("clock read", medians[0]), Goal::None);

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
    report.beside("status, static text", medians[1], "ns", ("clock read", medians[0]), Goal::MostTimes(1.5));
    report.beside("status, 16 bytes borrowed", medians[2], "ns", ("clock read", medians[0]), Goal::MostTimes(1.5));
    report.beside("status, formatted", medians[4], "ns", ("formatting alone", medians[3]), Goal::Over(20.0));

    let task = black_box(&tasks[0]);
    let medians = compare(
        effort,
        &mut [again!(black_box(word.load(Ordering::Acquire))), again!(black_box(black_box(task).checkpoint().is_ok()))],
    );
    report.beside("checkpoint", medians[1], "ns", ("atomic load", medians[0]), Goal::MostTimes(2.0));

    let mut integer = 0_u64;
    let mut set_integer = |count: u64| {
        for _ in 0..count {
            integer += 1;
            tasks[1].set("block", black_box(integer));
        }
    };
    let medians = compare(
        effort,
        &mut [
            again!(tasks[0].set("phase", "reading")),
            &mut set_integer,
            again!(tasks[2].set("block", black_box(text.as_str()))),
        ],
    );
    for (name, median) in ["static text", "integer", "16 bytes borrowed"].into_iter().zip(medians) {
        report.plain(format!("set an attribute, {name}"), median, "ns", Goal::None);
    }

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

    let many = work::fill(&list, 100_000);
    let mut wanted = 0_u64;
    let mut find = |count: u64| {
        for _ in 0..count {
            wanted = (wanted + 7919) % 100_000;
            black_box(list.find(work::id(wanted, &mut [0; 16])));
        }
    };
    let median = compare(effort, &mut [&mut find])[0];
    report.plain("find an id among 100,000", median, "ns", Goal::None);
    drop(many);
}
