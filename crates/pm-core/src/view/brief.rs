//! A task in one line of text.

use std::fmt;
use std::time::Duration;

use super::row::Row;
use super::task_view::TaskView;
use crate::base::serial::Serial;
use crate::slot::copy::Detail;
use crate::slot::gate::Slot;
use crate::terminal::escaped;

/// A summary of a task: its id, kind, status and age when it was read.
///
/// Its `Display` is for logs and terminals: control characters and marks that turn the direction of a text are shown as
/// escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskBrief {
    /// The number of the task.
    pub serial: Serial,
    /// The id that the program chose.
    pub id: String,
    /// The kind, if the program named one.
    pub kind: Option<String>,
    /// The status it was in.
    pub status: String,
    /// How long it had been running.
    pub age: Duration,
    /// How long it had been in this status.
    pub status_age: Duration,
}

impl TaskBrief {
    /// Reads exactly this task; `None` when it is no longer live.
    pub(crate) fn of_live(slot: Slot, serial: u64) -> Option<Self> {
        Row::live(slot, serial, Detail::Newest).map(|row| Self::of(&row.view()))
    }

    pub(crate) fn of(task: &TaskView<'_>) -> Self {
        Self {
            serial: task.serial(),
            id: task.id().to_string(),
            kind: task.kind().map(|kind| kind.to_string()),
            status: task.status().to_string(),
            age: task.age(),
            status_age: task.status_age(),
        }
    }
}

/// A duration, for people.
pub(crate) struct For(pub(crate) Duration);

impl fmt::Display for For {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

impl fmt::Display for TaskBrief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (task {}", escaped(&self.id), self.serial)?;
        if let Some(kind) = &self.kind {
            write!(f, ", {}", escaped(kind))?;
        }
        write!(f, ", {}): {}", For(self.age), escaped(&self.status))?;
        if self.status_age < self.age {
            write!(f, " for {}", For(self.status_age))?;
        }
        Ok(())
    }
}
