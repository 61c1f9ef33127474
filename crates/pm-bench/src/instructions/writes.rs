//! Single operations of a task that lives on: statuses, attributes, progress, checkpoints, scopes, waits.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};

use pm::Resource;
use pm_bench::work::{self, ID};

use crate::operation::{Operation, Repeat, on_task, repeat, resting_list};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("status, static text", || {
        on_task(|task, number| drop(task.status(black_box(if number % 2 == 0 { "reading" } else { "sending" }))))
    }),
    Operation::new("status, 16 bytes borrowed", status_borrowed),
    Operation::new("status, formatted", || {
        on_task(|task, number| drop(pm::status!(task, "reading block {}", 1_000_000 + number)))
    }),
    Operation::new("status, a secret masked", || {
        on_task(|task, _| drop(task.status(black_box("opening db?user=me&password=hunter2"))))
    }),
    Operation::new("note on behalf of a task", || on_task(|task, _| task.note(black_box("reading")))),
    Operation::new("set an integer", || on_task(|task, number| task.set("block", number))),
    Operation::new("set a text, static", || on_task(|task, _| task.set("phase", "reading"))),
    Operation::new("set a text, of the same size", || {
        on_task(|task, number| task.set("phase", black_box(if number % 2 == 0 { "reading" } else { "sending" })))
    }),
    Operation::new("set a text, of another size", || {
        on_task(|task, number| task.set("phase", black_box(if number % 2 == 0 { "reading" } else { "waiting for it" })))
    }),
    Operation::new("set a formatted attribute", || {
        on_task(|task, number| task.set_fmt("block", format_args!("{} of 9999999", 1_000_000 + number)))
    }),
    Operation::new("set a new attribute, unset it", || {
        on_task(|task, number| {
            task.set("block", number);
            task.unset(black_box("block"));
        })
    }),
    Operation::new("progress", || on_task(|task, number| task.progress(number, 1 << 40, "rows"))),
    Operation::new("progress, another total", || on_task(|task, number| task.progress(number, number + 1, "rows"))),
    Operation::new("meter, add one", meter),
    Operation::new("checkpoint", || {
        on_task(|task, _| {
            black_box(task.checkpoint().is_ok());
        })
    }),
    Operation::new("checkpoint of the current task", checkpoint_of_current),
    Operation::new("is cancelled", || {
        on_task(|task, _| {
            black_box(task.is_cancelled());
        })
    }),
    Operation::new("wait for a cancel, polled once", || {
        let mut context = Context::from_waker(Waker::noop());
        on_task(move |task, _| {
            let cancelled = pin!(task.cancelled());
            black_box(cancelled.poll(&mut context).is_pending());
        })
    }),
    Operation::new("make a task current, and no more", || on_task(|task, _| drop(black_box(task.enter())))),
    Operation::new("status for a block", || on_task(|task, _| drop(black_box(task.scope("reading"))))),
    Operation::new("status for a block, formatted", || {
        on_task(|task, number| drop(black_box(pm::scope!(task, "reading {}", 1_000_000 + number))))
    }),
    Operation::new("wait, begun and ended", || {
        let pool = Resource::new("pool");
        on_task(move |task, _| drop(black_box(task.waiting_on(&pool))))
    }),
    Operation::new("hold, begun and ended", || {
        let pool = Resource::new("pool");
        on_task(move |task, _| drop(black_box(task.holding(&pool))))
    }),
];

fn status_borrowed() -> Repeat {
    let text = String::from("reading block 42");
    on_task(move |task, _| drop(task.status(black_box(&text))))
}

/// The clock stands still, as a meter reports more often when it is slow.
fn meter() -> Repeat {
    let task = resting_list().start(ID);
    let mut meter = task.meter(1 << 40, "rows");
    repeat(move |_| black_box(&mut meter).add(1))
}

fn checkpoint_of_current() -> Repeat {
    let task = work::start(&work::list(), ID);
    Box::new(move |count| {
        let _current = task.enter();
        for _ in 0..count {
            black_box(pm::current().checkpoint().is_ok());
        }
    })
}
