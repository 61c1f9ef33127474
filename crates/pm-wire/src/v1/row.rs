//! A task as `/v1` shows it.

use std::collections::BTreeMap;
use std::time::Duration;

use pm_core::Serial;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Outcome, TaskState};
use crate::as_json::{is_false, serial, whole_millis};
use crate::timestamp::Timestamp;
use crate::types::Progress;

/// A task. Where only some members were asked for, the others are unknown.
///
/// The server writes rows by hand ([`RowWriter`](crate::v1_rows::RowWriter)); tests hold the two against each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Row {
    /// The number that no other task of the process ever has. Always known, but for a task of VividCortex/pm.
    #[serde(with = "serial::option")]
    pub serial: Option<Serial>,
    /// The name that the program chose.
    pub id: String,
    /// The kind of task, if the program names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether it runs, was asked to stop, or has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<TaskState>,
    /// How it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The time since the start, or, of an ended task, how long it ran.
    #[serde(rename = "ageMs", with = "whole_millis::option", skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
    /// What the task is doing; empty when that is unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// When the status was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_at: Option<Timestamp>,
    /// The time since the status was set, or, of an ended task, how long it was in its last.
    #[serde(rename = "statusAgeMs", with = "whole_millis::option", skip_serializing_if = "Option::is_none")]
    pub status_age: Option<Duration>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What the program says about the task, by name. Integers beyond 2^53 - 1, infinities and NaN travel as strings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attrs: BTreeMap<String, Value>,
    /// How far it has come, if it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The serial of the task that it is part of.
    #[serde(with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub parent: Option<Serial>,
    /// It outlived its parent.
    #[serde(skip_serializing_if = "is_false")]
    pub parent_ended: bool,
    /// The cancel request, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelRequest>,
    /// It is in a protected section: a cancel waits for the end of that.
    #[serde(skip_serializing_if = "is_false")]
    pub protected: bool,
    /// Whether it can be cancelled; see [`is_cancellable`](Self::is_cancellable).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancellable: Option<bool>,
    /// The number of entries ever made in its history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_len: Option<u64>,
    /// How far below the root it stands; in a tree only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
}

impl Row {
    /// Returns whether a cancel of this task would be accepted, as far as is known.
    #[must_use]
    pub fn is_cancellable(&self) -> bool {
        self.cancellable != Some(false)
    }

    /// Returns whether it is known to have been asked to stop and to run still.
    #[must_use]
    pub fn is_cancelling(&self) -> bool {
        self.state == Some(TaskState::Cancelling)
    }

    /// Returns whether it is known to have ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state == Some(TaskState::Ended)
    }
}

/// A request to stop, as it was recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CancelRequest {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The time since then.
    #[serde(rename = "ageMs", with = "whole_millis::option", skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
    /// Why; empty when no reason was given.
    pub reason: String,
    /// The caller; empty when that is unknown.
    pub by: String,
    /// The task that the request was meant for: this one, or an ancestor of it.
    #[serde(with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub origin: Option<Serial>,
}
