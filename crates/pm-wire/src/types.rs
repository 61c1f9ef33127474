//! The replies of the original routes as types.
//!
//! Readers ignore fields they do not know. The fields that the original did not have are optional: a reply of the
//! original leaves them out, and its clients ignore them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Timestamp;

/// The answer to `GET /procs/`: the tasks that ran when it was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskList {
    /// The live tasks; ours come oldest first, those of the original in any order.
    pub procs: Vec<TaskRow>,
    /// The server's clock when the list was made; ages are differences to this, not to the reader's clock.
    pub server_time: Timestamp,
}

/// One live task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskRow {
    /// What the program calls the task. Several live tasks may bear the same id.
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
    /// The number that no other task of the process ever has. Absent in replies of the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// What sort of work this is, if the program says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The serial of the task that this one is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The task outlived its parent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub parent_ended: bool,
    /// The cancel request, if there is one. Absent in replies of the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelInfo>,
    /// The task is in a section that must not be cut: a kill waits for the end of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protected: bool,
    /// How far the task has come, if it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Whether a cancel would be heard. Absent means true; see [`is_cancellable`](Self::is_cancellable).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellable: Option<bool>,
}

impl TaskRow {
    /// Whether a cancel of this task would be accepted, as far as the reply tells.
    pub fn is_cancellable(&self) -> bool {
        self.cancellable != Some(false)
    }
}

/// What was asked of a task that is to stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CancelInfo {
    /// When.
    pub time: Timestamp,
    /// Why; empty when no reason was given.
    #[serde(default)]
    pub reason: String,
    /// Who asked; empty when that is not known.
    #[serde(default)]
    pub by: String,
}

/// How far a task has come: `done` of `total`, counted in `unit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// What is done so far.
    pub done: u64,
    /// What there is to do in all; 0 when the task does not know.
    #[serde(default)]
    pub total: u64,
    /// What is counted, such as `files`; may be empty.
    #[serde(default)]
    pub unit: String,
}

/// The answer to `GET /procs/{id}/history`: what the task did so far, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryReply {
    /// The statuses of the task in their order.
    pub history: Vec<HistoryEntry>,
    /// The server's clock when the reply was made.
    pub server_time: Timestamp,
    /// How many entries between the first ones and the newest were dropped to keep the history short.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// How the task ended: `finished`, `failed`, `cancelled`, `aborted` or `dropped`. Absent while it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// What came of a cancel: the answer to a `DELETE` that waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VerdictReply {
    /// `finished`: it ended by itself. `dropped`: its future was dropped. `cancelling`: it was still running when the time
    /// was up.
    pub verdict: String,
    /// Milliseconds from the request until then.
    pub took_ms: f64,
    /// The number of the task.
    pub serial: String,
    /// How many tasks below it were asked to stop with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub below: u64,
    /// How it ended, if it has ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

impl VerdictReply {
    /// The longest wait that a server grants.
    pub const MAX_WAIT: Duration = Duration::from_secs(25);

    /// The verdict about this task.
    pub fn new(verdict: &pm_core::Verdict, serial: pm_core::Serial, below: u64) -> Self {
        let outcome = match verdict {
            pm_core::Verdict::Finished { outcome, .. } => Some(outcome.as_str().to_owned()),
            _ => None,
        };
        let took_ms = crate::duration::millis(verdict.took().unwrap_or_default());
        VerdictReply { verdict: verdict.as_str().to_owned(), took_ms, serial: serial.to_string(), below, outcome }
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

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
