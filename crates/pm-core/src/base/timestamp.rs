//! A point in time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use std::time::SystemTime;
///
/// let list = pm_core::ProcessList::new();
/// let _task = list.start("import-42");
/// let snapshot = list.snapshot();
/// let task = snapshot.get(0).unwrap();
/// assert_eq!(snapshot.at().duration_since(task.started_at()), task.age());
/// println!("started at {:?}", SystemTime::from(task.started_at()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Returns the point in time that lies so many nanoseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since 1970-01-01T00:00:00Z.
    #[inline]
    #[must_use]
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time from `earlier` until this point, or zero if `earlier` is later.
    #[must_use]
    pub const fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_nanos(at.0)
    }
}
