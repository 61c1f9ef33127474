//! A program with three tasks, for those who try to attack it: it tells where it listens, and ends with its input.
//!
//! `victim` must not be cancelled, and nothing of it be read, by a page elsewhere; `control` and `stream` are what an own
//! page tries the same things on, and succeeds.

use std::io::Read as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let list = pm::ProcessList::new();
    let needle = std::env::args().nth(1).unwrap_or_default();
    let _tasks = ["victim", "control", "stream"].map(|id| {
        let task = list.task(id).attr("needle", needle.as_str()).start();
        let _ = task.status(&needle);
        task
    });
    let server = pm::Server::builder().list(&list).listen("127.0.0.1:0").start()?;
    println!("{}", server.addr());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
