//! What is told of an endpoint: by its stream, by asking again and again, or by a recording.

use std::time::Duration;

use pm_client::Row;

/// One thing that is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// It tells what happens, as it happens.
    Live,
    /// It has no stream; its list is read again and again. A Go original.
    Polled,
    /// It is no longer heard. What was told before is as of then.
    Lost { why: String, retry_in: Duration },
    /// It answers, but does not tell: a token is wanted, or it is something else.
    Refused { why: String, retry_in: Duration },
    /// All its tasks, in parts.
    Snapshot { rows: Vec<Row>, begins: bool, ends: bool },
    /// A task as it is now.
    Task { what: What, row: Row },
    /// A task as it was at its end.
    Ended { row: Row },
    /// A task no longer fits the filter of the stream.
    Left { serial: String },
    /// Some events are missing; a snapshot follows.
    Gap { why: String },
    /// So many tasks started and ended between two looks.
    Unseen { count: u64 },
    /// The endpoint says that it ends.
    Bye { why: String },
}

/// Why a task is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Started,
    Status,
    Progress,
    Cancel,
}

impl What {
    /// The word on the wire and in recordings.
    pub(crate) fn word(self) -> &'static str {
        match self {
            What::Started => "started",
            What::Status => "status",
            What::Progress => "progress",
            What::Cancel => "cancel",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<What> {
        [What::Started, What::Status, What::Progress, What::Cancel].into_iter().find(|what| what.word() == word)
    }
}
