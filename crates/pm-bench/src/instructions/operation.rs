//! An operation, and the ways in which most are repeated.

use std::hint::black_box;

use pm::{Clock, Options, ProcessList, Task};
use pm_bench::work::{self, ID};

/// Does an operation as many times as its argument says.
pub(crate) type Repeat = Box<dyn FnMut(u64)>;

/// An operation whose instructions are counted.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// How often it runs before the count, so that histories and caches are full; then it is counted for as many and
    /// for twice as many.
    pub(crate) count: u64,
    /// Prepares it, within the process that runs nothing else.
    pub(crate) prepare: fn() -> Repeat,
}

/// Often enough that what is done once per 32 tasks, or per page of history, is averaged, and more often than there are
/// ended tasks in a list.
const COUNT: u64 = 2048;

impl Operation {
    pub(crate) const fn new(name: &'static str, prepare: fn() -> Repeat) -> Self {
        Self { name, count: COUNT, prepare }
    }

    /// Runs it less often, as it is long.
    pub(crate) const fn times(self, count: u64) -> Self {
        Self { count, ..self }
    }
}

/// Repeats `work` with the number of each turn.
pub(crate) fn repeat(mut work: impl FnMut(u64) + 'static) -> Repeat {
    Box::new(move |count| {
        for number in 0..count {
            work(black_box(number));
        }
    })
}

/// Repeats `work` on a list.
pub(crate) fn on_list(mut work: impl FnMut(&ProcessList, u64) + 'static) -> Repeat {
    let list = work::list();
    repeat(move |number| work(black_box(&list), number))
}

/// Repeats `work` on a task with three attributes.
pub(crate) fn on_task(mut work: impl FnMut(&Task, u64) + 'static) -> Repeat {
    let task = work::start(&work::list(), ID);
    repeat(move |number| work(black_box(&task), number))
}

/// Returns a list whose clock stands still, where the time that passes would show in the count.
pub(crate) fn resting_list() -> ProcessList {
    let (clock, hand) = Clock::manual();
    hand.advance(std::time::Duration::from_millis(12_345));
    ProcessList::with_options(Options::new().max_bytes(2 << 30).clock(clock))
}
