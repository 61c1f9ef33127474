//! Readers while writers write as fast as they can: every value was written by one task, in one piece.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pm_core::{Options, ProcessList, TaskView, ValueView};

const ROUNDS: u64 = if cfg!(miri) { 12 } else { 20_000 };

/// A string that names its owner and its own length.
fn text(owner: u64, len: u64) -> String {
    let unit = format!("<{owner}:{len}>");
    unit.repeat(1 + len as usize % 30)
}

fn check_text(owner: &str, seen: &str) {
    let unit = &seen[..=seen.find('>').expect(seen)];
    let (of, len) = unit[1..unit.len() - 1].split_once(':').expect(seen);
    assert_eq!(of, owner, "a string of another task: {seen}");
    assert_eq!(seen, text(of.parse().unwrap(), len.parse().unwrap()), "a torn string");
}

fn check(task: TaskView<'_>) {
    let id = task.id().to_string();
    assert_eq!(task.kind().map(|kind| kind.to_string()).as_deref(), Some(id.as_str()));
    for (name, value) in task.attrs() {
        match value {
            ValueView::Text(value) => check_text(&id, value.as_str()),
            ValueView::U64(value) => assert_eq!(value % 1_000_003, id.parse::<u64>().unwrap() % 1_000_003),
            other => panic!("{name}: {other:?}"),
        }
    }
    match task.status() {
        pm_core::StatusText::Init => assert_eq!(task.history_len(), 1),
        pm_core::StatusText::Set(status) => check_text(&id, status.as_str()),
        other => panic!("{other:?}"),
    }
    if let Some(progress) = task.progress() {
        assert_eq!(progress.total, id.parse::<u64>().unwrap());
    }
}

fn write(list: &ProcessList, writer: u64) {
    for round in 0..ROUNDS {
        let owner = writer * 1_000_000 + round;
        let id = owner.to_string();
        let task = list.task(&id).kind(&id).attr("text", &text(owner, round)).attr("number", owner % 1_000_003).start();
        for step in 0..round % 40 {
            task.status(&text(owner, round + step)).unwrap();
            task.set("text", &text(owner, step));
            task.set("number", owner % 1_000_003 + 1_000_003 * step);
            task.progress(step, owner, "steps");
        }
    }
}

#[test]
fn readers_see_every_value_whole_while_tasks_come_and_go() {
    let list = ProcessList::with_options(Options::new().history(4, 8));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = 0_u64;
                    while !done.load(Ordering::Relaxed) {
                        let snapshot = list.snapshot();
                        snapshot.iter().for_each(check);
                        for task in snapshot.iter() {
                            let Some(history) = list.history(task.serial()) else { continue };
                            let id = task.id().to_string();
                            assert!(history.entries.is_sorted_by_key(|entry| entry.at));
                            let said = history.entries.len() - usize::from(history.outcome.is_some());
                            for entry in &history.entries[1..said] {
                                check_text(&id, &entry.status);
                            }
                        }
                        // Ended tasks are as intact as live ones, also while they are evicted.
                        list.ended().iter().for_each(check);
                        let mut scan = list.scan();
                        while let Some(task) = scan.next() {
                            check(task);
                            seen += 1;
                        }
                    }
                    seen
                })
            })
            .collect();
        let writers: Vec<_> = (1..=2)
            .map(|writer| {
                scope.spawn({
                    let list = &list;
                    move || write(list, writer)
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    let counters = list.counters();
    assert_eq!((counters.live, counters.started), (0, 2 * ROUNDS));
    assert_eq!((counters.statuses_dropped, counters.attrs_dropped, counters.not_shown), (0, 0, 0));
    assert!(list.snapshot().is_empty());
}

#[test]
fn statuses_of_several_threads_on_one_task_are_all_counted_and_in_order() {
    let list = ProcessList::new();
    let task = list.start("1");
    thread::scope(|scope| {
        for thread in 0..3 {
            let handle = task.handle();
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    handle.status(&text(thread, round)).unwrap();
                }
            });
        }
    });
    let history = list.history(task.serial()).unwrap();
    assert_eq!(history.entries.len() as u64 + history.dropped, 3 * ROUNDS + 1);
    assert_eq!(history.entries.len(), if cfg!(miri) { 37 } else { 128 });
    assert!(history.entries.is_sorted_by_key(|entry| entry.at));
}

#[test]
fn first_and_newest_entries_are_retained_whatever_their_length() {
    for len in if cfg!(miri) { [0, 3, 100, 300] } else { [0, 3, 100, 1000] } {
        let list = ProcessList::new();
        let task = list.start("1");
        let pad = "x".repeat(len);
        for round in 1..400_u64 {
            task.status(&format!("{round} {pad}")).unwrap();
            let history = list.history(task.serial()).unwrap();
            let shown = history.entries.len() as u64;
            assert_eq!(shown, (round + 1).min(128), "{round}, {len}");
            assert_eq!(history.dropped, round + 1 - shown);
            let numbers: Vec<u64> = history.entries[1..]
                .iter()
                .map(|entry| entry.status.split(' ').next().unwrap().parse().unwrap())
                .collect();
            let expected: Vec<u64> =
                if round < 128 { (1..=round).collect() } else { (1..16).chain(round - 111..=round).collect() };
            assert_eq!(numbers, expected);
            if cfg!(miri) && round == 20 {
                break;
            }
        }
    }
}
