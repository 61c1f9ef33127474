//! Common parts of the security tests: listeners of all kinds, credentials, files, and a client that reads only the
//! head of an answer.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// A limit so that a failing test ends; a passing test never waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const READ: &str = "read-0123456789abcdef0123456789abcdef";
pub(crate) const CANCEL: &str = "cancel-0123456789abcdef0123456789abcdef";
pub(crate) const WRONG: &str = "wrong-0123456789abcdef0123456789abcdef";

/// A directory for one test, removed at its end. Its name is short, as paths of sockets must be.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Dir {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // Relaxed: only the number matters.
        let name = format!("pm-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Dir(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a private file, atomically for concurrent readers.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        std::fs::write(&new, text).unwrap();
        mode(&new, 0o600);
        std::fs::rename(&new, &path).unwrap();
        path
    }

    /// Writes a file with the two valid tokens.
    pub(crate) fn tokens(&self) -> PathBuf {
        self.write("tokens", &format!("read {READ} reader\ncancel {CANCEL} owner\n"))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
pub(crate) fn mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
pub(crate) fn mode(_: &std::path::Path, _: u32) {}

/// A connection of any kind.
pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[cfg(unix)]
pub(crate) fn unix(path: &std::path::Path) -> std::os::unix::net::UnixStream {
    let stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Returns a request as text. A body adds its length.
pub(crate) fn request(method: &str, target: &str, headers: &[&str], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    for line in headers {
        text += line;
        text += "\r\n";
    }
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text + body
}

/// Reads the head of an answer, up to an empty line, in lower case. Empty if the connection ended.
pub(crate) fn head(stream: &mut (impl Stream + ?Sized)) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8(text).unwrap().to_ascii_lowercase()
}

/// Reads the status of an answer, and no more than its head. 0 if there is none.
pub(crate) fn status(stream: &mut (impl Stream + ?Sized), request: &str) -> u16 {
    // A refusal may come before everything was sent.
    let _ = stream.write_all(request.as_bytes());
    head(stream).get(9..12).map_or(0, |digits| digits.parse().unwrap())
}

/// Certificates generated on the fly.
#[cfg(feature = "tls")]
pub(crate) mod tls {
    use std::net::{SocketAddr, TcpStream};
    use std::path::PathBuf;
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};

    use super::{Dir, tcp};

    /// An authority and the certificates it signs, as files.
    pub(crate) struct Authority {
        pub(crate) dir: Dir,
        issuer: CertifiedIssuer<'static, KeyPair>,
    }

    pub(crate) type Certificate = (PathBuf, PathBuf);

    impl Authority {
        pub(crate) fn new() -> Authority {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, "authority");
            let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            let dir = Dir::new();
            dir.write("ca", &issuer.pem());
            Authority { dir, issuer }
        }

        pub(crate) fn file(&self) -> PathBuf {
            self.dir.path("ca")
        }

        /// Writes certificate and key for `localhost` and 127.0.0.1 to files of these names.
        pub(crate) fn sign(&self, file: &str) -> Certificate {
            self.sign_until(file, 4096)
        }

        /// As `sign`, valid until this year.
        pub(crate) fn sign_until(&self, file: &str, year: i32) -> Certificate {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let certificate = params.signed_by(&key, &self.issuer).unwrap();
            let certificate = self.dir.write(&format!("{file}.crt"), &certificate.pem());
            (certificate, self.dir.write(&format!("{file}.key"), &key.serialize_pem()))
        }

        /// Connects as a client that trusts this authority, with or without its own certificate. The handshake happens
        /// with the first bytes.
        pub(crate) fn connect(&self, server: SocketAddr, own: Option<&Certificate>) -> Connection {
            connect(server, &self.client(own))
        }

        /// Returns the settings of such a client, which remembers sessions.
        pub(crate) fn client(&self, own: Option<&Certificate>) -> Arc<ClientConfig> {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots);
            Arc::new(match own {
                None => builder.with_no_client_auth(),
                Some((certificate, key)) => {
                    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
                    builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
                }
            })
        }
    }

    pub(crate) type Connection = StreamOwned<ClientConnection, TcpStream>;

    pub(crate) fn connect(server: SocketAddr, client: &Arc<ClientConfig>) -> Connection {
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::clone(client), name).unwrap(), tcp(server))
    }
}
