//! The error of a server that can't start.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A server could not start. Nothing listens then.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// No address was named.
    NoAddress,
    /// The text is not an address, or the name does not resolve.
    #[non_exhaustive]
    Address {
        /// The address, as it was given.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Other machines can reach the address, and could cancel tasks without a token.
    #[non_exhaustive]
    BeyondLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address is in use, not an address of this machine, or not permitted for this user.
    #[non_exhaustive]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The server could not listen on the path of a unix socket.
    #[non_exhaustive]
    Unix {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The token file is missing, open to other users, or has an error.
    #[non_exhaustive]
    Tokens {
        /// The file, the line, the error, and what to do.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The text of [`allow_origin`](crate::Builder::allow_origin) is not an origin.
    #[non_exhaustive]
    Origin {
        /// The text.
        origin: String,
    },
    /// A certificate or a key can't be used.
    #[non_exhaustive]
    Tls {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The audit log can't be written.
    #[non_exhaustive]
    Audit {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system could not start a thread, or register the listeners.
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
                write!(f, "`{address}` is not an address to listen on; write it as 127.0.0.1:6680")
            }
            Self::BeyondLoopback { address } => write!(
                f,
                "other machines can reach {address} and could cancel tasks: listen on 127.0.0.1, set a `token_file` or \
                 PM_TOKENS, or see `dangerously_listen_beyond_loopback`"
            ),
            Self::Listen { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => write!(f, "could not listen on {address}: the port is in use"),
                io::ErrorKind::PermissionDenied => write!(f, "could not listen on {address}: not permitted"),
                io::ErrorKind::AddrNotAvailable => {
                    write!(f, "could not listen on {address}: it is not an address of this machine")
                }
                _ => write!(f, "could not listen on {address}"),
            },
            Self::Unix { path, source } => write!(f, "could not listen on {}: {source}", path.display()),
            Self::Tokens { source } => write!(f, "the tokens can't be used: {source}"),
            Self::Origin { origin } => {
                write!(f, "`{origin}` is not the origin of web pages; write it as https://pm.example.org")
            }
            Self::Tls { path, source } => write!(f, "{} can't be used for TLS: {source}", path.display()),
            Self::Audit { path, .. } => write!(f, "could not open the audit log {}", path.display()),
            Self::Thread { .. } => f.write_str("could not start the thread of the server"),
        }
    }
}

/// For programs whose `main` returns [`io::Error`].
impl From<StartError> for io::Error {
    fn from(error: StartError) -> Self {
        Self::other(error)
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // The text includes the cause already.
            Self::NoAddress
            | Self::BeyondLoopback { .. }
            | Self::Unix { .. }
            | Self::Origin { .. }
            | Self::Tls { .. } => None,
            // The text says which file, and not why the system refused it.
            Self::Tokens { source } => source.source(),
            Self::Audit { source, .. } => Some(source),
            Self::Address { source, .. } | Self::Listen { source, .. } | Self::Thread { source } => Some(source),
        }
    }
}
