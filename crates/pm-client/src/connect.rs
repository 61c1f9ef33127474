//! Connections to an endpoint: TCP, a unix socket, and TLS over either.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use crate::endpoint::Place;
use crate::error::{ClientError, Stage};
use crate::settings::Settings;
#[cfg(feature = "tls")]
use crate::tls;

/// A stream of bytes in both directions.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Opens a connection within the client's limits.
pub(crate) async fn connect(settings: &Settings, url: &str) -> Result<Box<dyn Connection>, ClientError> {
    let limit = settings.connect_timeout.min(settings.timeout);
    let work = async {
        let unreachable = |source| ClientError::Unreachable { url: url.to_owned(), source };
        let plain = plain(&settings.endpoint.place).await.map_err(unreachable)?;
        #[cfg(feature = "tls")]
        if settings.endpoint.tls {
            return wrap(settings, plain, url).await;
        }
        Ok(plain)
    };
    match timeout_at(settings.deadline_in(limit), work).await {
        Ok(result) => result,
        Err(_) => Err(ClientError::TimedOut { url: url.to_owned(), after: limit, stage: Stage::Connect }),
    }
}

/// Performs the TLS handshake over a plain connection.
#[cfg(feature = "tls")]
async fn wrap(settings: &Settings, plain: Box<dyn Connection>, url: &str) -> Result<Box<dyn Connection>, ClientError> {
    let host = match &settings.endpoint.place {
        Place::Tcp { host, .. } => host,
        _ => "localhost",
    };
    match settings.tls.handshake(host, plain).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(tls::HandshakeError::Untrusted(source)) => Err(ClientError::Tls { url: url.to_owned(), source }),
        Err(tls::HandshakeError::Io(source)) => Err(ClientError::Unreachable { url: url.to_owned(), source }),
    }
}

async fn plain(place: &Place) -> io::Result<Box<dyn Connection>> {
    match place {
        Place::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            // A request is written at once; Nagle's algorithm would only delay it.
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream))
        }
        #[cfg(unix)]
        Place::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        Place::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        #[cfg(test)]
        Place::Memory(memory) => Ok(Box::new(memory.connect()?)),
    }
}
