//! How a task is asked to stop, what it is told, and what comes of it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::outcome::Outcome;
use crate::serial::Serial;

/// The task was asked to stop; its cancel points return this.
///
/// Return it up with `?`, as far as the work must be given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    pub(crate) serial: Serial,
    pub(crate) reason: String,
    pub(crate) by: String,
    pub(crate) unix_nanos: u64,
    pub(crate) origin: Serial,
}

impl Cancelled {
    /// For a request whose words found no memory.
    pub(crate) fn unknown(serial: Serial) -> Self {
        Self { serial, reason: String::new(), by: String::new(), unix_nanos: 0, origin: serial }
    }

    /// Why, in the words of who asked; empty when none were given.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Who asked, as [`CancelRequest::by`] told; empty when it did not.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// When it was asked; 1970 when the list had no memory to note it.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.unix_nanos)
    }

    /// The task that was asked.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The task that the request was meant for: this one, or an ancestor whose cancel came down to it.
    #[must_use]
    pub fn origin(&self) -> Serial {
        self.origin
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason.is_empty() { f.write_str("cancelled") } else { write!(f, "cancelled: {}", self.reason) }
    }
}

impl std::error::Error for Cancelled {}

/// What `checkpoint_or_unwind` unwinds with; `run_sync` recognises it.
pub(crate) struct Unwind(pub(crate) Cancelled);

/// A request as it stands in a slot.
pub(crate) struct Request<'a> {
    pub(crate) reason: &'a str,
    pub(crate) by: &'a str,
    /// The task it was meant for, if that is another one.
    pub(crate) origin: Option<u64>,
}

/// Which task is meant: an id, which must not be ambiguous, or a serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target<'a> {
    /// The only live task with this id.
    Id(&'a str),
    /// Exactly this one.
    Serial(Serial),
}

impl<'a> From<&'a str> for Target<'a> {
    fn from(id: &'a str) -> Self {
        Self::Id(id)
    }
}

impl<'a> From<&'a String> for Target<'a> {
    fn from(id: &'a String) -> Self {
        Self::Id(id)
    }
}

impl From<Serial> for Target<'_> {
    fn from(serial: Serial) -> Self {
        Self::Serial(serial)
    }
}

/// Why a task is to stop, who says so, and what is expected of it.
///
/// If the task is not as expected, the request is refused with what was found instead.
///
/// ```
/// use pm_core::{CancelError, CancelRequest, ProcessList};
///
/// let list = ProcessList::new();
/// let task = list.start("import-42");
/// task.status("writing")?;
/// let request = CancelRequest::new("too slow").by("operator").status("reading");
/// let error = list.request_cancel("import-42", &request).unwrap_err();
/// assert!(error.to_string().ends_with("is in status `writing`, not in `reading`"));
/// # Ok::<(), pm_core::Cancelled>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct CancelRequest<'a> {
    pub(crate) reason: &'a str,
    pub(crate) by: &'a str,
    pub(crate) min_age: Option<Duration>,
    pub(crate) status: Option<&'a str>,
}

impl<'a> CancelRequest<'a> {
    /// A request for this reason, which may be empty. Cut like a status (1,024 bytes).
    pub fn new(reason: &'a str) -> Self {
        Self { reason, ..Self::default() }
    }

    /// Who asks, as an address or a name. Cut like the name of an attribute (128 bytes).
    pub fn by(mut self, who: &'a str) -> Self {
        self.by = who;
        self
    }

    /// Expects that the task has been running at least so long.
    pub fn min_age(mut self, age: Duration) -> Self {
        self.min_age = Some(age);
        self
    }

    /// Expects that the task is in this status, as the list shows it.
    pub fn status(mut self, status: &'a str) -> Self {
        self.status = Some(status);
        self
    }
}

/// Why a task could not be asked to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelError {
    /// No live task bears the id or serial.
    NotFound,
    /// The task was started as not cancellable.
    #[non_exhaustive]
    NotCancellable {
        /// The task.
        serial: Serial,
    },
    /// Several live tasks bear the id: say which one by its serial.
    #[non_exhaustive]
    Ambiguous {
        /// The tasks, oldest first.
        serials: Vec<Serial>,
    },
    /// The task is younger than was expected.
    #[non_exhaustive]
    TooYoung {
        /// The task.
        serial: Serial,
        /// How long it has been running.
        age: Duration,
        /// How long it was expected to have been running.
        min_age: Duration,
    },
    /// The task is in another status than was expected.
    #[non_exhaustive]
    OtherStatus {
        /// The task.
        serial: Serial,
        /// Its status.
        status: String,
        /// What was expected.
        expected: String,
    },
}

impl fmt::Display for CancelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such task"),
            Self::NotCancellable { serial } => write!(f, "task {serial} is not cancellable"),
            Self::Ambiguous { serials } => {
                write!(f, "{} live tasks bear this id, with the serials ", serials.len())?;
                for (index, serial) in serials.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{serial}")?;
                }
                Ok(())
            }
            Self::TooYoung { serial, age, min_age } => {
                write!(f, "task {serial} is {age:.3?} old, not yet {min_age:?}")
            }
            Self::OtherStatus { serial, status, expected } => {
                write!(f, "task {serial} is in status `{status}`, not in `{expected}`")
            }
        }
    }
}

impl std::error::Error for CancelError {}

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
