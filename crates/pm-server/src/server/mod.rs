//! Starting and stopping a server.

pub(crate) mod builder;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::Duration;

use pm_core::{Drain, DrainReport, ProcessList};
use tokio::sync::oneshot;

/// How long [`Server::shutdown`] waits for responses that are being sent.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// How long dropping a server waits for them.
const DROP_GRACE: Duration = Duration::from_secs(1);

/// A running server. It stops when this is dropped: idle connections are closed at once, and responses that are being
/// sent have a second.
#[must_use = "the server stops when this is dropped"]
pub struct Server {
    list: ProcessList,
    addresses: Vec<SocketAddr>,
    /// Sends how long open responses may still take.
    stop: Option<oneshot::Sender<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Returns the address that the server listens on; the first one if there are several. If it listens on unix
    /// sockets only, that is the unspecified address with port 0.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// Returns all addresses that the server listens on, in the order of the builder.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops the server. Waits until its addresses are free again, and at most 5 s for responses that are being sent.
    pub fn shutdown(mut self) {
        self.stop(SHUTDOWN_GRACE);
    }

    /// Drains the list that is served, then [shuts down](Self::shutdown): until then clients can list the remaining
    /// tasks and cancel them. Blocks the thread; see [`ProcessList::drain`].
    ///
    /// ```
    /// let list = pm::ProcessList::new();
    /// let server = pm::Server::builder().list(&list).listen("127.0.0.1:0").start()?;
    /// let report = server.drain(std::time::Duration::from_secs(30)); // or a `pm::Drain`, which has more options
    /// assert!(report.is_empty(), "{report}");
    /// # Ok::<(), pm::server::StartError>(())
    /// ```
    ///
    /// In async code, `list.drain(..).await` before [`shutdown`](Self::shutdown) does the same without blocking.
    pub fn drain(self, drain: impl Into<Drain>) -> DrainReport {
        let report = self.list.drain(drain).blocking();
        self.shutdown();
        report
    }

    /// Lets the server run until the process ends.
    pub fn detach(mut self) {
        std::mem::forget(self.stop.take());
        self.thread = None;
    }

    fn stop(&mut self, grace: Duration) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended already.
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
