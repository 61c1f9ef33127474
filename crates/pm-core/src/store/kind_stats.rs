//! The statistics of a kind, summed over all threads.

use std::collections::HashMap;
use std::time::Duration;

use super::kinds::{KindTotals, Kinds, OTHER};
use crate::base::clock::Moment;
use crate::base::histogram::Latency;
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
        let (shards, mut totals) = {
            let shards = self.shards.lock();
            (shards.active.clone(), shards.common.clone())
        };
        for shard in shards {
            for (number, counts) in (0..).zip(&shard.kinds) {
                if let Some(counts) = counts.get() {
                    totals.entry(number).or_default().add(counts, self.max_statuses);
                }
            }
        }
        for &number in running.keys().filter(|&&number| number < self.counted()) {
            totals.entry(number).or_default();
        }
        let stats = |(number, totals): (u32, KindTotals)| {
            let kind = self.name(number).map(str::to_owned);
            let running = running.get(&number).copied().unwrap_or(0);
            totals.into_stats(kind, number == OTHER, running, moment)
        };
        let mut all: Vec<KindStats> = totals.into_iter().map(stats).collect();
        all.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| a.kind.cmp(&b.kind)));
        all
    }
}

impl KindTotals {
    fn into_stats(self, kind: Option<String>, is_other: bool, running: u64, moment: &Moment) -> KindStats {
        let named = self.statuses.into_iter().map(|(status, total)| (Some(status), total));
        let other = (self.other.0 > 0).then_some((None, self.other));
        let mut statuses: Vec<StatusTime> = named
            .chain(other)
            .map(|(status, (entered, ticks))| StatusTime {
                status,
                entered,
                time: Duration::from_nanos(moment.nanos_in(ticks)),
            })
            .collect();
        statuses.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.status.cmp(&b.status)));
        let of = |outcome: Count| self.outcomes[outcome as usize];
        let [finished, failed] = [of(Count::Finished), of(Count::Failed)];
        let [cancelled, aborted, dropped] = [of(Count::Cancelled), of(Count::Aborted), of(Count::Dropped)];
        KindStats {
            kind,
            is_other,
            running,
            started: running + finished + failed + cancelled + aborted + dropped,
            finished,
            failed,
            cancelled,
            aborted,
            dropped,
            latency: self.latency.into_latency(self.ticks, self.max, moment),
            statuses,
        }
    }
}
