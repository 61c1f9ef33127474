//! Histograms of durations: counts in buckets of a fixed relative width.
//!
//! A bucket is a sixteenth of a power of two, so that the middle of a bucket is at most 1/32 (3.1 %) away from what was
//! counted in it, from nanoseconds to centuries. One thread counts; readers add up what several threads counted.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::Moment;

const SUB_BITS: u32 = 4;
const SUBS: usize = 1 << SUB_BITS;

/// The first octave holds the values below 16 one by one.
const OCTAVES: usize = 64 - SUB_BITS as usize + 1;

/// Returns the octave of a value, and its place in it.
#[inline]
fn bucket(value: u64) -> (usize, usize) {
    if value < SUBS as u64 {
        return (0, value as usize);
    }
    let exponent = 63 - value.leading_zeros();
    let sub = (value >> (exponent - SUB_BITS)) as usize % SUBS;
    ((exponent - SUB_BITS) as usize + 1, sub)
}

/// Returns the lowest value of a bucket; that of the next one ends it.
fn lower(index: usize) -> u64 {
    let (octave, sub) = (index / SUBS, index % SUBS);
    if octave == 0 {
        return sub as u64;
    }
    let lower = (SUBS + sub) as u128 * (1 << (octave - 1));
    u64::try_from(lower).unwrap_or(u64::MAX)
}

/// Counts of one thread, in ticks.
pub(crate) struct Histogram {
    octaves: [OnceLock<Box<[AtomicU64; SUBS]>>; OCTAVES],
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { octaves: [const { OnceLock::new() }; OCTAVES] }
    }

    /// Counts a value; for the thread that owns this. Returns the bytes that were newly allocated.
    #[inline]
    pub(crate) fn count(&self, value: u64) -> usize {
        let (octave, sub) = bucket(value);
        let (counts, taken) = match self.octaves[octave].get() {
            Some(counts) => (counts, 0),
            None => (self.octaves[octave].get_or_init(Box::default), SUBS * 8),
        };
        counts[sub].store(counts[sub].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        taken
    }

    /// Returns the bytes that were allocated.
    pub(crate) fn bytes(&self) -> u64 {
        (self.octaves.iter().filter(|counts| counts.get().is_some()).count() * SUBS * 8) as u64
    }

    pub(crate) fn add_to(&self, sums: &mut Sums) {
        for (octave, counts) in self.octaves.iter().enumerate() {
            let Some(counts) = counts.get() else { continue };
            for (sub, count) in counts.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let index = octave * SUBS + sub;
                    if sums.0.len() <= index {
                        sums.0.resize(index + 1, 0);
                    }
                    sums.0[index] += count;
                }
            }
        }
    }
}

/// Counts of several threads.
#[derive(Clone, Default)]
pub(crate) struct Sums(Vec<u64>);

impl Sums {
    pub(crate) fn bytes(&self) -> u64 {
        (self.0.capacity() * 8) as u64
    }

    pub(crate) fn into_latency(self, sum: u64, max: u64, moment: &Moment) -> Latency {
        let nanos = |ticks| moment.nanos_in(ticks);
        let buckets = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        let buckets = buckets.map(|(index, &count)| Bucket {
            lower: Duration::from_nanos(nanos(lower(index))),
            upper: Duration::from_nanos(nanos(lower(index + 1))),
            count,
        });
        Latency {
            count: self.0.iter().sum(),
            sum: Duration::from_nanos(nanos(sum)),
            max: Duration::from_nanos(nanos(max)),
            buckets: buckets.collect(),
        }
    }
}

/// The distribution of the durations of a kind's tasks.
///
/// Quantiles are off by at most 3.2 % of their value: durations are counted in buckets, 16 to each power of two, and
/// the middle of a bucket stands for all in it.
///
/// ```
/// let list = pm_core::ProcessList::new();
/// drop(list.task("job-1").kind("import").start());
/// let kinds = list.kinds();
/// let latency = &kinds[0].latency;
/// assert_eq!(latency.count(), 1);
/// assert!(latency.quantile(0.99) <= latency.max());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Latency {
    count: u64,
    sum: Duration,
    max: Duration,
    buckets: Vec<Bucket>,
}

/// Some of the tasks of a [`Latency`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bucket {
    /// The shortest duration that is counted here.
    pub lower: Duration,
    /// The upper bound: all that are counted here are shorter.
    pub upper: Duration,
    /// The number of tasks.
    pub count: u64,
}

impl Latency {
    /// Returns how many tasks ended.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the sum of their durations.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Returns the longest duration, exactly; zero when no task ended.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// Returns the average duration; zero when no task ended.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let nanos = self.sum.as_nanos() / u128::from(self.count.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns the duration that this fraction of the tasks (0.5: half of them) did not exceed; zero when no task
    /// ended.
    ///
    /// A fraction outside 0 to 1 is clamped.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        let rank = ((part.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for bucket in &self.buckets {
            seen += bucket.count;
            if seen >= rank {
                return (bucket.lower + (bucket.upper - bucket.lower) / 2).min(self.max);
            }
        }
        self.max
    }

    /// Returns the buckets that are not empty, shortest durations first: for a plot.
    #[must_use]
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_no_bucket_is_wider_than_a_sixteenth() {
        let mut value = 0_u64;
        while value < u64::MAX / 2 {
            let (octave, sub) = bucket(value);
            let index = octave * SUBS + sub;
            let (from, to) = (lower(index), lower(index + 1));
            assert!(from <= value && value < to, "{value}: {from} to {to}");
            assert!(to - from == 1 || (to - from) * 16 <= from, "{value}: {from} to {to}");
            value = value + value / 7 + 1;
        }
        assert_eq!(bucket(u64::MAX), (OCTAVES - 1, SUBS - 1));
    }
}
