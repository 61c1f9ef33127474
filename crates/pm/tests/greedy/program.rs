//! The program that is attacked: a list with much in it, and its server.
//!
//! It prints its address, obeys a few words on its input, and ends with that.

use std::io::BufRead as _;
use std::time::Duration;

use pm::{HoldGuard, Options, ProcessList, Resource, ResourceKind, Server, Task, WaitGuard};

/// Tasks that wait for something, of many kinds; as many as one request may cancel.
const WORK: usize = if cfg!(debug_assertions) { 3_500 } else { 10_000 };
/// Tasks in trees, each the parent of the next one.
const TREES: usize = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
const DEPTH: usize = 100;
/// Ended tasks.
const ENDED: usize = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
const KINDS: usize = 250;
const RESOURCES: usize = 200;
/// Tasks that change at a time: a little less than what a channel of events retains.
const CHANGED: usize = 500;

pub(crate) const ARGUMENT: &str = "--program";

struct Program {
    list: ProcessList,
    work: Vec<Task>,
    _others: Vec<Task>,
    _held: Vec<HoldGuard>,
    _waits: Vec<WaitGuard>,
}

impl Program {
    fn new() -> Self {
        let options = Options::new().history(16, 1_000).keep_ended(ENDED).keep_ended_for(Duration::from_secs(3_600));
        let list = ProcessList::with_options(options);
        let text = "0123456789abcdef".repeat(5);
        let start = |id: &str, kind: &str| {
            let mut task = list.task(id).kind(kind);
            for name in ["customer", "path", "query", "host", "region"] {
                task = task.attr(name, text.as_str());
            }
            task
        };
        let work: Vec<Task> = (0..WORK)
            .map(|number| {
                let task = start(&format!("work-{number}"), &format!("work {}", number % KINDS)).start();
                for step in 0..5 {
                    task.status(&format!("step {step} of {text}")).expect("nothing was cancelled");
                }
                task
            })
            .collect();
        let mut others: Vec<Task> = Vec::with_capacity(TREES + 1);
        for number in 0..TREES {
            let mut task = start(&format!("branch-{number}"), "tree");
            if number % DEPTH > 0 {
                task = task.parent(&others[number - 1]);
            }
            others.push(task.start());
        }
        for number in 0..ENDED {
            drop(start(&format!("ended-{number}"), "ended").start());
        }
        // One task with much in it.
        let mut large = list.task("large").kind("large");
        for number in 0..120 {
            large = large.attr(&format!("attribute-{number}"), text.repeat(50).as_str());
        }
        let large = large.start();
        for number in 0..1_016 {
            large.status(&format!("{number} {}", text.repeat(12))).expect("nothing was cancelled");
        }
        others.push(large);

        let resources: Vec<Resource> = (0..RESOURCES)
            .map(|number| Resource::fair(&format!("lock {number} {text}"), ResourceKind::Mutex, Some(1)))
            .collect();
        // Each of the first tasks holds one and waits for that of the next: a cycle. All others wait behind them.
        let held = (0..RESOURCES).map(|number| work[number].holding(&resources[number])).collect();
        let waits = (0..WORK).map(|number| work[number].waiting_on(&resources[(number + 1) % RESOURCES])).collect();
        Self { list, work, _others: others, _held: held, _waits: waits }
    }
}

/// Runs the program until its input ends.
pub(crate) fn run(address: &str) {
    let program = Program::new();
    let server = Server::builder()
        .list(&program.list)
        .listen(address)
        .dangerously_listen_beyond_loopback(!address.starts_with("127."))
        .max_connections_per_address(10_000)
        .start()
        .expect("the address is free");
    println!("{}", server.addr());
    for (count, line) in std::io::stdin().lock().lines().enumerate() {
        assert_eq!(line.expect("it is text"), "change");
        for task in &program.work[..CHANGED] {
            // It may have been cancelled.
            let _ = task.status(&format!("changed {count} times"));
        }
        println!("changed");
    }
}
