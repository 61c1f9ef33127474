//! Prints allocations per whole task: ours, then those of the naive port.

use std::hint::black_box;

use allocation_counter::measure;
use pm_bench::naive;
use pm_bench::work::{self, ID};

const TASKS: u32 = 1000;

fn main() {
    let (list, naive) = (work::list(), naive::List::default());
    let ours = || (0..TASKS).for_each(|_| work::whole(&list, black_box(ID)));
    let port = || (0..TASKS).for_each(|_| work::naive_statuses(&work::naive_start(&naive, black_box(ID))));
    // The first time takes memory that stays.
    ours();
    port();
    let per_task = |count: u64| count as f64 / f64::from(TASKS);
    println!("{} {}", per_task(measure(ours).count_total), per_task(measure(port).count_total));
}
