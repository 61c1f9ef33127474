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
//! - `server` (default): all of the above but the list itself. Without it this crate is `pm-core` by another name.
//!
//! It does not log, trace or export, and installs no signal or panic handler.

pub use pm_core::*;

#[cfg(feature = "server")]
mod server;

#[cfg(feature = "server")]
pub use server::{Body, Builder, ResponseFuture, Server, Service, StartError, serve, service};
