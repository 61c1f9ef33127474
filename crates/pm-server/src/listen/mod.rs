//! Listeners, and what each kind knows about the caller of a connection.
//!
//! | module | content |
//! |---|---|
//! | `mod.rs` | TCP, and what all listeners have in common |
//! | `unix.rs` | unix sockets: their file, the user at the other end |
//! | `tls.rs` | TLS, with client certificates or without; feature `tls` |

#[cfg(feature = "tls")]
pub(crate) mod tls;
#[cfg(unix)]
pub(crate) mod unix;

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::access::{Caller, Identity, Permission};
use crate::address::is_loopback;
use crate::start_error::StartError;

/// An address as it was named, and what it resolves to.
pub(crate) struct Address {
    pub(crate) name: String,
    pub(crate) found: io::Result<Vec<SocketAddr>>,
}

impl Address {
    pub(crate) fn of(address: impl ToSocketAddrs + Debug) -> Self {
        let found = address.to_socket_addrs().map(Iterator::collect);
        Self { name: format!("{address:?}").trim_matches('"').to_owned(), found }
    }
}

/// Which addresses may be listened on.
#[derive(Clone, Copy)]
pub(crate) enum Exposure {
    /// Loopback addresses only.
    Loopback,
    /// All; callers from other machines need a token or a certificate.
    Authenticated,
    /// All; every caller may cancel.
    Open,
}

/// Listens on the first of the addresses that can be.
pub(crate) fn open(address: Address, exposure: Exposure) -> Result<TcpListener, StartError> {
    let Address { name, found } = address;
    let found = found.map_err(|source| StartError::Address { address: name.clone(), source })?;
    let mut last = None;
    for address in found {
        allowed(address, exposure)?;
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(source) => last = Some(StartError::Listen { address, source }),
        }
    }
    let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name resolves to no address");
    Err(last.unwrap_or_else(|| StartError::Address { address: name, source: nothing() }))
}

/// Checks that an address may be listened on.
pub(crate) fn allowed(address: SocketAddr, exposure: Exposure) -> Result<(), StartError> {
    match exposure {
        Exposure::Loopback if !is_loopback(address.ip()) => Err(StartError::BeyondLoopback { address }),
        _ => Ok(()),
    }
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// A listener, and the caller of its connections if no token is needed.
pub(crate) enum Listener {
    Tcp(tokio::net::TcpListener, Option<Caller>),
    #[cfg(unix)]
    Unix(unix::Listener),
    #[cfg(feature = "tls")]
    Tls(tls::Listener),
}

/// A new connection.
pub(crate) enum Incoming {
    Tcp(TcpStream, Option<Caller>),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream, Caller),
    /// Of a user without access, which the answer says.
    #[cfg(unix)]
    AnotherUser(tokio::net::UnixStream, u32),
    #[cfg(feature = "tls")]
    Tls(TcpStream, tls::Handshake),
}

impl Incoming {
    /// Returns the address of the peer, if that is on another machine.
    pub(crate) fn remote_peer(&self) -> Option<IpAddr> {
        let stream = match self {
            Self::Tcp(stream, _) => stream,
            #[cfg(unix)]
            Self::Unix(..) | Self::AnotherUser(..) => return None,
            #[cfg(feature = "tls")]
            Self::Tls(stream, _) => stream,
        };
        stream.peer_addr().ok().map(|peer| peer.ip()).filter(|peer| !is_loopback(*peer))
    }

    /// Returns the user at the other end, if that has no access.
    pub(crate) fn another_user(&self) -> Option<u32> {
        match self {
            #[cfg(unix)]
            Self::AnotherUser(_, uid) => Some(*uid),
            _ => None,
        }
    }

    /// Returns `true` if it came in through a unix socket.
    pub(crate) fn is_unix(&self) -> bool {
        #[cfg(unix)]
        if let Self::Unix(..) = self {
            return true;
        }
        false
    }
}

impl Listener {
    /// Makes a listener from an open socket. All that it knows about callers is its own address.
    pub(crate) fn tcp(listener: TcpListener, exposure: Exposure) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // More connections than the standard library lets wait to be accepted: a burst is not to be sent again.
        let _ = SockRef::from(&listener).listen(BACKLOG);
        let caller = match (is_loopback(listener.local_addr()?.ip()), exposure) {
            (true, _) => Some(Caller { identity: Identity::Loopback, permission: Permission::Cancel }),
            (false, Exposure::Open) => Some(Caller { identity: Identity::Anyone, permission: Permission::Cancel }),
            (false, _) => None,
        };
        Ok(Self::Tcp(tokio::net::TcpListener::from_std(listener)?, caller))
    }

    /// Polls for the next connection.
    pub(crate) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Incoming>> {
        match self {
            Self::Tcp(listener, caller) => {
                listener.poll_accept(context).map_ok(|(stream, _)| Incoming::Tcp(stream, caller.clone()))
            }
            #[cfg(unix)]
            Self::Unix(listener) => listener.poll_accept(context).map_ok(|(stream, caller)| match caller {
                Ok(caller) => Incoming::Unix(stream, caller),
                Err(uid) => Incoming::AnotherUser(stream, uid),
            }),
            #[cfg(feature = "tls")]
            Self::Tls(listener) => {
                listener.poll_accept(context).map_ok(|(stream, handshake)| Incoming::Tls(stream, handshake))
            }
        }
    }
}
