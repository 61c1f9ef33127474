//! A client of one endpoint, and its builder.

use std::path::PathBuf;
use std::time::Duration;

use crate::call::{Request, call};
use crate::endpoint::{Endpoint, EndpointError};
use crate::error::ClientError;
use crate::procs::Procs;
use crate::settings::Settings;
use crate::token::Token;
use crate::v1::V1;

/// A client of one endpoint.
///
/// It is cheap to clone and holds no connection.
#[derive(Clone, Debug)]
pub struct Client {
    settings: Settings,
}

impl Client {
    /// Makes a client for an endpoint, with the default limits and without a token.
    ///
    /// An endpoint is written `host:port`, `http://host:port/prefix/`, `https://host:port/prefix/` or
    /// `unix:/path/to.sock`; an IPv6 address stands in brackets, as in `[::1]:6680`. The default port is 6680 for a
    /// bare host, 80 for `http` and 443 for `https`, which requires the feature `tls`. No name is resolved and no
    /// connection is opened yet.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the endpoint has none of these forms.
    pub fn new(endpoint: &str) -> Result<Client, EndpointError> {
        Client::builder(endpoint).map(Builder::build)
    }

    /// Returns a builder of a client for this endpoint, which sets limits, token and certificates.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] as for [`new`](Self::new).
    pub fn builder(endpoint: &str) -> Result<Builder, EndpointError> {
        Ok(Builder { settings: Settings::new(Endpoint::parse(endpoint)?) })
    }

    /// Returns the calls of `/v1`.
    #[must_use]
    pub fn v1(&self) -> V1<'_> {
        V1::new(&self.settings)
    }

    /// Returns the calls of `/procs/`, which servers of the Go package VividCortex/pm support as well.
    #[must_use]
    pub fn procs(&self) -> Procs<'_> {
        Procs::new(&self.settings)
    }

    /// Returns the endpoint as it was given, without surrounding whitespace.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint.name
    }

    /// Returns `true` if others may read what is sent, a token included: over plain HTTP to another machine.
    ///
    /// ```
    /// let is_unencrypted = |endpoint| pm_client::Client::new(endpoint).map(|client| client.is_unencrypted());
    /// assert_eq!(is_unencrypted("db1:6680"), Ok(true));
    /// assert_eq!(is_unencrypted("localhost:6680"), Ok(false));
    /// ```
    #[must_use]
    pub fn is_unencrypted(&self) -> bool {
        self.settings.endpoint.is_unencrypted()
    }

    /// Returns the time limit of a whole call.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Returns a client whose calls, taken together, have the time limit of one: [`timeout`](Self::timeout) from now.
    ///
    /// So reading a list takes no longer than that, however many pages a server says there are. Waiting for the end of
    /// a task and reading [events](V1::events) take as long as with any client.
    #[must_use]
    pub fn timeout_from_now(&self) -> Client {
        let mut settings = self.settings.clone();
        settings.deadline = Some(settings.deadline_in(settings.timeout));
        Client { settings }
    }

    /// Fetches `/metrics`, in the text format of Prometheus.
    ///
    /// # Errors
    ///
    /// As for [`V1::tasks`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let answer = call(&self.settings, Request::get("metrics").accept("text/plain")).await?.success_v1()?;
        if !answer.is_type("text/plain") && !answer.is_type("application/openmetrics-text") {
            return Err(answer.not_pm(None));
        }
        match String::from_utf8(answer.body.to_vec()) {
            Ok(text) => Ok(text),
            Err(error) => Err(answer.not_pm(Some(error.into()))),
        }
    }

    /// Checks that the server answers at `/healthz`, which needs no token.
    ///
    /// # Errors
    ///
    /// As for [`V1::tasks`]. Any status from 200 to 299 is a success, unless the answer is a web page.
    pub async fn health(&self) -> Result<(), ClientError> {
        let answer = call(&self.settings, Request::get("healthz").accept("*/*")).await?.success_v1()?;
        if answer.is_page() { Err(answer.not_pm(None)) } else { Ok(()) }
    }

    /// Makes a client that connects in memory.
    #[cfg(test)]
    pub(crate) fn in_memory(memory: crate::memory::Memory) -> Client {
        let mut client = Client::new("memory").unwrap();
        client.settings.endpoint.place = crate::endpoint::Place::Memory(memory);
        client
    }
}

/// A builder of a [`Client`], for its limits, token and certificates.
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
#[must_use = "a builder makes nothing until `build` is called"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// Sets the time limit of a whole call, from connecting to the last byte of the answer. Default 10 s.
    ///
    /// A cancel that waits for the end of a task has as much time in addition. For a stream of [events](V1::events),
    /// this limits the time until the head of the answer has arrived.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.settings.timeout = limit;
        self
    }

    /// Sets the time limit for connecting, including name resolution and the TLS handshake. Default 3 s.
    ///
    /// The limit of the whole call applies as well.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect_timeout = limit;
        self
    }

    /// Sets the largest body of an answer, in bytes. Default 64 MiB.
    ///
    /// A larger one is [`ClientError::TooLarge`]. A stream of [events](V1::events) is not limited as a whole; each of
    /// its events may have 8 MiB.
    pub fn max_body_bytes(mut self, bytes: u64) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// Sets the most memory that a decoded answer may take, in bytes. Default 128 MiB: a list of 40,000 tasks or more.
    ///
    /// A short body may have millions of empty values, which take hundreds of times as much memory. So the memory is
    /// estimated from the body by [`pm_wire::memory_of`], and an answer beyond this is [`ClientError::TooMuch`], before
    /// it is decoded. An event of a [stream](V1::events) may take 16 MiB.
    pub fn max_memory_bytes(mut self, bytes: u64) -> Self {
        self.settings.max_memory = bytes;
        self
    }

    /// Sends this token with every call, as `Authorization: Bearer`.
    ///
    /// Only `https` encrypts it: over plain HTTP, others on the network may read it, unless the endpoint is loopback or
    /// a unix socket. A string that cannot be a token makes every call fail with [`ClientError::Token`].
    pub fn token(mut self, text: impl Into<String>) -> Self {
        self.settings.token = Token::Text(text.into());
        self
    }

    /// Sends the first token in this file with every call, and replaces that of [`token`](Self::token).
    ///
    /// The file is read for each call, so a new token takes effect at once. Empty lines and those that begin with `#`
    /// are skipped. The first other line is a token alone, or `PERMISSION TOKEN [NAME]` as in the server's file. If
    /// there is none, every call fails with [`ClientError::Token`].
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.token = Token::File(path.into());
        self
    }

    /// Takes the token from the environment: from `PM_TOKEN`, or else from the file that `PM_TOKEN_FILE` names.
    ///
    /// Nothing changes if both are unset or empty.
    pub fn token_from_env(mut self) -> Self {
        if let Some(token) = Token::from_env(|name| std::env::var_os(name)) {
            self.settings.token = token;
        }
        self
    }

    /// Trusts only servers whose certificates are signed by an authority in this PEM file. By default, the authorities
    /// that Mozilla trusts, as of the version of `webpki-roots` in this build.
    ///
    /// Applies to `https` only. The file is read for each connection, so a renewed one takes effect at once.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.tls.ca_file = Some(path.into());
        self
    }

    /// Sends this certificate to servers that require one.
    ///
    /// `certificate` is a PEM file with the certificate, followed by those of intermediate authorities; `key` is a PEM
    /// file with its private key. Applies to `https` only. Both are read for each connection.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.settings.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Expects this name in the server's certificate instead of the endpoint's host. Applies to `https` only.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.settings.tls.server_name = Some(name.into());
        self
    }

    /// Makes the client.
    #[must_use]
    pub fn build(self) -> Client {
        Client { settings: self.settings }
    }
}
