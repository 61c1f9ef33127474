//! TLS towards an endpoint of `https://`.
//!
//! The files are read at each connection, so renewed certificates count without a restart.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::client::Client;
use crate::connect::Wire;
use crate::endpoint::Place;
use crate::error::ClientError;

/// Whom to trust, and how to show who we are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Without one, the authorities that browsers trust.
    pub(crate) ca_file: Option<PathBuf>,
    /// The certificate with those above it, and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Without one, the host of the endpoint.
    pub(crate) server_name: Option<String>,
}

/// Shakes hands over `wire`.
pub(crate) async fn wrap(client: &Client, wire: Box<dyn Wire>, url: &str) -> Result<Box<dyn Wire>, ClientError> {
    let untrusted = |source| ClientError::Tls { url: url.to_owned(), source };
    let config = client.tls.config().map_err(untrusted)?;
    let name = match (&client.tls.server_name, &client.endpoint.place) {
        (Some(name), _) => name,
        (None, Place::Tcp { host, .. }) => host,
        (None, _) => "localhost",
    };
    let name = ServerName::try_from(name.to_owned()).map_err(|error| untrusted(error.into()))?;
    match TlsConnector::from(Arc::new(config)).connect(name, wire).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) if is_about_trust(&error) => Err(untrusted(error.into())),
        Err(source) => Err(ClientError::Unreachable { url: url.to_owned(), source }),
    }
}

/// Whether TLS itself is what failed, and not the connection below it.
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
        Ok(found) if found.is_empty() => Err(about(path, "no certificate in PEM form is in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(pem_error(path, error, "certificate")),
    }
}

fn pem_error(path: &Path, error: pem::Error, what: &str) -> io::Error {
    match error {
        pem::Error::NoItemsFound => about(path, format_args!("no {what} in PEM form is in it")),
        pem::Error::Io(error) => about(path, error),
        error => about(path, error),
    }
}

fn about(path: &Path, what: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {what}", path.display()))
}
