//! The report of a server about itself and its list.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::as_json::{millis, whole_millis};
use crate::timestamp::Timestamp;
use crate::words::Permission;

/// A server and its list: the answer to `GET /v1/info`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Info {
    /// The version of pm.
    pub version: String,
    /// An identifier of this run of the program, which no other run has.
    pub boot: String,
    /// The server's clock when the report was made.
    pub server_time: Timestamp,
    /// The time since the server was created.
    #[serde(rename = "uptimeMs", with = "whole_millis::option", skip_serializing_if = "Option::is_none")]
    pub uptime: Option<Duration>,
    /// The limits of the list.
    pub limits: Limits,
    /// How the list is switched, by the program and its operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<ListSettings>,
    /// Advice to the program's developers, a line for each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The counters of the list.
    pub counters: Counters,
    /// Counts of what the list dropped or cut because of its limits.
    pub dropped: Dropped,
    /// The memory, connections and watchers of the list and its server.
    pub own: Own,
    /// The permission of the caller.
    #[serde(rename = "scope", skip_serializing_if = "Option::is_none")]
    pub permission: Option<Permission>,
    /// The health of the audit log's file; all zero without a file.
    pub audit: AuditHealth,
    /// The health of the file of tokens, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokensHealth>,
    /// The health of the certificate's files, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsHealth>,
}

/// How a list is switched, by the program and by its operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ListSettings {
    /// Tasks are shown.
    pub enabled: bool,
    /// They may only be looked at: no request to cancel is accepted.
    pub look_only: bool,
    /// Variables that were ignored, with advice, a line for each.
    pub ignored: Vec<String>,
}

/// Defines a struct whose members are all counts.
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
    /// The most bytes of live tasks.
    pub max_bytes: u64,
    /// The most bytes of an id.
    pub max_id: u64,
    /// The most bytes of an attribute's name.
    pub max_attr_name: u64,
    /// The most bytes of an attribute's value.
    pub max_attr_value: u64,
    /// The most bytes of a status.
    pub max_status: u64,
    /// The most attributes of a task.
    pub max_attrs: u64,
    /// The number of first entries of a history that are retained.
    pub first_entries: u64,
    /// The number of newest entries of a history that are retained.
    pub newest_entries: u64,
    /// The most ended tasks that are retained.
    pub keep_ended: u64,
    /// The most bytes of ended tasks that are retained.
    pub keep_ended_bytes: u64,
    /// How long ended tasks are retained.
    #[serde(rename = "keepEndedForMs", with = "whole_millis")]
    pub keep_ended_for: Duration,
    /// The most kinds with statistics of their own.
    pub max_kinds: u64,
    /// The most statuses of a kind with statistics of their own.
    pub max_statuses: u64,
    /// The most connections, besides those of watchers.
    pub max_connections: u64,
    /// The most watchers of events.
    pub max_watchers: u64,
    /// The most bytes that all responses may take together.
    pub max_memory: u64,
}

counts! {
    /// The counters of a list, since it was created.
    Counters {
        /// Tasks that run now.
        live,
        /// The most tasks that ran at the same time.
        peak,
        /// Tasks that were started.
        started,
        /// Tasks that finished.
        finished,
        /// Tasks that failed.
        failed,
        /// Tasks that stopped because they were cancelled.
        cancelled,
        /// Tasks that panicked.
        aborted,
        /// Tasks whose owner dropped them.
        dropped,
        /// Tasks that were cancelled and still run.
        cancelling,
        /// Tasks whose future was dropped because of a cancel.
        forced,
        /// Cancel requests.
        cancel_requests,
        /// Panics in hooks and callbacks that were caught.
        panics_caught,
        /// Calls through handles of tasks that had ended.
        late_calls,
        /// Cancels that would have unwound, where nothing would have caught that.
        not_unwound,
        /// 1 once the processor's counter was given up, and the system's clock is read instead.
        clock_given_up,
        /// Deadlines, graces and timeouts that were planned when the system had no thread for them.
        planned_without_thread,
    }
}

counts! {
    /// Counts of what a list dropped or cut because of its limits, since it was created.
    Dropped {
        /// Tasks that were started when the list was full, which it does not show.
        tasks_not_shown,
        /// Entries that were dropped from histories.
        statuses,
        /// Attributes that were dropped.
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

/// The memory, connections and watchers of a list and its server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Own {
    /// Bytes of memory that the list holds.
    pub bytes_held: u64,
    /// Open connections.
    pub connections: u64,
    /// Watchers of events.
    pub watchers: u64,
    /// Different queries that the watchers share.
    pub watches: u64,
    /// Bytes of events that are held for watchers.
    pub watch_bytes: u64,
    /// Bytes of all responses, held for clients that have not read them.
    pub response_bytes: u64,
    /// Responses that were refused since there was no memory for them.
    pub responses_refused: u64,
    /// Passes over the list for watchers, since the server was created.
    pub looks: u64,
    /// How long the last pass took.
    #[serde(rename = "lastLookMs", with = "millis")]
    pub last_look: Duration,
}

/// The health of the audit log's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AuditHealth {
    /// Records that were written.
    pub written: u64,
    /// Records that could not be written.
    pub lost: u64,
    /// Why the last of them could not be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The health of the file of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TokensHealth {
    /// Tokens that are valid now.
    pub count: u64,
    /// How often the file was reloaded.
    pub reloads: u64,
    /// How often it could not be reloaded.
    pub failures: u64,
    /// Why it cannot be used now, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The health of the certificate's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TlsHealth {
    /// How often the files were reloaded.
    pub reloads: u64,
    /// How often they could not be reloaded.
    pub failures: u64,
    /// Why they cannot be used now, if they cannot.
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
            max_connections: 0,
            max_watchers: 0,
            max_memory: 0,
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
            not_unwound: counters.not_unwound,
            clock_given_up: counters.clock_given_up,
            planned_without_thread: counters.planned_without_thread,
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
