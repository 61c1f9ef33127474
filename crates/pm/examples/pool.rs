//! A thread pool: a task is shown from the moment it is queued, and runs on the thread that dequeues it.
//!
//! The pool below is minimal; with rayon, write `pool.spawn(move || task.run_sync(..))`.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use pm::{Cancelled, ProcessList, Task};

type Work = Box<dyn FnOnce() + Send>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let smoke = std::env::args().any(|word| word == "--smoke");
    let (address, pause) = if smoke { ("127.0.0.1:0", 1) } else { ("127.0.0.1:6680", 500) };
    let list = ProcessList::new();
    let server = pm::Server::builder().list(&list).listen(address).start()?;
    println!("curl http://{}/v1/tasks?sort=-statusAge", server.addr());

    let (queue, work) = mpsc::channel::<Work>();
    for number in 0..6 {
        let task = list.task(&format!("resize-{number}")).kind("resize").attr("width", 640 * (number + 1)).start();
        task.status("queued")?;
        queue.send(Box::new(move || {
            let _ = task.run_sync(|task| resize(task, pause));
        }))?;
    }
    show(&list);
    // A queued task: it ends as soon as it is dequeued.
    list.cancel("resize-5", "no longer needed")?;

    // The pool starts late, so that all tasks are shown as queued above.
    let work = Arc::new(Mutex::new(work));
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let work = Arc::clone(&work);
            thread::spawn(move || {
                loop {
                    // The lock is held to dequeue a task, not to run it.
                    let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(next) = next else { return };
                    next();
                }
            })
        })
        .collect();
    drop(queue);
    for worker in workers {
        let _ = worker.join();
    }
    let counters = list.counters();
    println!("{} finished, {} cancelled", counters.finished, counters.cancelled);
    list.assert_no_tasks();
    Ok(())
}

fn resize(task: &Task, pause: u64) -> Result<(), Cancelled> {
    for row in 0..4 {
        pm::status!(task, "row {row}")?;
        thread::sleep(Duration::from_millis(pause));
    }
    Ok(())
}

fn show(list: &ProcessList) {
    for task in list.snapshot().iter() {
        println!("  {:<10} {:?} {}", task.id(), task.attrs_sorted(), task.status());
    }
}
