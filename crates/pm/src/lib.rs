//! See what is running in a program right now, and stop it: the process list, and a server that shows it.
//!
//! ```
//! let server = pm::serve("127.0.0.1:0")?; // answers on a thread of its own until it is dropped
//! let task = pm::task("req-1").kind("GET /hosts/{id}").attr("host", "db1").start();
//! task.status("reading")?;
//! println!("curl http://{}/procs/", server.addr());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | you want | look at |
//! |---|---|
//! | to name a piece of work, and hear that it is to stop | [`task`], [`start`], [`run`], [`Task`], [`status!`] |
//! | to read the list, or cancel, from within | [`ProcessList`], [`global`] |
//! | to let others look and cancel, on an address of its own | [`serve`], [`Server::builder`] |
//! | the same inside a server that you have | [`service()`], [`Service`] |
//! | tasks that tokio runs | `Spawn`: `task(id).spawn(future)` |
//! | a task that stops when a `CancellationToken` does, or the other way round | `TaskToken` |
//! | a stream, or an HTTP body, as a task | `RunStream`, `RunBody` |
//!
//! A library that only names its tasks needs `pm-core` alone, which is all of the list and nothing else; both crates
//! share the same [`global`] list.
//!
//! # What can be asked
//!
//! | request | answer |
//! |---|---|
//! | `GET /procs/` | the live tasks, oldest first, as JSON |
//! | `GET /procs/{id}/history` | what the task did so far |
//! | `DELETE /procs/{id}` | asks it to stop; the body may be `{"message":"why"}` |
//!
//! These are the routes of the Go package VividCortex/pm, and its clients work with them. Ids travel percent-encoded as
//! one segment of the path. Where several live tasks bear an id, add `?serial=N` from the list.
//!
//! # Features
//!
//! - `server` (default): the server. Without it and the others this crate is `pm-core` by another name.
//! - `tls`: the server listens with TLS, too, and knows clients by their certificates, [`Tls`].
//! - `tokio`: tasks that tokio runs, `Spawn`. Futures need no feature: [`TaskBuilder::run`] is for any runtime.
//! - `tokio-util`: `CancellationToken`s, `TaskToken`.
//! - `stream`: streams of futures-core, `RunStream`.
//! - `http-body`: bodies of hyper, axum and tonic, `RunBody`.
//! - `tracing`: the server's audit records as events of the target `pm::audit`.
//!
//! It logs and exports nothing else, and installs no signal or panic handler.

pub use pm_core::*;

#[cfg(feature = "http-body")]
mod body;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "tokio")]
mod spawn;
#[cfg(feature = "stream")]
mod stream;
#[cfg(feature = "tokio-util")]
mod token;

#[cfg(feature = "http-body")]
pub use body::{BodyError, RunBody, RunningBody};

#[cfg(feature = "tls")]
pub use server::Tls;
#[cfg(feature = "server")]
pub use server::{Body, Builder, ResponseFuture, Scope, Server, Service, StartError, serve, service};
#[cfg(feature = "tokio")]
pub use spawn::Spawn;
#[cfg(feature = "stream")]
pub use stream::{RunStream, RunningStream, TryRunningStream};
#[cfg(feature = "tokio-util")]
pub use token::TaskToken;
