//! Tokio's locks and channels with names: waiters, holders, and the state after a cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pm::sync::{Mutex, RwLock, Semaphore, mpsc, oneshot};
use pm::{ProcessList, SpawnExt as _, WaitReport};
use tokio::task::yield_now;

/// Yields to other tasks until the condition is true.
async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

async fn waiting(list: &ProcessList, tasks: usize) -> WaitReport {
    until(|| list.waits().waits.len() == tasks).await;
    list.waits()
}

fn status(list: &ProcessList, id: &str) -> String {
    list.view(list.find(id)[0], |task| task.status().to_string()).unwrap()
}

/// Returns each waiting task with its resource and the holders of that.
fn reported(waits: &WaitReport) -> Vec<(&str, &str, Vec<&str>)> {
    let mut reported: Vec<_> = (waits.waits.iter())
        .map(|wait| {
            let holders = wait.resource.holders.iter().map(|holder| holder.task.id.as_str()).collect();
            (wait.task.id.as_str(), wait.resource.name.as_str(), holders)
        })
        .collect();
    reported.sort();
    reported
}

/// Returns the ids of each cycle, starting with the alphabetically first.
fn cycles(waits: &WaitReport) -> Vec<Vec<&str>> {
    let ids = |cycle: &pm::Cycle| {
        let ids: Vec<&str> = waits.waits.iter().map(|wait| wait.task.id.as_str()).collect();
        let mut ids: Vec<&str> =
            (cycle.steps.iter()).map(|step| *ids.iter().find(|id| **id == step.task.id).unwrap()).collect();
        let first = (0..ids.len()).min_by_key(|&at| ids[at]).unwrap();
        ids.rotate_left(first);
        ids
    };
    waits.cycles.iter().map(ids).collect()
}

#[tokio::test]
async fn waiters_and_the_holder_of_a_mutex_are_reported() {
    let list = ProcessList::new();
    let users = Arc::new(Mutex::new("lock:users", 0));
    let guard = list.task("holder").run(users.lock_owned()).await.unwrap();
    // The task that locked it has ended, and the guard is still alive.
    let lock = Arc::clone(&users);
    let waiter = list.task("waiter").spawn(async move {
        *lock.lock().await += 1;
        pm::current().status("counted")?;
        std::future::pending::<Result<(), pm::Cancelled>>().await
    });
    let waits = waiting(&list, 1).await;
    assert_eq!(reported(&waits), [("waiter", "lock:users", vec![])]);
    assert_eq!(waits.waits[0].resource.unknown_holders, 1);
    assert_eq!(status(&list, "waiter"), "waiting on lock:users");
    drop(guard);
    until(|| status(&list, "waiter") == "counted").await;
    assert!(list.waits().waits.is_empty());
    assert_eq!(*users.try_lock().unwrap(), 1);
    waiter.abort();
}

#[tokio::test]
async fn a_task_cancelled_while_it_holds_or_waits_releases_both() {
    let list = ProcessList::new();
    let lock = Arc::new(Mutex::new("lock", ()));
    let take = |id: &str| {
        let lock = Arc::clone(&lock);
        list.task(id).spawn(async move {
            let _guard = lock.lock().await;
            std::future::pending::<()>().await;
        })
    };
    let holder = take("holder");
    until(|| lock.try_lock().is_err()).await;
    let first = take("first");
    waiting(&list, 1).await;
    let second = take("second");
    assert_eq!(reported(&waiting(&list, 2).await)[0], ("first", "lock", vec!["holder"]));
    list.cancel("first", "").unwrap();
    assert!(first.await.unwrap().is_err());
    assert_eq!(reported(&waiting(&list, 1).await), [("second", "lock", vec!["holder"])]);
    list.cancel("holder", "").unwrap();
    assert!(holder.await.unwrap().is_err());
    until(|| list.waits().waits.is_empty()).await;
    assert!(lock.try_lock().is_err(), "it is the second one's");
    list.cancel("second", "").unwrap();
    assert!(second.await.unwrap().is_err());
    assert!(lock.try_lock().is_ok());
}

#[tokio::test]
async fn a_deadlock_of_three_over_two_locks_and_a_semaphore_is_reported_and_a_cancellation_resolves_it() {
    let list = ProcessList::new();
    let users = Arc::new(Mutex::new("lock:users", ()));
    let orders = Arc::new(Mutex::new("lock:orders", ()));
    let slots = Arc::new(Semaphore::new("slots", 2));
    let all_hold = Arc::new(tokio::sync::Barrier::new(3));
    let spawn = |id: &str| {
        let (users, orders, slots, all_hold) = (users.clone(), orders.clone(), slots.clone(), all_hold.clone());
        let is = id.to_owned();
        list.task(id).spawn(async move {
            match is.as_str() {
                "a" => {
                    let _users = users.lock().await;
                    all_hold.wait().await;
                    let _orders = orders.lock().await;
                }
                "b" => {
                    let _orders = orders.lock().await;
                    all_hold.wait().await;
                    let _slot = slots.acquire().await;
                }
                _ => {
                    let _slots = slots.acquire_many(2).await;
                    all_hold.wait().await;
                    let _users = users.lock().await;
                }
            }
        })
    };
    let (a, b, c) = (spawn("a"), spawn("b"), spawn("c"));
    let waits = waiting(&list, 3).await;
    assert_eq!(
        reported(&waits),
        [("a", "lock:orders", vec!["b"]), ("b", "slots", vec!["c"]), ("c", "lock:users", vec!["a"])]
    );
    assert_eq!(cycles(&waits), [["a", "b", "c"]]);
    list.cancel("b", "deadlock").unwrap();
    assert!(b.await.unwrap().is_err());
    assert!(a.await.unwrap().is_ok() && c.await.unwrap().is_ok());
    assert!(list.waits().waits.is_empty());
    assert_eq!(slots.available_permits(), 2);
}

#[tokio::test]
async fn a_second_read_lock_behind_a_writer_is_a_deadlock() {
    let list = ProcessList::new();
    let table = Arc::new(RwLock::new("table", 0));
    let (again, both) = (Arc::clone(&table), Arc::new(tokio::sync::Notify::new()));
    let proceed = Arc::clone(&both);
    let reader = list.task("reader").spawn(async move {
        let first = again.read().await;
        proceed.notified().await;
        *again.read().await + *first
    });
    until(|| table.try_write().is_err()).await;
    let lock = Arc::clone(&table);
    let writer = list.task("writer").spawn(async move { *lock.write().await += 1 });
    let waits = waiting(&list, 1).await;
    assert_eq!((reported(&waits), cycles(&waits).len()), (vec![("writer", "table", vec!["reader"])], 0));
    both.notify_one();
    let waits = waiting(&list, 2).await;
    assert_eq!(cycles(&waits), [["reader"]]);
    assert!(waits.waits.iter().all(|wait| wait.is_stuck));
    list.cancel("writer", "").unwrap();
    assert!(writer.await.unwrap().is_err());
    assert_eq!(reader.await.unwrap().unwrap(), 0);
    assert_eq!(*table.write_owned().await, 0);
    assert_eq!((*table.read_owned().await, *table.try_read().unwrap()), (0, 0));
}

#[tokio::test]
async fn senders_wait_for_the_receiver_and_the_receiver_for_senders() {
    let list = ProcessList::new();
    let (jobs, mut inbox) = mpsc::channel("jobs", 1);
    let worker = list.task("worker").spawn(async move {
        let mut sum = 0;
        while let Some(number) = inbox.recv().await {
            sum += number;
            pm::current().status("working")?;
            yield_now().await;
        }
        Ok::<i32, pm::Cancelled>(sum)
    });
    let waits = waiting(&list, 1).await;
    assert_eq!(
        (reported(&waits), status(&list, "worker").as_str()),
        (vec![("worker", "jobs (empty)", vec![])], "waiting on jobs (empty)")
    );
    let second = jobs.clone();
    let looking = &list;
    let sender = list.task("sender").run(async move {
        jobs.send(1).await.unwrap();
        assert_eq!(reported(&waiting(looking, 1).await), [("worker", "jobs (empty)", vec!["sender"])]);
    });
    sender.await.unwrap();
    // The worker was not polled since.
    second.try_send(2).unwrap_err();
    let full = list.task("full").spawn(async move { second.send(3).await });
    full.await.unwrap().unwrap().unwrap();
    assert_eq!(worker.await.unwrap().unwrap().unwrap(), 4);
}

#[tokio::test]
async fn two_tasks_that_fill_each_others_channels_are_a_cycle() {
    let list = ProcessList::new();
    let (to_left, mut left) = mpsc::channel("left", 1);
    let (to_right, mut right) = mpsc::channel("right", 1);
    let (mine, theirs) = (to_right.clone(), to_left.clone());
    let fill = async |to: mpsc::Sender<u8>, inbox: &mut mpsc::Receiver<u8>| {
        inbox.try_recv().unwrap();
        while to.send(0).await.is_ok() {}
    };
    to_left.try_send(0).unwrap();
    to_right.try_send(0).unwrap();
    let a = list.task("a").spawn(async move { fill(mine, &mut left).await });
    let b = list.task("b").spawn(async move { fill(theirs, &mut right).await });
    let waits = waiting(&list, 2).await;
    assert_eq!(reported(&waits), [("a", "right (full)", vec!["b"]), ("b", "left (full)", vec!["a"])]);
    assert_eq!(cycles(&waits), [["a", "b"]]);
    list.cancel("a", "").unwrap();
    assert!(a.await.unwrap().is_err());
    // Its end of the channel is dropped, so the other task sees the closed channel.
    b.await.unwrap().unwrap();
}

#[tokio::test]
async fn permits_are_acquired_released_and_forgotten() {
    let list = ProcessList::new();
    let slots = Arc::new(Semaphore::new("slots", 2));
    let permit = slots.try_acquire().unwrap();
    permit.forget();
    slots.acquire_owned().await.unwrap().forget();
    assert_eq!(slots.available_permits(), 0);
    let taker = Arc::clone(&slots);
    let waiter = list.task("waiter").spawn(async move { taker.acquire_many_owned(3).await.map(|_| ()) });
    let waits = waiting(&list, 1).await;
    assert_eq!((waits.waits[0].resource.capacity, waits.waits[0].units), (Some(0), 3));
    slots.add_permits(3);
    waiter.await.unwrap().unwrap().unwrap();
    assert_eq!(slots.available_permits(), 3);
    let _all = slots.try_acquire_many(3).unwrap();
    let taker = Arc::clone(&slots);
    let waiter = list.task("waiter").spawn(async move { taker.acquire().await.map(|_| ()) });
    waiting(&list, 1).await;
    slots.close();
    assert!(waiter.await.unwrap().unwrap().is_err() && slots.is_closed());
    assert!(list.waits().waits.is_empty() && slots.try_acquire().is_err());
}

#[tokio::test]
async fn a_task_that_stops_waiting_is_not_reported() {
    let list = ProcessList::new();
    let lock = Arc::new(Mutex::new("lock", ()));
    let _held = lock.lock().await;
    let taker = Arc::clone(&lock);
    let task = list.task("a").spawn(async move {
        tokio::select! {
            _ = taker.lock() => unreachable!("it is held"),
            () = async { for _ in 0..3 { yield_now().await } } => {}
        }
        pm::current().set("gave_up", true);
        std::future::pending::<()>().await;
    });
    waiting(&list, 1).await;
    waiting(&list, 0).await;
    until(|| list.view(list.find("a")[0], |task| task.attrs().count() == 1).unwrap()).await;
    assert_eq!(status(&list, "a"), "init");
    task.abort();
}

#[tokio::test]
async fn an_awaited_reply_is_named() {
    let list = ProcessList::new();
    let (reply, replied) = oneshot::channel("reply of db1");
    let task = list.task("a").spawn(replied);
    assert_eq!(reported(&waiting(&list, 1).await), [("a", "reply of db1", vec![])]);
    reply.send(42).unwrap();
    assert_eq!(task.await.unwrap().unwrap(), Ok(42));
    let (reply, mut replied) = oneshot::channel::<()>("reply");
    assert!(replied.try_recv().is_err());
    replied.close();
    assert!(reply.is_closed());
}

#[test]
fn a_blocked_thread_is_reported_too() {
    let list = ProcessList::new();
    let lock = Mutex::new("lock", 0);
    let table = RwLock::new("table", 0);
    let (numbers, mut inbox) = mpsc::channel("numbers", 1);
    let (held, written) = (lock.blocking_lock(), table.blocking_write());
    let seen = |wanted: &str| loop {
        let waits = list.waits();
        if waits.waits.first().is_some_and(|wait| wait.resource.name == wanted) {
            return;
        }
        std::thread::yield_now();
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            list.run_sync("blocked", |_| {
                *lock.blocking_lock() += 1;
                drop(table.blocking_read());
                numbers.blocking_send(1).unwrap();
                numbers.blocking_send(2).unwrap();
                Ok(())
            })
        });
        seen("lock");
        drop(held);
        seen("table");
        drop(written);
        seen("numbers (full)");
        assert_eq!((inbox.blocking_recv(), inbox.blocking_recv()), (Some(1), Some(2)));
        thread.join().unwrap().unwrap();
    });
    drop(numbers);
    assert_eq!(inbox.blocking_recv(), None);
}

#[tokio::test]
async fn outside_tasks_they_behave_as_tokios() {
    let lock = Mutex::new("lock", 1);
    let guard = lock.lock().await;
    assert!(lock.try_lock().is_err());
    assert_eq!(format!("{guard:?} {guard}"), "1 1");
    assert!(tokio::time::timeout(Duration::ZERO, lock.lock()).await.is_err());
    drop(guard);
    let (sender, mut receiver) = mpsc::unbounded_channel("numbers");
    sender.clone().send(1).unwrap();
    assert_eq!((receiver.recv().await, receiver.try_recv().is_err()), (Some(1), true));
    receiver.close();
    assert!(sender.is_closed() && sender.send(2).is_err());
    sender.closed().await;
}

#[tokio::test]
async fn repeated_acquisition_of_a_free_lock_yields_to_other_tasks() {
    let lock = Arc::new(Mutex::new("lock", ()));
    let done = Arc::new(AtomicBool::new(false));
    let (taker, seen) = (Arc::clone(&lock), Arc::clone(&done));
    let greedy = tokio::spawn(async move {
        while !seen.load(Ordering::Relaxed) {
            drop(taker.lock().await);
        }
    });
    let other = tokio::spawn(async move { done.store(true, Ordering::Relaxed) });
    other.await.unwrap();
    greedy.await.unwrap();
}
