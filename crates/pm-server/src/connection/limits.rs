//! The limits of connections.

use std::time::Duration;

/// The largest head of a request, in bytes.
pub(super) const MAX_HEAD: usize = 16 << 10;
/// The most fields of a head.
pub(super) const MAX_HEADERS: usize = 64;
/// The time limit of a TLS handshake.
#[cfg(feature = "tls")]
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long, and how many bytes, are read after the last response.
pub(super) const LINGER: (Duration, usize) = (Duration::from_secs(2), 16 << 20);

/// The limits of connections that a builder sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Connections from one address of another machine.
    pub(crate) per_address: usize,
    pub(crate) head_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            per_address: 64,
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
        }
    }
}
