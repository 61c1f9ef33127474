//! The list over HTTP, on a thread and a small runtime of its own: it answers while the program's runtime is saturated.
//!
//! | room | what |
//! |---|---|
//! | `mod.rs` | starting and stopping: [`Server`] |
//! | `builder.rs`, `start_error.rs` | what to serve, where, to whom, within what limits: [`Builder`] |
//! | `listen/` | where connections come from: TCP, unix sockets, TLS |
//! | `accept.rs` | taking connections, no more than there may be |
//! | `connection.rs` | one connection: its time-outs and its end |
//! | `service.rs` | a request in, a response out: [`Service`], the same when nested elsewhere |
//! | `access/` | who asks, and what they may do: scopes, tokens, throttle |
//! | `attempt.rs`, `audit.rs` | who asked for which cancel: in memory, in a file, as events |
//! | `guard.rs` | who may ask at all: the Host header, requests of foreign web pages |
//! | `route.rs` | what is asked: the raw path, taken apart |
//! | `procs.rs` | the answers of the first pm: list, history, cancel |
//! | `query.rs` | a query taken apart |
//! | `v1/` | the answers of `/v1`, metrics, health |
//! | `events/` | changes as they happen, for those who watch |
//! | `dashboard.rs` | the page for browsers, whose files lie in `page/` |
//! | `failure.rs` | why a request gets nothing else, as problem JSON or as plain text |
//! | `reply.rs`, `compress.rs` | how answers look: bodies, headers; in fewer bytes |

mod accept;
mod access;
mod attempt;
mod audit;
mod builder;
mod compress;
mod connection;
#[cfg(feature = "dashboard")]
mod dashboard;
mod events;
mod failure;
#[cfg(test)]
mod fuzz;
mod guard;
mod listen;
mod problem;
mod procs;
mod query;
mod reply;
mod route;
mod service;
#[cfg(test)]
mod slow;
mod start_error;
mod v1;

use std::fmt::{self, Debug};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::thread::JoinHandle;
use std::time::Duration;

use pm_core::{Drain, DrainReport, ProcessList};
use tokio::sync::oneshot;

pub use access::Scope;
pub use builder::Builder;
#[cfg(feature = "tls")]
pub use listen::tls::Tls;
pub use reply::Body;
pub use service::{ResponseFuture, Service, service};
pub use start_error::StartError;

/// How long [`Server::shutdown`] waits for answers that are on their way.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// The same when the server is dropped.
const DROP_GRACE: Duration = Duration::from_secs(1);

/// Serves the [`global`](pm_core::global) list, and nothing else, on a loopback address, as `127.0.0.1:6680`.
///
/// Port 0 takes any free port; [`Server::addr`] tells which. See [`Server::builder`] for more.
///
/// # Errors
///
/// [`StartError`] names the address and what is wrong with it.
///
/// ```
/// let server = pm::serve("127.0.0.1:0")?;
/// assert!(server.addr().ip().is_loopback());
/// # Ok::<(), pm::StartError>(())
/// ```
pub fn serve(address: impl ToSocketAddrs + Debug) -> Result<Server, StartError> {
    Server::builder().listen(address).start()
}

/// A running server. It stops when this is dropped: at once for who waits for a request, within a second for answers
/// that are on their way.
#[must_use = "the server stops when this is dropped"]
pub struct Server {
    list: ProcessList,
    addresses: Vec<SocketAddr>,
    /// Sends how long open answers may still take.
    stop: Option<oneshot::Sender<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// What to serve, where, to whom, and within what limits.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Where the server listens; the first address if there are several. The unspecified address with the port 0 if it
    /// listens on unix sockets only.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// All addresses where the server listens, in the order in which they were named.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops the server and waits until its addresses are free again, and for answers on their way, at most 5 s.
    pub fn shutdown(mut self) {
        self.stop(SHUTDOWN_GRACE);
    }

    /// Drains the list that is served, then [shuts down](Self::shutdown): all the while everybody can see who is being
    /// waited for, and kill it. Blocks the thread; see [`ProcessList::drain`].
    ///
    /// ```
    /// let list = pm::ProcessList::new();
    /// let server = pm::Server::builder().list(&list).listen("127.0.0.1:0").start()?;
    /// let report = server.drain(std::time::Duration::from_secs(30)); // or a `pm::Drain`, which can say more
    /// assert!(report.is_empty(), "{report}");
    /// # Ok::<(), pm::StartError>(())
    /// ```
    ///
    /// In async code, `list.drain(..).await` before [`shutdown`](Self::shutdown) does the same without blocking.
    pub fn drain(self, drain: impl Into<Drain>) -> DrainReport {
        let report = self.list.drain(drain).blocking();
        self.shutdown();
        report
    }

    /// Lets the server run as long as the process does.
    pub fn detach(mut self) {
        std::mem::forget(self.stop.take());
        self.thread = None;
    }

    fn stop(&mut self, grace: Duration) {
        if let Some(stop) = self.stop.take() {
            // The thread may be gone already.
            let _ = stop.send(grace);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(DROP_GRACE);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addrs", &self.addresses).finish_non_exhaustive()
    }
}
