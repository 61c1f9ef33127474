//! Where connections come from, and what each kind of door says of who comes in.
//!
//! | room | what |
//! |---|---|
//! | `mod.rs` | TCP, and what all doors have in common |
//! | `unix.rs` | unix sockets: their file, the user at the other end |
//! | `tls.rs` | TLS, with certificates of clients or without; feature `tls` |

#[cfg(feature = "tls")]
pub(super) mod tls;
#[cfg(unix)]
pub(super) mod unix;

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::task::{Context, Poll};

use tokio::net::TcpStream;

use super::access::{Caller, Identity, Scope};
use super::start_error::StartError;

/// An address that was named, and what it stands for.
pub(super) struct Address {
    pub(super) name: String,
    pub(super) found: io::Result<Vec<SocketAddr>>,
}

impl Address {
    pub(super) fn of(address: impl ToSocketAddrs + Debug) -> Self {
        let found = address.to_socket_addrs().map(Iterator::collect);
        Self { name: format!("{address:?}").trim_matches('"').to_owned(), found }
    }
}

/// What may be opened.
#[derive(Clone, Copy)]
pub(super) enum Beyond {
    /// Loopback only.
    Refused,
    /// Others must bring a token or a certificate.
    WithToken,
    /// Whoever comes may all.
    Dangerously,
}

/// The first of the addresses that can be listened on.
pub(super) fn open(address: Address, beyond: Beyond) -> Result<TcpListener, StartError> {
    let Address { name, found } = address;
    let found = found.map_err(|source| StartError::Address { address: name.clone(), source })?;
    let mut last = None;
    for address in found {
        allowed(address, beyond)?;
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(source) => last = Some(StartError::Listen { address, source }),
        }
    }
    let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name stands for no address");
    Err(last.unwrap_or_else(|| StartError::Address { address: name, source: nothing() }))
}

/// Whether a listener on this address may be.
pub(super) fn allowed(address: SocketAddr, beyond: Beyond) -> Result<(), StartError> {
    match beyond {
        Beyond::Refused if !is_loopback(address.ip()) => Err(StartError::BeyondLoopback { address }),
        _ => Ok(()),
    }
}

pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A listener, and whom it lets in without more.
pub(super) enum Door {
    Tcp(tokio::net::TcpListener, Option<Caller>),
    #[cfg(unix)]
    Unix(unix::Door),
    #[cfg(feature = "tls")]
    Tls(tls::Door),
}

/// A connection that has come in.
pub(super) enum Incoming {
    Tcp(TcpStream, Option<Caller>),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream, Caller),
    #[cfg(feature = "tls")]
    Tls(TcpStream, tls::Handshake),
}

impl Incoming {
    /// The address of the other end, if that is beyond this machine.
    pub(super) fn stranger(&self) -> Option<IpAddr> {
        let stream = match self {
            Self::Tcp(stream, _) => stream,
            #[cfg(unix)]
            Self::Unix(..) => return None,
            #[cfg(feature = "tls")]
            Self::Tls(stream, _) => stream,
        };
        stream.peer_addr().ok().map(|peer| peer.ip()).filter(|peer| !is_loopback(*peer))
    }

    /// Whether it is known to come from who runs the program.
    pub(super) fn is_owner(&self) -> bool {
        #[cfg(unix)]
        if let Self::Unix(..) = self {
            return true;
        }
        false
    }
}

impl Door {
    /// Who comes in through a TCP listener is known by nothing but the listener.
    pub(super) fn tcp(listener: TcpListener, beyond: Beyond) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let caller = match (is_loopback(listener.local_addr()?.ip()), beyond) {
            (true, _) => Some(Caller { identity: Identity::Loopback, scope: Scope::Cancel }),
            (false, Beyond::Dangerously) => Some(Caller { identity: Identity::Anyone, scope: Scope::Cancel }),
            (false, _) => None,
        };
        Ok(Self::Tcp(tokio::net::TcpListener::from_std(listener)?, caller))
    }

    /// The next connection; one from a user who is not let in is closed and forgotten.
    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Incoming>> {
        match self {
            Self::Tcp(listener, caller) => listener
                .poll_accept(context)
                .map(|accepted| accepted.map(|(stream, _)| Incoming::Tcp(stream, caller.clone()))),
            #[cfg(unix)]
            Self::Unix(door) => door.poll_accept(context),
            #[cfg(feature = "tls")]
            Self::Tls(door) => door.poll_accept(context),
        }
    }
}
