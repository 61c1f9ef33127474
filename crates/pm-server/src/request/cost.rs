//! The cost of an answer, as far as it is known before, and the threads that it is made on.
//!
//! An answer that costs little is made on the thread that answers requests, which is faster than handing it over.

use pm_core::{Counters, KindStats, Serial};

use super::route::{Op, TaskRef};
use super::state::State;
use crate::response::LONG;
use crate::workers::Workers;

/// The cost of the parts of an answer, in tasks that are copied: about 200 ns each. What costs more than [`LONG`] tasks
/// is made elsewhere.
const ENDED: u64 = 4;
const KIND: u64 = 64;
const WAIT: u64 = 16;
const ENTRY: u64 = 16;
/// A pass over the list, also over free slots, takes as long for so many bytes as copying a task.
const PASS: u64 = 32 << 10;
/// A filter of so many bytes costs as much as copying the task.
const FILTER: u64 = 256;

fn ended(counters: &Counters) -> u64 {
    let ended = counters.started.saturating_sub(counters.live).saturating_sub(counters.ended_evicted);
    ended.saturating_mul(ENDED)
}

fn pass(counters: &Counters) -> u64 {
    counters.bytes_held / PASS
}

/// Returns the id and the serial in a reference. Digits are taken for a serial only, as that is what they mostly are.
fn named(task: &TaskRef) -> (Option<&str>, Option<Serial>) {
    match task {
        TaskRef::Serial(serial) => (None, Some(*serial)),
        TaskRef::Digits(digits) => (None, digits.parse().ok()),
        TaskRef::Id(id) => (Some(id), None),
    }
}

impl State {
    /// Returns the statistics of all kinds, and remembers how many there are.
    pub(crate) fn all_kinds(&self) -> Vec<KindStats> {
        let kinds = self.list.kinds();
        self.kinds.set(kinds.len());
        kinds
    }

    /// Returns `true` if other requests should not wait for a pass over the list.
    pub(crate) fn is_long(&self) -> bool {
        let counters = self.list.counters();
        counters.live + pass(&counters) > LONG
    }

    /// Returns `true` if other requests should not wait for a search for this task.
    pub(crate) fn is_long_to_find(&self, task: &TaskRef) -> bool {
        let (id, serial) = named(task);
        self.is_long_to_search(id, serial)
    }

    /// As [`is_long_to_find`](Self::is_long_to_find), by an id, a serial, or both.
    fn is_long_to_search(&self, id: Option<&str>, serial: Option<Serial>) -> bool {
        let counters = self.list.counters();
        let Some(id) = id.filter(|_| counters.live + ended(&counters) + pass(&counters) > LONG) else { return false };
        // Live tasks are found at once. Else ended tasks with this id are copied, and all others looked at for a hint.
        match (&self.list.find(id)[..], serial) {
            ([], _) => true,
            (found, Some(serial)) => !found.contains(&serial),
            (_, None) => false,
        }
    }

    /// Returns the threads on which a history is written, if that is not done at once.
    pub(crate) fn threads_for_history(&self, id: Option<&str>, serial: Option<Serial>) -> Option<&Workers> {
        let limits = self.list.limits();
        let may_be_long = (limits.first_entries + limits.newest_entries).saturating_mul(ENTRY) > LONG;
        (may_be_long || self.is_long_to_search(id, serial)).then_some(&*self.pieces)
    }

    /// Returns the threads on which an answer is made, if it is not made at once. Cancels have threads of their own.
    pub(crate) fn threads_for(&self, op: Op, task: Option<&TaskRef>, query: Option<&str>) -> Option<&Workers> {
        if matches!(op, Op::Health | Op::OpenApi | Op::Home | Op::PageFile | Op::Events | Op::Audit) {
            return None;
        }
        let counters = self.list.counters();
        // Where it is not known how many there are: as many as there may be, or at least as many as that is likely.
        let waits = self.waits.or(counters.live) * WAIT;
        let kinds = self.kinds.or(counters.started.min(LONG)) * KIND;
        let filtered = |tasks: u64| tasks * (1 + query.map_or(0, str::len) as u64 / FILTER);
        let (workers, cost) = match op {
            Op::Tasks => (&self.lists, filtered(counters.live)),
            Op::Ended => (&self.lists, filtered(ended(&counters))),
            Op::Tree => (&self.reports, filtered(counters.live)),
            Op::Kinds => (&self.reports, counters.live + kinds),
            Op::Metrics => (&self.reports, counters.live + kinds + waits),
            Op::Waits => (&self.reports, waits),
            Op::Info => (&*self.pieces, counters.live + kinds),
            Op::Task => {
                let is_long = waits > LONG || task.is_some_and(|task| self.is_long_to_find(task));
                return is_long.then_some(&*self.pieces);
            }
            Op::History => {
                let (id, serial) = task.map(named)?;
                return self.threads_for_history(id, serial);
            }
            _ => return None,
        };
        let cost = cost + pass(&counters);
        (cost > LONG).then_some(workers)
    }
}
