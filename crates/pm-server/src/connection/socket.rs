//! A stream that records its activity, and reads for a while what arrives after the last response.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::{LINGER, MAX_HEAD};
use super::pulse::{Phase, Pulse};

/// A stream that records its activity in a pulse.
pub(super) struct Socket<S> {
    stream: S,
    pub(super) pulse: Arc<Pulse>,
    lingering: Option<Lingering>,
    /// The HTTP library wrote an error of its own.
    is_refused: bool,
    /// Bytes that were received while an endless response was sent.
    unread: usize,
    /// Bytes that were received while a request is answered: the HTTP library reads them later.
    ahead: Vec<u8>,
}

/// How much is read ahead, in bytes.
const AHEAD: usize = 1 << 10;

struct Lingering {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse, lingering: None, is_refused: false, unread: 0, ahead: Vec::new() }
    }

    /// Fails when the client has closed its end, or sends more than will be read.
    fn poll_still_open(&mut self, context: &mut Context<'_>) -> io::Result<()>
    where
        S: AsyncRead + Unpin,
    {
        let mut block = [0; 512];
        loop {
            let mut buffer = ReadBuf::new(&mut block);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) => {
                    self.unread += buffer.filled().len();
                    if buffer.filled().is_empty() || self.unread > MAX_HEAD {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                }
            }
        }
    }

    /// Notices that the client has closed its end while its request is answered, which the HTTP library does not: it
    /// may wait for the response, or be gone. So may one that sends more than is read ahead.
    fn look_ahead(&mut self, context: &mut Context<'_>)
    where
        S: AsyncRead + Unpin,
    {
        let mut block = [0; AHEAD];
        while !self.pulse.half_closed.load(Relaxed) {
            let mut buffer = ReadBuf::new(&mut block[self.ahead.len()..]);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.ahead.extend_from_slice(buffer.filled()),
                Poll::Pending => return,
                // Its end; or an error, or no space: the next read finds out.
                _ => self.pulse.half_closed.store(true, Relaxed),
            }
        }
    }

    /// Returns `true` if bytes to write are an error that the HTTP library makes by itself, without a body. They are
    /// dropped, and the connection is left open: a problem is sent in their place.
    fn is_of_library(&self) -> bool {
        !self.pulse.is_owed.load(Relaxed)
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.pulse.blocked.store(result.is_pending(), Relaxed);
        if result.is_ready() {
            self.pulse.sent();
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            self.pulse.half_closed.store(false, Relaxed);
            self.pulse.received();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pulse.received();
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_of_library() {
            self.is_refused = true;
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_of_library() {
            self.is_refused = true;
            return Poll::Ready(Ok(bytes.iter().map(|part| part.len()).sum()));
        }
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Called when everything was written.
        match self.pulse.beat().0 {
            Phase::Answering if self.pulse.endless.load(Relaxed) => self.poll_still_open(context)?,
            Phase::Answering => self.look_ahead(context),
            Phase::Body => {}
            Phase::Idle | Phase::Head => self.pulse.is_owed.store(false, Relaxed),
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_refused && this.is_of_library() {
            return Poll::Ready(Ok(()));
        }
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            let in_head = this.pulse.beat().0 == Phase::Head;
            if !in_head && !this.pulse.linger.load(Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            until: Box::pin(sleep_until(Instant::now() + LINGER.0)),
            left: LINGER.1,
        });
        let mut block = [0; 4096];
        while lingering.left > 0 && lingering.until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut block);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            lingering.left = lingering.left.saturating_sub(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}
