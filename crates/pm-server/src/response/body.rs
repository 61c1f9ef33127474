//! The bodies of responses: complete, or produced while the client reads.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

#[cfg(feature = "dashboard")]
use super::file::File;
use super::parts::Parts;

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
    Parts(Parts),
    /// Parts that come when something happens, until the reader leaves. Never compressed, as each is to arrive at once.
    Endless(Box<dyn Produce>),
}

/// Produces a body part by part, whenever something happens.
pub(crate) trait Produce: fmt::Debug + Send {
    /// Polls for the next part, which is not empty; `None` at the end.
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>>;
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
            Kind::Parts(parts) => ready!(parts.poll_part(context)),
            Kind::Endless(parts) => ready!(parts.poll_part(context)),
        };
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Parts(parts) => parts.is_complete(),
            Kind::Endless(_) => false,
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
