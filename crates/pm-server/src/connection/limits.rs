//! The limits of connections.

use std::time::Duration;

/// The largest head of a request, in bytes.
pub(super) const MAX_HEAD: usize = 16 << 10;
/// The most fields of a head.
pub(super) const MAX_HEADERS: usize = 64;
/// The time limit of a TLS handshake.
#[cfg(feature = "tls")]
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// The system's buffer for what is sent, in bytes. Space in it is announced a third at a time, which is the progress of
/// a client: with the megabytes that a system may take by itself, one that reads 30 KB/s seems to stand still for
/// longer than it may.
pub(super) const SEND_BUFFER: usize = 128 << 10;
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

/// Returns how many connections, and how many watchers, may take of the files that the program may have open: a quarter
/// each, so that half is left for the program. `None` where that number is not known.
pub(crate) fn share_of_files() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft: usize = line.split_whitespace().next()?.parse().ok()?;
    Some((soft / 4).max(1))
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
