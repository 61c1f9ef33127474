//! What a task is told when it is to stop, and what a canceller is told when it can't be.

use std::fmt;

use crate::serial::Serial;

/// The task was asked to stop; its cancel points return this.
///
/// Return it up with `?`, as far as the work must be given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    serial: Serial,
    reason: String,
}

impl Cancelled {
    pub(crate) fn new(serial: Serial, reason: String) -> Self {
        Self { serial, reason }
    }

    /// Why, in the words of who asked; empty when none were given.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The task that was asked.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.serial
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason.is_empty() { f.write_str("cancelled") } else { write!(f, "cancelled: {}", self.reason) }
    }
}

impl std::error::Error for Cancelled {}

/// What `checkpoint_or_unwind` unwinds with; `run` recognises it.
pub(crate) struct Unwind(pub(crate) Cancelled);

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
        }
    }
}

impl std::error::Error for CancelError {}
