//! One test for each promise about the life of a task, and for each kind of misuse.
#![cfg(not(loom))]

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use pm_core::{CancelError, CancelPolicy, Cancelled, Clock, Options, ProcessList, StatusText, TaskHandle};

fn statuses(list: &ProcessList, task: TaskHandle) -> Vec<String> {
    list.history(task.serial()).unwrap().entries.into_iter().map(|entry| entry.status).collect()
}

/// The number of segments that a few tasks may need: one has enough space, but those for Miri are small.
const SEGMENTS: u64 = if cfg!(miri) { 8 } else { 1 };

/// Returns a list that reuses no other list's memory, as none has its size, and the memory it takes at first.
fn list_of_its_own(mebibytes: usize) -> (ProcessList, u64) {
    let list = ProcessList::with_options(Options::new().max_bytes(mebibytes << 20));
    drop(list.start("first"));
    let held = list.counters().bytes_held;
    assert!(cfg!(miri) || (2 << 20..3 << 20).contains(&held), "{held}");
    (list, held)
}

// How a task ends.

#[test]
fn each_way_to_end_is_counted_as_its_outcome() {
    let list = ProcessList::new();
    list.start("finished").finish();
    drop(list.start("dropped"));
    list.start("failed").fail("no disk");
    let cancelled = list.start("cancelled");
    list.cancel("cancelled", "").unwrap();
    assert!(cancelled.checkpoint().is_err());
    drop(cancelled);
    let ignored = list.start("cancelled but never observed");
    list.cancel("cancelled but never observed", "").unwrap();
    drop(ignored);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _task = list.start("panicked");
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    let counters = list.counters();
    assert_eq!((counters.finished, counters.failed, counters.cancelled, counters.aborted), (3, 1, 1, 1));
    assert_eq!((counters.live, counters.started), (0, 6));
}

#[test]
fn a_run_with_its_own_error_type_ends_with_the_matching_outcome() {
    #[derive(Debug, PartialEq)]
    enum Failure {
        Disk,
        Killed(String),
    }
    impl fmt::Display for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no disk")
        }
    }
    impl From<Cancelled> for Failure {
        fn from(cancelled: Cancelled) -> Self {
            Self::Killed(cancelled.reason().to_owned())
        }
    }
    let list = ProcessList::new();
    let killed = || Err(Failure::Killed("too slow".to_owned()));
    let cancel = |task: &pm_core::Task| list.cancel(task.serial(), "too slow").unwrap();

    assert_eq!(list.task("job").try_run_sync(|_| Ok::<_, Failure>(7)), Ok(7));
    let failed = list.task("job").try_run_sync(|task| {
        assert_eq!(pm_core::current().serial(), task.serial());
        Err::<(), _>(Failure::Disk)
    });
    assert_eq!(failed, Err(Failure::Disk));
    assert_eq!(list.ended().iter().next_back().unwrap().status().to_string(), "failed: no disk");
    let cancelled = list.task("job").try_run_sync(|task| {
        cancel(task);
        task.status("reading")?;
        Ok(())
    });
    assert_eq!(cancelled, killed());
    let unwound = list.task("job").try_run_sync(|task| {
        cancel(task);
        pm_core::current().checkpoint_or_unwind();
        Ok(())
    });
    assert_eq!(unwound, killed());
    // Only a task below has observed the cancellation, and returned it as an error.
    let below = list.task("job").try_run_sync(|task| {
        cancel(task);
        list.task("below").try_run_sync(|task| -> Result<(), Failure> { Ok(task.checkpoint()?) })
    });
    assert_eq!(below, killed());
    let job = || list.task("job").try_run_sync(|_| -> Result<(), Failure> { panic!("a bug") });
    assert!(catch_unwind(AssertUnwindSafe(job)).is_err());
    let counters = list.counters();
    assert_eq!((counters.finished, counters.failed, counters.cancelled, counters.aborted), (1, 1, 4, 1));
}

#[test]
fn an_unwinding_cancellation_stops_at_its_run_and_other_panics_propagate() {
    let list = ProcessList::new();
    let deep_below = || pm_core::current().checkpoint_or_unwind();
    let result = list.run_sync("outer", |_| {
        let inner = list.run_sync("inner", |_| {
            list.cancel("inner", "only this").unwrap();
            deep_below();
            Ok(())
        });
        assert_eq!(inner.unwrap_err().reason(), "only this");
        deep_below();
        Ok(1)
    });
    assert_eq!(result, Ok(1));

    let result = list.run_sync("outer", |_| {
        // The inner task ends with it, and its own `run` does not catch a cancellation of another task.
        list.run_sync("inner", |_| {
            list.cancel("outer", "all of it").unwrap();
            let outer = list.find("outer")[0];
            assert_ne!(pm_core::current().serial(), Some(outer));
            Ok(())
        })?;
        deep_below();
        Ok(2)
    });
    assert_eq!(result.unwrap_err().reason(), "all of it");

    let panicked =
        catch_unwind(AssertUnwindSafe(|| list.run_sync("job", |_| -> Result<(), Cancelled> { panic!("a bug") })));
    assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "a bug");
    assert_eq!((list.counters().aborted, list.counters().live), (1, 0));
}

#[test]
fn a_task_started_while_a_panic_unwinds_can_still_finish() {
    struct Cleanup<'l>(&'l ProcessList);
    impl Drop for Cleanup<'_> {
        fn drop(&mut self) {
            let task = self.0.start("cleanup");
            task.status("cleaning").unwrap();
        }
    }
    let list = ProcessList::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _cleanup = Cleanup(&list);
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!((list.counters().finished, list.counters().aborted), (1, 0));
}

#[test]
fn a_stale_handle_does_nothing_and_never_affects_the_next_task() {
    let list = ProcessList::new();
    let old = list.start("old");
    let handle = old.handle();
    drop(old);
    let new = list.start("new");
    handle.status("late").unwrap();
    handle.set("late", true);
    handle.progress(1, 2, "late");
    handle.unset("late");
    assert_eq!(handle.checkpoint(), Ok(()));
    assert!(!handle.is_live() && !handle.is_cancelled());
    assert_eq!(list.cancel(handle.serial(), "").map(|cancel| cancel.serial()), Err(CancelError::NotFound));
    assert_eq!(statuses(&list, new.handle()), ["init"]);
    assert_eq!(list.view(new.serial(), |row| (row.attrs().count(), row.progress().is_none())), Some((0, true)));
    assert_eq!(list.counters().late_calls, 4);
}

#[test]
fn a_forgotten_task_stays_visible() {
    let list = ProcessList::new();
    std::mem::forget(list.start("forgotten"));
    assert_eq!(list.snapshot().get(0).unwrap().id().as_str(), "forgotten");
    assert_eq!(list.counters().live, 1);
}

#[test]
fn a_dropped_builder_starts_no_task() {
    let list = ProcessList::new();
    drop(list.task("never").attr("a", 1));
    assert!(list.snapshot().is_empty());
    assert_eq!((list.counters().started, list.counters().live), (0, 0));
}

#[test]
fn tasks_may_outlive_their_list() {
    let list = ProcessList::new();
    let task = list.start("orphan");
    let handle = task.handle();
    drop(list);
    task.status("still here").unwrap();
    task.set("a", 1);
    // A new list must not reuse the memory of tasks that still run.
    let next = ProcessList::new();
    let other = next.start("other");
    assert_eq!(next.snapshot().len(), 1);
    drop(task);
    handle.status("late").unwrap();
    assert_eq!(statuses(&next, other.handle()), ["init"]);
}

#[test]
fn a_list_that_reuses_memory_starts_empty() {
    for _ in 0..3 {
        let list = ProcessList::with_options(Options::new().on_cancel(CancelPolicy::Refuse).max_attrs(7));
        assert_eq!(list.counters().live + list.counters().started + list.counters().attrs_dropped, 0);
        assert!(list.is_enabled() && list.snapshot().is_empty());
        let task = list.start("job");
        assert!(list.cancel("job", "").is_err());
        for number in 0..9 {
            task.set(&number.to_string(), number);
        }
        assert_eq!(list.counters().attrs_dropped, 2);
        list.set_enabled(false);
    }
}

// Excessive use.

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn ten_thousand_attributes_are_cut_at_the_limit_and_counted() {
    let list = ProcessList::new();
    let (task, other) = (list.start("greedy"), list.task("other").attr("a", 1).start());
    let count: u64 = 10_000;
    for number in 0..count {
        task.set(&format!("name-{number}"), "value");
    }
    assert_eq!(list.view(task.serial(), |row| row.attrs().count()), Some(128));
    assert_eq!(list.counters().attrs_dropped, count - 128);
    // An existing attribute can still be changed, and freed space can be used.
    task.set("name-5", 5);
    task.unset("name-6");
    task.set("new", 7);
    let text = list.view(task.serial(), |row| format!("{:?}", row.attrs_sorted())).unwrap();
    assert!(text.contains("(\"name-5\", I64(5))") && text.contains("(\"new\", I64(7))"), "{text}");
    assert!(!text.contains("\"name-6\""), "{text}");
    assert_eq!(list.view(other.serial(), |row| row.attrs().count()), Some(1));
}

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn a_million_statuses_take_bounded_memory_and_are_all_counted() {
    let (list, held) = list_of_its_own(100);
    let task = list.start("talkative");
    let count: u64 = 1_000_000;
    for number in 0..count {
        pm_core::status!(task, "status {number}").unwrap();
    }
    let history = list.history(task.serial()).unwrap();
    assert_eq!(history.entries.len(), 16 + 112);
    assert_eq!(history.dropped + history.entries.len() as u64, count + 1);
    assert_eq!(history.entries[15].status, "status 14");
    assert_eq!(history.entries[16].status, format!("status {}", count - 112));
    assert_eq!(history.entries[127].status, format!("status {}", count - 1));
    assert!(history.entries.is_sorted_by_key(|entry| entry.at));
    assert!(list.counters().bytes_held <= held * SEGMENTS);
}

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn an_attribute_set_again_and_again_takes_bounded_memory() {
    let (list, held) = list_of_its_own(110);
    let task = list.task("busy").attr("first", "stays").start();
    let count: u64 = 100_000;
    for number in 0..count {
        task.set("text", &"x".repeat((number % 100) as usize));
        task.set("number", number);
        task.set("either", if number % 2 == 0 { pm_core::Value::Bool(true) } else { pm_core::Value::Text("no") });
        task.unset("either");
    }
    let text = list.view(task.serial(), |row| format!("{:?}", row.attrs_sorted())).unwrap();
    let last = "x".repeat(((count - 1) % 100) as usize);
    assert_eq!(
        text,
        format!(r#"[("first", Text("stays")), ("number", U64({})), ("text", Text("{last}"))]"#, count - 1)
    );
    assert!(list.counters().bytes_held <= held * SEGMENTS);
}

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn strings_beyond_their_limits_are_truncated_at_a_character_and_counted() {
    let list = ProcessList::new();
    let long = "é🦀".repeat(if cfg!(miri) { 800 } else { 5_000 });
    let task = list.task(&long).kind(&long).attr(&long, &long).start();
    task.status(&long).unwrap();
    task.progress(1, 2, &long);
    list.cancel(&long, &long).unwrap();
    list.view(task.serial(), |row| {
        let attrs = row.attrs_sorted();
        for (text, limit) in [
            (row.id().to_string(), 1024),
            (row.kind().unwrap().to_string(), 128),
            (attrs[0].0.to_string(), 128),
            (row.progress().unwrap().unit.to_string(), 128),
            (task.checkpoint().unwrap_err().reason().to_owned(), 1024),
        ] {
            let len = text.len();
            assert!(text.ends_with('…') && len <= limit && len > limit - 8, "{len} of {limit}");
        }
        let pm_core::ValueView::Text(value) = attrs[0].1 else { panic!() };
        assert!(value.as_str().ends_with('…') && value.as_bytes().len() <= 4096);
    })
    .unwrap();
    // A search for the whole id finds it. Eight strings were truncated on insertion, and each search truncates the id
    // again.
    assert_eq!(list.find(&long), [task.serial().unwrap()]);
    assert!(list.counters().texts_cut >= 7, "{:?}", list.counters());
}

#[test]
fn a_full_list_still_runs_its_tasks_and_recovers() {
    let list = ProcessList::with_options(Options::new().max_bytes(1));
    let mut tasks = Vec::new();
    while list.counters().not_shown == 0 {
        tasks.push(list.task("job").attr("n", tasks.len()).start());
    }
    let hidden = tasks.pop().unwrap();
    hidden.status("runs all the same").unwrap();
    hidden.set("a", 1);
    assert_eq!(hidden.checkpoint(), Ok(()));
    assert_eq!(list.counters().live, tasks.len() as u64);
    // A shown task that needs more space gets no error, and the dropped status is counted.
    for _ in 0..40 {
        tasks[0].status("without any chunk left").unwrap();
    }
    assert!(list.counters().statuses_dropped > 0);
    drop((hidden, tasks));
    let task = list.start("space again");
    assert_eq!(list.snapshot().len(), 1);
    drop(task);
}

#[test]
fn a_second_burst_needs_no_new_memory() {
    let list = ProcessList::with_options(Options::new().keep_ended(0));
    let count = if cfg!(miri) { 200 } else { 50_000 };
    let mut held = Vec::new();
    for _ in 0..3 {
        let tasks: Vec<_> = (0..count).map(|number| list.task("burst").attr("n", number).start()).collect();
        held.push(list.counters().bytes_held);
        drop(tasks);
    }
    // The statistics of its kind take a little.
    assert!(held[2] - held[0] < 64 << 10, "{held:?}");
}

#[test]
fn exited_threads_leave_nothing_behind() {
    let (list, held) = list_of_its_own(120);
    let (threads, tasks) = if cfg!(miri) { (5, 10) } else { (200, 1_000) };
    for _ in 0..threads {
        let list = list.clone();
        std::thread::spawn(move || {
            for _ in 0..tasks {
                list.start("short").status("here").unwrap();
            }
        })
        .join()
        .unwrap();
    }
    let counters = list.counters();
    assert_eq!((counters.live, counters.finished), (0, threads * tasks + 1));
    // The live thread holds what each of two hundred threads could have held.
    assert!(counters.bytes_held <= held * SEGMENTS + (64 << 10), "{} of {held}", counters.bytes_held);
}

// User code that misbehaves.

struct Panics;

impl fmt::Display for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Display");
    }
}

struct Reentrant<'t>(&'t pm_core::Task);

impl fmt::Display for Reentrant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = pm_core::status!(self.0, "from {}", "within");
        f.write_str("outer")
    }
}

struct Fails;

impl fmt::Display for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("so far")?;
        Err(fmt::Error)
    }
}

#[test]
fn a_display_that_panics_reenters_or_fails_does_no_harm() {
    let list = ProcessList::new();
    let task = list.start("job");
    assert!(catch_unwind(AssertUnwindSafe(|| pm_core::status!(task, "{}", Panics))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| task.set_fmt("a", format_args!("{}", Panics)))).is_err());
    pm_core::status!(task, "{}", Reentrant(&task)).unwrap();
    pm_core::status!(task, "{}", Fails).unwrap();
    assert_eq!(statuses(&list, task.handle()), ["init", "from within", "outer", "so far"]);
    assert_eq!(list.view(task.serial(), |row| row.attrs().count()), Some(0));
}

// Several threads, one task.

#[test]
fn statuses_of_several_threads_are_in_the_order_of_their_times() {
    let list = ProcessList::with_options(Options::new().history(16, 60_000));
    let task = list.start("shared");
    let (threads, each) = (4, if cfg!(miri) { 20 } else { 5_000 });
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let handle = task.handle();
            scope.spawn(move || {
                for number in 0..each {
                    pm_core::status!(handle, "{thread} {number}").unwrap();
                }
            });
        }
    });
    let history = list.history(task.serial()).unwrap();
    assert_eq!((history.entries.len(), history.dropped), (1 + threads * each, 0));
    assert!(history.entries.is_sorted_by_key(|entry| entry.at));
    for thread in 0..threads {
        let own = history.entries.iter().filter_map(|entry| entry.status.strip_prefix(&format!("{thread} ")));
        assert!(own.map(|number| number.parse::<usize>().unwrap()).eq(0..each));
    }
}

// The rest of the promises.

#[test]
fn the_current_task_is_the_parent_by_default() {
    let list = ProcessList::new();
    let parent_of = |task: &pm_core::Task| list.view(task.serial(), |row| row.parent()).unwrap();
    list.run_sync("outer", |outer| {
        let child = list.start("child");
        assert_eq!(parent_of(&child), outer.serial());
        let grandchild = {
            let _entered = child.enter();
            list.start("grandchild")
        };
        assert_eq!(parent_of(&grandchild), child.serial());
        assert_eq!(parent_of(&list.task("alone").detached().start()), None);
        assert_eq!(parent_of(&list.task("explicit").parent(&grandchild).start()), grandchild.serial());
        assert_eq!(pm_core::current().serial(), outer.serial());
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(parent_of(&list.start("other thread")), None));
        });
        Ok(())
    })
    .unwrap();
    assert_eq!(parent_of(&list.start("after")), None);
}

#[test]
fn the_status_is_recorded_before_the_cancellation_is_returned() {
    let list = ProcessList::new();
    let task = list.start("job");
    list.cancel("job", "first").unwrap();
    list.cancel("job", "second").unwrap();
    let cancelled = task.status("next").unwrap_err();
    assert_eq!(
        (cancelled.reason(), cancelled.serial(), cancelled.to_string().as_str()),
        ("first", task.serial().unwrap(), "cancelled: first")
    );
    assert!(task.status("and again").is_err());
    assert_eq!(statuses(&list, task.handle()), ["init", "[cancel request: first]", "next", "and again"]);
    assert_eq!(list.counters().cancel_requests, 1);
}

#[test]
fn ages_follow_the_clock_of_the_list() {
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock));
    let task = list.start("job");
    hand.advance(Duration::from_secs(5));
    task.status("half way").unwrap();
    hand.advance(Duration::from_secs(2));
    let snapshot = list.snapshot();
    let row = snapshot.get(0).unwrap();
    assert_eq!((row.age(), row.status_age()), (Duration::from_secs(7), Duration::from_secs(2)));
    hand.advance(Duration::from_secs(1));
    assert_eq!(row.age(), Duration::from_secs(7), "a snapshot stays as it was");
}

#[test]
fn an_entry_keeps_its_date_in_all_snapshots() {
    let list = ProcessList::new();
    let task = list.start("job");
    let looks = if cfg!(miri) { 20 } else { 1_000 };
    let dates: Vec<_> = (0..looks).map(|_| list.history(task.serial()).unwrap().entries[0].at.unix_nanos()).collect();
    // The rate of the clock is refined occasionally; it does not change with each snapshot.
    let changes = dates.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes < 100, "{changes}");
    assert!(dates.iter().max().unwrap() - dates.iter().min().unwrap() < 1_000_000);
}

#[test]
fn a_disabled_list_costs_and_shows_nothing() {
    let list = ProcessList::new();
    list.set_enabled(false);
    let task = list.task("hidden").attr("a", 1).start();
    task.status("unseen").unwrap();
    assert_eq!(list.cancel("hidden", "").map(|cancel| cancel.serial()), Err(CancelError::NotFound));
    assert_eq!((list.snapshot().len(), list.counters().started), (0, 0));
    list.set_enabled(true);
    let shown = list.start("shown");
    assert_eq!(list.snapshot().len(), 1);
    drop((task, shown));
}

#[test]
fn ids_of_any_characters_are_found_and_generated_ones_differ() {
    let list = ProcessList::new();
    for id in ["", ".", "/", "\0", "%", "🦀", "a\nb", "\u{10ffff}"] {
        let task = list.start(id);
        assert_eq!(list.find(id), [task.serial().unwrap()], "{id:?}");
        assert_eq!(list.snapshot().get(0).unwrap().id().as_str(), id);
    }
    let (one, two) = (list.unnamed().start(), list.unnamed().start());
    let ids: Vec<String> = list.snapshot().iter().map(|row| row.id().to_string()).collect();
    assert_eq!(ids, [format!("task-{}", one.serial().unwrap()), format!("task-{}", two.serial().unwrap())]);
}

#[test]
fn snapshot_and_scan_agree_oldest_first() {
    let list = ProcessList::new();
    let count = if cfg!(miri) { 100 } else { 70_000 };
    let mut tasks: Vec<_> = (0..count).map(|number| list.start(&number.to_string())).collect();
    // New tasks reuse old slots, so that the order of slots is not that of starts.
    for number in (0..tasks.len()).step_by(3) {
        tasks[number] = list.start("later");
    }
    let snapshot = list.snapshot();
    let serials: Vec<_> = snapshot.iter().map(|row| row.serial()).collect();
    assert!(snapshot.iter().map(|row| row.started_at()).is_sorted());
    let mut scan = list.scan();
    for serial in &serials {
        assert_eq!(scan.next().unwrap().serial(), *serial);
    }
    assert!(scan.next().is_none());
    assert_eq!(serials.len(), count);
    assert_eq!(snapshot.get(0).unwrap().status(), StatusText::Init);
}
