//! How a task ended.

use std::fmt;

/// The counters of a thread: written by that thread alone, summed by readers.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    Started,
    Finished,
    Failed,
    Cancelled,
    Aborted,
    /// Its future was dropped by its owner.
    Dropped,
    /// Described but never started.
    Discarded,
}

/// The number of counters.
pub(crate) const COUNTS: usize = 7;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It completed. The last entry of its history is `ended`.
    Finished,
    /// It reported a failure: `failed` or `failed: why`.
    Failed,
    /// It was cancelled, and stopped or was stopped: `killed` or `killed: why`.
    Cancelled,
    /// A panic ended it: `aborted`.
    Aborted,
    /// Its owner dropped its future before it was ready: `dropped`.
    Dropped,
}

impl Outcome {
    /// Returns the outcome in one word: `finished`, `failed`, `cancelled`, `aborted` or `dropped`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Aborted => "aborted",
            Self::Dropped => "dropped",
        }
    }

    pub(crate) fn from_count(count: u64) -> Option<Self> {
        const FINISHED: u64 = Count::Finished as u64;
        const FAILED: u64 = Count::Failed as u64;
        const CANCELLED: u64 = Count::Cancelled as u64;
        const ABORTED: u64 = Count::Aborted as u64;
        const DROPPED: u64 = Count::Dropped as u64;
        match count {
            FINISHED => Some(Self::Finished),
            FAILED => Some(Self::Failed),
            CANCELLED => Some(Self::Cancelled),
            ABORTED => Some(Self::Aborted),
            DROPPED => Some(Self::Dropped),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
