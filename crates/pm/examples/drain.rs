//! A server with a graceful shutdown: after Ctrl-C or SIGTERM it shows the tasks it waits for, cancels those that take
//! too long, and reports the results.
//!
//! `cargo run -p pm --features tokio --example drain`, then `kill PID` and, while it waits,
//! `curl http://127.0.0.1:6680/v1/tasks`.

use std::sync::Arc;
use std::time::Duration;

use pm::{Drain, ProcessList, SpawnExt as _};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let smoke = std::env::args().any(|word| word == "--smoke");
    let (address, wait) =
        if smoke { ("127.0.0.1:0", Duration::from_millis(500)) } else { ("127.0.0.1:6680", Duration::from_secs(10)) };
    let list = ProcessList::new();
    let server = pm::Server::builder().list(&list).listen(address).start()?;
    println!("process {}: curl http://{}/v1/tasks", std::process::id(), server.addr());

    // One that ends in time, one that must be dropped, and one that cleans up when it is cancelled.
    let answer = Arc::new(tokio::sync::Notify::new());
    let quick = list.task("quick").kind("request").spawn(Arc::clone(&answer).notified_owned());
    let stuck = list.task("stuck").kind("request").spawn(std::future::pending::<()>());
    let tidy = list.task("tidy").kind("import").on_cancel(pm::CancelPolicy::AskThenDrop(Duration::from_secs(5))).spawn(
        async {
            let task = pm::current();
            let cancelled = task.cancelled().await;
            let _scope = task.scope("rolling back");
            println!("tidy: {cancelled}");
        },
    );

    asked_to_end(smoke).await?;
    // A web server would stop accepting requests here; the list is still served.
    let drain = Drain::new().wait(wait).reason("deploy").on_progress(Duration::from_secs(1), move |progress| {
        println!("{progress}");
        answer.notify_one();
    });
    let report = list.drain(drain).await;
    println!("{report}");
    for task in [quick, stuck, tidy] {
        println!("  its owner sees: {:?}", task.await?.map_err(|cancelled| cancelled.to_string()));
    }
    tokio::task::spawn_blocking(|| server.shutdown()).await?;
    Ok(())
}

#[cfg(unix)]
async fn asked_to_end(smoke: bool) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    if smoke {
        std::process::Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status()?;
    }
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed,
    }
}

#[cfg(not(unix))]
async fn asked_to_end(smoke: bool) -> std::io::Result<()> {
    if smoke { Ok(()) } else { tokio::signal::ctrl_c().await }
}
