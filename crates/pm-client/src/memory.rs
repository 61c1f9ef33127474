//! Connections in memory, for tests that stop the clock.

use std::io;

use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Connections within the process. Their other ends are received from a channel.
#[derive(Clone, Debug)]
pub(crate) struct Memory(UnboundedSender<DuplexStream>);

impl Memory {
    pub(crate) fn new() -> (Memory, UnboundedReceiver<DuplexStream>) {
        let (send, receive) = unbounded_channel();
        (Memory(send), receive)
    }

    pub(crate) fn connect(&self) -> io::Result<DuplexStream> {
        let (near, far) = duplex(64 << 10);
        match self.0.send(far) {
            Ok(()) => Ok(near),
            Err(_) => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}
