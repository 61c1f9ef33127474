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
    pub(crate) max_body: u64,
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
            // More than a list within its default 256 MiB becomes as JSON, unless every character is escaped.
            max_body: 1 << 30,
            token: Token::None,
            #[cfg(feature = "tls")]
            tls: crate::tls::Options::default(),
        }
    }

    /// Returns settings whose time limit is longer by the time that the server is asked to wait.
    pub(crate) fn with_wait(&self, wait: Option<Duration>) -> Self {
        Self { timeout: self.timeout.saturating_add(wait.unwrap_or_default()), ..self.clone() }
    }
}

/// Returns the instant after this duration. A duration that the clock cannot represent counts as a century.
pub(crate) fn deadline_in(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400))
}
