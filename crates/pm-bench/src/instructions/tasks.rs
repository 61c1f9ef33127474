//! Whole tasks: what a task costs from its start to its end.

use std::hint::black_box;
use std::time::Duration;

use pm::Cancelled;
use pm_bench::work::{self, ID};

use crate::operation::{Operation, Repeat, on_list, repeat};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("start, end", || on_list(|list, _| drop(list.start(black_box(ID))))),
    Operation::new("start unnamed with a kind, end", || {
        on_list(|list, _| drop(list.unnamed().kind(black_box("import")).start()))
    }),
    Operation::new("start with a kind, end", || {
        on_list(|list, _| drop(list.task(black_box(ID)).kind(black_box("import")).start()))
    }),
    Operation::new("start with 3 attributes, end", || on_list(|list, _| drop(work::start(list, black_box(ID))))),
    Operation::new("start with a parent, end", with_a_parent),
    Operation::new("start below the current task, end", below_the_current_task),
    Operation::new("start with a deadline, end", || {
        on_list(|list, _| drop(list.task(black_box(ID)).deadline(black_box(Duration::from_secs(3600))).start()))
    }),
    Operation::new("start, 3 attributes, 3 statuses, end", || on_list(|list, _| work::whole(list, black_box(ID)))),
    Operation::new("start, fail", || on_list(|list, _| list.start(black_box(ID)).fail(black_box("no such host")))),
    Operation::new("start, run a closure, end", || {
        on_list(|list, number| {
            let result = list.run_sync(black_box(ID), |_| Ok::<_, Cancelled>(black_box(number)));
            black_box(result.is_ok());
        })
    }),
    Operation::new("start, cancel by id, observe, end", || {
        on_list(|list, _| {
            let task = list.start(black_box(ID));
            black_box(list.cancel(black_box(ID), "too slow").is_ok());
            black_box(task.checkpoint().is_err());
        })
    })
    .times(1024),
    Operation::new("start, cancel by serial, observe, end", || {
        on_list(|list, _| {
            let task = list.start(black_box(ID));
            black_box(list.cancel(task.serial(), "too slow").is_ok());
            black_box(task.checkpoint().is_err());
        })
    })
    .times(1024),
    Operation::new("disabled list: start, status, end", disabled),
];

fn with_a_parent() -> Repeat {
    let list = work::list();
    let parent = list.start("parent");
    repeat(move |_| drop(list.task(black_box(ID)).parent(black_box(&parent)).start()))
}

fn below_the_current_task() -> Repeat {
    let list = work::list();
    let parent = list.start("parent");
    Box::new(move |count| {
        let _current = parent.enter();
        for _ in 0..count {
            drop(list.start(black_box(ID)));
        }
    })
}

fn disabled() -> Repeat {
    let list = work::list();
    list.set_enabled(false);
    repeat(move |_| {
        let task = list.start(black_box(ID));
        let _ = task.status(black_box("reading"));
    })
}
