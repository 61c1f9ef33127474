//! See what is running in a program right now, and stop it: the process list, and a server that shows it.
//!
//! ```
//! let server = pm::serve("127.0.0.1:0")?; // answers on a thread of its own until it is dropped
//! let task = pm::task("req-1").kind("GET /hosts/{id}").attr("host", "db1").start();
//! task.status("reading")?;
//! println!("curl http://{}/v1/tasks", server.addr());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | you want | look at |
//! |---|---|
//! | to name a piece of work, and hear that it is to stop | [`task()`], [`start`], [`run`], [`Task`], [`status!`] |
//! | to read the list, or cancel, from within | [`ProcessList`], [`global`] |
//! | to let others look and cancel, on an address of its own | [`serve`], [`Server::builder`] |
//! | the same inside a server that you have | [`service()`], [`server::Service`] |
//! | to end in order: wait for who is left, then stop them | [`ProcessList::drain`], [`Server::drain`] |
//! | each call of a function as a task | `#[pm::task]` |
//! | tasks that tokio runs | `SpawnExt`: `task(id).spawn(future)` |
//! | to see who blocks whom, and which tasks wait in a circle | [`ProcessList::waits`], [`Task::waiting_on`], `sync` |
//! | a task that stops when a `CancellationToken` does, or the other way round | `TaskTokenExt` |
//! | a stream, or an HTTP body, as a task | `RunStreamExt`, `RunBodyExt` |
//! | the spans of `tracing` as tasks; the task on each line of the log | `tracing_layer`, `tracing::WithTask` |
//! | every request of axum, hyper or tonic as a task, and every call to others | `tower::TasksLayer`, `tower::CallsLayer` |
//!
//! `examples/` has small complete programs: servers, threads, a pool, jobs on tokio, a job with a bar, a unix socket, TLS with
//! clients' certificates, a drain, lists of one's own, coming from Go.
//!
//! A library that only names its tasks needs `pm-core` alone, which is all of the list and nothing else; both crates
//! share the same [`global`] list.
//!
//! # What can be asked
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/tasks?kind=GET*&minAge=5s&sort=-statusAge` | what runs: filtered ([`pm_wire::filter`]), sorted, in pages |
//! | `GET /v1/tasks/{serial or id}`, `.../history` | one task, live or just ended; what it did so far |
//! | `GET /v1/tree`, `/v1/ended`, `/v1/kinds` | what belongs to what; what just happened; latencies by kind |
//! | `GET /v1/waits` | who waits for what, who holds it, who waits in a circle |
//! | `GET /v1/events` | a snapshot, then what changes, as server-sent events or lines of JSON |
//! | `POST /v1/tasks/{..}/cancel`, `/v1/cancel` | asks one task, or all that a filter names, to stop |
//! | `GET /v1/audit`, `/v1/info`, `/metrics`, `/healthz` | who tried what; limits and counts |
//! | `GET /openapi.json` | all of it in detail |
//!
//! `GET /procs/`, `GET /procs/{id}/history` and `DELETE /procs/{id}` are the routes of the Go package VividCortex/pm, and
//! its clients work with them. Ids travel percent-encoded as one segment of the path. Where several live tasks bear an id,
//! a serial says which one.
//!
//! By default whoever can reach a loopback address may list and cancel; [`Builder::token_file`](server::Builder::token_file), [`Builder::require_token`](server::Builder::require_token),
//! [`Builder::listen_unix`](server::Builder::listen_unix) and [`Builder::audit_file`](server::Builder::audit_file) are for where that is too much.
//!
//! [`pm_wire::filter`]: https://docs.rs/pm-wire
//!
//! # Features
//!
//! - `server` (default): the server. Without it and the others this crate is `pm-core` by another name.
//! - `dashboard` (default): the server shows a page to browsers.
//! - `tls`: the server listens with TLS, too, and knows clients by their certificates, `server::Tls`.
//! - `tokio`: tasks that tokio runs, `SpawnExt`. Futures need no feature: [`TaskBuilder::run`] is for any runtime.
//! - `sync`: tokio's locks and channels with names, `sync`: what a task waits for, and who holds it.
//! - `tokio-util`: `CancellationToken`s, `TaskTokenExt`.
//! - `stream`: streams of futures-core as tasks, `RunStreamExt`, and with progress, `TaskStreamExt`.
//! - `http-body`: bodies of hyper, axum and tonic, `RunBodyExt`.
//! - `tracing`: spans of the crate tracing as tasks, `tracing_layer`, for programs that never heard of this crate; the
//!   server's audit records as events of the target `pm::audit`.
//! - `tower`: layers for servers and clients, `tower`.
//! - `axum`: they know axum's routes and peers, and handlers are given their task.
//! - `indicatif`: a progress bar that is also a task's progress, `Bar`.
//! - `macros`: functions that run as tasks, `#[pm::task]`.
//!
//! It logs and exports nothing else, and installs no signal or panic handler.

pub use pm_core::*;

#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "macros.rs"]
#[allow(missing_docs, reason = "for the code that `#[pm::task]` writes")]
pub mod __macros;
mod adapters;
pub mod prelude;
#[cfg(feature = "sync")]
pub mod sync;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
pub mod tracing;

#[cfg(feature = "indicatif")]
pub use adapters::bar::Bar;
#[cfg(feature = "http-body")]
pub use adapters::body::{BodyError, RunBodyExt, TaskBody};

#[cfg(feature = "tokio")]
pub use adapters::spawn::SpawnExt;
#[cfg(feature = "stream")]
pub use adapters::stream::{RunStreamExt, TaskStream, TryTaskStream};
#[cfg(feature = "stream")]
pub use adapters::stream_progress::{CheckedStream, ProgressStream, TaskStreamExt};
#[cfg(feature = "tokio-util")]
pub use adapters::token::TaskTokenExt;
#[cfg(feature = "macros")]
pub use pm_macros::task;
#[cfg(feature = "server")]
#[doc(inline)]
pub use pm_server as server;
#[cfg(feature = "server")]
pub use pm_server::{Server, serve, service};
#[cfg(feature = "tracing")]
pub use tracing::tracing_layer;
