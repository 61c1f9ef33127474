//! A program that describes its work in spans, and mentions pm only where it starts: its requests are tasks.
//!
//! `cargo run -p pm --features tracing --example tracing` runs until it is stopped; open the address that it prints, or
//! use `pm top`. With `--smoke` it answers a few requests, prints the list, and ends.

use std::time::Duration;

use tracing_subscriber::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let smoke = std::env::args().any(|word| word == "--smoke");
    // All of the code about pm: a layer beside the log, the task on each log line, and an address.
    let lines = tracing_subscriber::fmt::format().without_time().with_target(false).compact();
    tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .event_format(pm::tracing::WithTask::new(lines))
                .with_writer(std::io::stderr),
        )
        .with(pm::tracing_layer().name("request").id_from("request_id"))
        .init();
    let server = pm::serve("127.0.0.1:0")?;
    println!("curl http://{}/v1/tasks", server.addr());

    // With this lock, the shop waits for its database until everything was shown.
    let busy = smoke.then(|| shop::DATABASE.write());
    let clients: Vec<_> = (1..=3)
        .map(|client| {
            std::thread::spawn(move || {
                for turn in 1.. {
                    let id = format!("req-{client}-{turn}");
                    let _ = shop::request(&id, ["/hosts/db1", "/hosts/db2", "/nowhere"][client - 1]);
                    if smoke {
                        break;
                    }
                }
            })
        })
        .collect();
    if smoke {
        show_live();
    }
    drop(busy);
    for client in clients {
        client.join().map_err(|_| "a client panicked")?;
    }
    show_ended();
    Ok(())
}

/// Waits until all requests are in a query, and prints them.
fn show_live() {
    let all_query =
        || pm::global().snapshot().iter().filter(|task| task.status().to_string() == "db.query").count() == 3;
    while !all_query() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut lines = Vec::new();
    pm::global().for_each(|task| {
        let attrs: Vec<_> = task.attrs_sorted().iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let kind = task.kind().map(|kind| kind.to_string()).unwrap_or_default();
        lines.push(format!("live   {}  {kind}  {}  {}", task.id(), task.status(), attrs.join(" ")));
    });
    lines.sort();
    println!("{}", lines.join("\n"));
}

fn show_ended() {
    let mut lines = Vec::new();
    for task in pm::global().ended().iter() {
        let history = pm::global().history(task.serial()).map(|history| history.entries).unwrap_or_default();
        let history: Vec<_> = history.into_iter().map(|entry| entry.status).collect();
        lines.push(format!("ended  {}  {}", task.id(), history.join(", ")));
    }
    lines.sort();
    println!("{}", lines.join("\n"));
}

/// The program proper, which uses only `tracing`.
mod shop {
    use std::sync::RwLock;
    use std::thread::sleep;
    use std::time::Duration;

    use tracing::{info, info_span, instrument};

    pub(super) static DATABASE: RwLock<()> = RwLock::new(());

    #[instrument(name = "request", err, fields(rows))]
    pub(super) fn request(request_id: &str, path: &str) -> Result<(), String> {
        info!("authorized");
        let rows = query(path)?;
        tracing::Span::current().record("rows", rows);
        let _render = info_span!("render").entered();
        sleep(Duration::from_millis(20));
        Ok(())
    }

    #[instrument(name = "db.query", skip_all)]
    fn query(path: &str) -> Result<usize, String> {
        let _connection = DATABASE.read();
        sleep(Duration::from_millis(50)); // the database is slow today
        path.strip_prefix("/hosts/").map(str::len).ok_or_else(|| format!("{path}: no such page"))
    }
}
