//! How many attempts of callers that may not cancel get a record of their own.

use std::time::{Duration, Instant};

/// Records at once, and the time after which there may be one more.
const BURST: u32 = 50;
const EACH: Duration = Duration::from_secs(1);

/// Admits attempts to the log, and counts those that it does not admit.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// When all of the burst is available again.
    full_at: Option<Instant>,
    /// Those without a record since the last one that had one.
    unrecorded: u64,
}

impl Refusals {
    /// Returns how many before this one have no record; `None` if this one is to have none, either.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + EACH;
        if full_at.duration_since(now) > EACH * BURST {
            self.unrecorded += 1;
            return None;
        }
        self.full_at = Some(full_at);
        Some(std::mem::take(&mut self.unrecorded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_admitted_and_then_one_each_second_that_counts_the_others() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let admitted = (0..1_000).filter(|_| refusals.admit(start) == Some(0)).count();
        assert_eq!(admitted, BURST as usize);
        assert_eq!(refusals.admit(start + EACH), Some(950));
        assert_eq!(refusals.admit(start + EACH), None);
        assert_eq!(refusals.admit(start + 2 * EACH), Some(1));
        let later = start + 1_000 * EACH;
        assert_eq!((0..1_000).filter(|_| refusals.admit(later) == Some(0)).count(), BURST as usize);
    }
}
