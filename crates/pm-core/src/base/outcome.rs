//! How a task ended.

use std::fmt;

/// What a thread counts for itself: written by one thread, summed by readers.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    Started,
    Finished,
    Failed,
    Cancelled,
    Aborted,
    /// Its future was dropped by its owner.
    Dropped,
    /// Described, but never started.
    Discarded,
}

/// How many counts there are.
pub(crate) const COUNTS: usize = 7;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It did what it was for. The last entry of its history is `ended`.
    Finished,
    /// It said that it failed: `failed` or `failed: why`.
    Failed,
    /// It was asked to stop, and did or was stopped: `killed` or `killed: why`.
    Cancelled,
    /// A panic ended it: `aborted`.
    Aborted,
    /// Its future was dropped by its owner before it was done: `dropped`.
    Dropped,
}

impl Outcome {
    /// The outcome in one word: `finished`, `failed`, `cancelled`, `aborted` or `dropped`.
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
