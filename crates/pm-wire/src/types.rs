//! The shapes of the `/procs/` routes.
//!
//! Readers ignore members that they do not know. Members that VividCortex/pm does not have are optional: its answers
//! leave them out, and its clients ignore them.

use std::collections::BTreeMap;
use std::time::Duration;

use pm_core::Serial;
use serde::{Deserialize, Deserializer, Serialize};

use crate::as_json::{is_false, is_zero, millis, serial};
use crate::timestamp::Timestamp;
use crate::words::{Outcome, Verdict};

/// The live tasks: the answer to `GET /procs/`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskList {
    /// The live tasks, oldest first; from VividCortex/pm in any order.
    #[serde(deserialize_with = "crate::as_json::at_most::<2_000_000, _, _>")]
    pub procs: Vec<TaskRow>,
    /// The server's clock when the list was made. Ages count from it, not from the reader's clock.
    pub server_time: Timestamp,
}

/// One live task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskRow {
    /// The name that the program chose. Several live tasks may have the same id.
    pub id: String,
    /// The attributes of the task, by name.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub attrs: BTreeMap<String, serde_json::Value>,
    /// When the task started.
    pub proc_time: Timestamp,
    /// When the status was set; a cancel request is a status too.
    pub status_time: Timestamp,
    /// The newest status.
    pub status: String,
    /// True if a cancel was requested and the task has not ended yet.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cancelling: bool,
    /// The number that no other task of the process ever has. Absent in answers of VividCortex/pm.
    #[serde(default, with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The kind of the task, if the program names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The serial of the parent, if there is one.
    #[serde(default, with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub parent: Option<Serial>,
    /// True if the parent has ended.
    #[serde(default, skip_serializing_if = "is_false")]
    pub parent_ended: bool,
    /// The cancel request, if there is one. Absent in answers of VividCortex/pm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelInfo>,
    /// True in a protected section: a cancel takes effect when the section ends.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protected: bool,
    /// The progress, if the task reports any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// False if the task cannot be cancelled; absent means true. See [`is_cancellable`](Self::is_cancellable).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellable: Option<bool>,
}

impl TaskRow {
    /// Returns `false` if the task is known to refuse cancels.
    #[must_use]
    pub fn is_cancellable(&self) -> bool {
        self.cancellable != Some(false)
    }
}

/// A cancel request, as it was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CancelInfo {
    /// When the request was made.
    pub time: Timestamp,
    /// The reason; empty if none was given.
    #[serde(default)]
    pub reason: String,
    /// The caller; empty if unknown.
    #[serde(default)]
    pub by: String,
}

/// The progress of a task: `done` of `total`, counted in `unit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// The units done.
    pub done: u64,
    /// The units in total; 0 if the task does not know.
    #[serde(default)]
    pub total: u64,
    /// The name of the unit, such as `files`; it may be empty.
    #[serde(default)]
    pub unit: String,
}

/// The history of a task, oldest entry first: the answer to `GET /procs/{id}/history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryReply {
    /// The entries that are retained, oldest first.
    pub history: Vec<HistoryEntry>,
    /// The server's clock when the reply was made.
    pub server_time: Timestamp,
    /// The number of entries that were dropped, between the first ones and the newest ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// The index of the entry before which the dropped ones stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_after: Option<u64>,
    /// How the task ended; absent while it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// The verdict on a cancel: the answer to a `DELETE /procs/{id}` that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VerdictReply {
    /// The verdict.
    pub verdict: Verdict,
    /// The time from the request to the verdict.
    #[serde(rename = "tookMs", with = "millis")]
    pub took: Duration,
    /// The serial of the task.
    #[serde(with = "serial")]
    pub serial: Serial,
    /// The number of its descendants that were cancelled with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub below: u64,
    /// How the task ended, if it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl VerdictReply {
    /// The longest time that a server waits.
    pub const MAX_WAIT: Duration = Duration::from_secs(25);

    /// Makes the answer for the task with this serial, `below` of whose descendants were cancelled with it.
    #[must_use]
    pub fn new(verdict: &pm_core::Verdict, serial: Serial, below: u64) -> Self {
        let outcome = match verdict {
            pm_core::Verdict::Finished { outcome, .. } => Some((*outcome).into()),
            _ => None,
        };
        Self { verdict: verdict.into(), took: verdict.took().unwrap_or_default(), serial, below, outcome }
    }
}

/// A history entry: a status, and when it was set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When the status was set.
    pub ts: Timestamp,
    /// The status.
    pub status: String,
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
