//! A client of one endpoint, and how it is made.

use std::path::PathBuf;
use std::time::Duration;

use crate::call::{Request, call};
use crate::endpoint::{Endpoint, EndpointError};
use crate::error::ClientError;
use crate::procs::Procs;
use crate::settings::Settings;
use crate::token::Token;
use crate::v1::V1;

/// A client of one endpoint. Cheap to clone; holds no connection.
#[derive(Clone, Debug)]
pub struct Client {
    settings: Settings,
}

impl Client {
    /// Makes a client for `host:port`, `http://host:port/prefix/`, `https://host:port/prefix/` or
    /// `unix:/path/to.sock`, with the default limits and without a token.
    ///
    /// IPv6 is written `[::1]:6680`. Without a port, a bare host means 6680, an `http://` URL 80 and an `https://` URL
    /// 443. Nothing is connected or looked up yet. `https` needs the feature `tls`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the text is none of these.
    pub fn new(endpoint: &str) -> Result<Client, EndpointError> {
        Client::builder(endpoint).map(Builder::build)
    }

    /// Makes a client as [`new`](Self::new) does, with limits and a token to set.
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

    /// Returns the calls of `/procs/`, which servers of the Go package VividCortex/pm have as well.
    #[must_use]
    pub fn procs(&self) -> Procs<'_> {
        Procs::new(&self.settings)
    }

    /// Returns the endpoint as it was given, without the blanks around it.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint.name
    }

    /// Returns how long a whole call may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Fetches the numbers of `/metrics`, as the text that Prometheus reads.
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
    /// As for [`V1::tasks`]. Any answer with a status of 200 to 299 that is not a web page counts as well.
    pub async fn health(&self) -> Result<(), ClientError> {
        let answer = call(&self.settings, Request::get("healthz").accept("*/*")).await?.success_v1()?;
        if answer.is_page() { Err(answer.not_pm(None)) } else { Ok(()) }
    }

    /// A client that connects in memory.
    #[cfg(test)]
    pub(crate) fn in_memory(memory: crate::memory::Memory) -> Client {
        let mut client = Client::new("memory").unwrap();
        client.settings.endpoint.place = crate::endpoint::Place::Memory(memory);
        client
    }
}

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
#[must_use = "a builder makes nothing until `build` is called"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// Sets how long a whole call may take, from the first packet to the last byte. Default 10 s. Of a stream of
    /// [events](V1::events), it is the time until the head of the answer.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.settings.timeout = limit;
        self
    }

    /// Sets how long connecting may take, look-up of the name and TLS included. Default 3 s; never more than the whole
    /// call.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect_timeout = limit;
        self
    }

    /// Sets how large the body of an answer may be. Default 1 GiB. Each event of a stream has a limit of its own.
    pub fn max_body_bytes(mut self, bytes: u64) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// Sends this token with every call, as `Authorization: Bearer`.
    ///
    /// It travels as it is: over anything but loopback, a unix socket or `https`, others may read it. A text that cannot
    /// be a token makes every call fail with [`ClientError::Token`].
    pub fn token(mut self, text: impl Into<String>) -> Self {
        self.settings.token = Token::Text(text.into());
        self
    }

    /// Sends the first token in this file with every call; replaces that of [`token`](Self::token).
    ///
    /// The file is read at each call, so a new token in it counts at once. Its first line that is neither empty nor
    /// begins with `#` is a token alone, or `SCOPE TOKEN NAME` as in the server's file.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.token = Token::File(path.into());
        self
    }

    /// Takes the token from the variable `PM_TOKEN`, or else from the file that `PM_TOKEN_FILE` names. If neither is
    /// set, nothing changes.
    pub fn token_from_env(mut self) -> Self {
        if let Some(token) = Token::from_env(|name| std::env::var_os(name)) {
            self.settings.token = token;
        }
        self
    }

    /// Trusts only servers whose certificates come from the authorities in this PEM file. Without one, those that
    /// browsers trust, as known when this crate was built.
    ///
    /// Matters for `https` only, like the other two. All files are read at each call.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.tls.ca_file = Some(path.into());
        self
    }

    /// Sends this certificate to servers that require one: PEM files of the certificate, with those above it, and of its
    /// key.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.settings.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Expects this name in the server's certificate instead of the host of the endpoint.
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
