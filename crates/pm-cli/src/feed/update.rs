//! One update of an endpoint: from its stream, from polling, or from a recording.

use std::time::Duration;

use pm_client::{Row, Serial};

/// An update of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Update {
    /// Its stream is connected.
    Live,
    /// It has no stream, so its list is polled. A Go original.
    Polled,
    /// The connection is lost. Earlier reports are stale.
    Lost { why: String, retry_in: Duration },
    /// It answers, but not with its tasks: a token is required, or it is something else.
    Refused { why: String, retry_in: Duration },
    /// All its tasks, in parts.
    Snapshot { rows: Vec<Row>, begins: bool, ends: bool },
    /// The current state of a task.
    Task { change: Change, row: Row },
    /// The final state of a task.
    Ended { row: Row },
    /// A task no longer matches the filter of the stream.
    Left { serial: Serial },
    /// Some events are missing; a snapshot follows.
    Gap { why: String },
    /// The number of tasks that started and ended between two scans of the server.
    Unseen { count: u64 },
    /// The endpoint is shutting down.
    Bye { why: String },
}

/// The kind of a change of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Started,
    Status,
    Progress,
    Cancel,
}

impl Change {
    /// The name on the wire and in recordings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Change::Started => "started",
            Change::Status => "status",
            Change::Progress => "progress",
            Change::Cancel => "cancel",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Change> {
        [Change::Started, Change::Status, Change::Progress, Change::Cancel]
            .into_iter()
            .find(|change| change.name() == name)
    }
}
