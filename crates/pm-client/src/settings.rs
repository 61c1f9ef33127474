//! The settings of a client, which each of its calls uses.

use std::time::Duration;

use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::token::Token;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    /// The deadline of all calls together, if they have one.
    pub(crate) deadline: Option<Instant>,
    pub(crate) max_body: u64,
    pub(crate) max_memory: u64,
    pub(crate) token: Token,
    #[cfg(feature = "tls")]
    pub(crate) tls: crate::tls::Options,
}

impl Settings {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            deadline: None,
            // Of `/v1`, which has pages, an answer is far smaller. A list of `/procs/` has some 250 bytes a task.
            max_body: 64 << 20,
            max_memory: 128 << 20,
            token: Token::None,
            #[cfg(feature = "tls")]
            tls: crate::tls::Options::default(),
        }
    }

    /// Returns settings whose time limit is longer by the time that the server is asked to wait.
    pub(crate) fn with_wait(&self, wait: Option<Duration>) -> Self {
        let wait = wait.unwrap_or_default();
        let deadline = self.deadline.and_then(|deadline| deadline.checked_add(wait));
        Self { timeout: self.timeout.saturating_add(wait), deadline, ..self.clone() }
    }

    /// Returns the deadline of a step that begins now and may take this long.
    pub(crate) fn deadline_in(&self, duration: Duration) -> Instant {
        let limit = deadline_in(duration);
        self.deadline.map_or(limit, |deadline| deadline.min(limit))
    }
}

/// Returns the instant after this duration. A duration that the clock cannot represent counts as a century.
pub(crate) fn deadline_in(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400))
}
