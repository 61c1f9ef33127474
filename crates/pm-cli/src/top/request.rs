//! Requests to endpoints besides their streams, and the replies.

use std::time::Duration;

use pm_client::{History, Info, KindReport, Row, Serial, TaskRef, WaitReport};
use pm_wire::Timestamp;

use super::theme::Role;
use crate::feed::Key;
use crate::verbs::kill::Fate;
use crate::verbs::{Found, TaskName};

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Details(Target),
    Kinds,
    Ended,
    Waits,
    About,
    Kill { targets: Vec<Target>, reason: String },
}

/// A task as its endpoint identifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) key: Key,
    pub(crate) serial: Option<Serial>,
    pub(crate) id: String,
    pub(crate) is_original: bool,
    /// A younger task with this serial belongs to another run of the program.
    pub(crate) min_age: Duration,
}

impl Target {
    pub(super) fn task_ref(&self) -> TaskRef {
        let mut row = Row::default();
        row.serial = self.serial;
        row.id.clone_from(&self.id);
        TaskRef::from(&row)
    }

    pub(super) fn name(&self) -> TaskName {
        let serial = self.serial.filter(|_| !self.is_original);
        TaskName::new(&serial.map_or_else(|| format!("id:{}", self.id), |serial| format!("serial:{serial}")))
    }
}

/// A reply; an error is a message for people.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few replies exist at once")]
pub(crate) enum Reply {
    Details {
        key: Key,
        result: Result<Box<TaskDetails>, String>,
    },
    Kinds {
        endpoint: u32,
        result: Result<KindReport, String>,
    },
    Ended {
        endpoint: u32,
        result: Result<(Vec<Row>, Timestamp), String>,
    },
    /// `None`: the server does not support it.
    Waits {
        endpoint: u32,
        result: Result<Option<WaitReport>, String>,
    },
    About {
        endpoint: u32,
        result: Result<Option<Info>, String>,
    },
    Verdict {
        key: Key,
        text: String,
        role: Role,
        /// `None` if the task is still running.
        fate: Option<Fate>,
    },
}

/// A task with its history.
#[derive(Debug)]
pub(crate) struct TaskDetails {
    pub(crate) found: Found,
    pub(crate) history: Result<History, String>,
}
