//! A program with three tasks to attack (`cargo xtask browser`). It prints its address, and ends with its input.
//!
//! A cross-site page must neither cancel nor read `target`; a page of the server itself tries the same on `control` and
//! `stream`, and succeeds.

use std::io::Read as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let list = pm::ProcessList::new();
    let needle = std::env::args().nth(1).unwrap_or_default();
    let _tasks = ["target", "control", "stream"].map(|id| {
        let task = list.task(id).attr("needle", needle.as_str()).start();
        let _ = task.status(&needle);
        task
    });
    let server = pm::Server::builder().list(&list).listen("127.0.0.1:0").start()?;
    println!("{}", server.addr());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
