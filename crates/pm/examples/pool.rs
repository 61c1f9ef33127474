//! A thread pool whose threads help each other out, as those of rayon do: a thread that waits runs queued jobs in the
//! meantime, on top of the task that waits. `pm::carry` gives each job the task that queued it, or none; so no picture
//! becomes a part of another one, and a kill hits the parts of one picture only.
//!
//! With rayon: `rayon::spawn(pm::carry(move || ..))`, `rayon::join(pm::carry(upper), pm::carry(lower))`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pm::{Cancelled, ProcessList, Task};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let smoke = std::env::args().any(|word| word == "--smoke");
    let (address, pause) = if smoke { ("127.0.0.1:0", 1) } else { ("127.0.0.1:6680", 500) };
    let pause = Duration::from_millis(pause);
    let list = ProcessList::new();
    let server = pm::Server::builder().list(&list).listen(address).start()?;
    println!("curl http://{}/v1/tasks?sort=-statusAge", server.addr());

    let (pool, left) = (Arc::new(Pool::default()), Arc::new(AtomicU32::new(6)));
    for number in 0..6 {
        let task = list.task(&format!("resize-{number}")).kind("resize").attr("width", 640 * (number + 1)).start();
        task.status("queued")?;
        let (own_pool, left) = (Arc::clone(&pool), Arc::clone(&left));
        pool.spawn(move || {
            let _ = task.run_sync(|task| resize(task, &own_pool, pause));
            left.fetch_sub(1, Ordering::Relaxed);
        });
    }
    show(&list);
    // A queued task: it ends as soon as it is dequeued.
    list.cancel("resize-5", "no longer needed")?;

    // The pool starts late, so that all tasks are shown as queued above.
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| pool.run_until(|| left.load(Ordering::Relaxed) == 0));
        }
    });
    let counters = list.counters();
    println!("{} finished, {} cancelled", counters.finished, counters.cancelled);
    let inner = list.ended().iter().filter(|task| task.parent().is_some()).count();
    println!("{inner} ran as part of another");
    list.assert_no_tasks();
    Ok(())
}

/// Resizes both halves of a picture at the same time, and runs whatever is queued until they are done.
fn resize(task: &Task, pool: &Pool, pause: Duration) -> Result<(), Cancelled> {
    task.status("resizing")?;
    let left = Arc::new(AtomicU32::new(2));
    for half in ["upper", "lower"] {
        let left = Arc::clone(&left);
        pool.spawn(move || {
            // The current task is the picture's, on whatever thread this runs.
            for row in 0..4 {
                if pm::status!(pm::current(), "{half} half, row {row}").is_err() {
                    break;
                }
                thread::sleep(pause);
            }
            left.fetch_sub(1, Ordering::Relaxed);
        });
    }
    pool.run_until(|| left.load(Ordering::Relaxed) == 0);
    task.checkpoint()
}

#[derive(Default)]
struct Pool {
    jobs: Mutex<VecDeque<Box<dyn FnOnce() + Send>>>,
    changed: Condvar,
}

impl Pool {
    fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        // Here, where the job is queued: once for all that use the pool.
        let job = pm::carry(job);
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_back(Box::new(job));
        self.changed.notify_one();
    }

    /// Runs queued jobs on this thread until something is done that jobs do.
    fn run_until(&self, is_done: impl Fn() -> bool) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        while !is_done() {
            let Some(job) = jobs.pop_front() else {
                jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(jobs);
            job();
            jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            self.changed.notify_all();
        }
    }
}

fn show(list: &ProcessList) {
    for task in list.snapshot().iter() {
        println!("  {:<10} {:?} {}", task.id(), task.attrs_sorted(), task.status());
    }
}
