//! The bodies of responses: complete, or produced while the client reads.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::compress::Compressor;
#[cfg(feature = "dashboard")]
use super::file::File;
use super::memory::Held;

/// The body of a response: complete, or produced while it is sent.
///
/// It never fails and holds no lock: no task waits for a slow reader.
#[derive(Debug)]
pub struct Body(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    Whole(Bytes),
    #[cfg(feature = "dashboard")]
    File(&'static File),
    Parts(Box<dyn Produce>),
    /// Parts that come when something happens, until the reader leaves. Never compressed, as each is to arrive at once.
    Endless(Box<dyn Produce>),
}

/// Produces a body part by part.
pub(crate) trait Produce: fmt::Debug + Send {
    /// Polls for the next part, which is not empty; `None` at the end.
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>>;

    /// Returns `true` if it is known that no part follows.
    fn is_complete(&self) -> bool {
        false
    }
}

impl Body {
    /// Returns `true` if the body ends only when its reader leaves or the server stops.
    pub(crate) fn is_endless(&self) -> bool {
        matches!(self.0, Kind::Endless(_))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = match &mut self.0 {
            #[cfg(feature = "dashboard")]
            Kind::File(file) => {
                let text = file.text();
                self.0 = Kind::Whole(Bytes::new());
                Some(text)
            }
            Kind::Whole(bytes) if bytes.is_empty() => None,
            Kind::Whole(bytes) => Some(std::mem::take(bytes)),
            Kind::Parts(parts) | Kind::Endless(parts) => ready!(parts.poll_part(context)),
        };
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Parts(parts) | Kind::Endless(parts) => parts.is_complete(),
            #[cfg(feature = "dashboard")]
            Kind::File(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            #[cfg(feature = "dashboard")]
            Kind::File(file) => SizeHint::with_exact(file.text().len() as u64),
            Kind::Parts(_) | Kind::Endless(_) => SizeHint::default(),
        }
    }
}

/// Parts that count in the budget, together with what produces them, until the last of them was sent.
#[derive(Debug)]
pub(super) struct Counted {
    parts: Box<dyn Produce>,
    held: Arc<Held>,
}

impl Counted {
    pub(super) fn new(parts: Box<dyn Produce>, held: Held) -> Self {
        Self { parts, held: Arc::new(held) }
    }
}

impl Produce for Counted {
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let part = ready!(self.parts.poll_part(context));
        Poll::Ready(part.map(|part| self.held.part(part)))
    }

    fn is_complete(&self) -> bool {
        self.parts.is_complete()
    }
}

/// How often the reader of an endless body is looked at again.
const ADMITTED_FOR: Duration = Duration::from_secs(1);

/// Returns whether a reader is still admitted.
pub(crate) type Again = Box<dyn Fn(Instant) -> bool + Send>;

/// Parts for a reader that is looked at again, now and then: a permission that is taken away ends them.
pub(super) struct Admitted {
    parts: Box<dyn Produce>,
    again: Again,
    until: Instant,
}

impl Admitted {
    pub(super) fn new(parts: Box<dyn Produce>, again: Again) -> Self {
        Self { parts, again, until: Instant::now() + ADMITTED_FOR }
    }
}

impl Produce for Admitted {
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let part = ready!(self.parts.poll_part(context));
        let now = Instant::now();
        if now >= self.until {
            if !(self.again)(now) {
                return Poll::Ready(None);
            }
            self.until = now + ADMITTED_FOR;
        }
        Poll::Ready(part)
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}

/// Compresses parts as they are produced.
#[derive(Debug)]
pub(super) struct Compressed {
    parts: Box<dyn Produce>,
    compressor: Compressor,
}

impl Compressed {
    pub(super) fn new(parts: Box<dyn Produce>) -> Self {
        Self { parts, compressor: Compressor::new() }
    }
}

impl Produce for Compressed {
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let compressed = match ready!(self.parts.poll_part(context)) {
                Some(part) => self.compressor.add(&part),
                None => {
                    let rest = self.compressor.finish();
                    return Poll::Ready((!rest.is_empty()).then(|| rest.into()));
                }
            };
            if !compressed.is_empty() {
                return Poll::Ready(Some(compressed.into()));
            }
        }
    }
}
