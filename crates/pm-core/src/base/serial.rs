//! The serial number of a task.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// The serial number of a task: unique in the process across all lists, and never reused.
///
/// Serials grow with time on each thread, but not across threads: of two tasks that two threads start, the later one
/// may have the smaller serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(NonZeroU64);

impl Serial {
    /// Makes a serial from its number; `None` for 0, which no task has.
    #[must_use]
    pub fn from_u64(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Returns the number.
    #[inline]
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// For numbers read from live tasks, which are never 0.
    #[inline]
    pub(crate) fn new(number: u64) -> Self {
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MAX))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Serial {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
