//! The audit log: each cancel that was asked for, and how it came out.

use pm_core::Serial;
use serde::{Deserialize, Serialize};

use super::{AuditAction, Permission};
use crate::as_json::{is_zero, serial};
use crate::timestamp::Timestamp;

/// The newest records, newest first: the answer to `GET /v1/audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuditReport {
    /// The records.
    pub records: Vec<AuditRecord>,
    /// The server's clock.
    pub server_time: Timestamp,
    /// The number of older records that are no longer in memory.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

impl AuditReport {
    /// A report of these records.
    #[must_use]
    pub fn new(records: Vec<AuditRecord>, dropped: u64, server_time: Timestamp) -> Self {
        Self { records, server_time, dropped }
    }
}

/// A cancel that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The address of the caller.
    pub peer: String,
    /// The caller, as far as the server knows.
    pub identity: String,
    /// What the caller may do; absent if nothing.
    #[serde(rename = "scope", skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<AuditAction>,
    /// The id of the task, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The serial of the task, if it was one.
    #[serde(with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The filter, if it was several tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The reason that was given.
    pub reason: String,
    /// The verdict, or the code of the problem.
    pub result: String,
}
