//! A client for the process list of a running program: list its tasks, follow their events, cancel them.
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
//! | [`Client`], [`Builder`] | the endpoint, with its token, certificates and limits |
//! | [`Client::v1`] | all calls of `/v1`, with a [`Query`] or a [`TaskRef`] |
//! | [`V1::events`] | events as they happen: a [`Stream`] that reconnects |
//! | [`Client::procs`] | the calls that servers of the Go package VividCortex/pm support as well |
//! | [`ClientError`], [`EndpointError`] | errors, each with its URL or endpoint |
//!
//! Answers are types of [`pm_wire`]; those of `/v1` are re-exported here. Serials, durations and times are typed, and
//! enums such as [`TaskState`] have a variant `Unknown` for the words of a newer server.
//!
//! Each call opens a connection of its own, ends within its time limit, and does not follow redirects. An answer that
//! is not a process list is an error, never an empty list. Calls are not retried; only events reconnect. This crate
//! does not pool connections and does not discover endpoints.
//!
//! Calls must run in a tokio runtime with I/O and time enabled; elsewhere they panic.
//!
//! # Ceilings
//!
//! A server cannot make a call wait or grow without bound. The [`Builder`] sets these:
//!
//! | ceiling | default | error |
//! |---|---|---|
//! | connecting, resolving the name included | 3 s | [`ClientError::TimedOut`] |
//! | a call, from connecting to the last byte | 10 s | [`ClientError::TimedOut`] |
//! | several calls together, with [`Client::timeout_from_now`] | 10 s | [`ClientError::TimedOut`] |
//! | the bytes of an answer | 64 MiB | [`ClientError::TooLarge`] |
//! | the memory of a decoded answer, estimated before it is decoded | 128 MiB | [`ClientError::TooMuch`] |
//!
//! An event of a stream may have 8 MiB and take 16 MiB of memory once decoded, which is not configurable; beyond that
//! the stream ends with [`ClientError::TooLarge`] or [`ClientError::TooMuch`]. A stream as a whole has no ceiling: it
//! holds one event, and those that arrived in the same piece of 400 KiB at most. A caller that follows pages, or that
//! collects events, bounds what it collects.
//!
//! # Features
//!
//! - `tls`: `https://` endpoints, with settings for the authority, the client certificate and the server name.
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
pub use error::{Ceiling, ClientError, Stage};
pub use events::{Events, Update};
pub use pm_wire::v1::{
    AuditAction, AuditHealth, AuditRecord, AuditReport, BlockedTask, Bucket, BulkCancel, BulkReply, ByeReason,
    CancelOptions, CancelRequest, Counters, Cycle, CycleStep, Dropped, Event, Expect, FilterBody, FilterValue,
    GapReason, Group, GroupBy, History, HistoryEntry, Info, KindReport, KindStats, Latency, Limits, ListSettings,
    Missing, Outcome, Own, Permission, Problem, ResourceHolder, ResourceKind, Row, Snapshot, SortBy, SortKey,
    StatusTime, TaskPage, TaskReply, TaskState, TaskVerdict, TlsHealth, TokensHealth, Verdict, WaitReport, WaitTreeRow,
    Waiter,
};
pub use pm_wire::{Progress, Serial, Timestamp};
pub use procs::Procs;
pub use query::{Query, TaskRef};
pub use token::open_protected;
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
        // A stream has one reader, so it need not be `Sync`.
        can_move::<Events>();
        can_move::<Update>();
    }
}
