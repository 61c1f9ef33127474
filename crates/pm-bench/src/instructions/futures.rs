//! Futures that run as tasks, beside the bare ones.

use std::future::{Future, ready};
use std::hint::black_box;
use std::sync::Arc;

use futures_util::FutureExt as _;
use pm::ProcessList;
use pm_bench::pending::{Waits, polls};
use pm_bench::work;
use tokio::runtime::Builder;

use crate::operation::{Operation, Repeat, on_list, repeat};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("poll of a bare future", || Box::new(polls(Waits::default()))),
    Operation::new("poll of a tracked future", || Box::new(polls(tracked(&work::list(), Waits::default())))),
    Operation::new("track a future that is ready", || {
        on_list(|list, number| {
            black_box(tracked(list, ready(number)).now_or_never().is_some());
        })
    }),
    Operation::new("spawn a future, to its end: bare", || spawns(|_| yields())),
    Operation::new("spawn a future, to its end: tracked", || spawns(|list| tracked(list, yields()))),
    Operation::new("a free lock: tokio's", || {
        let lock = Arc::new(tokio::sync::Mutex::new(0_u64));
        within_a_task(move || *lock.lock().now_or_never().expect("the lock is free") += 1)
    }),
    Operation::new("a free lock: ours", || {
        let lock = Arc::new(pm::sync::Mutex::new("lock", 0_u64));
        within_a_task(move || *lock.lock().now_or_never().expect("the lock is free") += 1)
    }),
];

fn tracked<F: Future>(
    list: &ProcessList,
    future: F,
) -> impl Future<Output = Result<F::Output, pm::Cancelled>> + use<F> {
    list.task("future").kind("bench").run(future)
}

/// Three yields: four polls.
async fn yields() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// As many live at once.
const BATCH: u64 = 64;

/// Spawns tasks on a runtime of one thread.
fn spawns<F: Future<Output: Send> + Send + 'static>(make: impl Fn(&ProcessList) -> F + 'static) -> Repeat {
    let runtime = Builder::new_current_thread().build().expect("a runtime without I/O needs nothing");
    let list = work::list();
    Box::new(move |count| {
        runtime.block_on(async {
            let mut tasks = Vec::with_capacity(BATCH as usize);
            for _ in 0..count / BATCH {
                tasks.extend((0..BATCH).map(|_| tokio::spawn(make(&list))));
                for task in tasks.drain(..) {
                    black_box(task.await.is_ok());
                }
            }
        });
    })
}

fn within_a_task(mut work: impl FnMut() + 'static) -> Repeat {
    let task = work::list().start("holder");
    let mut turns = repeat(move |_| work());
    Box::new(move |count| {
        let _current = task.enter();
        turns(count);
    })
}
