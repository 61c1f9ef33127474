//! Shows what is running in a program right now, and stops it: a process list, and a server for it.
//!
//! A program names its pieces of work (requests, jobs, queries) and sets a status as they proceed. People and programs
//! read the list over HTTP, in a browser or with the `pm` command: what runs, since when, what it is doing, what it did
//! so far. They can cancel any of it. Logs and traces show work when it is over; pm shows it while it runs.
//!
//! ```
//! let server = pm::serve("127.0.0.1:0")?; // answers on a thread of its own until it is dropped
//! let task = pm::task("req-1").kind("GET /hosts/{id}").attr("host", "db1").start();
//! task.status("reading")?; // `Err(Cancelled)` once the task is asked to stop
//! println!("curl http://{}/v1/tasks", server.addr());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Getting started
//!
//! ```toml
//! [dependencies]
//! pm = "0.1" # features = ["tokio", "axum", ..], see below
//! ```
//!
//! The minimum supported Rust version is 1.88. A library that only names its tasks depends on `pm-core`, which has no
//! dependencies; both crates share the same [`global`] list.
//!
//! With the program of the example running on port 6680:
//!
//! ```text
//! $ curl 'localhost:6680/v1/tasks?fields=id,status,ageMs'   # or http://localhost:6680/ in a browser
//! $ pm ls
//! ID     KIND             AGE    STATUS   IN STATUS  ATTRS
//! req-1  GET /hosts/{id}  2.3 s  reading  2.3 s      host=db1
//! $ pm kill req-1 -m "too slow"
//! ```
//!
//! The task observes that at its next status or checkpoint. A future that runs as a task ([`TaskBuilder::run`]) is
//! dropped where it awaits, whether it cooperates or not.
//!
//! # Map
//!
//! | to | see |
//! |---|---|
//! | name a piece of work, set its status, observe a cancellation | [`task()`], [`start`], [`run`], [`status!`] |
//! | run each call of a function as a task | `#[pm::task]` |
//! | set limits, policies and secrets of the default list; variables for operators | [`init`] |
//! | read the list, or cancel, within the program | [`ProcessList`], [`global`] |
//! | serve the list on an address of its own | [`serve`], [`Server::builder`], [`server`] |
//! | serve it from a server that you have | [`service()`], [`server::Service`] |
//! | shut down in order: wait for running tasks, then stop them | [`ProcessList::drain`], [`Server::drain`] |
//! | pass the current task on to threads, pools and spawned futures | [`carry`], [`TaskFutureExt`] |
//! | spawn tasks on tokio | [`SpawnExt`]: `pm::task(id).spawn(future)` |
//! | find out which tasks block which, and deadlocks | [`ProcessList::waits`], [`TaskHandle::waiting_on`], [`sync`] |
//! | link a task with a `CancellationToken` | [`TaskTokenExt`] |
//! | run a stream or an HTTP body as a task | [`RunStreamExt`], [`RunBodyExt`] |
//! | report progress from a loop | [`TaskIteratorExt`], [`TaskStreamExt`], [`Bar`] |
//! | show spans of `tracing` as tasks, and the task on each log line | [`tracing_layer`], [`tracing::WithTask`] |
//! | make every request of axum, hyper or tonic a task | [`tower::TasksLayer`] |
//! | make every call to another service a task | [`tower::CallsLayer`] |
//!
//! [`prelude`] brings the extension traits into scope. `examples/` has small complete programs: servers, threads, a
//! pool, jobs on tokio, a job with a progress bar, a unix socket, TLS with client certificates, a drain, lists of your
//! own, moving from Go.
//!
//! # Security
//!
//! By default, every process that can connect to the loopback address may list and cancel tasks.
//! [`token_file`](server::Builder::token_file), [`require_token`](server::Builder::require_token),
//! [`listen_unix`](server::Builder::listen_unix) and [`audit_file`](server::Builder::audit_file) restrict and record
//! that. Values that look like secrets are masked before they are recorded, see [`Options::redact`].
//!
//! # What it is not
//!
//! pm shows the work that a program names, in production, and stops it. It stores nothing outside of the process and
//! does not start, schedule or restart work. Other tools are better for
//!
//! | if you want to | use |
//! |---|---|
//! | debug an async program: every task, poll and waker of its tokio runtime | [tokio-console] |
//! | record what happened, in logs or a trace backend | [tracing][tracing-crate]; [`mod@tracing`] combines both |
//! | find out afterwards why the tokio runtime was slow | [dial9], which records its polls, parks and wakes |
//! | see the call tree of a future down to the await that it is stuck at | [await-tree] |
//!
//! [tokio-console]: https://docs.rs/tokio-console
//! [tracing-crate]: https://docs.rs/tracing
//! [dial9]: https://docs.rs/dial9-tokio-telemetry
//! [await-tree]: https://docs.rs/await-tree
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `server` (default) | the server: [`mod@server`] |
//! | `dashboard` (default) | a page for browsers, served by the server |
//! | `tls` | TLS listeners and client certificates: [`server::Tls`] |
//! | `tokio` | tasks spawned on tokio: [`SpawnExt`]. [`TaskBuilder::run`] works on any runtime without it |
//! | `sync` | named locks and channels of tokio: [`mod@sync`] |
//! | `tokio-util` | `CancellationToken`s: [`TaskTokenExt`] |
//! | `stream` | streams of futures-core: [`RunStreamExt`], [`TaskStreamExt`] |
//! | `http-body` | bodies of hyper, axum and tonic: [`RunBodyExt`] |
//! | `tracing` | spans of the crate tracing as tasks: [`mod@tracing`]; the server's audit as events of `pm::audit` |
//! | `tower` | layers for servers and clients: [`mod@tower`] |
//! | `axum` | axum's routes and peer addresses for these layers; an extractor for the request's task |
//! | `indicatif` | progress bars: [`Bar`] |
//! | `macros` | functions that run as tasks: `#[pm::task]` |
//!
//! This crate logs and exports nothing else, and installs no signal or panic handler.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub use pm_core::{
    AlreadyStarted, Attrs, BlockedTask, Bucket, CancelError, CancelHandle, CancelPolicy, CancelRequest, Cancelled,
    CancelledFuture, CheckedIter, Clock, Counters, Cycle, CycleStep, Drain, DrainFuture, DrainProgress, DrainReport,
    DrainedTask, DropSignal, Entered, History, HistoryEntry, HoldGuard, InTask, KindStats, Latency, ListLimits,
    ManualClock, Meter, Metered, Options, Outcome, ProcessList, Progress, ProgressIter, Protected, RequestView,
    Resource, ResourceHolder, ResourceKind, Scan, Serial, Snapshot, SnapshotIter, StatusScope, StatusText, StatusTime,
    Subscription, SupervisedPoll, Supervisor, SupervisorGuard, Target, Task, TaskBrief, TaskBuilder, TaskFuture,
    TaskFutureExt, TaskHandle, TaskIteratorExt, TaskState, TaskView, Text, Timestamp, TryTaskFuture, Value, ValueView,
    Verdict, VerdictFuture, WaitGuard, WaitReport, WaitTreeRow, WaitedResource, carry, current, global, init, protect,
    run, run_sync, scope, start, status, task, terminal, unnamed,
};

#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "macros.rs"]
#[allow(missing_docs, reason = "for the code that `#[pm::task]` writes")]
pub mod __macros;
mod adapters;
/// The examples of these pages run as tests of the documentation.
#[cfg(all(doctest, feature = "tokio"))]
mod pages {
    #[doc = include_str!("../../../docs/safe-to-kill.md")]
    struct SafeToKill;
    #[doc = include_str!("../../../docs/current-task.md")]
    struct CurrentTask;
}
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
