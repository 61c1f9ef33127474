//! Plain threads: a job in four parts, each on its own thread; one of them is killed.
//!
//! `cargo run -p pm --example threads`, and while it runs `curl http://127.0.0.1:6680/v1/tree`.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let smoke = std::env::args().any(|word| word == "--smoke");
    let (address, pause) = if smoke { ("127.0.0.1:0", 1) } else { ("127.0.0.1:6680", 300) };
    let server = pm::serve(address)?;
    println!("curl http://{}/v1/tree", server.addr());

    let job = pm::task("nightly").kind("nightly import").start();
    let all_there = Barrier::new(5);
    thread::scope(|threads| {
        for part in 0..4 {
            // Another thread has no current task, so the parent is named.
            let task = pm::task(&format!("part-{part}")).kind("import part").parent(&job).start();
            let all_there = &all_there;
            threads.spawn(move || {
                let result = task.run_sync(|task| {
                    task.status("opening")?;
                    all_there.wait(); // so that all are shown below
                    all_there.wait();
                    for block in 0..30 {
                        pm::status!(task, "reading block {block}")?; // here it observes a cancellation
                        thread::sleep(Duration::from_millis(pause));
                    }
                    Ok(())
                });
                if let Err(cancelled) = result {
                    println!("part {part} gives up: {cancelled}");
                }
            });
        }
        all_there.wait();
        // Others would use curl or `pm kill part-2`.
        let _ = pm::global().cancel("part-2", "too slow");
        show();
        all_there.wait();
    });
    drop(job);
    println!("ended:");
    let ended = pm::global().ended();
    let mut ended: Vec<_> = ended.iter().map(|task| (task.serial(), task.id(), task.outcome())).collect();
    ended.sort_by_key(|(serial, ..)| *serial); // in the order of their start
    for (_, id, outcome) in ended {
        println!("  {id:<8} {}", outcome.map_or("", pm::Outcome::as_str));
    }
    Ok(())
}

fn show() {
    println!("running:");
    for task in pm::global().snapshot().iter() {
        println!("  {:<8} {:<16} {}", task.id(), task.kind().map_or("", |kind| kind.as_str()), task.status());
    }
}
