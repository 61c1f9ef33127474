//! The outcome of a cancel request.

use std::time::Duration;

use super::request::CancelError;
use crate::base::outcome::Outcome;

/// The outcome of a cancel request.
///
/// Times are from the request on, by the list's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The task ended by itself: it observed the request, or was done anyway.
    #[non_exhaustive]
    Finished {
        /// The time from the request to the end.
        took: Duration,
        /// How the task ended.
        outcome: Outcome,
    },
    /// The future was dropped where it awaited, and its destructors have run. What it spawned as no task of pm, and
    /// threads that it started, run on: nothing is known of them.
    #[non_exhaustive]
    Dropped {
        /// The time from the request to the end.
        took: Duration,
    },
    /// The task was asked and is still running: its [policy](crate::CancelPolicy) is to ask only, it is not a future,
    /// is in a protected section, or reaches neither a checkpoint nor an await.
    #[non_exhaustive]
    Cancelling {
        /// The time since the request.
        took: Duration,
    },
    /// The request was refused.
    Refused(CancelError),
    /// There is no such task.
    NotFound,
}

impl Verdict {
    /// Returns the verdict in one word: `finished`, `dropped`, `cancelling`, `refused` or `notFound`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Finished { .. } => "finished",
            Self::Dropped { .. } => "dropped",
            Self::Cancelling { .. } => "cancelling",
            Self::Refused(_) => "refused",
            Self::NotFound => "notFound",
        }
    }

    /// Returns the time from the request to this verdict; `None` when no request was recorded.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        match self {
            Self::Finished { took, .. } | Self::Dropped { took } | Self::Cancelling { took } => Some(*took),
            Self::Refused(_) | Self::NotFound => None,
        }
    }
}

impl From<CancelError> for Verdict {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound => Self::NotFound,
            other => Self::Refused(other),
        }
    }
}
