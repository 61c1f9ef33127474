//! TLS for `https://` endpoints.
//!
//! The files are read for each connection, so renewed certificates take effect without a restart.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// The authorities to trust, and the client's certificate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// A PEM file of authorities. Default: those of `webpki-roots`.
    pub(crate) ca_file: Option<PathBuf>,
    /// PEM files of the certificate, with its intermediate authorities, and of its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must have. Default: the host of the endpoint.
    pub(crate) server_name: Option<String>,
}

/// The error of a handshake.
pub(crate) enum HandshakeError {
    /// One side does not trust the other, or a file cannot be used.
    Untrusted(Box<dyn Error + Send + Sync>),
    /// The connection failed.
    Io(io::Error),
}

/// Returns `true` if the error is about certificates or the protocol, not about the connection.
pub(crate) fn is_about_trust(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl Options {
    /// Performs a handshake with this host.
    pub(crate) async fn handshake<C: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        connection: C,
    ) -> Result<TlsStream<C>, HandshakeError> {
        let config = self.config().map_err(HandshakeError::Untrusted)?;
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| HandshakeError::Untrusted(error.into()))?;
        TlsConnector::from(Arc::new(config)).connect(name, connection).await.map_err(|error| {
            if is_about_trust(&error) { HandshakeError::Untrusted(error.into()) } else { HandshakeError::Io(error) }
        })
    }

    fn config(&self) -> Result<ClientConfig, Box<dyn Error + Send + Sync>> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| about(path, error))?;
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some((certificate, key)) => {
                let private =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| pem_error(key, error, "private key"))?;
                config
                    .with_client_auth_cert(certificates(certificate)?, private)
                    .map_err(|error| about(certificate, error))?
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, io::Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(about(path, "it has no certificate in PEM form")),
        Ok(found) => Ok(found),
        Err(error) => Err(pem_error(path, error, "certificate")),
    }
}

fn pem_error(path: &Path, error: pem::Error, what: &str) -> io::Error {
    match error {
        pem::Error::NoItemsFound => about(path, format_args!("it has no {what} in PEM form")),
        pem::Error::Io(error) => about(path, error),
        error => about(path, error),
    }
}

fn about(path: &Path, what: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {what}", path.display()))
}
