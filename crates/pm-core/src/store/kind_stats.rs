//! The statistics of a kind, summed over all threads.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Counts of one kind, added up.
#[derive(Clone, Default)]
pub(super) struct KindTotals {
    /// By outcome.
    outcomes: [u64; 8],
    ticks: u64,
    max: u64,
    latency: Sums,
    /// How often a status was entered, and its ticks.
    statuses: HashMap<String, (u64, u64)>,
    other: (u64, u64),
}

impl KindTotals {
    /// Adds the counts of a thread. Statuses beyond the limit are added up together, as in one thread.
    pub(super) fn add(&mut self, counts: &Counts, max_statuses: usize) {
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        for (total, count) in self.outcomes.iter_mut().zip(&counts.outcomes) {
            *total += get(count);
        }
        self.ticks = self.ticks.wrapping_add(get(&counts.ticks));
        self.max = self.max.max(get(&counts.max));
        counts.latency.add_to(&mut self.latency);
        let named = counts.statuses.iter().map_while(OnceLock::get).map(|status| (Some(status.name()), &status.time));
        let first = [(Some(INIT.to_owned()), &counts.init), (None, &counts.other)];
        for (name, time) in first.into_iter().chain(named) {
            let (entered, ticks) = (get(&time.entered), get(&time.ticks));
            if entered == 0 {
                continue;
            }
            let is_full = self.statuses.len() > max_statuses;
            let total = match name {
                Some(name) if name == INIT || !is_full || self.statuses.contains_key(&name) => {
                    self.statuses.entry(name).or_default()
                }
                _ => &mut self.other,
            };
            *total = (total.0 + entered, total.1.wrapping_add(ticks));
        }
    }

    /// Returns the bytes that they take, but for what the allocator adds.
    pub(super) fn bytes(&self) -> u64 {
        let names: usize = self.statuses.keys().map(String::capacity).sum();
        let statuses = self.statuses.capacity() * size_of::<(String, (u64, u64))>() + names;
        (size_of::<Self>() + statuses) as u64 + self.latency.bytes()
    }

    /// Returns how many tasks ended.
    pub(super) fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }

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

/// The status of a task before it sets one.
const INIT: &str = "init";
