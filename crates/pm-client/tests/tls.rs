//! Endpoints of `https://`: which servers and clients are trusted, with certificates made by the tests.

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;

use pm_client::{Builder, Client, ClientError, Query, Update};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use server::{Dir, answer, closed_address, reply};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

mod server;

const LIST: &str = include_str!("../../pm-wire/tests/golden/original-list.json");

/// An authority, and what it signs, as files.
struct Authority {
    dir: Dir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = Dir::new();
        dir.write("ca", &issuer.pem());
        Authority { dir, issuer }
    }

    fn file(&self) -> PathBuf {
        self.dir.path("ca")
    }

    /// Signs a certificate for these names, and returns its file and that of its key.
    fn sign(&self, file: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let certificate = self.dir.write(&format!("{file}.crt"), &certificate.pem());
        (certificate, self.dir.write(&format!("{file}.key"), &key.serialize_pem()))
    }

    /// Returns a server with a certificate for these names, which requires clients to have one of `clients`.
    fn server(&self, names: &[&str], clients: Option<&Authority>) -> TlsAcceptor {
        let (certificate, key) = self.sign("server", names);
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
        let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Fetches the list of this server, and returns the number of tasks and, if the server trusted the client, the request.
async fn list(
    server: TlsAcceptor,
    client: impl FnOnce(Builder) -> Builder,
) -> (Result<usize, ClientError>, Option<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}/x", listener.local_addr().unwrap());
    let client = client(Client::builder(&endpoint).unwrap()).build();
    let serve = async {
        let stream = server.accept(listener.accept().await.unwrap().0).await.ok()?;
        Some(answer(stream, reply("200 OK", "application/json", LIST).as_bytes()).await)
    };
    let (list, request) = tokio::join!(client.procs().list(), serve);
    (list.map(|list| list.procs.len()), request)
}

fn assert_untrusted(error: &ClientError, why: &str) {
    assert!(matches!(error, ClientError::Tls { .. }), "{error:?}");
    assert!(error.to_string().starts_with("no trusted connection to https://127.0.0.1:"), "{error}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains(why), "{cause}");
}

#[tokio::test]
async fn a_server_of_the_authority_is_asked() {
    let authority = Authority::new();
    let (list, request) =
        list(authority.server(&["127.0.0.1"], None), |builder| builder.ca_file(authority.file())).await;
    assert_eq!(list.unwrap(), 3);
    let request = request.unwrap();
    assert!(request.starts_with("GET /x/procs/ HTTP/1.1\r\nhost: 127.0.0.1:"), "{request}");
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (result, request) = list(theirs.server(&["127.0.0.1"], None), |builder| builder.ca_file(ours.file())).await;
    assert_untrusted(&result.unwrap_err(), "invalid peer certificate");
    assert_eq!(request, None);
    // Nor is it among the default authorities.
    let (result, _) = list(ours.server(&["127.0.0.1"], None), |builder| builder).await;
    assert_untrusted(&result.unwrap_err(), "invalid peer certificate: UnknownIssuer");
}

#[tokio::test]
async fn the_name_in_the_certificate_counts_and_can_be_set() {
    let authority = Authority::new();
    let server = authority.server(&["pm.example"], None);
    let (result, _) = list(server.clone(), |builder| builder.ca_file(authority.file())).await;
    assert_untrusted(&result.unwrap_err(), "not valid for name");
    let named = |builder: Builder| builder.ca_file(authority.file()).server_name("pm.example");
    assert_eq!(list(server.clone(), named).await.0.unwrap(), 3);
}

#[tokio::test]
async fn a_server_that_requires_a_certificate_gets_it() {
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], Some(&authority));
    let (certificate, key) = authority.sign("client", &["me"]);
    let (result, request) =
        list(server, |builder| builder.ca_file(authority.file()).client_certificate(certificate, key)).await;
    assert_eq!(result.unwrap(), 3);
    assert!(request.is_some());
}

#[tokio::test]
async fn a_server_that_requires_a_certificate_refuses_a_missing_one_and_others() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = authority.server(&["127.0.0.1"], Some(&authority));
    let (result, request) = list(server.clone(), |builder| builder.ca_file(authority.file())).await;
    assert_untrusted(&result.unwrap_err(), "");
    assert_eq!(request, None);
    let (certificate, key) = other.sign("client", &["me"]);
    let (result, request) =
        list(server, |builder| builder.ca_file(authority.file()).client_certificate(certificate, key)).await;
    assert_untrusted(&result.unwrap_err(), "");
    assert_eq!(request, None);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let (certificate, key) = authority.sign("client", &["me"]);
    let empty = authority.dir.write("empty", "");
    let missing = authority.dir.path("missing");
    let ask = async |set: &dyn Fn(Builder) -> Builder| {
        set(Client::builder(&endpoint).unwrap()).build().procs().list().await.unwrap_err()
    };
    assert_untrusted(&ask(&|builder| builder.ca_file(&missing)).await, missing.to_str().unwrap());
    assert_untrusted(&ask(&|builder| builder.ca_file(&empty)).await, "no certificate in PEM form");
    let swapped = ask(&|builder| builder.client_certificate(&key, &certificate)).await;
    assert_untrusted(&swapped, "no private key in PEM form");
    let gone = ask(&|builder| builder.client_certificate(&certificate, &missing)).await;
    assert_untrusted(&gone, missing.to_str().unwrap());
}

#[tokio::test]
async fn a_server_without_tls_is_not_trusted() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let client = Client::builder(&endpoint).unwrap().ca_file(authority.file()).build();
    let serve = async {
        use tokio::io::AsyncWriteExt as _;
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.write_all(reply("400 Bad Request", "text/plain", "no TLS here").as_bytes()).await;
        socket
    };
    let (result, _socket) = tokio::join!(client.procs().list(), serve);
    assert_untrusted(&result.unwrap_err(), "");
}

#[tokio::test]
async fn events_end_without_trust() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = theirs.server(&["127.0.0.1"], None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let mut events = Client::builder(&endpoint).unwrap().ca_file(ours.file()).build().v1().events(&Query::new());
    let serve = async { server.accept(listener.accept().await.unwrap().0).await.map(drop) };
    let (event, _) = tokio::join!(events.next(), serve);
    assert_untrusted(&event.unwrap().unwrap_err(), "invalid peer certificate");
    assert!(events.next().await.is_none());
    // A server that is not there may come back.
    let endpoint = format!("https://{}", closed_address());
    let mut events = Client::builder(&endpoint).unwrap().ca_file(ours.file()).build().v1().events(&Query::new());
    assert!(matches!(events.next().await, Some(Ok(Update::Lost { error: ClientError::Unreachable { .. }, .. }))));
}
