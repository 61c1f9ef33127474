//! The list at its edges: limits, full memory, several lists, threads that share tasks.
#![cfg(not(loom))]

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use pm_core::{CancelError, CancelPolicy, Clock, Options, ProcessList, Serial, Task, TaskHandle, Value, ValueView};

fn statuses(list: &ProcessList, task: TaskHandle) -> Vec<String> {
    list.history(task.serial()).unwrap().entries.into_iter().map(|entry| entry.status).collect()
}

fn attrs(list: &ProcessList, task: &Task) -> String {
    list.view(task.serial(), |row| format!("{:?}", row.attrs_sorted())).unwrap()
}

fn shown(list: &ProcessList) -> Vec<Serial> {
    list.snapshot().iter().map(|row| row.serial()).collect()
}

fn scanned(list: &ProcessList) -> Vec<Serial> {
    let (mut scan, mut serials) = (list.scan(), Vec::new());
    while let Some(row) = scan.next() {
        serials.push(row.serial());
    }
    serials
}

// How a task ends.

#[test]
fn cancelling_the_outer_task_ends_the_inner_run_too() {
    let list = ProcessList::new();
    let result = list.run_sync("outer", |outer| {
        list.cancel("outer", "stop").unwrap();
        let inner = list.run_sync("inner", |_| {
            outer.checkpoint_or_unwind();
            Ok(())
        });
        panic!("not reached: {inner:?}");
        #[allow(unreachable_code)]
        Ok(())
    });
    assert_eq!(result.unwrap_err().reason(), "stop");
    let counters = list.counters();
    assert_eq!((counters.cancelled, counters.aborted, counters.live), (2, 0, 0));
}

#[test]
fn an_explicit_finish_wins_over_an_observed_cancellation() {
    let list = ProcessList::new();
    let task = list.start("job");
    list.cancel("job", "").unwrap();
    assert!(task.checkpoint().is_err());
    task.finish();
    assert_eq!((list.counters().finished, list.counters().cancelled), (1, 0));
}

#[test]
fn is_cancelled_does_not_count_as_observing_the_cancellation() {
    let list = ProcessList::new();
    let task = list.start("job");
    list.cancel("job", "").unwrap();
    assert!(task.is_cancelled() && task.handle().is_cancelled());
    drop(task);
    assert_eq!((list.counters().finished, list.counters().cancelled), (1, 0));
}

#[test]
fn a_run_that_returns_its_cancellation_is_counted_once_as_cancelled() {
    let list = ProcessList::new();
    let result: Result<(), _> = list.run_sync("job", |task| {
        list.cancel("job", "why").unwrap();
        task.status("next")?;
        panic!("the status returns the cancellation");
    });
    assert_eq!(result.unwrap_err().to_string(), "cancelled: why");
    let counters = list.counters();
    assert_eq!((counters.started, counters.cancelled, counters.live), (1, 1, 0));
    assert_eq!(pm_core::current().serial(), None, "no task is current any more");
}

#[test]
fn a_status_after_the_end_is_ok_and_counted_once_whatever_its_length() {
    let list = ProcessList::with_options(Options::new().keep_ended(0));
    let task = list.start("job");
    let handle = task.handle();
    task.finish();
    assert_eq!(handle.status("short"), Ok(()));
    assert_eq!(handle.status(&"long".repeat(1_000)), Ok(()));
    assert_eq!(pm_core::status!(handle, "formatted {}", 1), Ok(()));
    handle.checkpoint_or_unwind();
    assert_eq!(list.counters().late_calls, 3);
    assert_eq!((list.counters().finished, list.counters().started), (1, 1));
    assert!(list.view(handle.serial(), |_| ()).is_none() && list.history(handle.serial()).is_none());
}

#[test]
fn a_thousand_stale_handles_of_one_slot_do_not_affect_its_task() {
    let list = ProcessList::new();
    let handles: Vec<_> = (0..1_000).map(|number| list.start(&format!("old-{number}")).handle()).collect();
    let task = list.task("new").attr("a", 1).start();
    for handle in &handles {
        handle.set("a", 2);
        handle.unset("a");
        let _ = handle.status("late");
        let _ = list.cancel(handle.serial(), "late");
    }
    assert_eq!(attrs(&list, &task), r#"[("a", I64(1))]"#);
    assert_eq!(statuses(&list, task.handle()), ["init"]);
    assert!(!task.is_cancelled());
    assert_eq!(list.counters().late_calls, 3_000);
    assert_eq!(list.counters().cancel_requests, 0);
}

// Several lists.

#[test]
fn lists_are_independent() {
    let (one, two) = (ProcessList::new(), ProcessList::new());
    let (first, second) = (one.start("same"), two.start("same"));
    assert_ne!(first.serial(), second.serial());
    assert_eq!((shown(&one), shown(&two)), (vec![first.serial().unwrap()], vec![second.serial().unwrap()]));
    assert_eq!(one.cancel("same", "only here").map(|cancel| cancel.serial()), Ok(first.serial().unwrap()));
    assert_eq!(two.cancel(first.serial(), "").map(|cancel| cancel.serial()), Err(CancelError::NotFound));
    assert!(first.is_cancelled() && !second.is_cancelled());
    let handle = second.handle();
    drop(second);
    let _ = handle.status("late");
    two.set_enabled(false);
    assert_eq!((one.counters().late_calls, two.counters().late_calls), (0, 1));
    assert_eq!((one.counters().live, two.counters().live), (1, 0));
    assert!(one.is_enabled() && one.clone().find("same") == [first.serial().unwrap()]);
}

#[test]
fn a_stale_handle_of_a_dropped_list_does_not_affect_the_list_that_reuses_its_memory() {
    // No other test has a list as large, so the memory goes from one of these to the next.
    for options in [Options::new(), Options::new().max_attrs(3), Options::new().clock(Clock::manual().0)] {
        let list = ProcessList::with_options(Options::new().max_bytes(90 << 20));
        let task = list.start("old");
        let handle = task.handle();
        drop((task, list));
        let next = ProcessList::with_options(options.max_bytes(90 << 20));
        let new = next.task("new").attr("a", 1).start();
        handle.set("a", 2);
        assert_eq!(handle.status("late"), Ok(()));
        assert!(!handle.is_live());
        assert_eq!(statuses(&next, new.handle()), ["init"]);
        assert_eq!(attrs(&next, &new), r#"[("a", I64(1))]"#);
        assert_eq!((next.counters().live, next.counters().started), (1, 1));
    }
}

// Names and strings.

#[test]
fn a_long_id_is_truncated_once_and_found_by_its_full_string() {
    let list = ProcessList::new();
    for id in ["x".repeat(10_000), "🦀".repeat(2_500), format!("a{}", "𝄞/\0é".repeat(1_000))] {
        let before = list.counters().texts_cut;
        let task = list.start(&id);
        assert_eq!(list.counters().texts_cut, before + 1);
        assert_eq!(list.find(&id), [task.serial().unwrap()]);
        let seen = list.view(task.serial(), |row| row.id().to_string()).unwrap();
        let kept = seen.strip_suffix('…').unwrap();
        assert!(id.starts_with(kept) && (1_018..=1_024).contains(&seen.len()), "{}", seen.len());
        // The displayed id finds it, too.
        assert_eq!(list.cancel(&seen, "").map(|cancel| cancel.serial()), Ok(task.serial().unwrap()));
    }
}

#[test]
fn ids_of_every_length_up_to_the_limit_are_stored_in_full() {
    let list = ProcessList::new();
    for len in 0..=if cfg!(miri) { 40 } else { 1_024 } {
        let id: String = (0..len).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
        let task = list.start(&id);
        assert_eq!(list.view(task.serial(), |row| row.id() == id.as_str()), Some(true), "{len}");
        assert_eq!(list.find(&id), [task.serial().unwrap()]);
    }
    assert_eq!(list.counters().texts_cut, 0);
}

#[test]
fn a_truncated_formatted_string_ends_with_an_ellipsis_at_the_highest_limit() {
    let list = ProcessList::with_options(Options::new().max_attr_value(8_191));
    let task = list.start("job");
    for begin in ["", "a", "ab", "abc"] {
        let long = format!("{begin}{}", "🦀".repeat(3_000));
        let before = list.counters().texts_cut;
        task.set_fmt("a", format_args!("{long}"));
        list.view(task.serial(), |row| {
            let (_, ValueView::Text(value)) = row.attrs().next().unwrap() else { panic!() };
            let kept = value.as_str();
            assert!(kept.ends_with('…'), "{} bytes of {}, no ellipsis", kept.len(), long.len());
        });
        assert_eq!(list.counters().texts_cut, before + 1);
    }
}

#[test]
fn a_formatted_string_is_stored_like_the_same_string_unformatted() {
    let list = ProcessList::new();
    let (plain, formatted) = (list.start("plain"), list.start("formatted"));
    for len in [0, 1, 1_023, 1_024, 1_025, 4_097, 8_191, 8_192, 8_193, 20_000] {
        let text = "é".repeat(len / 2) + &"a".repeat(len % 2);
        plain.status(&text).unwrap();
        pm_core::status!(formatted, "{text}").unwrap();
        plain.set("a", &text);
        formatted.set_fmt("a", format_args!("{text}"));
        assert_eq!(statuses(&list, plain.handle()), statuses(&list, formatted.handle()), "{len}");
        assert_eq!(attrs(&list, &plain), attrs(&list, &formatted), "{len}");
    }
}

// Attributes and progress.

#[test]
fn an_attribute_takes_any_type_after_any_other() {
    let list = ProcessList::new();
    let values = [
        Value::Text(""),
        Value::Text("a text that is longer than the eight bytes of a word"),
        Value::I64(i64::MIN),
        Value::U64(u64::MAX),
        Value::F64(f64::NEG_INFINITY),
        Value::Bool(true),
        Value::Bool(false),
    ];
    let expected = |value: Value<'_>| match value {
        Value::Text(text) => format!("Text({text:?})"),
        other => format!("{other:?}"),
    };
    let task = list.task("job").attr("before", 1).attr("a", values[0]).attr("c", 2).start();
    for one in values {
        for other in values {
            task.set("a", one);
            task.set("a", other);
            let text = attrs(&list, &task);
            let of_a = expected(other);
            assert_eq!(text, format!(r#"[("a", {of_a}), ("before", I64(1)), ("c", I64(2))]"#), "{one:?}");
        }
    }
}

#[test]
fn unset_then_set_leaves_each_name_once_and_sorted_by_bytes() {
    let list = ProcessList::new();
    let task = list.start("job");
    let names = ["é", "b", "", "a/b", "B", "\0", "aa", "a"];
    for name in names {
        task.unset(name);
        task.set(name, "old");
        task.unset(name);
        task.unset(name);
        task.set(name, name.len());
    }
    let mut sorted = names;
    sorted.sort_unstable();
    list.view(task.serial(), |row| {
        let seen: Vec<_> = row.attrs_sorted().into_iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(seen, sorted);
        assert_eq!(row.attrs().count(), names.len());
    })
    .unwrap();
    for name in names {
        task.unset(name);
    }
    assert_eq!(attrs(&list, &task), "[]");
    assert_eq!(list.counters().attrs_dropped, 0);
}

#[test]
fn an_attribute_limit_of_zero_drops_and_counts_each() {
    let list = ProcessList::with_options(Options::new().max_attrs(0));
    let task = list.task("job").attr("a", 1).start();
    task.set("b", "text");
    task.progress(1, 2, "files");
    assert_eq!(attrs(&list, &task), "[]");
    assert_eq!(list.counters().attrs_dropped, 2);
    assert_eq!(list.view(task.serial(), |row| row.progress().map(|progress| progress.done)), Some(Some(1)));
}

#[test]
fn only_the_newest_progress_is_kept() {
    let list = ProcessList::new();
    let task = list.start("job");
    let seen = || {
        let of = |row: &pm_core::TaskView<'_>| row.progress().map(|now| (now.done, now.total, now.unit.to_string()));
        list.view(task.serial(), of).unwrap()
    };
    assert_eq!(seen(), None);
    for (done, total, unit) in
        [(0, 0, ""), (1, 0, ""), (1, 2, ""), (1, 2, "files"), (2, 2, "bytes"), (u64::MAX, u64::MAX, "é🦀"), (0, 1, "")]
    {
        task.progress(done, total, unit);
        assert_eq!(seen(), Some((done, total, unit.to_owned())));
    }
    assert_eq!(list.view(task.serial(), |row| row.history_len()), Some(1), "progress is not a status");
}

// History.

#[test]
fn the_shortest_history_keeps_the_start_and_the_newest() {
    let list = ProcessList::with_options(Options::new().history(0, 0));
    let task = list.start("job");
    for number in 0..1_000 {
        pm_core::status!(task, "{number}").unwrap();
        let history = list.history(task.serial()).unwrap();
        assert_eq!((history.entries.len(), history.dropped, history.dropped_after), (2, number, 1));
        assert_eq!((history.entries[0].status.as_str(), &history.entries[1].status), ("init", &number.to_string()));
    }
}

#[test]
fn statuses_of_four_threads_are_kept_or_counted_as_dropped() {
    let list = ProcessList::with_options(Options::new().history(4, 100));
    let task = list.start("shared");
    let (threads, each) = (4, if cfg!(miri) { 60 } else { 5_000 });
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let handle = task.handle();
            scope.spawn(move || {
                for number in 0..each {
                    let padding = "x".repeat(number % 300);
                    pm_core::status!(handle, "{thread} {number} {padding}").unwrap();
                }
            });
        }
    });
    let history = list.history(task.serial()).unwrap();
    assert_eq!((history.entries.len(), history.dropped_after), (104, 4));
    assert_eq!(history.dropped, (1 + threads * each - 104) as u64);
    assert_eq!(list.counters().statuses_dropped, 0);
    assert!(history.entries.is_sorted_by_key(|entry| entry.at));
    for thread in 0..threads {
        let prefix = format!("{thread} ");
        let own = history.entries.iter().filter_map(|entry| entry.status.strip_prefix(&prefix));
        let numbers: Vec<usize> = own.map(|rest| rest.split(' ').next().unwrap().parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

#[test]
fn statuses_years_apart_keep_their_dates() {
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock).history(2, 3));
    let task = list.start("job");
    let year = Duration::from_secs(365 * 86_400);
    for number in 0..6 {
        hand.advance(year);
        pm_core::status!(task, "{number}").unwrap();
    }
    hand.advance(Duration::from_nanos(1));
    let history = list.history(task.serial()).unwrap();
    let start = history.entries[0].at.unix_nanos();
    let years: Vec<_> =
        history.entries.iter().map(|entry| (entry.at.unix_nanos() - start) / year.as_nanos() as u64).collect();
    assert_eq!((years, history.dropped), (vec![0, 1, 4, 5, 6], 2));
    let ages = list.view(task.serial(), |row| (row.age(), row.status_age())).unwrap();
    assert_eq!(ages, (6 * year + Duration::from_nanos(1), Duration::from_nanos(1)));
}

// Cancel.

#[test]
fn an_ambiguous_id_names_its_tasks_oldest_first() {
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock));
    let mut tasks: Vec<Task> = (0..5)
        .map(|_| {
            hand.advance(Duration::from_secs(1));
            list.start("same")
        })
        .collect();
    hand.advance(Duration::from_secs(1));
    drop(tasks.remove(1));
    tasks.push(list.start("same"));
    let oldest_first: Vec<_> = tasks.iter().map(|task| task.serial().unwrap()).collect();
    let Err(CancelError::Ambiguous { serials, .. }) = list.cancel("same", "") else { panic!() };
    assert_eq!((&serials, list.find("same")), (&oldest_first, oldest_first.clone()));
    list.cancel(serials[2], "this one").unwrap();
    let cancelled: Vec<_> = tasks.iter().map(|task| task.is_cancelled()).collect();
    assert_eq!(cancelled, [false, false, true, false, false]);
    tasks.truncate(1);
    assert_eq!(list.cancel("same", "").map(|cancel| cancel.serial()), Ok(oldest_first[0]));
}

#[test]
fn a_task_overrides_whether_the_list_makes_tasks_cancellable() {
    let list = ProcessList::with_options(Options::new().on_cancel(CancelPolicy::Refuse));
    let (no, yes) = (list.start("no"), list.task("yes").on_cancel(CancelPolicy::Drop).start());
    let refused = list.cancel("no", "").unwrap_err();
    assert!(matches!(refused, CancelError::NotCancellable { serial, .. } if serial == no.serial().unwrap()));
    assert_eq!(list.cancel("yes", "").map(|cancel| cancel.serial()), Ok(yes.serial().unwrap()));
    list.set_on_cancel(CancelPolicy::Drop);
    assert!(list.cancel("no", "").is_err(), "it was started before");
    let (now, still_not) = (list.start("now"), list.task("still not").on_cancel(CancelPolicy::Refuse).start());
    assert_eq!(list.cancel("now", "").map(|cancel| cancel.serial()), Ok(now.serial().unwrap()));
    assert!(list.cancel(still_not.serial(), "").is_err());
    assert_eq!((no.checkpoint(), still_not.checkpoint()), (Ok(()), Ok(())));
    assert_eq!(list.cancel("unknown", "").map(|cancel| cancel.serial()), Err(CancelError::NotFound));
    assert_eq!(list.counters().cancel_requests, 2);
}

#[test]
fn a_cancellation_without_a_reason_stays_without_one() {
    let list = ProcessList::new();
    let task = list.start("job");
    list.cancel("job", "").unwrap();
    list.cancel("job", "too late to say why").unwrap();
    assert_eq!(statuses(&list, task.handle()), ["init", "[cancel request]"]);
    let cancelled = task.checkpoint().unwrap_err();
    assert_eq!((cancelled.reason(), cancelled.to_string().as_str()), ("", "cancelled"));
}

// Memory.

#[test]
fn a_full_list_counts_hidden_tasks_and_recovers_its_full_capacity() {
    let list = ProcessList::with_options(Options::new().max_bytes(2 << 20));
    let fill = || {
        let before = list.counters().not_shown;
        let mut tasks = Vec::new();
        while list.counters().not_shown < before + 10 {
            tasks.push(list.task("job").attr("n", tasks.len()).start());
        }
        tasks
    };
    let tasks = fill();
    let counters = list.counters();
    assert_eq!((counters.live, counters.not_shown), (tasks.len() as u64 - 10, 10));
    assert_eq!(shown(&list).len(), tasks.len() - 10);
    let hidden = tasks.last().unwrap();
    assert_eq!(hidden.serial(), None);
    let child = list.run_sync("not shown either", |task| {
        assert!(!task.handle().is_live());
        task.status("runs")?;
        Ok(7)
    });
    assert_eq!(child, Ok(7));
    let count = tasks.len();
    let held = list.counters().bytes_held;
    drop(tasks);
    assert_eq!((list.counters().live, list.counters().finished), (0, count as u64 - 10));
    assert_eq!(fill().len(), count, "ended tasks free their space");
    let more = list.counters().bytes_held - held;
    assert!(more < 64 << 10, "the statistics of its kind take a little: {more}");
}

#[test]
fn a_cancellation_reaches_its_task_even_in_a_full_list() {
    let list = ProcessList::with_options(Options::new().max_bytes(1));
    let mut tasks = vec![list.start("first")];
    while list.counters().not_shown == 0 {
        tasks.push(list.start("other"));
    }
    assert_eq!(
        list.cancel("first", "a reason without any space left").map(|cancel| cancel.serial()),
        Ok(tasks[0].serial().unwrap())
    );
    assert!(tasks[0].is_cancelled());
    assert_eq!(tasks[0].checkpoint().unwrap_err().serial(), tasks[0].serial().unwrap());
    drop(tasks);
    assert_eq!((list.counters().cancelled, list.counters().live), (1, 0));
}

#[test]
fn values_that_find_no_space_are_counted_and_the_rest_stays_intact() {
    let list = ProcessList::with_options(Options::new().max_bytes(1).history(4, 20));
    let task = list.task("talkative").attr("kept", "since the start").start();
    let mut fillers = Vec::new();
    while list.counters().not_shown == 0 {
        fillers.push(list.start("filler"));
    }
    let mut said = 1;
    let mut say = |task: &Task| {
        for number in 0..200 {
            pm_core::status!(task, "{number} {}", "x".repeat(number * 7 % 900)).unwrap();
            task.set("big", &"y".repeat(number * 11 % 2_000));
            said += 1;
        }
        let history = list.history(task.serial()).unwrap();
        let recorded = history.entries.len() as u64 + history.dropped;
        assert_eq!(recorded + list.counters().statuses_dropped, said);
        assert_eq!(history.entries[0].status, "init");
        assert!(attrs(&list, task).contains(r#"("kept", Text("since the start"))"#));
        history
    };
    say(&task);
    assert!(list.counters().statuses_dropped > 0 && list.counters().attrs_dropped > 0);
    // A little space, then all of it.
    fillers.truncate(fillers.len() - 20);
    say(&task);
    fillers.clear();
    let last = say(&task).entries.last().unwrap().status.len();
    assert_eq!(last, "199 ".len() + 199 * 7 % 900);
}

#[test]
fn long_tasks_release_all_their_memory() {
    let list = ProcessList::with_options(Options::new().max_bytes(92 << 20).keep_ended(0));
    let count = if cfg!(miri) { 10 } else { 1_000 };
    let burst = || {
        let tasks: Vec<_> = (0..count).map(|_| list.task(&"long id ".repeat(50)).start()).collect();
        for task in &tasks {
            for number in 0..20 {
                pm_core::status!(task, "{number} {}", "x".repeat(number * 40)).unwrap();
                task.set("a", &"y".repeat(number * 90));
            }
            list.cancel(task.serial(), &"why ".repeat(100)).unwrap();
        }
        let held = list.counters().bytes_held;
        // On another thread than they were started on.
        std::thread::scope(|scope| scope.spawn(|| drop(tasks)).join().unwrap());
        held
    };
    let held = burst();
    for _ in 0..4 {
        // The statistics of its kind take a little.
        assert!(burst() - held < 64 << 10);
    }
    assert_eq!(list.counters().live, 0);
}

#[test]
fn threads_that_start_and_exit_together_leave_only_their_counts() {
    let list = ProcessList::with_options(Options::new().max_bytes(94 << 20));
    let (rounds, threads, each) = if cfg!(miri) { (2, 3, 10) } else { (25, 8, 1_000) };
    for _ in 0..rounds {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for number in 0..each {
                        let task = list.task("short").attr("n", number).start();
                        task.status("here").unwrap();
                    }
                });
            }
        });
    }
    let counters = list.counters();
    assert_eq!((counters.live, counters.finished, counters.not_shown), (0, rounds * threads * each, 0));
    assert!(counters.bytes_held < 5 << 20, "{}", counters.bytes_held);
    assert!(shown(&list).is_empty() && scanned(&list).is_empty());
}

// Readers.

#[test]
fn a_scan_omits_tasks_that_start_after_it_or_end_before_their_turn() {
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock));
    let mut tasks: Vec<Task> = Vec::new();
    for _ in 0..4 {
        tasks.push(list.start("job"));
        hand.advance(Duration::from_secs(1));
    }
    let mut scan = list.scan();
    hand.advance(Duration::from_secs(1));
    let _later = list.start("later");
    assert_eq!(scan.next().unwrap().serial(), tasks[0].serial().unwrap());
    drop(tasks.remove(2));
    let row = scan.next().unwrap();
    assert_eq!((row.serial(), row.age()), (tasks[1].serial().unwrap(), Duration::from_secs(3)));
    assert_eq!(scan.next().unwrap().serial(), tasks[2].serial().unwrap());
    assert!(scan.next().is_none() && scan.next().is_none());
    assert_eq!(shown(&list), scanned(&list));
}

#[test]
fn an_empty_list_returns_nothing() {
    let list = ProcessList::new();
    let snapshot = list.snapshot();
    assert!(snapshot.is_empty() && snapshot.get(0).is_none() && snapshot.iter().len() == 0);
    assert!(list.scan().next().is_none() && list.find("").is_empty());
    assert_eq!(list.cancel("", "").map(|cancel| cancel.serial()), Err(CancelError::NotFound));
}

#[test]
fn a_snapshot_outlives_its_tasks_and_its_list() {
    let list = ProcessList::new();
    let task = list.task("job").kind("import").attr("a", "b").start();
    task.status("reading").unwrap();
    let snapshot = list.snapshot();
    drop((task, list));
    let row = snapshot.get(0).unwrap();
    assert_eq!((row.id().as_str(), row.status().to_string()), ("job", "reading".to_owned()));
    assert_eq!((row.kind().unwrap().as_str(), row.attrs().count()), ("import", 1));
}

#[test]
fn an_ended_parent_is_still_reported() {
    let list = ProcessList::new();
    let parent = list.start("parent");
    let (handle, serial) = (parent.handle(), parent.serial());
    drop(parent);
    let child = list.task("child").parent(handle).start();
    assert_eq!(list.view(child.serial(), |row| row.parent()), Some(serial));
}

#[test]
fn a_disabled_list_keeps_showing_its_existing_tasks() {
    let list = ProcessList::new();
    let task = list.start("shown");
    list.set_enabled(false);
    let hidden = list.start("hidden");
    task.status("still shown").unwrap();
    hidden.status("not shown").unwrap();
    hidden.fail("nor counted");
    assert_eq!(shown(&list), [task.serial().unwrap()]);
    assert_eq!(statuses(&list, task.handle()), ["init", "still shown"]);
    assert_eq!((list.counters().failed, list.counters().not_shown, list.counters().late_calls), (0, 0, 0));
    drop(task);
    assert_eq!((list.counters().live, list.counters().finished), (0, 1));
}

// User code that misbehaves.

#[test]
fn a_display_that_panics_halfway_leaves_task_and_list_usable() {
    struct Half;
    impl fmt::Display for Half {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half of it")?;
            panic!("in Display")
        }
    }
    let list = ProcessList::new();
    let task = list.task("job").attr("a", "old").start();
    task.status("before").unwrap();
    for _ in 0..3 {
        assert!(catch_unwind(AssertUnwindSafe(|| pm_core::status!(task, "{} {Half}", 1))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| task.set_fmt("a", format_args!("{Half}")))).is_err());
    }
    assert_eq!(statuses(&list, task.handle()), ["init", "before"]);
    assert_eq!(attrs(&list, &task), r#"[("a", Text("old"))]"#);
    std::thread::scope(|scope| {
        scope.spawn(|| pm_core::status!(task, "from {}", "another thread").unwrap());
    });
    pm_core::status!(task, "{}", "after").unwrap();
    assert_eq!(statuses(&list, task.handle()), ["init", "before", "from another thread", "after"]);
    drop(task);
    assert_eq!((list.counters().finished, list.counters().aborted), (1, 0));
}

#[test]
fn guards_of_two_lists_may_be_dropped_in_any_order() {
    let lists = [ProcessList::new(), ProcessList::new()];
    let tasks: Vec<_> = (0..4).map(|number| lists[number / 2].start(&format!("task-{number}"))).collect();
    // The index of the current task; when guards are dropped out of order, it may be one whose guard is gone.
    let mut current = None;
    for entered in [[0, 1, 2, 3], [0, 2, 1, 3], [2, 0, 3, 1], [1, 3, 0, 2]] {
        for left in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
            let enter = |number: usize| Some((current.replace(number), tasks[number].enter()));
            let mut guards = entered.map(enter);
            for place in left {
                current = guards[place].take().unwrap().0;
                pm_core::current().set("current", true);
                for (number, task) in tasks.iter().enumerate() {
                    let marked = attrs(&lists[number / 2], task).contains("current");
                    assert_eq!(marked, Some(number) == current, "{number} at {place}: {entered:?} {left:?}");
                    task.unset("current");
                }
            }
        }
    }
}
