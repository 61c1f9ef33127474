//! What a client is to be: its limits, its token, and whom it trusts.

use std::path::PathBuf;
use std::time::Duration;

use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::token::Token;

/// Sets limits, token and certificates of a [`Client`].
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// let client = pm_client::Client::builder("unix:/run/import.sock")?
///     .timeout(Duration::from_secs(2))
///     .token_from_env()
///     .build();
/// assert_eq!(client.endpoint(), "unix:/run/import.sock");
/// # Ok::<(), pm_client::EndpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    client: Client,
}

impl Builder {
    pub(crate) fn new(endpoint: Endpoint) -> Builder {
        let client = Client {
            endpoint,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            // Above what a list within its default 256 MiB can become as JSON, short of every character escaped.
            max_body: 1 << 30,
            token: Token::None,
            #[cfg(feature = "tls")]
            tls: crate::tls::Options::default(),
        };
        Builder { client }
    }

    /// How long a whole call may take, from the first packet to the last byte. Default 10 s. Of a stream of
    /// [events](Client::events), the time until its head is here.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.client.timeout = limit;
        self
    }

    /// How long connecting may take, look-up of the name and TLS included. Default 3 s; never more than the whole call.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.client.connect_timeout = limit;
        self
    }

    /// How large the body of an answer may be. Default 1 GiB. For a stream of events there is another limit, on each.
    pub fn max_body_bytes(mut self, bytes: u64) -> Self {
        self.client.max_body = bytes;
        self
    }

    /// Shows this token with every call, as `Authorization: Bearer`.
    ///
    /// It travels as it is: over anything but loopback, a unix socket or `https`, others may read it. A text that can be
    /// no token makes every call fail with [`ClientError::Token`](crate::ClientError::Token).
    pub fn token(mut self, text: impl Into<String>) -> Self {
        self.client.token = Token::Text(text.into());
        self
    }

    /// Shows the first token in this file with every call; replaces what [`token`](Self::token) gave.
    ///
    /// The file is read at each call, so a new token in it counts at once. Its first line that is neither empty nor
    /// begins with `#` is a token alone, or `SCOPE TOKEN NAME` as in the server's file.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.client.token = Token::File(path.into());
        self
    }

    /// Takes the token from the variable `PM_TOKEN`, or else from the file that `PM_TOKEN_FILE` names. If neither is
    /// set, nothing changes.
    pub fn token_from_env(mut self) -> Self {
        if let Some(token) = Token::from_env(|name| std::env::var_os(name)) {
            self.client.token = token;
        }
        self
    }

    /// Trusts only servers whose certificates come from the authorities in this PEM file. Without one, those that
    /// browsers trust, as known when this crate was built.
    ///
    /// Needs the feature `tls`, and matters for `https` only, like the other two. All files are read at each call.
    #[cfg(feature = "tls")]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.client.tls.ca_file = Some(path.into());
        self
    }

    /// Shows this certificate to servers that ask for one: PEM files of the certificate, with those above it, and of its
    /// key. Needs the feature `tls`.
    #[cfg(feature = "tls")]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.client.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Expects this name in the server's certificate, and not the host of the endpoint. Needs the feature `tls`.
    #[cfg(feature = "tls")]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.client.tls.server_name = Some(name.into());
        self
    }

    /// The client.
    pub fn build(self) -> Client {
        self.client
    }
}
