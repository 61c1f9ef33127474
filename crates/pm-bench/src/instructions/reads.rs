//! Reading a list: finding one task, copying all, statistics.

use std::hint::black_box;

use pm::{ProcessList, Resource, Task};
use pm_bench::work;

use crate::operation::{Operation, Repeat, repeat};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("find an id among 10", || find_by_id(10)),
    Operation::new("find an id among 100,000", || find_by_id(100_000)).times(32),
    Operation::new("view a serial among 10", || find_by_serial(10)),
    Operation::new("view a serial among 100,000", || find_by_serial(100_000)).times(32),
    Operation::new("history of a task", history),
    Operation::new("snapshot of 10", || snapshot(10)).times(1024),
    Operation::new("snapshot of 100", || snapshot(100)).times(256),
    Operation::new("look at 100 in place", look_in_place).times(256),
    Operation::new("counters", || {
        among(10, |list, _, _| {
            black_box(list.counters());
        })
    })
    .times(1024),
    Operation::new("statistics of a kind with 10 tasks", kinds).times(256),
    Operation::new("report of 10 waits in a row", waits).times(256),
];

/// Repeats `work` on a list of so many tasks, of which a turn gets another number each time.
fn among(live: u64, mut work: impl FnMut(&ProcessList, &[Task], u64) + 'static) -> Repeat {
    let list = work::list();
    let tasks: Vec<Task> = (0..live).map(|number| list.start(work::id(number, &mut [0; 16]))).collect();
    repeat(move |number| work(black_box(&list), &tasks, number * 7919 % live))
}

fn find_by_id(live: u64) -> Repeat {
    among(live, |list, _, wanted| drop(black_box(list.find(work::id(wanted, &mut [0; 16])))))
}

fn find_by_serial(live: u64) -> Repeat {
    among(live, |list, tasks, wanted| {
        black_box(list.view(tasks[wanted as usize].serial(), |task| task.age()));
    })
}

fn history() -> Repeat {
    let list = work::list();
    let task = work::fill(&list, 1).swap_remove(0);
    repeat(move |_| drop(black_box(list.history(task.serial()))))
}

fn snapshot(live: u64) -> Repeat {
    let list = work::list();
    let tasks = work::fill(&list, live);
    repeat(move |_| assert_eq!(black_box(list.snapshot()).len(), tasks.len()))
}

fn look_in_place() -> Repeat {
    let list = work::list();
    let tasks = work::fill(&list, 100);
    repeat(move |_| {
        let mut seen = 0;
        list.for_each(|task| {
            black_box(task.age());
            seen += 1;
        });
        assert_eq!(seen, tasks.len());
    })
}

/// One kind only: of several, the seed of a hash table decides how long sorting them takes.
fn kinds() -> Repeat {
    let list = work::list();
    let tasks: Vec<Task> = (0..10).map(|_| list.unnamed().kind("import").start()).collect();
    drop(list.unnamed().kind("import").start());
    repeat(move |_| {
        assert_eq!(black_box(list.kinds())[0].running, tasks.len() as u64);
    })
}

/// Each task waits for the resource that the next one holds.
fn waits() -> Repeat {
    let list = work::list();
    let tasks: Vec<Task> = (0..10).map(|number| list.start(&format!("task-{number}"))).collect();
    let pools: Vec<Resource> = (0..11).map(|_| Resource::with_capacity("pool", 1)).collect();
    let held: Vec<_> = tasks.iter().zip(&pools).map(|(task, pool)| task.holding(pool)).collect();
    let waits: Vec<_> = tasks.iter().zip(&pools[1..]).map(|(task, pool)| task.waiting_on(pool)).collect();
    repeat(move |_| {
        assert_eq!(black_box(list.waits()).cycles.len(), 0);
        black_box((&tasks, &held, &waits));
    })
}
