//! A program with a bit of everything in its list, to test a client or the API itself (`cargo xtask contract`).
//!
//! It prints its address, and ends when its input does. An argument is the file with the tokens that it requires. Tasks
//! start and end; a cancelled one ends within a moment and is replaced, so that the list is never empty.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use pm::{Options, ProcessList, Server, Task};

/// Tasks that wait to be cancelled.
const LASTING: u64 = 40;
/// Tasks that start and end.
const PASSING: usize = 20;
const TICK: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let list = ProcessList::with_options(Options::new().keep_ended(500).max_kinds(40));
    let mut server = Server::builder().list(&list).listen("127.0.0.1:0");
    if let Some(tokens) = std::env::args_os().nth(1) {
        server = server.token_file(tokens).require_token(true);
    }
    let server = server.start()?;

    let parent = list.task("parent").kind("tree").on_cancel(pm::CancelPolicy::Refuse).start();
    let mut lasting: Vec<(u64, Task)> = (0..LASTING).map(|number| (number, start(&list, &parent, number))).collect();
    let mut passing = VecDeque::new();
    let mut number = 0_u64;

    println!("http://{}/", server.addr());
    let (ended, end) = channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(ended);
    });
    while end.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        for (number, task) in &mut lasting {
            if task.checkpoint().is_err() {
                *task = start(&list, &parent, *number);
            }
        }
        number += 1;
        let task = list.task(&format!("request-{number}")).kind(&format!("GET /hosts/{}", number % 3)).start();
        let _ = task.status("sending");
        passing.push_back(task);
        if passing.len() > PASSING
            && let Some(task) = passing.pop_front()
        {
            match number % 4 {
                0 => task.fail("no such host"),
                _ => task.finish(),
            }
        }
    }
    Ok(())
}

/// Starts one of the tasks that wait to be cancelled, always equal for a number. None has the empty id: its path in
/// `/procs/`, made from the template, is that of the list.
fn start(list: &ProcessList, parent: &Task, number: u64) -> Task {
    let id = match number {
        0..4 => "twin".to_owned(),
        4 => "a/b c%20d".to_owned(),
        5 => "ünï 🦀".to_owned(),
        _ => format!("import-{number}"),
    };
    let mut task = list.task(&id).attr("host", ["web1", "web2", "web3"][(number % 3) as usize]).attr("number", number);
    if !number.is_multiple_of(4) {
        task = task.kind(["import", "export"][(number % 2) as usize]);
    }
    if number.is_multiple_of(5) {
        task = task.parent(parent);
    }
    if (10..14).contains(&number) {
        task = task.on_cancel(pm::CancelPolicy::Refuse);
    }
    let task = task.start();
    task.set("large", u64::MAX - number);
    task.set("share", 0.5);
    task.progress(number, LASTING, "blocks");
    let _ = task.status_fmt(format_args!("reading block {number}"));
    task
}
