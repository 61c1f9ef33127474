//! Progress that is reported automatically.
#![cfg(not(loom))]

use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use pm_core::{Clock, Options, ProcessList, Task, TaskIteratorExt};

fn shown(list: &ProcessList, task: &Task) -> (u64, u64) {
    list.view(task.serial(), |task| task.progress().map_or((0, 0), |progress| (progress.done, progress.total))).unwrap()
}

#[test]
fn an_iterator_reports_its_progress() {
    let list = ProcessList::new();
    let task = list.start("job");
    let mut items = (0..100).with_progress(&task, "files");
    assert_eq!(shown(&list, &task), (0, 100));
    assert_eq!((items.len(), items.size_hint()), (100, (100, Some(100))));
    for done in 1..=60 {
        assert!(items.next().is_some());
        assert_eq!(shown(&list, &task), (done, 100));
    }
    assert_eq!(items.next_back(), Some(99));
    assert_eq!(items.by_ref().count(), 39);
    assert_eq!(shown(&list, &task), (100, 100));
    list.view(task.serial(), |task| assert_eq!(task.progress().unwrap().unit, "files"));
}

#[test]
fn the_shown_progress_lags_by_at_most_a_64th_and_is_exact_at_the_end() {
    let list = ProcessList::new();
    let task = list.start("job");
    let mut reports = std::collections::HashSet::new();
    for item in (0..1_000_000_u64).with_progress(&task, "rows") {
        if item % 997 == 0 {
            let (done, _) = shown(&list, &task);
            assert!(item + 1 - done <= (item / 64).min(4_096), "{done} of {item}");
            reports.insert(done);
        }
    }
    assert!(reports.len() > 100);
    assert_eq!(shown(&list, &task), (1_000_000, 1_000_000));
}

#[test]
fn an_unknown_total_is_known_at_the_end() {
    let list = ProcessList::new();
    let task = list.start("job");
    let mut items = (0..100).filter(|item| item % 2 == 0).with_progress(&task, "files");
    items.next();
    assert_eq!(shown(&list, &task), (1, 0));
    items.for_each(drop);
    assert_eq!(shown(&list, &task), (50, 50));
}

struct WrongHint(u64, usize);

impl Iterator for WrongHint {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.0)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

#[test]
fn a_wrong_size_hint_is_corrected() {
    let list = ProcessList::new();
    let task = list.start("job");
    // More than the hint.
    let mut items = WrongHint(5, 3).with_progress(&task, "files");
    items.nth(2);
    assert_eq!(shown(&list, &task), (3, 3));
    items.next();
    assert_eq!(shown(&list, &task), (4, 0), "the total is no longer known");
    items.for_each(drop);
    assert_eq!(shown(&list, &task), (5, 5));
    // Less than the hint.
    WrongHint(2, usize::MAX).with_progress(&task, "files").for_each(drop);
    assert_eq!(shown(&list, &task), (2, 2));
    WrongHint(0, 7).with_progress(&task, "files").for_each(drop);
    assert_eq!(shown(&list, &task), (0, 0));
}

#[test]
fn a_loop_left_early_or_by_a_panic_reports_the_completed_items() {
    let list = ProcessList::new();
    let task = list.start("job");
    for item in (0..100_000).with_progress(&task, "rows") {
        if item == 54_320 {
            break;
        }
    }
    assert_eq!(shown(&list, &task), (54_321, 100_000));
    let rows = (0..100_000).map(|item| if item == 12_345 { panic!("in an iterator") } else { item });
    assert!(catch_unwind(AssertUnwindSafe(|| rows.with_progress(&task, "rows").for_each(drop))).is_err());
    assert_eq!(shown(&list, &task), (12_345, 100_000));
}

#[test]
fn slower_items_are_reported_more_often() {
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock));
    let task = list.start("job");
    let mut meter = task.meter(0, "rows");
    (0..1_000_000).for_each(|_| meter.add(1));
    let mut unreported = 0;
    for _ in 0..10_000 {
        hand.advance(Duration::from_secs(1));
        meter.add(1);
        unreported = meter.done() - shown(&list, &task).0;
    }
    assert_eq!(unreported, 0);
}

#[test]
fn a_meter_is_exact_on_request() {
    let list = ProcessList::new();
    let task = list.start("job");
    let mut meter = task.meter(0, "rows");
    meter.add(1_000);
    meter.add(1);
    assert_eq!((meter.done(), shown(&list, &task)), (1_001, (1_000, 0)));
    meter.flush();
    assert_eq!(shown(&list, &task), (1_001, 0));
    meter.set_total(5_000);
    assert_eq!(shown(&list, &task), (1_001, 5_000));
    meter.set(2_000);
    meter.set(7);
    assert_eq!(shown(&list, &task), (7, 5_000), "back again");
    meter.add(u64::MAX);
    meter.add(u64::MAX);
    drop(meter);
    assert_eq!(shown(&list, &task), (u64::MAX, 0));
}

#[test]
fn a_cancellation_ends_an_iterator_without_losing_an_item() {
    let list = ProcessList::new();
    let task = list.start("job");
    let mut numbers = 0..5;
    let mut items = numbers.by_ref().checked(&task);
    assert_eq!(items.next(), Some(Ok(0)));
    assert_eq!(items.next_back(), Some(Ok(4)));
    assert_eq!(items.size_hint(), (1, Some(4)));
    list.cancel("job", "why").unwrap();
    assert_eq!(items.next().unwrap().unwrap_err().reason(), "why");
    assert_eq!((items.next(), items.next_back(), items.size_hint()), (None, None, (0, Some(0))));
    assert_eq!(numbers, 1..4);
    drop(task);
    assert_eq!(list.counters().cancelled, 1);
}

#[test]
fn an_iterator_that_is_not_cancelled_yields_all_items() {
    let list = ProcessList::new();
    let task = list.start("job");
    let all: Result<Vec<_>, _> = (0..1_000).with_progress(&task, "rows").checked(task.handle()).collect();
    assert_eq!(all.unwrap().len(), 1_000);
    assert_eq!(shown(&list, &task), (1_000, 1_000));
    // Outside a task, it counts for no task, and is never cancelled.
    assert_eq!((0..3).with_progress(pm_core::current(), "rows").checked(pm_core::current()).count(), 3);
}

#[test]
fn readers_and_writers_count_their_bytes() -> std::io::Result<()> {
    let list = ProcessList::new();
    let task = list.start("job");
    let text = "one\ntwo\nthree\n".repeat(1_000);
    let mut lines = task.metered(text.as_bytes(), 0).lines();
    for _ in 0..3 {
        lines.next().unwrap()?;
    }
    assert_eq!(shown(&list, &task), (14, 0));
    assert_eq!(lines.count(), 2_997);
    assert_eq!(shown(&list, &task), (14_000, 14_000));
    let mut read = String::new();
    BufReader::new(task.metered(text.as_bytes(), 14_000)).read_to_string(&mut read)?;
    assert_eq!((read.len(), shown(&list, &task)), (14_000, (14_000, 14_000)));
    let mut writer = task.metered(Vec::new(), 20_000);
    assert_eq!(std::io::copy(&mut text.as_bytes(), &mut writer)?, 14_000);
    writer.flush()?;
    assert_eq!(writer.get_ref().len(), 14_000);
    assert_eq!(writer.into_inner().len(), 14_000);
    assert_eq!(shown(&list, &task), (14_000, 20_000));
    Ok(())
}

/// `cargo test --release -p pm-core --test progress -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn cost() {
    let list = ProcessList::new();
    let task = list.start("job");
    let of = |name: &str, count: u64, work: &mut dyn FnMut(u64) -> u64| {
        let start = Instant::now();
        let sum = std::hint::black_box(work(std::hint::black_box(count)));
        println!("{name:<28}{:>8.3} ns an item ({sum})", start.elapsed().as_nanos() as f64 / count as f64);
    };
    let step = |sum: u64, item: u64| std::hint::black_box(sum ^ item);
    for _ in 0..2 {
        of("bare for", 1_000_000_000, &mut |count| {
            let mut sum = 0;
            for item in 0..count {
                sum = step(sum, item);
            }
            sum
        });
        of("with_progress", 1_000_000_000, &mut |count| {
            let mut sum = 0;
            for item in (0..count).with_progress(&task, "rows") {
                sum = step(sum, item);
            }
            sum
        });
        of("with_progress, fold", 1_000_000_000, &mut |count| (0..count).with_progress(&task, "rows").fold(0, step));
        of("with_progress and checked", 1_000_000_000, &mut |count| {
            let mut sum = 0;
            for item in (0..count).with_progress(&task, "rows").checked(&task) {
                sum = step(sum, item.unwrap());
            }
            sum
        });
        of("progress each time", 10_000_000, &mut |count| {
            (0..count).for_each(|item| task.progress(item, count, "rows"));
            count
        });
        of("scope", 1_000_000, &mut |count| {
            (0..count).for_each(|_| drop(task.scope("reading")));
            count
        });
        of("two statuses", 1_000_000, &mut |count| {
            (0..count).for_each(|_| drop((task.status("reading"), task.status("init"))));
            count
        });
    }
}
