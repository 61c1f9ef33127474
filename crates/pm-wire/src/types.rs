//! The answers of the `/procs/` routes as types.
//!
//! Readers ignore members that they do not know. The members that VividCortex/pm does not have are optional: its answers
//! leave them out, and its clients ignore them.

use std::collections::BTreeMap;
use std::time::Duration;

use pm_core::Serial;
use serde::{Deserialize, Deserializer, Serialize};

use crate::as_json::{is_false, is_zero, millis, serial};
use crate::timestamp::Timestamp;
use crate::v1::{Outcome, Verdict};

/// The answer to `GET /procs/`: the tasks that ran when it was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskList {
    /// The live tasks; ours come oldest first, those of VividCortex/pm in any order.
    pub procs: Vec<TaskRow>,
    /// The server's clock when the list was made; ages are differences to this, not to the reader's clock.
    pub server_time: Timestamp,
}

/// One live task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskRow {
    /// The name that the program chose. Several live tasks may have the same id.
    pub id: String,
    /// What the program says about the task, by name.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub attrs: BTreeMap<String, serde_json::Value>,
    /// When the task started.
    pub proc_time: Timestamp,
    /// When the status was set; a cancel request is a status too.
    pub status_time: Timestamp,
    /// What the task is doing.
    pub status: String,
    /// A cancel was requested and the task has not ended yet.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cancelling: bool,
    /// The number that no other task of the process ever has. Absent in answers of VividCortex/pm.
    #[serde(default, with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The kind of task, if the program names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The serial of the task that this one is part of.
    #[serde(default, with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub parent: Option<Serial>,
    /// The task outlived its parent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub parent_ended: bool,
    /// The cancel request, if there is one. Absent in answers of VividCortex/pm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelInfo>,
    /// The task is in a protected section: a cancel waits for the end of that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protected: bool,
    /// How far the task has come, if it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Whether the task can be cancelled. Absent means true; see [`is_cancellable`](Self::is_cancellable).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellable: Option<bool>,
}

impl TaskRow {
    /// Returns whether a cancel of this task would be accepted, as far as is known.
    #[must_use]
    pub fn is_cancellable(&self) -> bool {
        self.cancellable != Some(false)
    }
}

/// A request to stop, as it was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CancelInfo {
    /// When.
    pub time: Timestamp,
    /// Why; empty when no reason was given.
    #[serde(default)]
    pub reason: String,
    /// The caller; empty when that is unknown.
    #[serde(default)]
    pub by: String,
}

/// How far a task has come: `done` of `total`, counted in `unit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// The units done.
    pub done: u64,
    /// The units in all; 0 when the task does not know.
    #[serde(default)]
    pub total: u64,
    /// The name of the unit, such as `files`; may be empty.
    #[serde(default)]
    pub unit: String,
}

/// The history of a task, oldest entry first: the answer to `GET /procs/{id}/history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryReply {
    /// The statuses of the task in their order.
    pub history: Vec<HistoryEntry>,
    /// The server's clock when the reply was made.
    pub server_time: Timestamp,
    /// The number of entries between the first ones and the newest that were dropped to keep the history short.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// The index of the entry before which they stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_after: Option<u64>,
    /// How the task ended. Absent while it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// How a cancel came out: the answer to a `DELETE` that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VerdictReply {
    /// The verdict.
    pub verdict: Verdict,
    /// The time from the request until then.
    #[serde(rename = "tookMs", with = "millis")]
    pub took: Duration,
    /// The serial of the task.
    #[serde(with = "serial")]
    pub serial: Serial,
    /// The number of tasks below it that were asked to stop with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub below: u64,
    /// How it ended, if it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl VerdictReply {
    /// The longest wait that a server grants.
    pub const MAX_WAIT: Duration = Duration::from_secs(25);

    /// The verdict about this task.
    #[must_use]
    pub fn new(verdict: &pm_core::Verdict, serial: Serial, below: u64) -> Self {
        let outcome = match verdict {
            pm_core::Verdict::Finished { outcome, .. } => Some((*outcome).into()),
            _ => None,
        };
        Self { verdict: verdict.into(), took: verdict.took().unwrap_or_default(), serial, below, outcome }
    }
}

/// One status of a task and when it was set.
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
