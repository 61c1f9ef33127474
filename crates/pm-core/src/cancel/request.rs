//! A cancel request, as its caller makes it: the target, the reason, what is expected of the task.

use std::fmt;
use std::time::Duration;

use crate::base::serial::Serial;

/// Selects the task to cancel: by id, or by serial.
///
/// Made by `into` from an id (`&str`), which must not be ambiguous; from a [`Serial`]; or from the [serial of a
/// handle](crate::TaskHandle::serial) as it is, where that of no task is not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a>(pub(crate) TargetKind<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind<'a> {
    Id(&'a str),
    Serial(Option<Serial>),
}

impl<'a> From<&'a str> for Target<'a> {
    fn from(id: &'a str) -> Self {
        Self(TargetKind::Id(id))
    }
}

impl<'a> From<&'a String> for Target<'a> {
    fn from(id: &'a String) -> Self {
        Self(TargetKind::Id(id))
    }
}

impl From<Serial> for Target<'_> {
    fn from(serial: Serial) -> Self {
        Self(TargetKind::Serial(Some(serial)))
    }
}

impl From<Option<Serial>> for Target<'_> {
    fn from(serial: Option<Serial>) -> Self {
        Self(TargetKind::Serial(serial))
    }
}

/// The reason of a cancellation, its caller, and what is expected of the task.
///
/// If the task is not as expected, the request is refused, and the error says what was found instead.
///
/// ```
/// use pm_core::{CancelError, CancelRequest, ProcessList};
///
/// let list = ProcessList::new();
/// let task = list.start("import-42");
/// task.status("writing")?;
/// let request = CancelRequest::new("too slow").by("operator").status("reading");
/// let error = list.cancel("import-42", request).unwrap_err();
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
    /// Makes a request with this reason, which may be empty. Cut like a status (1,024 bytes).
    pub fn new(reason: &'a str) -> Self {
        Self { reason, ..Self::default() }
    }

    /// Sets the caller, an address or a name. Cut like the name of an attribute (128 bytes).
    pub fn by(mut self, who: &'a str) -> Self {
        self.by = who;
        self
    }

    /// Expects that the task has been running for at least so long.
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

impl<'a> From<&'a str> for CancelRequest<'a> {
    fn from(reason: &'a str) -> Self {
        Self::new(reason)
    }
}

impl<'a> From<&'a String> for CancelRequest<'a> {
    fn from(reason: &'a String) -> Self {
        Self::new(reason)
    }
}

impl<'a> From<&Self> for CancelRequest<'a> {
    fn from(request: &Self) -> Self {
        *request
    }
}

/// An error of [`ProcessList::cancel`](crate::ProcessList::cancel).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelError {
    /// No live task has the id or serial.
    NotFound,
    /// The task was started as not cancellable.
    #[non_exhaustive]
    NotCancellable {
        /// The task.
        serial: Serial,
    },
    /// The tasks of the list may only be looked at: see [`Options::look_only`](crate::Options::look_only).
    #[non_exhaustive]
    LookOnly {
        /// The task.
        serial: Serial,
    },
    /// Several live tasks have the id: use a serial.
    #[non_exhaustive]
    Ambiguous {
        /// The tasks, oldest first.
        serials: Vec<Serial>,
    },
    /// The task is younger than expected.
    #[non_exhaustive]
    TooYoung {
        /// The task.
        serial: Serial,
        /// How long it has been running.
        age: Duration,
        /// The expected minimum.
        min_age: Duration,
    },
    /// The task is in another status than expected.
    #[non_exhaustive]
    OtherStatus {
        /// The task.
        serial: Serial,
        /// Its status.
        status: String,
        /// The expected status.
        expected: String,
    },
}

impl fmt::Display for CancelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such task"),
            Self::NotCancellable { serial } => write!(f, "task {serial} is not cancellable"),
            Self::LookOnly { serial } => write!(
                f,
                "task {serial} may only be looked at, as all of its list (PM_LIST=look-only, or set by the program)"
            ),
            Self::Ambiguous { serials } => {
                write!(f, "{} live tasks have this id, with the serials ", serials.len())?;
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
