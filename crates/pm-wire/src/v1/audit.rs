//! The audit log: each attempt to cancel, and its result.

use pm_core::Serial;
use serde::{Deserialize, Serialize};

use crate::as_json::{is_zero, serial};
use crate::timestamp::Timestamp;
use crate::words::{AuditAction, Permission};

/// Records of the audit log, newest first: the answer to `GET /v1/audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuditReport {
    /// The newest records, newest first.
    #[serde(deserialize_with = "crate::as_json::at_most::<1_000_000, _, _>")]
    pub records: Vec<AuditRecord>,
    /// The server's clock when the report was made.
    pub server_time: Timestamp,
    /// The number of older records that are no longer in memory.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

impl AuditReport {
    /// Makes a report of these records.
    #[must_use]
    pub fn new(records: Vec<AuditRecord>, dropped: u64, server_time: Timestamp) -> Self {
        Self { records, server_time, dropped }
    }
}

/// An attempt to cancel one task or several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When the request came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The address of the peer.
    pub peer: String,
    /// The caller, as far as the server knows it.
    pub identity: String,
    /// The permission of the caller; absent if there is none.
    #[serde(rename = "scope", skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// The action: a cancel of one task, or of those that a filter selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<AuditAction>,
    /// The id of the task, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The serial of the task, if it is known.
    #[serde(with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The filter, if the request had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The reason; empty if none was given.
    pub reason: String,
    /// The verdict, or the code of the problem.
    pub result: String,
    /// Attempts before this one that have no record: there were too many of callers that may not cancel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_before: Option<u64>,
}
