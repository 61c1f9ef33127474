//! TLS: certificates from files, reloaded when they change; client certificates, if they are accepted.
//!
//! The handshake is part of serving the connection and has a time limit, so that a slow one delays no other.

use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::access::{Caller, Identity, Permission};
use crate::start_error::StartError;
use crate::sync::lock;

/// The files are checked for changes at most this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The certificates of a listener with TLS, as PEM files.
///
/// When a client connects, they are checked for changes, at most once a second. If they changed and can't be used, the
/// certificates from before stay in use.
#[derive(Clone, Debug)]
#[must_use]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<(PathBuf, Permission)>,
}

impl Tls {
    /// Sets the file with the certificate and the chain that it is signed by, and the file with its private key.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { certificate: certificate.into(), key: key.into(), clients: None }
    }

    /// Accepts clients with a certificate that is signed by one in this file; they need no token and have this
    /// permission.
    ///
    /// Other clients need a token.
    pub fn clients(mut self, ca: impl Into<PathBuf>, permission: Permission) -> Self {
        self.clients = Some((ca.into(), permission));
        self
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.certificate, &self.key].into_iter().chain(self.clients.as_ref().map(|(ca, _)| ca)).map(PathBuf::as_path)
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let stamp = |file: &Path| {
            let data = std::fs::metadata(file).ok()?;
            Some((data.modified().ok()?, data.len(), inode_of(&data)))
        };
        self.files().map(stamp).collect()
    }

    fn read(&self) -> Result<ServerConfig, StartError> {
        fn failed<E: Into<Box<dyn Error + Send + Sync>>>(path: &Path) -> impl FnOnce(E) -> StartError {
            move |source| StartError::Tls { path: path.to_owned(), source: source.into() }
        }
        let certificates = read_certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(failed(&self.key))?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(failed(&self.certificate))?;
        let config = match &self.clients {
            None => config.with_no_client_auth(),
            Some((ca, _)) => {
                let mut roots = RootCertStore::empty();
                for certificate in read_certificates(ca)? {
                    roots.add(certificate).map_err(failed(ca))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(failed(ca))?;
                config.with_client_cert_verifier(verifier)
            }
        };
        let mut config = config.with_single_cert(certificates, key).map_err(failed(&self.certificate))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if self.clients.is_some() {
            // A session that is resumed would bring the certificate of its first handshake, though it may have expired
            // or been replaced since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }
}

/// The metadata of a file, compared to find out whether it changed.
type Stamp = (SystemTime, u64, u64);

/// The inode: another file at the same path may have the same length and time.
#[cfg(unix)]
fn inode_of(data: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(data)
}

#[cfg(not(unix))]
fn inode_of(_: &std::fs::Metadata) -> u64 {
    0
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let failed = |source: Box<dyn Error + Send + Sync>| StartError::Tls { path: path.to_owned(), source };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| failed(error.into()))?.collect();
    match certificates.map_err(|error| failed(error.into()))? {
        none if none.is_empty() => Err(failed("the file has no certificate".into())),
        some => Ok(some),
    }
}

pub(crate) struct Listener {
    listener: tokio::net::TcpListener,
    tls: Tls,
    current: Mutex<Current>,
    health: Arc<Health>,
}

/// How reloading the files went, for all listeners with TLS.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Counts>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// How often files were reloaded.
    pub(crate) reloads: u64,
    /// How often they changed and could not be used.
    pub(crate) failures: u64,
    /// Why the files, as they are now, can't be used.
    pub(crate) error: Option<String>,
}

impl Health {
    pub(crate) fn counts(&self) -> Counts {
        lock(&self.0).clone()
    }

    fn note(&self, error: Option<String>) {
        let mut counts = lock(&self.0);
        match &error {
            None => counts.reloads += 1,
            // An error that is seen again counts once.
            Some(_) => counts.failures += u64::from(counts.error != error),
        }
        counts.error = error;
    }
}

struct Current {
    config: Arc<ServerConfig>,
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
}

impl Listener {
    pub(crate) fn new(listener: TcpListener, tls: Tls, health: Arc<Health>) -> Result<Self, StartError> {
        let failed = |source| StartError::Thread { source };
        listener.set_nonblocking(true).map_err(failed)?;
        let stamps = tls.stamps();
        let config = Arc::new(tls.read()?);
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let current = Mutex::new(Current { config, stamps, looked: Instant::now() });
        Ok(Self { listener, tls, current, health })
    }

    /// Returns the configuration from the files, or the last one that could be used.
    fn config(&self, now: Instant) -> Arc<ServerConfig> {
        let mut current = lock(&self.current);
        if now.saturating_duration_since(current.looked) >= LOOK_EVERY {
            current.looked = now;
            let stamps = self.tls.stamps();
            if stamps != current.stamps {
                let read = self.tls.read();
                self.health.note(read.as_ref().err().map(ToString::to_string));
                if let Ok(config) = read {
                    current.config = Arc::new(config);
                    current.stamps = stamps;
                }
            }
        }
        Arc::clone(&current.config)
    }

    /// Polls for the next connection, and returns it with the handshake to come.
    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Handshake)>> {
        let (stream, _) = ready!(self.listener.poll_accept(context))?;
        let permission = self.tls.clients.as_ref().map(|(_, permission)| *permission);
        Poll::Ready(Ok((stream, Handshake { config: self.config(Instant::now()), permission })))
    }
}

/// A TLS handshake to come.
pub(crate) struct Handshake {
    config: Arc<ServerConfig>,
    /// The permission of a client with a certificate.
    permission: Option<Permission>,
}

impl Handshake {
    /// Returns the stream, and the caller if it has a certificate. `None` if the handshake fails.
    pub(crate) async fn complete(self, stream: TcpStream) -> Option<(TlsStream<TcpStream>, Option<Caller>)> {
        let stream = TlsAcceptor::from(self.config).accept(stream).await.ok()?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let caller = certificate.zip(self.permission).map(|(certificate, permission)| Caller {
            identity: Identity::Certificate(hmac_sha256::Hash::hash(certificate)),
            permission,
        });
        Some((stream, caller))
    }
}
