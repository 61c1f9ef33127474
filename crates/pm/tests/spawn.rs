//! Tasks on real tokio runtimes: spawned, blocked, saturated, shut down.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use pm::{CancelRequest, Cancelled, Outcome, ProcessList, Serial, SpawnExt as _, TaskHandle, Verdict, protect};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc as channel, oneshot};
use tokio::task::{JoinSet, LocalSet};

/// Longer than any of these tests should take: a wait of this length has lost a wakeup.
const LONG: Duration = Duration::from_secs(60);

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).enable_time().build().unwrap()
}

/// Returns the outcome of the task with this id.
fn outcome(list: &ProcessList, id: &str) -> Outcome {
    let ended = list.ended();
    let found: Vec<_> = ended.iter().filter(|row| row.id() == id).map(|row| row.outcome()).collect();
    assert_eq!(found.len(), 1, "{id} ended {} times", found.len());
    found[0].expect("it has ended")
}

/// Sends when it is dropped.
struct SendsOnDrop(mpsc::Sender<()>);

impl Drop for SendsOnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Cancels the task and waits for the verdict.
fn kill(list: &ProcessList, id: &str) -> Verdict {
    match list.cancel(id, "test") {
        Ok(cancel) => cancel.wait(LONG).blocking(),
        Err(error) => error.into(),
    }
}

// How a spawned task ends.

#[test]
fn each_way_a_spawned_future_can_end_is_recorded() {
    for runtime in [one_thread(), two_threads()] {
        let list = ProcessList::new();
        runtime.block_on(async {
            assert_eq!(list.task("done").spawn(async { 7 }).await.unwrap().unwrap(), 7);

            let killed = list.task("killed").spawn(pending::<()>());
            list.cancel("killed", "too slow").unwrap();
            assert_eq!(killed.await.unwrap().unwrap_err().reason(), "too slow");

            let aborted = list.task("tokio's abort").spawn(pending::<()>());
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_cancelled());

            let panicked = list.task("panicked").spawn(async { panic!("on purpose") });
            assert!(panicked.await.unwrap_err().is_panic());
        });
        assert_eq!(outcome(&list, "done"), Outcome::Finished);
        assert_eq!(outcome(&list, "killed"), Outcome::Cancelled);
        assert_eq!(outcome(&list, "tokio's abort"), Outcome::Dropped);
        assert_eq!(outcome(&list, "panicked"), Outcome::Aborted);
        assert_eq!(list.counters().live, 0);
    }
}

#[test]
fn a_task_cancelled_before_its_first_poll_never_runs() {
    let (list, runtime) = (ProcessList::new(), one_thread());
    runtime.block_on(async {
        let ran = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ran);
        let spawned = list.task("early").spawn(async move { flag.store(true, Ordering::SeqCst) });
        list.cancel("early", "not wanted").unwrap();
        assert!(spawned.await.unwrap().is_err());
        assert!(!ran.load(Ordering::SeqCst));
    });
}

#[test]
fn a_spawned_task_is_a_child_of_its_spawner_and_cancelled_with_it() {
    let (list, runtime) = (ProcessList::new(), two_threads());
    let (sender, mut receiver) = channel::unbounded_channel();
    let inner = list.clone();
    let parent = list.task("parent").spawn_on(
        async move {
            let child = inner.task("child").spawn(pending::<()>());
            sender.send(()).unwrap();
            child.await.unwrap()
        },
        runtime.handle(),
    );
    runtime.block_on(async { receiver.recv().await.unwrap() });
    assert!(matches!(kill(&list, "parent"), Verdict::Dropped { .. }));
    let _ = runtime.block_on(parent).unwrap().unwrap_err();
    // The child was cancelled, too; it ends when its thread polls it.
    while list.counters().live > 0 {
        std::thread::yield_now();
    }
    assert_eq!(outcome(&list, "child"), Outcome::Cancelled);
}

#[test]
fn a_deadline_drops_a_spawned_future() {
    let (clock, hand) = pm::Clock::manual();
    let list = ProcessList::with_options(pm::Options::new().clock(clock));
    one_thread().block_on(async {
        let late = list.task("late").deadline(Duration::from_secs(30)).spawn(pending::<()>());
        tokio::task::yield_now().await;
        hand.advance(Duration::from_secs(30));
        assert_eq!(late.await.unwrap().unwrap_err().reason(), "deadline");
    });
}

#[test]
fn a_protected_section_completes_before_a_cancellation_drops_the_rest() {
    let (list, runtime) = (ProcessList::new(), two_threads());
    let (inside, is_inside) = mpsc::channel();
    let (proceed, may_proceed) = oneshot::channel::<()>();
    let written = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&written);
    let transfer = list.task("transfer").spawn_on(
        async move {
            protect(async {
                inside.send(()).unwrap();
                may_proceed.await.unwrap();
                flag.store(true, Ordering::SeqCst);
            })
            .await;
            pending::<()>().await;
        },
        runtime.handle(),
    );
    is_inside.recv_timeout(LONG).unwrap();
    list.cancel("transfer", "test").unwrap();
    proceed.send(()).unwrap();
    assert!(runtime.block_on(transfer).unwrap().is_err());
    assert!(written.load(Ordering::SeqCst));
    assert_eq!(outcome(&list, "transfer"), Outcome::Cancelled);
}

// Sets.

#[test]
fn a_join_set_returns_each_result_and_drops_aborted_tasks() {
    let list = ProcessList::new();
    one_thread().block_on(LocalSet::new().run_until(async {
        let mut set = JoinSet::new();
        list.task("plain").spawn_in(async { 1 }, &mut set);
        list.task("local").spawn_local_in(async { 2 }, &mut set);
        list.task("blocking").spawn_blocking_in(|_| Ok(3), &mut set);
        list.task("killed").spawn_in(pending(), &mut set);
        list.cancel("killed", "test").unwrap();
        let mut results: Vec<Option<i32>> = Vec::new();
        while let Some(joined) = set.join_next().await {
            results.push(joined.unwrap().ok());
        }
        results.sort_unstable();
        assert_eq!(results, [None, Some(1), Some(2), Some(3)]);

        list.task("aborted").spawn_in(pending(), &mut set);
        set.shutdown().await;
    }));
    assert_eq!(outcome(&list, "aborted"), Outcome::Dropped);
    assert_eq!(list.counters().live, 0);
}

#[test]
fn a_dropped_local_set_drops_its_tasks() {
    let list = ProcessList::new();
    let set = LocalSet::new();
    let _handle = list.task("polled").spawn_local_on(pending::<()>(), &set);
    one_thread().block_on(set.run_until(tokio::task::yield_now()));
    let _handle = list.task("never polled").spawn_local_on(pending::<()>(), &set);
    list.task("asked").spawn_local_on(pending::<()>(), &set);
    list.cancel("asked", "test").unwrap();
    drop(set);
    assert_eq!(outcome(&list, "polled"), Outcome::Dropped);
    assert_eq!(outcome(&list, "never polled"), Outcome::Dropped);
    assert_eq!(outcome(&list, "asked"), Outcome::Cancelled);
}

// Blocking work.

#[test]
fn blocking_work_observes_a_cancellation_at_its_checkpoint() {
    let (list, runtime) = (ProcessList::new(), two_threads());
    let (running, is_running) = mpsc::channel();
    let work = list.task("checksum").spawn_blocking_on(
        move |task| -> Result<(), Cancelled> {
            assert_eq!(pm::current().serial(), task.serial());
            running.send(()).unwrap();
            loop {
                task.checkpoint()?;
                std::thread::yield_now();
            }
        },
        runtime.handle(),
    );
    is_running.recv_timeout(LONG).unwrap();
    assert!(matches!(kill(&list, "checksum"), Verdict::Finished { outcome: Outcome::Cancelled, .. }));
    assert_eq!(runtime.block_on(work).unwrap().unwrap_err().reason(), "test");
}

#[test]
fn queued_blocking_work_is_shown_and_never_runs_if_cancelled() {
    let (list, runtime) = (ProcessList::new(), two_threads());
    let (proceed, may_proceed) = mpsc::channel::<()>();
    // There is one thread for blocking work, and this occupies it.
    let first = list.task("first").spawn_blocking_on(move |_| Ok(may_proceed.recv_timeout(LONG)), runtime.handle());
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    let second = list.task("second").spawn_blocking_on(
        move |_| {
            flag.store(true, Ordering::SeqCst);
            Ok(())
        },
        runtime.handle(),
    );
    assert_eq!(list.counters().live, 2);
    list.cancel("second", "not wanted").unwrap();
    proceed.send(()).unwrap();
    runtime.block_on(first).unwrap().unwrap().unwrap();
    assert_eq!(runtime.block_on(second).unwrap().unwrap_err().reason(), "not wanted");
    assert!(!ran.load(Ordering::SeqCst));
    assert_eq!(outcome(&list, "second"), Outcome::Cancelled);
}

#[test]
fn blocking_work_that_never_gets_a_thread_ends_as_dropped() {
    let (list, runtime) = (ProcessList::new(), two_threads());
    let (running, is_running) = mpsc::channel();
    let (proceed, may_proceed) = mpsc::channel::<()>();
    let _first = list.task("first").spawn_blocking_on(
        move |_| {
            running.send(()).unwrap();
            Ok(may_proceed.recv_timeout(LONG))
        },
        runtime.handle(),
    );
    is_running.recv_timeout(LONG).unwrap();
    let second = list.task("second").spawn_blocking_on(|_| Ok(()), runtime.handle());
    second.abort();
    proceed.send(()).unwrap();
    let waiter = one_thread();
    assert!(waiter.block_on(second).unwrap_err().is_cancelled());
    let handle = runtime.handle().clone();
    drop(runtime);
    assert_eq!(outcome(&list, "second"), Outcome::Dropped);
    // On a runtime that has shut down.
    let late = list.task("late").spawn_blocking_on(|_| Ok(()), &handle);
    assert!(waiter.block_on(late).unwrap_err().is_cancelled());
    assert_eq!(outcome(&list, "late"), Outcome::Dropped);
}

// Saturated and stopped runtimes.

#[test]
fn a_cancellation_on_a_saturated_runtime_is_recorded_at_once_and_drops_when_a_worker_is_free() {
    let (list, runtime) = (ProcessList::new(), two_threads());
    let (blocked, are_blocked) = mpsc::channel();
    let (waits, is_waiting) = mpsc::channel();
    let target = list.task("target").spawn_on(
        poll_fn(move |_| -> Poll<()> {
            let _ = waits.send(());
            Poll::Pending
        }),
        runtime.handle(),
    );
    is_waiting.recv_timeout(LONG).unwrap();
    let blockers: Vec<_> = (0..2)
        .map(|_| {
            let blocked = blocked.clone();
            let (proceed, may_proceed) = mpsc::channel::<()>();
            runtime.spawn(async move {
                blocked.send(()).unwrap();
                may_proceed.recv_timeout(LONG).unwrap();
            });
            proceed
        })
        .collect();
    (0..2).for_each(|_| are_blocked.recv_timeout(LONG).unwrap());

    let asked = list.cancel("target", CancelRequest::new("test")).unwrap();
    assert!(matches!(asked.verdict(), Verdict::Cancelling { .. }), "no worker is free");
    assert_eq!(list.counters().cancelling, 1);
    blockers[0].send(()).unwrap();
    assert!(matches!(asked.wait(LONG).blocking(), Verdict::Dropped { .. }));
    blockers[1].send(()).unwrap();
    assert!(runtime.block_on(target).unwrap().is_err());
}

#[test]
fn a_runtime_that_shuts_down_drops_tasks_in_every_state() {
    let (list, runtime) = (ProcessList::new(), two_threads());
    let (polled, were_polled) = mpsc::channel();
    let handles: Vec<TaskHandle> = ["waits", "asked", "protected", "listens"]
        .map(|id| {
            let polled = polled.clone();
            let builder = list.task(id);
            let builder = if id == "waits" { builder } else { builder.on_cancel(pm::CancelPolicy::Ask) };
            let running = builder.run(async move {
                polled.send(()).unwrap();
                match id {
                    "protected" => protect(pending::<()>()).await,
                    "listens" => drop(pm::current().cancelled().await),
                    _ => {}
                }
                pending::<()>().await;
            });
            let handle = running.handle();
            runtime.spawn(running);
            handle
        })
        .into();
    (0..4).for_each(|_| were_polled.recv_timeout(LONG).unwrap());
    handles[1..].iter().for_each(|handle| drop(handle.cancel("test").unwrap()));
    drop(runtime);
    assert_eq!(outcome(&list, "waits"), Outcome::Dropped);
    for id in ["asked", "protected", "listens"] {
        assert_eq!(outcome(&list, id), Outcome::Cancelled, "{id}");
    }
    assert_eq!(list.counters().live, 0);
    assert!(handles.iter().all(|handle| handle.cancel("late").is_err()));
}

#[test]
fn a_future_that_outlives_its_runtime_can_be_cancelled_and_its_waker_is_harmless() {
    let (list, runtime) = (ProcessList::new(), one_thread());
    let mut running = Box::pin(list.run("survivor", pending::<()>()));
    runtime.block_on(poll_fn(|context| {
        assert!(running.as_mut().poll(context).is_pending());
        Poll::Ready(())
    }));
    drop(runtime);
    // Its waker belongs to a runtime that has shut down.
    list.cancel("survivor", "test").unwrap();
    assert!(one_thread().block_on(running).is_err());
}

#[test]
fn a_spawn_on_a_stopped_runtime_ends_as_dropped() {
    let list = ProcessList::new();
    let handle = one_thread().handle().clone();
    let spawned = list.task("late").spawn_on(pending::<()>(), &handle);
    assert!(one_thread().block_on(spawned).unwrap_err().is_cancelled());
    assert_eq!(outcome(&list, "late"), Outcome::Dropped);
}

#[test]
fn a_task_in_block_on_is_cancelled_from_another_thread() {
    let list = ProcessList::new();
    let (waits, is_waiting) = mpsc::channel();
    let killer = std::thread::spawn({
        let list = list.clone();
        move || {
            is_waiting.recv_timeout(LONG).unwrap();
            kill(&list, "main")
        }
    });
    let result = one_thread().block_on(list.run("main", async {
        waits.send(()).unwrap();
        pending::<()>().await;
    }));
    assert_eq!(result.unwrap_err().reason(), "test");
    assert!(matches!(killer.join().unwrap(), Verdict::Dropped { .. }));
}

// Futures that misbehave.

#[test]
fn a_destructor_that_panics_on_cancellation_ends_only_its_task_as_aborted() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let (list, runtime) = (ProcessList::new(), two_threads());
    runtime.block_on(async {
        let (armed, is_armed) = oneshot::channel();
        let bomb = list.task("bomb").spawn(async {
            let _bomb = Bomb;
            armed.send(()).unwrap();
            pending::<()>().await;
        });
        is_armed.await.unwrap();
        list.cancel("bomb", "test").unwrap();
        assert!(bomb.await.unwrap_err().is_panic());
        assert_eq!(list.task("after").spawn(async { 7 }).await.unwrap().unwrap(), 7);
    });
    assert_eq!(outcome(&list, "bomb"), Outcome::Aborted);
}

#[test]
fn a_future_that_always_wakes_itself_is_cancelled_between_two_polls() {
    struct Restless;
    impl Future for Restless {
        type Output = ();
        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }
    let (list, runtime) = (ProcessList::new(), two_threads());
    let spawned = list.task("restless").spawn_on(Restless, runtime.handle());
    assert!(matches!(kill(&list, "restless"), Verdict::Dropped { .. }));
    assert!(runtime.block_on(spawned).unwrap().is_err());
}

#[test]
fn a_future_polled_by_many_threads_in_turn_is_one_task_and_its_last_waker_is_woken() {
    let list = ProcessList::new();
    let mut running = Some(Box::pin(list.run("nomad", pending::<()>())));
    for _ in 0..8 {
        let mut moved = running.take().unwrap();
        let (dropped, is_dropped) = mpsc::channel();
        running = std::thread::spawn(move || {
            let _end = SendsOnDrop(dropped);
            one_thread().block_on(poll_fn(|context| {
                assert!(moved.as_mut().poll(context).is_pending());
                Poll::Ready(())
            }));
            Some(moved)
        })
        .join()
        .unwrap();
        is_dropped.recv_timeout(LONG).unwrap();
    }
    let runtime = two_threads();
    let (waits, is_waiting) = mpsc::channel();
    let mut nomad = running.unwrap();
    let spawned = runtime.spawn(async move {
        poll_fn(|context| {
            let polled = nomad.as_mut().poll(context);
            let _ = waits.send(());
            polled
        })
        .await
    });
    is_waiting.recv_timeout(LONG).unwrap();
    assert!(matches!(kill(&list, "nomad"), Verdict::Dropped { .. }));
    assert!(runtime.block_on(spawned).unwrap().is_err());
}

#[test]
fn a_leaked_future_stays_in_the_list_and_its_cancellation_stays_pending() {
    let list = ProcessList::new();
    let running = list.run("leaked", pending::<()>());
    let serial: Serial = running.handle().serial().unwrap();
    std::mem::forget(running);
    list.cancel("leaked", "test").unwrap();
    let counters = list.counters();
    assert_eq!((counters.live, counters.cancelling), (1, 1));
    assert!(list.history(serial).is_some());
}

#[test]
fn a_task_cancelled_within_its_own_poll_is_dropped_at_its_next_await() {
    let list = ProcessList::new();
    let inner = list.clone();
    let mut running = pin!(list.run("self", async move {
        inner.cancel("self", "enough").unwrap();
        pending::<()>().await;
    }));
    let result = one_thread().block_on(running.as_mut());
    assert_eq!(result.unwrap_err().reason(), "enough");
}
