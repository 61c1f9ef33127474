//! The cost of recording what a task waits for and which task holds it, and of a report of which tasks block which.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pm::Resource;
use pm_bench::work;

use crate::harness::{Effort, compare};
use crate::report::{Goal, Report};

/// As many waits as a list notes.
const WAITS: usize = 10_000;

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("waits");
    let list = work::list();
    let task = list.start("holder");
    let _current = task.enter();
    let (plain, named) = (Arc::new(tokio::sync::Mutex::new(0_u64)), Arc::new(pm::sync::Mutex::new("lock", 0_u64)));
    let waiter = list.start("waiter");
    waiter.status("reading").ok();
    let medians = compare(
        effort,
        &mut [
            &mut |count| (0..count).for_each(|_| *ready(plain.lock()) += 1),
            &mut |count| (0..count).for_each(|_| *ready(named.lock()) += 1),
            &mut |count| {
                for _ in 0..count {
                    let _ = waiter.status("waiting on pool");
                    let _ = waiter.status("reading");
                }
            },
            &mut |count| (0..count).for_each(|_| drop(black_box(waiter.scope("waiting on pool")))),
            &mut |count| (0..count).for_each(|_| drop(black_box(waiter.waiting_on("pool")))),
        ],
    );
    report.beside("a free lock, taken and given back", medians[1], "ns", ("tokio's", medians[0]), Goal::Over(100.0));
    report.beside("a wait, begun and ended", medians[4], "ns", ("two statuses", medians[2]), Goal::None);
    report.beside("a status for a block", medians[3], "ns", ("two statuses", medians[2]), Goal::None);

    // Each holds one lock and waits for the next one's, the last for the first one's.
    let locks: Vec<Resource> = (0..WAITS).map(|_| Resource::with_capacity("lock", 1)).collect();
    let tasks: Vec<_> = (0..WAITS).map(|number| list.start(&format!("task-{number}"))).collect();
    let _held: Vec<_> = tasks.iter().zip(&locks).map(|(task, lock)| task.holding(lock)).collect();
    let next = locks.iter().cycle().skip(1);
    let mut waits: Vec<_> = tasks.iter().zip(next).map(|(task, lock)| task.waiting_on(lock)).collect();
    let cycle = look(effort, &list, 1);
    waits.pop();
    let chain = look(effort, &list, 0);
    report.plain("look at 10,000 waits in a row", chain, "ms", Goal::Most(50.0));
    report.plain("look at 10,000 waits in one cycle", cycle, "ms", Goal::Most(100.0));
    let note = "waits: locks are taken by a current task outside of a runtime, and always free; a look gives each wait \
                with its holders, and looks a second time where it finds a cycle";
    report.note(note);
}

/// Milliseconds.
fn look(effort: Effort, list: &pm::ProcessList, cycles: usize) -> f64 {
    let looks = &mut |count| {
        for _ in 0..count {
            assert_eq!(black_box(list.waits()).cycles.len(), cycles);
        }
    };
    compare(effort, &mut [looks])[0] / 1e6
}

/// The output of a future that need not wait.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the lock is free"),
    }
}
