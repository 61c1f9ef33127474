//! Why a server could not start.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// The path is no place for a unix socket.
    #[non_exhaustive]
    Unix {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The file with tokens is missing, open to others, or not as it should be.
    #[non_exhaustive]
    Tokens {
        /// What is wrong, with the file and the line, and what to do.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A certificate or a key can't be used.
    #[non_exhaustive]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
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
                "{address} can be reached from other machines, and whoever reaches it could cancel tasks: listen on \
                 127.0.0.1, give a `token_file`, or see `dangerously_listen_beyond_loopback`"
            ),
            Self::Listen { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => write!(f, "could not listen on {address}: the port is in use"),
                io::ErrorKind::PermissionDenied => write!(f, "could not listen on {address}: not permitted"),
                io::ErrorKind::AddrNotAvailable => {
                    write!(f, "could not listen on {address}: not an address of this machine")
                }
                _ => write!(f, "could not listen on {address}"),
            },
            Self::Unix { path, source } => write!(f, "could not listen on {}: {source}", path.display()),
            Self::Tokens { source } => write!(f, "the tokens can't be used: {source}"),
            Self::Tls { path, source } => write!(f, "{} can't be used for TLS: {source}", path.display()),
            Self::Audit { path, .. } => write!(f, "could not open the audit log {}", path.display()),
            Self::Thread { .. } => f.write_str("could not start the thread of the server"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // What is in the text already is not told twice.
            Self::NoAddress
            | Self::BeyondLoopback { .. }
            | Self::Unix { .. }
            | Self::Tokens { .. }
            | Self::Tls { .. } => None,
            Self::Audit { source, .. } => Some(source),
            Self::Address { source, .. } | Self::Listen { source, .. } | Self::Thread { source } => Some(source),
        }
    }
}
