//! A client for the process list of a running program: look at its tasks, follow their events, ask them to stop.
//!
//! ```no_run
//! # async fn look() -> Result<(), Box<dyn std::error::Error>> {
//! use pm_client::{CancelOptions, Client, Query, TaskRef};
//!
//! let client = Client::new("127.0.0.1:6680")?;
//! for task in client.v1().tasks(&Query::new()).await?.tasks {
//!     println!("{}: {}", task.id, task.status);
//! }
//! client.v1().cancel(TaskRef::id("import-42"), &CancelOptions::new("deploy")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | start here | for |
//! |---|---|
//! | [`Client`], [`Builder`] | the endpoint, the token, certificates and limits |
//! | [`Client::v1`] | all calls of `/v1`, with a [`Query`] or a [`TaskRef`] |
//! | [`V1::events`] | what happens, as it happens: a [`Stream`] that reconnects by itself |
//! | [`Client::procs`] | the calls that servers of the Go package VividCortex/pm have as well |
//! | [`ClientError`], [`EndpointError`] | what went wrong, always with the address |
//!
//! The types of answers are those of [`pm_wire`], re-exported here; `pm_wire` has those of `/procs/` too. Serials, durations
//! and times are typed, and words such as [`TaskState`] have an `Unknown` variant for those of a newer server.
//!
//! Every call opens a connection of its own, ends within its time limit, and follows no redirect. An answer that is not a
//! process list is an error, never an empty list. Calls do not try again; only events do. This crate does not keep
//! connections open and does not look for endpoints.
//!
//! Calls must run inside a tokio runtime with io and time enabled.
//!
//! # Features
//!
//! - `tls`: endpoints of `https://`, with an authority, a client certificate and a server name to set.
//!
//! [`Stream`]: futures_core::Stream

#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod call;
mod client;
mod connect;
mod endpoint;
mod error;
mod events;
#[cfg(test)]
mod memory;
mod procs;
mod query;
mod settings;
mod sse;
mod text;
#[cfg(feature = "tls")]
mod tls;
mod token;
mod v1;

pub use client::{Builder, Client};
pub use endpoint::EndpointError;
pub use error::{ClientError, Stage};
pub use events::{Events, Update};
pub use pm_wire::v1::{
    AuditAction, AuditHealth, AuditRecord, AuditReport, BlockedTask, Bucket, BulkCancel, BulkReply, ByeReason,
    CancelOptions, CancelRequest, Counters, Cycle, CycleStep, Dropped, Event, Expect, FilterBody, FilterValue,
    GapReason, Group, GroupBy, History, HistoryEntry, Info, KindReport, KindStats, Latency, Limits, Missing, Outcome,
    Own, Permission, Problem, ResourceHolder, ResourceKind, Row, Snapshot, SortBy, SortKey, StatusTime, TaskPage,
    TaskReply, TaskState, TaskVerdict, TlsHealth, TokensHealth, Verdict, WaitReport, WaitTreeRow, Waiter,
};
pub use pm_wire::{Progress, Serial, Timestamp};
pub use procs::Procs;
pub use query::{Query, TaskRef};
pub use v1::V1;

#[cfg(test)]
mod tests {
    use super::*;

    fn can_move_between_threads<T: Send + Sync + 'static>() {}
    fn can_move<T: Send + 'static>() {}

    #[test]
    fn clients_errors_and_answers_are_send_and_sync() {
        can_move_between_threads::<Client>();
        can_move_between_threads::<Builder>();
        can_move_between_threads::<V1<'static>>();
        can_move_between_threads::<Procs<'static>>();
        can_move_between_threads::<Query>();
        can_move_between_threads::<ClientError>();
        can_move_between_threads::<EndpointError>();
        can_move_between_threads::<TaskPage>();
        can_move_between_threads::<Event>();
        // A stream has one reader.
        can_move::<Events>();
        can_move::<Update>();
    }
}
