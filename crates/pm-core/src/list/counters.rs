//! The counters of a list: of all tasks, and by kind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64 as StdAtomicU64, Ordering as StdOrdering};

use super::process_list::ProcessList;
use crate::base::options::ListLimits;
use crate::base::outcome::Count;
use crate::cancel::timer;
use crate::slot::gate::Slot;
use crate::store::Store;
use crate::store::kind_stats::KindStats;

/// The counters of a list since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Tasks that are running.
    pub live: u64,
    /// The most tasks that ran at once. Looked at whenever a thread takes 32 slots, and here: it may miss up to 31
    /// tasks of each thread.
    pub peak: u64,
    /// Tasks that were started and shown.
    pub started: u64,
    /// Tasks that ended as finished.
    pub finished: u64,
    /// Tasks that ended by `fail`.
    pub failed: u64,
    /// Tasks that ended because they were cancelled.
    pub cancelled: u64,
    /// Tasks that ended in a panic.
    pub aborted: u64,
    /// Tasks whose future was dropped by its owner before it was done.
    pub dropped: u64,
    /// Tasks that were asked to stop and are still running.
    pub cancelling: u64,
    /// Cancelled tasks whose future was dropped for it.
    pub forced: u64,
    /// Ended tasks that are no longer kept.
    pub ended_evicted: u64,
    /// Tasks that ended and whose kind came after the [limit](crate::Options::max_kinds) was reached.
    pub kinds_dropped: u64,
    /// Panics of hooks and wakers, which went no further.
    pub panics_caught: u64,
    /// Calls of [`checkpoint_or_unwind`](crate::TaskHandle::checkpoint_or_unwind) that returned although their task was
    /// cancelled, since nothing on their stack would have caught it.
    pub not_unwound: u64,
    /// Tasks that ran but were not shown, because the list was full.
    pub not_shown: u64,
    /// Statuses that were not recorded for lack of memory.
    pub statuses_dropped: u64,
    /// Attributes and progress reports that were not recorded: too many of them, or no memory.
    pub attrs_dropped: u64,
    /// Strings that were truncated to their limit.
    pub texts_cut: u64,
    /// Values and strings in which something was [masked](crate::Options::redact).
    pub redacted: u64,
    /// Calls on handles of tasks that had ended, which did nothing.
    pub late_calls: u64,
    /// Cancel requests that reached a task, repeated ones left out.
    pub cancel_requests: u64,
    /// Bytes of memory that the list holds.
    pub bytes_held: u64,
    /// 1 once the processor's counter no longer agreed with the system's clock, as after some suspends and moves of
    /// virtual machines: all lists with [`Clock::Tsc`](crate::Clock::Tsc) read the system's clock from then on.
    pub clock_given_up: u64,
    /// Deadlines, graces and timeouts of all lists that were planned while the system had no thread for them: they
    /// happen when some thread waits for one, reports on a task that has one, or reads a list.
    pub planned_without_thread: u64,
}

impl ProcessList {
    /// Returns statistics of each kind of task: outcomes, latency, and the time by status; the kind with the
    /// most tasks first.
    #[must_use]
    pub fn kinds(&self) -> Vec<KindStats> {
        let shared = self.shared();
        let mut running: HashMap<u32, u64> = HashMap::new();
        shared
            .store
            .slab
            .chunks
            .each_live(|index| *running.entry(Slot::at(&shared.store, index).kind_number()).or_default() += 1);
        shared.store.slab.kinds().collect(&running, &shared.store.clock.moment())
    }

    /// Returns the limits of the list.
    #[must_use]
    pub fn limits(&self) -> ListLimits {
        let shared = self.shared();
        ListLimits::of(&shared.store.limits, shared.store.slab.max_bytes())
    }

    /// Returns [`Counters::not_shown`] alone, which is cheaper.
    #[must_use]
    pub fn not_shown(&self) -> u64 {
        self.shared().store.counters.not_shown.load(StdOrdering::Relaxed)
    }

    /// Returns the counters of the list since it was made.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let Store { slab, counters, clock, .. } = &self.shared().store;
        timer::help();
        clock.check();
        let get = |counter: &StdAtomicU64| counter.load(StdOrdering::Relaxed);
        let counted = slab.tally().since(*self.shared().before.lock());
        let of = |count: Count| counted.0[count as usize];
        let (finished, failed) = (of(Count::Finished), of(Count::Failed));
        let (cancelled, aborted) = (of(Count::Cancelled), of(Count::Aborted));
        let live = counted.live();
        Counters {
            live,
            peak: slab.peak(live),
            started: of(Count::Started).saturating_sub(of(Count::Discarded)),
            finished,
            failed,
            cancelled,
            aborted,
            dropped: of(Count::Dropped),
            // Ends before requests: a task that ends in between must not make more ends than requests.
            cancelling: {
                let ends = get(&counters.cancelled_ends);
                get(&counters.cancel_requests).saturating_sub(ends)
            },
            forced: get(&counters.forced),
            ended_evicted: slab.evicted.load(StdOrdering::Relaxed),
            kinds_dropped: slab.kinds().ended_as_other(),
            panics_caught: get(&counters.panics_caught),
            not_unwound: get(&counters.not_unwound),
            not_shown: get(&counters.not_shown),
            statuses_dropped: get(&counters.statuses_dropped),
            attrs_dropped: get(&counters.attrs_dropped),
            texts_cut: get(&counters.texts_cut),
            redacted: get(&counters.redacted),
            late_calls: get(&counters.late_calls),
            cancel_requests: get(&counters.cancel_requests),
            bytes_held: slab.bytes(),
            clock_given_up: clock.is_given_up().into(),
            planned_without_thread: timer::planned_without_thread(),
        }
    }
}
