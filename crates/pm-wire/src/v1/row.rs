//! A task as `/v1` shows it.

use std::collections::BTreeMap;
use std::time::Duration;

use pm_core::Serial;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::as_json::{is_false, serial, whole_millis};
use crate::timestamp::Timestamp;
use crate::types::Progress;
use crate::words::{Outcome, TaskState};

/// A task as `/v1` shows it. If a request chose some members, the others are absent.
///
/// The server writes rows without this type, by a [`RowWriter`](crate::v1_rows::RowWriter). A test compares the two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Row {
    /// The number that no other task of the process ever has. Known unless the task is one of VividCortex/pm.
    #[serde(with = "serial::option")]
    pub serial: Option<Serial>,
    /// The name that the program chose.
    pub id: String,
    /// The kind of the task, if the program names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The state: running, cancelling or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<TaskState>,
    /// How the task ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When the task started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The time since the start; how long it ran, if the task has ended.
    #[serde(rename = "ageMs", with = "whole_millis::option", skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
    /// The newest status; empty if unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// When the status was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_at: Option<Timestamp>,
    /// The time since the status was set; how long the task was in its last status, if it has ended.
    #[serde(rename = "statusAgeMs", with = "whole_millis::option", skip_serializing_if = "Option::is_none")]
    pub status_age: Option<Duration>,
    /// When the task ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The attributes of the task, by name. Integers beyond 2^53 - 1, infinities and NaN are strings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attrs: BTreeMap<String, Value>,
    /// The progress, if the task reports any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The serial of the parent, if there is one.
    #[serde(with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub parent: Option<Serial>,
    /// True if the parent has ended.
    #[serde(skip_serializing_if = "is_false")]
    pub parent_ended: bool,
    /// The cancel request, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelRequest>,
    /// True in a protected section: a cancel takes effect when the section ends.
    #[serde(skip_serializing_if = "is_false")]
    pub protected: bool,
    /// False if the task cannot be cancelled; see [`is_cancellable`](Self::is_cancellable).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancellable: Option<bool>,
    /// The number of entries that its history ever had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_len: Option<u64>,
    /// The number of tasks above it; in a tree only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
}

impl Row {
    /// Returns `false` if the task is known to refuse cancels.
    #[must_use]
    pub fn is_cancellable(&self) -> bool {
        self.cancellable != Some(false)
    }

    /// Returns `true` if the task is known to be cancelled and still running.
    #[must_use]
    pub fn is_cancelling(&self) -> bool {
        self.state == Some(TaskState::Cancelling)
    }

    /// Returns `true` if the task is known to have ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state == Some(TaskState::Ended)
    }
}

/// A cancel request, as it was recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CancelRequest {
    /// When the request was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The time since the request.
    #[serde(rename = "ageMs", with = "whole_millis::option", skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
    /// The reason; empty if none was given.
    pub reason: String,
    /// The caller; empty if unknown.
    pub by: String,
    /// The serial of the task that was cancelled: this one, or an ancestor of it.
    #[serde(with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub origin: Option<Serial>,
    /// The task has observed it. If it ended as finished nevertheless, it did so knowing of the request.
    #[serde(skip_serializing_if = "is_false")]
    pub observed: bool,
    /// The future that ran as the task was dropped because of it.
    #[serde(skip_serializing_if = "is_false")]
    pub forced: bool,
}
