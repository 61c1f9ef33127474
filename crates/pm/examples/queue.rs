//! A job queue whose jobs are tasks, by one layer around the service that does them: requests of any type, no HTTP.
//! `cargo run -p pm --features tower --example queue`.
//!
//! With `--smoke` it prints the list, kills the job that waits, and ends.

use std::error::Error;

use pm::tower::TaskLayer;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

type BoxError = Box<dyn Error + Send + Sync>;

struct Job {
    number: u32,
    kind: &'static str,
}

/// Knows nothing of the layer; it may set the status of its task.
async fn work(job: Job) -> Result<&'static str, BoxError> {
    match job.kind {
        "mail" => Ok("sent"),
        "resize" => Err("no space left on the disk".into()),
        _ => {
            pm::current().status("waiting for the printer")?;
            std::future::pending().await
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let server = pm::serve("127.0.0.1:0")?;
    println!("curl http://{}/v1/tasks", server.addr());
    let service = ServiceBuilder::new()
        .layer(TaskLayer::new(|job: &Job| pm::task(&format!("job-{}", job.number)).kind(job.kind)))
        .service(service_fn(work));

    let mut workers = Vec::new();
    for (number, kind) in (1..).zip(["mail", "resize", "print"]) {
        workers.push(tokio::spawn(service.clone().oneshot(Job { number, kind })));
    }
    if std::env::args().any(|word| word == "--smoke") {
        while pm::global().counters().started < 3 || pm::global().counters().live > 1 {
            tokio::task::yield_now().await;
        }
        pm::global().for_each(|task| println!("  {}  {}", task.id(), task.status()));
        pm::global().cancel("job-3", "no paper")?;
    }
    for (number, worker) in (1..).zip(workers) {
        match worker.await? {
            Ok(done) => println!("job-{number}: {done}"),
            Err(error) => println!("job-{number}: {error}"),
        }
    }
    Ok(())
}
