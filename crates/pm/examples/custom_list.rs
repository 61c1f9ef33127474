//! Separate lists: one for requests of users, one for the program's own work, each with its limits and hooks.

use std::time::Duration;

use pm::{Options, ProcessList, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let smoke = std::env::args().any(|word| word == "--smoke");
    let requests = ProcessList::with_options(
        Options::new()
            .max_attrs(16)
            .max_status(200)
            .keep_ended(100)
            .keep_ended_for(Duration::from_secs(60))
            .redact_also(["customer"]), // never recorded, besides passwords, tokens and the like
    );
    // Work that must not be cancelled.
    let upkeep = ProcessList::with_options(Options::new().on_cancel(pm::CancelPolicy::Refuse));

    // Each hook is called for its own list only.
    requests.on_end(|task| println!("ended: {} after {:?}: {:?}", task.id(), task.age(), task.outcome())).keep();

    // Each has its own server: here upkeep is visible on a second port.
    let one = Server::builder().list(&requests).listen("127.0.0.1:0").start()?;
    let two = Server::builder().list(&upkeep).listen("127.0.0.1:0").start()?;
    println!("curl http://{}/v1/tasks\ncurl http://{}/v1/tasks", one.addr(), two.addr());

    let compaction = upkeep.task("compaction").kind("upkeep").start();
    compaction.status("level 3")?;
    let request = requests.task("req-1").kind("GET /hosts/{id}").attr("customer", "Jane").attr("host", "db1").start();
    request.status("reading")?;
    request.set("rows", 42);

    for (name, list) in [("requests", &requests), ("upkeep", &upkeep), ("global", pm::global())] {
        println!("{name}:");
        for task in list.snapshot().iter() {
            println!("  {} {:?}: {}", task.id(), task.attrs_sorted(), task.status());
        }
    }
    println!("cancel of compaction: {}", upkeep.cancel("compaction", "why not").unwrap_err());
    println!("cancel of req-1: {}", requests.cancel("req-1", "too slow")?.verdict().as_str());
    println!("req-1 observes it: {}", request.checkpoint().unwrap_err());
    drop(request);
    if !smoke {
        println!("until you press return");
        std::io::stdin().read_line(&mut String::new())?;
    }
    Ok(())
}
