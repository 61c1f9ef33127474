//! The cost of a deadline for a task that ends long before it, alone and while 100,000 others have one.

use std::hint::black_box;
use std::time::Duration;

use pm::{ProcessList, Task};
use pm_bench::work::{self, ID};

use crate::harness::{Effort, compare};
use crate::report::{Goal, Report};

const FAR: Duration = Duration::from_secs(3600);
const MANY: usize = 100_000;

fn with_deadline(list: &ProcessList) -> Task {
    list.task(black_box(ID)).deadline(FAR).start()
}

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("deadlines");
    let list = work::list();
    alone_and_with_one(effort, report, &list, "start and end with a deadline");
    let others: Vec<Task> = (0..MANY).map(|_| with_deadline(&list)).collect();
    alone_and_with_one(effort, report, &list, "the same while 100,000 others have one");
    drop(others);
}

fn alone_and_with_one(effort: Effort, report: &mut Report, list: &ProcessList, name: &str) {
    let mut without = |count| (0..count).for_each(|_| drop(list.start(black_box(ID))));
    let mut with = |count| (0..count).for_each(|_| drop(with_deadline(list)));
    let medians = compare(effort, &mut [&mut without, &mut with]);
    report.beside(name, medians[1], "ns", ("without", medians[0]), Goal::None);
}
