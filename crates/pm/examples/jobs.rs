//! A job runner on tokio: jobs are shown while they are queued, and two run at a time; one fails, one exceeds its
//! deadline, and one is killed while queued.
//!
//! `cargo run -p pm --features tokio --example jobs`, and while it runs `curl http://127.0.0.1:6680/v1/tasks`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use pm::{ProcessList, TaskHandle};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let smoke = std::env::args().any(|word| word == "--smoke");
    let (address, pause, deadline) = if smoke { ("127.0.0.1:0", 1, 1) } else { ("127.0.0.1:6680", 1_000, 15) };
    let (pause, deadline) = (Duration::from_millis(pause), Duration::from_secs(deadline));
    let list = ProcessList::new();
    let server = pm::Server::builder().list(&list).listen(address).start()?;
    println!("curl http://{}/v1/tasks", server.addr());

    let turns = Arc::new(Semaphore::new(2));
    let mut jobs = JoinSet::new();
    for name in ["import", "report", "export", "backup", "cleanup"] {
        let turns = Arc::clone(&turns);
        let own_list = list.clone();
        // The task starts here, so it is shown while it is queued. An error ends it as failed; a kill and the deadline,
        // which counts from here, drop the future at its await, and return their reason as an error.
        let job = list.task(name).kind("job").attr("night", 7).deadline(deadline).try_run(async move {
            let task = pm::current();
            let _turn = {
                let _waiting = task.scope("queued");
                turns.acquire().await?
            };
            work(name, &task, pause, &own_list).await
        });
        jobs.spawn(async move { (name, job.await) });
    }
    while let Some(done) = jobs.join_next().await {
        match done? {
            (name, Ok(rows)) => println!("{name}: {rows} rows"),
            (name, Err(error)) => println!("{name}: {error}"),
        }
    }
    let counters = list.counters();
    println!("{} finished, {} failed, {} cancelled", counters.finished, counters.failed, counters.cancelled);
    list.assert_no_tasks();
    Ok(())
}

async fn work(name: &str, task: &TaskHandle, pause: Duration, list: &ProcessList) -> Result<u64, Failure> {
    match name {
        "report" => {
            task.status("waiting for the database")?; // which never answers
            std::future::pending().await
        }
        "export" => {
            task.status("writing")?;
            sleep(pause).await;
            Err("no space left on the disk".into())
        }
        _ => {
            for block in 1..=10 {
                pm::status!(task, "reading block {block}")?;
                task.progress(block, 10, "blocks");
                sleep(pause).await;
                if (name, block) == ("import", 3) {
                    show(list);
                    // Others would use curl or `pm kill cleanup`.
                    list.cancel("cleanup", "not tonight")?;
                }
            }
            Ok(7_000)
        }
    }
}

fn show(list: &ProcessList) {
    list.for_each(|task| {
        let progress = task.progress().map(|progress| format!("{} of {}", progress.done, progress.total));
        println!("  {:<8} {:<24} {}", task.id(), task.status().to_string(), progress.unwrap_or_default());
    });
}
