//! The outcome of a cancel request.

use std::time::Duration;

use super::request::CancelError;
use crate::base::outcome::Outcome;

/// What came of a cancel.
///
/// Times are from the request on, by the list's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The task ended by itself: it heard the request, or was done anyway.
    #[non_exhaustive]
    Finished {
        /// How long that took.
        took: Duration,
        /// How it ended.
        outcome: Outcome,
    },
    /// The future was dropped where it awaited, and its destructors have run.
    #[non_exhaustive]
    Dropped {
        /// How long that took.
        took: Duration,
    },
    /// The task is still running.
    #[non_exhaustive]
    Cancelling {
        /// How long it has been asked for.
        took: Duration,
    },
    /// It was not asked.
    Refused(CancelError),
    /// There is no such task.
    NotFound,
}

impl Verdict {
    /// One word: `finished`, `dropped`, `cancelling`, `refused` or `notFound`.
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

    /// How long after the request it was so; `None` when there was none.
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
