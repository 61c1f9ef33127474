//! The list over HTTP, on a thread and a small runtime of its own: it answers while the program's runtime is saturated.
//!
//! | room | what |
//! |---|---|
//! | `mod.rs` | starting and stopping: [`Server`], [`Builder`] |
//! | `accept.rs` | taking connections, no more than there may be |
//! | `connection.rs` | one connection: its time-outs and its end |
//! | `service.rs` | a request in, a response out: [`Service`], the same when nested elsewhere |
//! | `access/` | who asks, and what they may do: scopes, tokens, throttle |
//! | `audit.rs` | who asked for which cancel: in memory, in a file, as events |
//! | `guard.rs` | who may ask at all: the Host header, requests of foreign web pages |
//! | `route.rs` | what is asked: the raw path, taken apart |
//! | `procs.rs` | the answers: list, history, cancel |
//! | `reply.rs` | how answers look: bodies, headers, errors as plain text |

mod accept;
#[allow(dead_code, reason = "requests do not pass through it yet")]
mod access;
#[allow(dead_code, reason = "cancels are not recorded yet")]
mod audit;
mod connection;
mod guard;
mod procs;
mod reply;
mod route;
mod service;

use std::error::Error;
use std::fmt::{self, Debug};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::thread::JoinHandle;
use std::time::Duration;

use pm_core::ProcessList;
use tokio::sync::oneshot;

pub use reply::Body;
pub use service::{ResponseFuture, Service, service};

use connection::Limits;

/// How long [`Server::shutdown`] waits for answers that are on their way.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// The same when the server is dropped.
const DROP_GRACE: Duration = Duration::from_secs(1);

/// Serves the [`global`](crate::global) list, and nothing else, on a loopback address, as `127.0.0.1:6680`.
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
    addresses: Vec<SocketAddr>,
    /// Sends how long open answers may still take.
    stop: Option<oneshot::Sender<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// What to serve, where, and within what limits.
    pub fn builder() -> Builder {
        Builder {
            service: Service::new(pm_core::global()),
            listen: Vec::new(),
            beyond_loopback: false,
            limits: Limits::default(),
        }
    }

    /// Where the server listens; the first address if there are several.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        // There is at least one: `start` sees to it.
        self.addresses[0]
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

enum Listen {
    /// What the caller wrote, and the addresses it stands for.
    Address(String, io::Result<Vec<SocketAddr>>),
    Listener(TcpListener),
}

/// Describes a [`Server`]; made by [`Server::builder`].
///
/// ```
/// let list = pm::ProcessList::new();
/// let server = pm::Server::builder().list(&list).listen("127.0.0.1:0").max_connections(64).start()?;
/// server.shutdown();
/// # Ok::<(), pm::StartError>(())
/// ```
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    service: Service,
    listen: Vec<Listen>,
    beyond_loopback: bool,
    limits: Limits,
}

impl Builder {
    /// The list to serve. Default: [`global`](crate::global).
    pub fn list(mut self, list: &ProcessList) -> Self {
        self.service = self.service.with_list(list);
        self
    }

    /// An address to listen on; call it again for more. A name that stands for several is tried in their order.
    pub fn listen(mut self, address: impl ToSocketAddrs + Debug) -> Self {
        let addresses = address.to_socket_addrs().map(Iterator::collect);
        self.listen.push(Listen::Address(format!("{address:?}").trim_matches('"').to_owned(), addresses));
        self
    }

    /// A listener that is open already, for instance one that was handed over at start-up.
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.listen.push(Listen::Listener(listener));
        self
    }

    /// Listens beyond this machine if an address says so. **Everyone who reaches the port can then read the list and
    /// cancel its tasks**; the names under which it may be called must be allowed by [`allow_host`](Self::allow_host).
    pub fn dangerously_listen_beyond_loopback(mut self) -> Self {
        self.beyond_loopback = true;
        self
    }

    /// Answers requests for this host name, besides `localhost` and the address that is listened on. Without a port, in
    /// any case, as `pm.example.org`; needed behind a proxy that hands on the name it was called by.
    pub fn allow_host(mut self, name: &str) -> Self {
        self.service = self.service.allow_host(name);
        self
    }

    /// How many connections there may be at a time. Default 512; at least 1. One more is told so (503) and closed.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.limits.connections = count.max(1);
        self
    }

    /// How long the head of a request may take, from its first byte or from the opening of the connection. Default 5 s.
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.limits.head_timeout = limit;
        self
    }

    /// How long the body of a request may take. Default 10 s.
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.limits.body_timeout = limit;
        self
    }

    /// How long a connection may stand still, between two requests or because the client takes nothing. Default 30 s.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle_timeout = limit;
        self
    }

    /// How large the body of a request may be, in bytes. Default 64 KiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.service = self.service.max_body(bytes);
        self
    }

    /// Starts the server; it answers when this returns.
    ///
    /// # Errors
    ///
    /// [`StartError`] names the address and what is wrong with it. Nothing listens then.
    pub fn start(self) -> Result<Server, StartError> {
        let listeners = self.listen.into_iter().map(|listen| open(listen, self.beyond_loopback));
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
        let mut addresses = Vec::new();
        for listener in &listeners {
            let failed = |source| StartError::Thread { source };
            listener.set_nonblocking(true).map_err(failed)?;
            addresses.push(listener.local_addr().map_err(failed)?);
        }
        if addresses.is_empty() {
            return Err(StartError::NoAddress);
        }
        let (stop, stopped) = oneshot::channel();
        let (service, limits) = (self.service, self.limits);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|source| StartError::Thread { source })?;
        let listeners = {
            let _inside = runtime.enter();
            let listeners = listeners.into_iter().map(tokio::net::TcpListener::from_std);
            listeners.collect::<io::Result<Vec<_>>>().map_err(|source| StartError::Thread { source })?
        };
        let thread = std::thread::Builder::new()
            .name("pm-server".to_owned())
            .spawn(move || {
                runtime.block_on(accept::run(listeners, service, limits, stopped));
                // Whoever has not got an answer by now gets none.
                runtime.shutdown_background();
            })
            .map_err(|source| StartError::Thread { source })?;
        Ok(Server { addresses, stop: Some(stop), thread: Some(thread) })
    }
}

impl Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn open(listen: Listen, beyond_loopback: bool) -> Result<TcpListener, StartError> {
    let (name, addresses) = match listen {
        Listen::Address(name, addresses) => (name, addresses),
        Listen::Listener(listener) => {
            let address = listener.local_addr().map_err(|source| StartError::Thread { source })?;
            return allowed(address, beyond_loopback).map(|()| listener);
        }
    };
    let addresses = addresses.map_err(|source| StartError::Address { address: name.clone(), source })?;
    let mut last = None;
    for address in addresses {
        allowed(address, beyond_loopback)?;
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(source) => last = Some(StartError::Listen { address, source }),
        }
    }
    let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name stands for no address");
    Err(last.unwrap_or_else(|| StartError::Address { address: name, source: nothing() }))
}

fn allowed(address: SocketAddr, beyond_loopback: bool) -> Result<(), StartError> {
    match beyond_loopback || address.ip().to_canonical().is_loopback() {
        true => Ok(()),
        false => Err(StartError::BeyondLoopback { address }),
    }
}

/// Why a server could not start. Nothing listens then.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// No address was named.
    NoAddress,
    /// The text is no address, or the name is not known.
    #[non_exhaustive]
    Address {
        /// What was named.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Others could reach the address, and nothing keeps them from cancelling tasks.
    #[non_exhaustive]
    BeyondLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address is in use, not of this machine, or not for this user.
    #[non_exhaustive]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The system gave no thread, or no means to wait for connections.
    #[non_exhaustive]
    Thread {
        /// The system's reason.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("no address to listen on was named"),
            Self::Address { address, .. } => {
                write!(f, "`{address}` is no address to listen on, such as 127.0.0.1:6680")
            }
            Self::BeyondLoopback { address } => write!(
                f,
                "{address} can be reached from other machines, and whoever reaches it can cancel tasks: listen on \
                 127.0.0.1, or see `dangerously_listen_beyond_loopback`"
            ),
            Self::Listen { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => write!(f, "could not listen on {address}: the port is in use"),
                io::ErrorKind::PermissionDenied => write!(f, "could not listen on {address}: not permitted"),
                io::ErrorKind::AddrNotAvailable => {
                    write!(f, "could not listen on {address}: not an address of this machine")
                }
                _ => write!(f, "could not listen on {address}"),
            },
            Self::Thread { .. } => f.write_str("could not start the thread of the server"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoAddress | Self::BeyondLoopback { .. } => None,
            Self::Address { source, .. } | Self::Listen { source, .. } | Self::Thread { source } => Some(source),
        }
    }
}
