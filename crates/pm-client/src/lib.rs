//! Asks a running program what it is doing, and asks its tasks to stop.
//!
//! ```no_run
//! # async fn look() -> Result<(), Box<dyn std::error::Error>> {
//! let client = pm_client::Client::new("127.0.0.1:6680")?;
//! for task in client.list().await?.procs {
//!     println!("{}: {}", task.id, task.status);
//! }
//! client.cancel("import-42", "deploy").await?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`] and [`Builder`]: where to ask, with which token, and how long and how much to accept.
//! - [`Client::list`], [`history`](Client::history), [`cancel`](Client::cancel): what servers of the Go package
//!   VividCortex/pm understand as well.
//! - [`Client::tasks`] with a [`Query`], [`cancel_task`](Client::cancel_task), [`cancel_many`](Client::cancel_many) and the
//!   other calls of `/v1`, with the types of their answers: [`Tasks`], [`Row`], [`History`], [`Kinds`], ...
//! - [`Client::events`]: what happens, as it happens; [`Events`] reconnects by itself.
//! - [`ClientError`], [`EndpointError`]: what went wrong, always with the address.
//!
//! Every call opens its own connection and closes it, ends within its time limit, and follows no redirect. An answer
//! that is not a process list is an error, never an empty list. Calls do not try again; only events do.
//!
//! The feature `tls` adds endpoints of `https://`, with an authority, a certificate of our own and a server name to set.
//! Calls must run inside a tokio runtime with io and time enabled.

mod answer;
mod builder;
mod call;
mod client;
mod connect;
mod endpoint;
mod error;
mod events;
mod problem;
mod query;
mod sse;
#[cfg(feature = "tls")]
mod tls;
mod token;
mod v1;
mod v1_calls;
mod waits;

pub use builder::Builder;
pub use client::Client;
pub use endpoint::EndpointError;
pub use error::{ClientError, Stage};
pub use events::{Event, Events};
pub use problem::Problem;
pub use query::{Query, TaskRef};
pub use v1::{
    Audit, AuditRecord, Bucket, BulkCancel, BulkReply, Cancel, CancelOptions, Entry, Expect, Filter, Group, History,
    Info, Kind, Kinds, Latency, Missing, Row, StatusTime, TaskReply, Tasks, Verdict,
};
pub use waits::{BlockedRow, Cycle, CycleStep, Holder, Wait, Waits};
