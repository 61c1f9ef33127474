//! The state of a task: running, asked to stop, or ended.

use std::fmt;

/// The state of a task: see [`TaskView::state`](crate::TaskView::state).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It runs, and was not asked to stop.
    Running,
    /// It was asked to stop, and still runs.
    Cancelling,
    /// It has ended; its [outcome](crate::TaskView::outcome) is how.
    Ended,
}

impl TaskState {
    /// Returns the state in one word: `running`, `cancelling` or `ended`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
