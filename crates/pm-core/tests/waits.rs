//! Reports of which task waits for what, and which task blocks which.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pm_core::{Clock, ManualClock, Options, ProcessList, Resource, ResourceKind, Task, WaitReport, run};

fn list() -> (ProcessList, ManualClock) {
    let (clock, hand) = Clock::manual();
    (ProcessList::with_options(Options::new().clock(clock)), hand)
}

fn mutex(name: &str) -> Resource {
    Resource::fair(name, ResourceKind::Mutex, Some(1))
}

fn status(list: &ProcessList, task: &Task) -> String {
    list.view(task.serial(), |task| task.status().to_string()).unwrap()
}

/// Lines without serials, which differ from run to run.
fn text(waits: &WaitReport) -> Vec<String> {
    let without_serial = |line: &str| {
        let mut parts = line.split(" (task ");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |line, part| {
            line + part.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(')')
        })
    };
    waits.to_string().lines().map(without_serial).collect()
}

#[test]
fn a_wait_is_a_temporary_status_with_a_duration() {
    let (list, clock) = list();
    let task = list.start("import");
    task.status("reading").unwrap();
    let wait = task.waiting_on("pool:db");
    clock.advance(Duration::from_secs(3));
    assert_eq!(status(&list, &task), "waiting on pool:db");
    let waits = list.waits();
    assert_eq!(waits.waits.len(), 1);
    let reported = &waits.waits[0];
    assert_eq!((reported.task.id.as_str(), reported.resource.name.as_str(), reported.units), ("import", "pool:db", 1));
    assert_eq!((reported.waited_for, reported.is_stuck, reported.in_cycle), (Duration::from_secs(3), false, false));
    assert!(reported.resource.holders.is_empty() && reported.resource.unknown_holders == 0);
    drop(wait);
    assert_eq!(status(&list, &task), "reading");
    assert!(list.waits().waits.is_empty());
    let history = list.history(task.serial()).unwrap();
    let entries: Vec<&str> = history.entries.iter().map(|entry| entry.status.as_str()).collect();
    assert_eq!(entries, ["init", "reading", "waiting on pool:db", "reading"]);
}

#[test]
fn holders_are_reported_with_the_time_they_have_held() {
    let (list, clock) = list();
    let (first, second, third) = (list.start("first"), list.start("second"), list.start("third"));
    let pool = Resource::with_capacity("pool", 2);
    let held = first.holding(&pool);
    clock.advance(Duration::from_secs(1));
    let _held = second.holding(&pool);
    let _unclaimed = pool.hold(1);
    let wait = third.waiting_on(&pool);
    clock.advance(Duration::from_secs(1));
    let waits = list.waits();
    let resource = &waits.waits[0].resource;
    let holders: Vec<_> =
        resource.holders.iter().map(|holder| (holder.task.id.as_str(), holder.held_for.as_secs())).collect();
    assert_eq!(holders, [("first", 2), ("second", 1)]);
    assert_eq!((resource.unknown_holders, resource.capacity), (1, Some(2)));
    drop(held);
    let held = wait.acquired();
    assert!(list.waits().waits.is_empty());
    let _wait = second.waiting_on(&pool);
    let holders: Vec<String> =
        list.waits().waits[0].resource.holders.iter().map(|holder| holder.task.id.clone()).collect();
    assert_eq!(holders, ["second", "third"]);
    drop(held);
}

#[test]
fn three_tasks_over_two_locks_and_a_semaphore_are_reported_as_a_cycle() {
    let (list, _clock) = list();
    let (a, b, c, d) = (list.start("a"), list.start("b"), list.start("c"), list.start("d"));
    let (users, orders) = (mutex("lock:users"), mutex("lock:orders"));
    let slots = Resource::fair("slots", ResourceKind::Semaphore, Some(2));
    let _held = (a.holding(&users), b.holding(&orders), c.holding(&slots), c.holding(&slots));
    let to_orders = a.waiting_on(&orders);
    let _waits = (b.waiting_on(&slots), d.waiting_on(&users));
    assert!(list.waits().cycles.is_empty(), "c can proceed");
    let to_users = c.waiting_on(&users);
    let waits = list.waits();
    assert_eq!(
        text(&waits),
        [
            "deadlock: a waits for lock:orders, held by b waits for slots, held by c waits for lock:users, held by a",
            "a: waiting on lock:orders for 0.0 s",
            "  d waits 0.0 s for lock:users",
            "  c waits 0.0 s for lock:users",
            "    b waits 0.0 s for slots",
            "      a waits 0.0 s for lock:orders (see above)",
        ]
    );
    let flags: Vec<_> = waits.waits.iter().map(|wait| (wait.task.id.as_str(), wait.is_stuck, wait.in_cycle)).collect();
    assert_eq!(flags, [("a", true, true), ("b", true, true), ("d", true, false), ("c", true, true)]);
    // One of them gives up, and all can proceed.
    drop(to_orders);
    let waits = list.waits();
    assert!(waits.cycles.is_empty() && waits.waits.iter().all(|wait| !wait.is_stuck));
    drop(to_users);
}

#[test]
fn a_task_that_takes_a_lock_twice_waits_for_itself() {
    let (list, _clock) = list();
    let task = list.start("twice");
    let lock = mutex("lock");
    let _held = task.holding(&lock);
    let _wait = task.waiting_on(&lock);
    let waits = list.waits();
    assert_eq!(text(&waits)[0], "deadlock: twice waits for lock, held by twice");
    assert_eq!(waits.cycles[0].steps[0].held_by, task.serial().unwrap());
}

#[test]
fn blocking_tasks_come_first_with_their_waiters_below() {
    let (list, clock) = list();
    let names = ["holder", "near", "far", "farther", "elsewhere"];
    let tasks: Vec<Task> = names.iter().map(|name| list.start(name)).collect();
    let (one, two) = (mutex("one"), mutex("two"));
    tasks[0].status("copying").unwrap();
    let _held = (tasks[0].holding(&one), tasks[1].holding(&two));
    let mut waits = Vec::new();
    for (task, resource) in [(1, &one), (2, &two), (3, &two)] {
        waits.push(tasks[task].waiting_on(resource));
        clock.advance(Duration::from_secs(1));
    }
    waits.push(tasks[4].waiting_on("printer"));
    assert_eq!(
        text(&list.waits()),
        [
            "holder: copying for 3.0 s",
            "  near waits 3.0 s for one",
            "    far waits 2.0 s for two",
            "    farther waits 1.0 s for two",
            "elsewhere waits 0.0 s for printer, no known holder",
        ]
    );
}

#[test]
fn a_cancelled_task_waits_for_nothing_and_holds_nothing() {
    let (list, _clock) = list();
    let lock = mutex("lock");
    let (lock_of_holder, lock_of_waiter) = (lock.clone(), lock.clone());
    let mut holder = Box::pin(list.task("holder").run(async move {
        let _held = lock_of_holder.hold(1);
        std::future::pending::<()>().await;
    }));
    let mut waiter = Box::pin(list.task("waiter").run(async move {
        let _wait = lock_of_waiter.wait(1);
        std::future::pending::<()>().await;
    }));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(holder.as_mut().poll(&mut context).is_pending() && waiter.as_mut().poll(&mut context).is_pending());
    assert_eq!(list.waits().waits[0].resource.holders[0].task.id, "holder");
    list.cancel("holder", "").unwrap();
    assert!(holder.as_mut().poll(&mut context).is_ready());
    assert!(list.waits().waits[0].resource.holders.is_empty());
    list.cancel("waiter", "").unwrap();
    assert!(waiter.as_mut().poll(&mut context).is_ready());
    assert!(list.waits().waits.is_empty());
}

#[test]
fn a_guard_that_outlives_its_task_names_no_task() {
    let (list, _clock) = list();
    let lock = mutex("lock");
    let (holder, waiter) = (list.start("holder"), list.start("waiter"));
    let held = holder.holding(&lock);
    let wait = waiter.waiting_on(&lock);
    drop(holder);
    assert_eq!(text(&list.waits()), ["waiter waits 0.0 s for lock, held by no task of this list"]);
    drop(waiter);
    assert_eq!(text(&list.waits()), ["no task waits"]);
    drop((held, wait));
    let next = list.start("next");
    let _wait = next.waiting_on(&lock);
    assert_eq!(text(&list.waits()), ["next waits 0.0 s for lock, no known holder"]);
}

#[test]
fn tasks_of_another_list_are_not_reported() {
    let ((list, _), (other, _)) = (list(), list());
    let lock = mutex("lock");
    let (holder, waiter) = (other.start("secret"), list.start("waiter"));
    let _held = holder.holding(&lock);
    let _wait = (waiter.waiting_on(&lock), holder.waiting_on("elsewhere"));
    let waits = list.waits();
    assert_eq!(waits.waits.len(), 1);
    assert_eq!((waits.waits[0].resource.holders.len(), waits.waits[0].resource.unknown_holders), (0, 1));
}

#[test]
fn a_hold_moves_to_the_task_that_takes_it() {
    let (list, clock) = list();
    let (first, second, waiter) = (list.start("first"), list.start("second"), list.start("waiter"));
    let channel = Resource::fair("jobs (full)", ResourceKind::Channel, None);
    let held = channel.hold(1);
    let _wait = waiter.waiting_on(&channel);
    let holders = || -> Vec<String> {
        list.waits().waits[0].resource.holders.iter().map(|holder| holder.task.id.clone()).collect()
    };
    assert!(holders().is_empty());
    for task in [&first, &second] {
        let _current = task.enter();
        held.claim();
        clock.advance(Duration::from_secs(1));
        held.claim();
        assert_eq!(list.waits().waits[0].resource.holders[0].held_for, Duration::from_secs(1));
    }
    assert_eq!(holders(), ["second"]);
}

#[test]
fn names_are_truncated_and_masked_as_other_strings() {
    let (list, _clock) = list();
    let task = list.start("a");
    let name = format!("http://me:hunter2@db/{}", "x".repeat(200));
    let _wait = task.waiting_on(name.as_str());
    let waits = list.waits();
    let shown = &waits.waits[0].resource.name;
    assert!(shown.starts_with("http://***@db/x") && shown.ends_with('…') && shown.len() <= 128, "{shown}");
    assert!(!status(&list, &task).contains("hunter2"));
    let odd = list.start("b\x1b[2J");
    let _wait = odd.waiting_on("pool\n\u{202e}");
    let text = list.waits().to_string();
    assert!(!text.contains(['\x1b', '\u{202e}']) && text.lines().count() == 2, "{text}");
}

#[test]
fn waits_beyond_the_limits_are_counted_and_holds_have_unknown_holders() {
    let (list, _clock) = list();
    let task = list.start("a");
    let pool = Resource::new("pool");
    let waits: Vec<_> = (0..10_001).map(|_| task.waiting_on(&pool)).collect();
    let held: Vec<_> = (0..4_098).map(|_| task.holding(&pool)).collect();
    let reported = list.waits();
    assert_eq!((reported.waits.len(), reported.not_shown), (10_000, 1));
    let resource = &reported.waits[0].resource;
    assert_eq!((resource.holders.len(), resource.unknown_holders), (4_096, 2));
    drop((waits, held));
    let _wait = task.waiting_on(&pool);
    let reported = list.waits();
    assert_eq!((reported.waits.len(), reported.waits[0].resource.unknown_holders), (1, 0));
}

#[test]
fn without_a_task_nothing_is_reported() {
    let (list, _clock) = list();
    let pool = Resource::new("pool");
    let wait = pool.wait(1);
    let held = wait.acquired();
    list.set_enabled(false);
    let task = list.start("unseen");
    let _more = (task.waiting_on(&pool), task.holding(&pool), &held);
    list.set_enabled(true);
    assert!(list.waits().waits.is_empty());
}

#[test]
fn locks_that_are_constantly_handed_over_are_never_reported_as_a_cycle() {
    // Each thread takes two locks in the same order, so there is never a cycle; reports are made at all moments.
    let list = ProcessList::new();
    let locks = [std::sync::Mutex::new(()), std::sync::Mutex::new(())];
    let resources = [mutex("one"), mutex("two")];
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let _ = list.run_sync("worker", |_| {
                    for _ in 0..2_000 {
                        let take = |at: usize| {
                            let wait = resources[at].wait(1);
                            let guard = locks[at].lock().unwrap();
                            (wait.acquired(), guard)
                        };
                        let (first, second) = (take(0), take(1));
                        drop(second);
                        drop(first);
                    }
                    Ok(())
                });
            });
        }
        let looker = scope.spawn(|| {
            let mut looks = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let waits = list.waits();
                assert!(waits.cycles.is_empty(), "{waits}");
                looks += 1;
            }
            looks
        });
        // The workers are done when the list is empty.
        while list.counters().started < 4 || list.counters().live > 0 {
            std::thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
        assert!(looker.join().unwrap() > 0);
    });
}

#[test]
fn an_awaited_wait_belongs_to_the_current_task() {
    let future = run("current", async {
        let pool = Resource::new("pool");
        let _wait = pool.wait(3);
        let reported = pm_core::global().waits();
        let reported = reported.waits.iter().find(|wait| wait.task.id == "current").unwrap();
        assert_eq!(reported.units, 3);
    });
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Box::pin(future).as_mut().poll(&mut context).is_ready());
}
