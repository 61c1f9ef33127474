//! The ceilings of a list hold for all threads together, also for those that rest and those that are gone.
#![cfg(not(any(loom, miri)))]

use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};

use pm_core::{Options, ProcessList};

/// Threads that have done something and then rest until they may exit.
struct Resting {
    done: Arc<Barrier>,
    threads: Vec<JoinHandle<()>>,
}

impl Resting {
    fn after(count: usize, work: impl Fn(usize) + Clone + Send + 'static) -> Self {
        let (begun, done) = (Arc::new(Barrier::new(count + 1)), Arc::new(Barrier::new(count + 1)));
        let threads = (0..count)
            .map(|number| {
                let (work, begun, done) = (work.clone(), Arc::clone(&begun), Arc::clone(&done));
                let run = move || {
                    work(number);
                    begun.wait();
                    done.wait();
                };
                thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap()
            })
            .collect();
        begun.wait();
        Self { done, threads }
    }

    fn exit(self) {
        self.done.wait();
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Runs a task with so many long statuses.
fn run_task(list: &ProcessList, statuses: usize) {
    let task = list.unnamed().kind("job").start();
    for number in 0..statuses {
        pm_core::status!(task, "{number} {}", "x".repeat(120)).unwrap();
    }
}

/// Starts so many tasks, and returns how many of them the list shows.
fn shown(list: &ProcessList, count: usize) -> usize {
    let tasks: Vec<_> = (0..count).map(|_| list.unnamed().start()).collect();
    tasks.iter().filter(|task| task.handle().is_live()).count()
}

#[test]
fn ended_tasks_of_resting_threads_make_room_first() {
    for (threads, mib) in [(16, 8), (2, 2), (200, 16)] {
        let list = ProcessList::with_options(Options::new().max_bytes(mib << 20));
        let per_thread = list.clone();
        let resting = Resting::after(threads, move |_| (0..31).for_each(|_| run_task(&per_thread, 120)));
        assert_eq!(list.counters().live, 0);
        assert_eq!((shown(&list, 2_000), list.counters().not_shown), (2_000, 0), "{threads} threads rest");
        // Once more, now that the ended ones are those of this thread.
        assert_eq!(shown(&list, 2_000), 2_000);
        resting.exit();
        assert_eq!((shown(&list, 2_000), list.counters().not_shown), (2_000, 0), "{threads} threads are gone");
    }
}

#[test]
fn the_bytes_of_ended_tasks_are_those_of_all_threads() {
    let list = ProcessList::with_options(Options::new().keep_ended(100_000).keep_ended_bytes(1 << 20));
    let per_thread = list.clone();
    let resting = Resting::after(200, move |_| (0..31).for_each(|_| run_task(&per_thread, 120)));
    let bytes = |list: &ProcessList| {
        // Each of them has more than 60 chunks.
        list.ended().len() as u64 * 60 * 264
    };
    assert!(bytes(&list) <= 1 << 20, "{} tasks", list.ended().len());
    assert!(!list.ended().is_empty());
    // Beside them, each thread has a task that runs, and a few free chunks.
    let held = list.counters().bytes_held;
    assert!(held < 24 << 20, "{held} bytes");
    resting.exit();
    assert!(bytes(&list) <= 1 << 20, "{} tasks", list.ended().len());
    assert!(!list.ended().is_empty());
}

#[test]
fn the_number_of_ended_tasks_holds_for_threads_that_are_gone() {
    let list = ProcessList::with_options(Options::new().keep_ended(100));
    for round in 0..20 {
        let per_thread = list.clone();
        Resting::after(50, move |_| (0..31).for_each(|_| run_task(&per_thread, 0))).exit();
        let counters = list.counters();
        let retained = counters.finished - counters.ended_evicted;
        // Readers leave out those beyond 100.
        assert!((100..=131).contains(&retained), "round {round}: {retained}");
        assert_eq!(list.ended().len(), 100);
    }
}

#[test]
fn statistics_by_kind_have_a_ceiling_and_are_given_back() {
    let (threads, kinds, statuses) = (200, 250, 8);
    let list = ProcessList::with_options(Options::new().max_bytes(16 << 20));
    let per_thread = list.clone();
    let resting = Resting::after(threads, move |_| {
        for kind in 0..kinds {
            let task = per_thread.unnamed().kind(&format!("GET /resource-{kind}")).start();
            for status in 0..statuses {
                task.status(["a", "b", "c", "d", "e", "f", "g", "h"][status]).unwrap();
            }
        }
    });
    let check = |list: &ProcessList| {
        let stats = list.kinds();
        assert_eq!(stats.len(), kinds);
        for kind in &stats {
            assert_eq!((kind.finished, kind.latency.count()), (threads as u64, threads as u64), "{:?}", kind.kind);
            assert_eq!(kind.statuses.len(), statuses + 1);
            assert!(kind.statuses.iter().all(|status| status.entered == threads as u64));
        }
        assert_eq!(list.counters().kinds_dropped, 0);
    };
    check(&list);
    // Four segments of chunks, and the statistics: an eighth of the list, and the common ones.
    let with_threads = list.counters().bytes_held;
    assert!(with_threads <= (8 << 20) + (4 << 20), "{with_threads} bytes");
    resting.exit();
    check(&list);
    let without = list.counters().bytes_held;
    assert!(without < with_threads - (512 << 10), "{without} of {with_threads} bytes");
}

#[test]
fn statuses_of_a_kind_have_a_ceiling_for_all_threads_together() {
    let list = ProcessList::with_options(Options::new().max_statuses(4));
    let per_thread = list.clone();
    let resting = Resting::after(20, move |number| {
        let task = per_thread.unnamed().kind("job").start();
        task.status(&format!("step {}", char::from(b'a' + number as u8))).unwrap();
    });
    let check = || {
        let stats = list.kinds().remove(0);
        // `init`, four named ones, and the others.
        assert_eq!((stats.finished, stats.statuses.len()), (20, 6));
        assert_eq!(stats.statuses.iter().map(|status| status.entered).sum::<u64>(), 40);
    };
    check();
    resting.exit();
    check();
}
