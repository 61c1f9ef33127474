//! The statistics of a kind, summed over all threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::kinds::{Counts, Kinds, OTHER};
use crate::base::clock::Moment;
use crate::base::histogram::{Latency, Sums};
use crate::base::outcome::Count;

/// The statistics of the tasks of one kind, since the list was made.
///
/// Counts are exact for tasks that ended before the call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KindStats {
    /// The kind; `None` for tasks without one, and for [all others](Self::is_other).
    pub kind: Option<String>,
    /// True in the entry for all kinds that came after [the limit](crate::Options::max_kinds) was reached.
    pub is_other: bool,
    /// Tasks that run now.
    pub running: u64,
    /// Tasks that were started: those that run and those that ended.
    pub started: u64,
    /// Tasks that ended as finished.
    pub finished: u64,
    /// Tasks that ended by `fail`.
    pub failed: u64,
    /// Tasks that ended because they were cancelled.
    pub cancelled: u64,
    /// Tasks that ended in a panic.
    pub aborted: u64,
    /// Tasks whose future was dropped by its owner.
    pub dropped: u64,
    /// The durations of the tasks that ended.
    pub latency: Latency,
    /// The time of the tasks that ended, by status; the most time first.
    pub statuses: Vec<StatusTime>,
}

/// The time that tasks of a kind spent in one status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusTime {
    /// The status, with `#` for each number in it; `None` for all that came after
    /// [the limit](crate::Options::max_statuses) was reached or that are no longer known.
    pub status: Option<String>,
    /// How often it was entered.
    pub entered: u64,
    /// The time from entering it until the next status or the end.
    pub time: Duration,
}

impl Kinds {
    /// Returns the statistics of all kinds of which a task ended or runs; `running` has the number of running tasks by
    /// the number of their kind.
    pub(crate) fn collect(&self, running: &HashMap<u32, u64>, moment: &Moment) -> Vec<KindStats> {
        let shards: Vec<_> = self.shards.lock().all.iter().map(Arc::clone).collect();
        let mut all: Vec<KindStats> = (0..self.counted())
            .filter_map(|number| {
                let counts = shards.iter().filter_map(|shard| shard.kinds[number as usize].get());
                let counts: Vec<&Counts> = counts.map(|counts| &**counts).collect();
                let running = running.get(&number).copied().unwrap_or(0);
                if counts.is_empty() && running == 0 {
                    return None;
                }
                let kind = self.name(number).map(str::to_owned);
                Some(KindStats::merge(kind, number == OTHER, running, &counts, moment))
            })
            .collect();
        all.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| a.kind.cmp(&b.kind)));
        all
    }
}

impl KindStats {
    pub(super) fn merge(
        kind: Option<String>,
        is_other: bool,
        running: u64,
        counts: &[&Counts],
        moment: &Moment,
    ) -> Self {
        let sum = |cell: fn(&Counts) -> &AtomicU64| {
            counts.iter().map(|counts| cell(counts).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
        };
        let of = |outcome: Count| {
            counts.iter().map(|counts| counts.outcomes[outcome as usize].load(Ordering::Relaxed)).sum::<u64>()
        };
        let mut sums = Sums::default();
        // By status; `None` for the others.
        let mut statuses: HashMap<Option<String>, (u64, u64)> = HashMap::new();
        for counts in counts {
            counts.latency.add_to(&mut sums);
            let named = counts.statuses.iter().map_while(OnceLock::get);
            let named = named.map(|status| (Some(status.name()), &status.time));
            for (name, time) in named.chain([(Some("init".to_owned()), &counts.init), (None, &counts.other)]) {
                let entered = time.entered.load(Ordering::Relaxed);
                if entered > 0 {
                    let total = statuses.entry(name).or_default();
                    *total = (total.0 + entered, total.1.wrapping_add(time.ticks.load(Ordering::Relaxed)));
                }
            }
        }
        let mut statuses: Vec<StatusTime> = statuses
            .into_iter()
            .map(|(status, (entered, ticks))| StatusTime {
                status,
                entered,
                time: Duration::from_nanos(moment.nanos_in(ticks)),
            })
            .collect();
        statuses.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.status.cmp(&b.status)));
        let max = counts.iter().map(|counts| counts.max.load(Ordering::Relaxed)).max().unwrap_or(0);
        let [finished, failed] = [of(Count::Finished), of(Count::Failed)];
        let [cancelled, aborted, dropped] = [of(Count::Cancelled), of(Count::Aborted), of(Count::Dropped)];
        Self {
            kind,
            is_other,
            running,
            started: running + finished + failed + cancelled + aborted + dropped,
            finished,
            failed,
            cancelled,
            aborted,
            dropped,
            latency: sums.into_latency(sum(|counts| &counts.ticks), max, moment),
            statuses,
        }
    }
}
