//! What a server reports about itself and its list.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Permission;
use crate::as_json::{millis, whole_millis};
use crate::timestamp::Timestamp;

/// A server and its list: the answer to `GET /v1/info`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Info {
    /// The version of pm.
    pub version: String,
    /// Distinguishes this run of the program from any other.
    pub boot: String,
    /// The server's clock.
    pub server_time: Timestamp,
    /// The time since the server was made.
    #[serde(rename = "uptimeMs", with = "whole_millis::option", skip_serializing_if = "Option::is_none")]
    pub uptime: Option<Duration>,
    /// The limits of the list.
    pub limits: Limits,
    /// The counters of the list.
    pub counters: Counters,
    /// What the list had to drop or cut.
    pub dropped: Dropped,
    /// What the list and its server take.
    pub own: Own,
    /// What the caller may do.
    #[serde(rename = "scope", skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// The file of the audit log; all zero without one.
    pub audit: AuditHealth,
    /// The file of tokens, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokensHealth>,
    /// The files of the certificate, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsHealth>,
}

macro_rules! counts {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$member_doc])* pub $member: u64,)*
        }
    };
}

/// The limits of a list and its server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of live tasks.
    pub max_bytes: u64,
    /// Bytes of an id.
    pub max_id: u64,
    /// Bytes of the name of an attribute.
    pub max_attr_name: u64,
    /// Bytes of the value of an attribute.
    pub max_attr_value: u64,
    /// Bytes of a status.
    pub max_status: u64,
    /// Attributes of a task.
    pub max_attrs: u64,
    /// First entries of a history that are retained.
    pub first_entries: u64,
    /// Newest entries of a history that are retained.
    pub newest_entries: u64,
    /// Ended tasks that are retained.
    pub keep_ended: u64,
    /// Bytes of them.
    pub keep_ended_bytes: u64,
    /// How long they are retained.
    #[serde(rename = "keepEndedForMs", with = "whole_millis")]
    pub keep_ended_for: Duration,
    /// Kinds with statistics of their own.
    pub max_kinds: u64,
    /// Statuses of a kind with statistics of their own.
    pub max_statuses: u64,
    /// Watchers of events.
    pub max_watchers: u64,
}

counts! {
    /// What a list has counted since it was made.
    Counters {
        /// Tasks that run.
        live,
        /// The most tasks that ran at the same time.
        peak,
        /// Tasks that were started.
        started,
        /// Tasks that finished.
        finished,
        /// Tasks that failed.
        failed,
        /// Tasks that stopped because they were asked to.
        cancelled,
        /// Tasks that panicked.
        aborted,
        /// Tasks that were dropped.
        dropped,
        /// Tasks that were asked to stop and still run.
        cancelling,
        /// Tasks whose future was dropped because of a cancel.
        forced,
        /// Cancel requests.
        cancel_requests,
        /// Panics of hooks and callbacks that were caught.
        panics_caught,
        /// Calls through handles of tasks that had ended.
        late_calls,
    }
}

counts! {
    /// What a list has dropped or cut since it was made, because of its limits.
    Dropped {
        /// Tasks without a place in the list.
        tasks_not_shown,
        /// Entries of histories.
        statuses,
        /// Attributes.
        attrs,
        /// Strings that were cut.
        texts_cut,
        /// Secrets that were masked.
        redacted,
        /// Ended tasks that were evicted.
        ended_let_go,
        /// Tasks whose kind has no statistics of its own.
        kinds,
    }
}

/// What a list and its server take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Own {
    /// Bytes of memory that the list holds.
    pub bytes_held: u64,
    /// Connections.
    pub connections: u64,
    /// Watchers of events.
    pub watchers: u64,
    /// Different watches that they share.
    pub watches: u64,
    /// Bytes of events that are held for them.
    pub watch_bytes: u64,
    /// Passes over the list for them.
    pub looks: u64,
    /// How long the last pass took.
    #[serde(rename = "lastLookMs", with = "millis")]
    pub last_look: Duration,
}

/// How writing the audit log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AuditHealth {
    /// Records that are in the file.
    pub written: u64,
    /// Records that are not.
    pub lost: u64,
    /// Why the last of them is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How reading the file of tokens goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TokensHealth {
    /// Tokens that count now.
    pub count: u64,
    /// How often the file was read anew.
    pub reloads: u64,
    /// How often it could not be used.
    pub failures: u64,
    /// Why, the last time, if it cannot be used now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How reading the files of the certificate goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TlsHealth {
    /// How often they were read anew.
    pub reloads: u64,
    /// How often they could not be used.
    pub failures: u64,
    /// Why, the last time, if they cannot be used now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<&pm_core::ListLimits> for Limits {
    fn from(limits: &pm_core::ListLimits) -> Self {
        Self {
            max_bytes: limits.max_bytes,
            max_id: limits.max_id as u64,
            max_attr_name: limits.max_attr_name as u64,
            max_attr_value: limits.max_attr_value as u64,
            max_status: limits.max_status as u64,
            max_attrs: limits.max_attrs,
            first_entries: limits.first_entries,
            newest_entries: limits.newest_entries,
            keep_ended: limits.keep_ended,
            keep_ended_bytes: limits.keep_ended_bytes,
            keep_ended_for: limits.keep_ended_for,
            max_kinds: limits.max_kinds as u64,
            max_statuses: limits.max_statuses as u64,
            max_watchers: 0,
        }
    }
}

impl From<&pm_core::Counters> for Counters {
    fn from(counters: &pm_core::Counters) -> Self {
        Self {
            live: counters.live,
            peak: counters.peak,
            started: counters.started,
            finished: counters.finished,
            failed: counters.failed,
            cancelled: counters.cancelled,
            aborted: counters.aborted,
            dropped: counters.dropped,
            cancelling: counters.cancelling,
            forced: counters.forced,
            cancel_requests: counters.cancel_requests,
            panics_caught: counters.panics_caught,
            late_calls: counters.late_calls,
        }
    }
}

impl From<&pm_core::Counters> for Dropped {
    fn from(counters: &pm_core::Counters) -> Self {
        Self {
            tasks_not_shown: counters.not_shown,
            statuses: counters.statuses_dropped,
            attrs: counters.attrs_dropped,
            texts_cut: counters.texts_cut,
            redacted: counters.redacted,
            ended_let_go: counters.ended_evicted,
            kinds: counters.kinds_dropped,
        }
    }
}
