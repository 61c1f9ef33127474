//! The response body: keeps the task running until its last byte.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf as _;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use pm_core::SupervisedPoll;

use super::grpc::{self, Side};
use super::run::Run;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// A response body that runs as the task of its request; in the responses of [`Tasks`](super::Tasks) and
    /// [`Calls`](super::Calls).
    ///
    /// The task is current whenever the body is polled, and ends with its last byte. A cancellation drops the inner
    /// body at its await point; the next frame is the error [`Cancelled`](crate::Cancelled), so that a server closes
    /// the connection and the client can see that the body is incomplete. A gRPC response ends with trailers instead.
    ///
    /// Errors are boxed: those of the inner body pass through unchanged, and `error.downcast_ref::<pm::Cancelled>()`
    /// identifies a cancellation.
    #[must_use = "bodies do nothing unless they are polled; dropped, the task ends as dropped"]
    pub struct ResponseBody<B> {
        run: Option<Box<Run>>,
        // `None` once it has ended.
        #[pin]
        body: Option<B>,
        // Sent instead of a body. Boxed, since it is rare.
        reply: Option<Box<Vec<u8>>>,
    }

    impl<B> PinnedDrop for ResponseBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Some(run) = this.run else { return };
            if this.body.is_none() {
                return;
            }
            if run.left == 0 {
                run.finish(|| this.body.set(None));
            } else {
                run.abandon(|| this.body.set(None));
            }
        }
    }
}

impl<B> ResponseBody<B> {
    /// Passes a body through, without a task.
    pub(super) fn plain(body: B) -> Self {
        Self { run: None, body: Some(body), reply: None }
    }

    /// A response of ours, whose task has ended already.
    pub(super) fn reply(reply: Option<Vec<u8>>) -> Self {
        Self { run: None, body: None, reply: reply.map(Box::new) }
    }
}

impl<B: Body<Error: Into<BoxError>>> ResponseBody<B> {
    /// Continues the task in the body of the response.
    #[inline]
    pub(super) fn of(response: Response<B>, mut run: Box<Run>) -> Response<Self> {
        run.read_head(&response);
        response.map(|body| {
            if body.is_end_stream() {
                // It may never be polled.
                let mut body = Some(body);
                run.finish(|| drop(body.take()));
                return Self::reply(None);
            }
            Self { run: Some(run), body: Some(body), reply: None }
        })
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data: From<Vec<u8>>, Error: Into<BoxError>>,
{
    type Data = B::Data;
    type Error = BoxError;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(mut body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(this.reply.take().map(|reply| Ok(Frame::data((*reply).into()))));
        };
        let Some(run) = this.run else {
            return Poll::Ready(ready!(body.poll_frame(context)).map(|frame| frame.map_err(Into::into)));
        };
        let polled = run.supervisor.poll(context, |context| {
            let polled = body.as_mut().poll_frame(context);
            let is_end = body.is_end_stream();
            polled.map(|frame| (frame, is_end))
        });
        let (frame, is_end) = match polled {
            SupervisedPoll::Ready((frame, is_end)) => (frame.map(|frame| frame.map_err(Into::into)), is_end),
            SupervisedPoll::Kill => {
                let cancelled = run.kill(|| this.body.set(None));
                return Poll::Ready(Some(if run.speaks_grpc() && run.side == Side::Server {
                    Ok(Frame::trailers(grpc::trailers(&cancelled)))
                } else {
                    Err(cancelled.into())
                }));
            }
            _ => return Poll::Pending,
        };
        match &frame {
            Some(Err(error)) => {
                run.supervisor.finish(Some(&error.to_string()), || this.body.set(None));
                return Poll::Ready(frame);
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    run.count(data.remaining() as u64, is_end);
                }
                if run.speaks_grpc()
                    && let Some(fields) = frame.trailers_ref()
                    && run.failed.is_none()
                {
                    run.failed = grpc::failure(fields, run.side);
                }
            }
            None => {}
        }
        if frame.is_none() || is_end {
            run.finish(|| this.body.set(None));
        }
        Poll::Ready(frame)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match (&self.body, &self.reply) {
            (Some(body), _) => body.is_end_stream(),
            (None, reply) => reply.is_none(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match (&self.body, &self.reply) {
            (Some(body), _) => body.size_hint(),
            (None, reply) => SizeHint::with_exact(reply.as_ref().map_or(0, |reply| reply.len() as u64)),
        }
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.run.as_ref().map(|run| run.supervisor.handle());
        f.debug_struct("ResponseBody").field("task", &task).finish_non_exhaustive()
    }
}
