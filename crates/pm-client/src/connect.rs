//! The way to an endpoint: TCP, a unix socket, and TLS over either.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use crate::call::moment_in;
use crate::client::Client;
use crate::endpoint::Place;
use crate::error::{ClientError, Stage};

/// Anything that bytes come from and go to.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection over which nothing was said yet, within the client's limits.
pub(crate) async fn connect(client: &Client, url: &str) -> Result<Box<dyn Wire>, ClientError> {
    let limit = client.connect_timeout.min(client.timeout);
    let work = async {
        let unreachable = |source| ClientError::Unreachable { url: url.to_owned(), source };
        let plain = plain(&client.endpoint.place).await.map_err(unreachable)?;
        #[cfg(feature = "tls")]
        if client.endpoint.tls {
            return crate::tls::wrap(client, plain, url).await;
        }
        Ok(plain)
    };
    match timeout_at(moment_in(limit), work).await {
        Ok(result) => result,
        Err(_) => Err(ClientError::TimedOut { url: url.to_owned(), after: limit, stage: Stage::Connect }),
    }
}

async fn plain(place: &Place) -> io::Result<Box<dyn Wire>> {
    match place {
        Place::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            // A request is written at once; waiting for more of it only costs time.
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream))
        }
        #[cfg(unix)]
        Place::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        Place::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        #[cfg(test)]
        Place::Memory(memory) => memory.connect(),
    }
}

#[cfg(test)]
pub(crate) use memory::Memory;

#[cfg(test)]
mod memory {
    use tokio::io::{DuplexStream, duplex};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::*;

    /// Connections that never leave the process: their other ends come out of a channel.
    #[derive(Clone, Debug)]
    pub(crate) struct Memory(UnboundedSender<DuplexStream>);

    impl Memory {
        pub(crate) fn new() -> (Memory, UnboundedReceiver<DuplexStream>) {
            let (send, receive) = unbounded_channel();
            (Memory(send), receive)
        }

        pub(super) fn connect(&self) -> io::Result<Box<dyn Wire>> {
            let (near, far) = duplex(64 << 10);
            match self.0.send(far) {
                Ok(()) => Ok(Box::new(near)),
                Err(_) => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        }
    }
}
