//! The response body: keeps the task running until its last byte.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use pm_core::{Meter, SupervisedPoll, Supervisor};

/// A response body, or a websocket, that runs as the task of its request; in the responses of
/// [`Tasks`](crate::Tasks).
///
/// A cancellation drops the inner body at its await point; the next part is the error
/// [`Cancelled`](pm_core::Cancelled), so that the connection is closed.
#[must_use = "bodies do nothing unless they are polled; dropped, the task ends as dropped"]
pub struct TaskBody<B> {
    supervisor: Supervisor,
    /// `None` once it has ended.
    body: Option<Pin<Box<B>>>,
    size: BodySize,
    /// The number of bytes still to be sent; `None` if unknown.
    left: Option<u64>,
    failed: Option<String>,
    meter: Option<Meter>,
}

impl<B: MessageBody> TaskBody<B> {
    pub(crate) fn new(mut supervisor: Supervisor, body: B, failed: Option<String>, is_bodyless: bool) -> Self {
        let size = body.size();
        let left = match size {
            BodySize::None => Some(0),
            BodySize::Sized(length) => Some(if is_bodyless { 0 } else { length }),
            BodySize::Stream => is_bodyless.then_some(0),
        };
        // It may never be polled.
        let is_over = left == Some(0);
        if is_over {
            supervisor.finish(failed.as_deref(), || ());
        }
        Self { supervisor, body: Some(Box::pin(body)), size, left, failed, meter: None }
    }

    fn count(&mut self, bytes: u64) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(bytes);
        }
        if self.left == Some(0) {
            return;
        }
        let handle = self.supervisor.handle();
        match &mut self.meter {
            Some(meter) => meter.add(bytes),
            // Its own progress says more.
            None if handle.view(|task| task.progress().is_some()) == Some(true) => {}
            None => {
                let total = if let BodySize::Sized(length) = self.size { length } else { 0 };
                let mut meter = handle.meter(total, "bytes");
                meter.add(bytes);
                self.meter = Some(meter);
            }
        }
    }

    /// Ends the task after the last part.
    fn finish(&mut self) {
        if let (Some(left @ 1..), BodySize::Sized(length)) = (self.left, self.size) {
            self.failed.get_or_insert_with(|| format!("the body ended after {} of {length} bytes", length - left));
        }
        self.meter = None;
        let body = &mut self.body;
        self.supervisor.finish(self.failed.as_deref(), || *body = None);
    }
}

impl<B> Drop for TaskBody<B> {
    fn drop(&mut self) {
        self.meter = None;
        let Some(body) = self.body.take() else { return };
        if self.left == Some(0) {
            self.supervisor.finish(self.failed.as_deref(), || drop(body));
        } else if self.supervisor.should_kill() {
            self.supervisor.kill(|| drop(body));
        } else {
            self.supervisor.abandon(|| drop(body));
        }
    }
}

impl<B: MessageBody> MessageBody for TaskBody<B> {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let part = match this.supervisor.poll(context, |context| body.as_mut().poll_next(context)) {
            SupervisedPoll::Ready(part) => part,
            SupervisedPoll::Kill => {
                this.meter = None;
                return Poll::Ready(Some(Err(this.supervisor.kill(|| this.body = None).into())));
            }
            _ => return Poll::Pending,
        };
        Poll::Ready(match part {
            Some(Ok(bytes)) => {
                this.count(bytes.len() as u64);
                Some(Ok(bytes))
            }
            Some(Err(error)) => {
                let error = error.into();
                this.failed = Some(error.to_string());
                this.left = None;
                this.finish();
                Some(Err(error))
            }
            None => {
                this.finish();
                None
            }
        })
    }
}

impl<B> fmt::Debug for TaskBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBody").field("task", &self.supervisor.handle()).finish_non_exhaustive()
    }
}
