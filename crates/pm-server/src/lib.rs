//! The process list over HTTP: JSON, events, metrics, and a page for browsers. Programs reach it as `pm::server`.
//!
//! ```
//! let server = pm_server::serve("127.0.0.1:0")?; // answers on a thread of its own until it is dropped
//! println!("curl http://{}/v1/tasks", server.addr());
//! # Ok::<(), pm_server::StartError>(())
//! ```
//!
//! - [`Server`] listens on TCP, TLS or a unix socket. It has a thread and a small runtime of its own, so it answers
//!   while the program's runtime is saturated.
//! - [`Service`] is the same as a `tower::Service`, to nest in a server that the program has already. It needs no
//!   runtime.
//!
//! # Security
//!
//! By default, everyone who can reach a loopback address may list and cancel tasks. [`Builder::token_file`],
//! [`Builder::require_token`], [`Builder::listen_unix`] and [`Builder::audit_file`] restrict that. Requests of
//! cross-site web pages are always refused.
//!
//! # Features
//!
//! - `dashboard` (default): the page for browsers.
//! - `tls`: listeners with TLS, and callers that are known by their certificates.
//! - `tracing`: records of the audit log as events of the target `pm::audit`.
//!
//! # Types of other crates
//!
//! Signatures have types of `http`, `http-body`, `tower-service` and `pm-core`, and no others.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod address;
mod audit;
mod cancel;
mod connection;
#[cfg(feature = "dashboard")]
mod dashboard;
mod feed;
mod listen;
mod procs;
mod request;
mod response;
mod server;
mod service;
mod start_error;
mod sync;
#[cfg(test)]
mod tests;
mod v1;
mod workers;

use std::fmt::Debug;
use std::net::ToSocketAddrs;

pub use access::Permission;
#[cfg(feature = "tls")]
pub use listen::tls::Tls;
pub use response::Body;
pub use server::Server;
pub use server::builder::Builder;
pub use service::{ResponseFuture, Service, service};
pub use start_error::StartError;

/// Serves the [`global`](pm_core::global) list on a loopback address, such as `127.0.0.1:6680`.
///
/// Port 0 takes any free port; [`Server::addr`] returns it. See [`Server::builder`] for more.
///
/// # Errors
///
/// [`StartError`] names the address and the reason.
///
/// ```
/// let server = pm::serve("127.0.0.1:0")?;
/// assert!(server.addr().ip().is_loopback());
/// # Ok::<(), pm::server::StartError>(())
/// ```
pub fn serve(address: impl ToSocketAddrs + Debug) -> Result<Server, StartError> {
    Server::builder().listen(address).start()
}

const fn is_send_and_sync<T: Send + Sync>() {}
const _: () = {
    is_send_and_sync::<Server>();
    is_send_and_sync::<Builder>();
    is_send_and_sync::<Service>();
    is_send_and_sync::<Permission>();
    is_send_and_sync::<StartError>();
    #[cfg(feature = "tls")]
    is_send_and_sync::<Tls>();
};
const fn is_send<T: Send>() {}
const _: () = {
    is_send::<Body>();
    is_send::<ResponseFuture>();
};
