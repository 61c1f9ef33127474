//! The body of an answer: the task goes on until its last byte.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf as _;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode, response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use pm_core::{Supervised, Supervisor};

use super::reply::{self, Side};

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// The body of an answer, which runs as the task of its request; in the answers of [`Tasks`](super::Tasks) and
    /// [`Calls`](super::Calls).
    ///
    /// The task is current whenever the body is polled, and ends with its last byte. A kill drops the body where it waits;
    /// what comes then is [`Cancelled`](crate::Cancelled) as the error, so that a server cuts the connection, and the client
    /// sees that not all has come. In a gRPC answer it is trailers that say so.
    ///
    /// Errors are boxed: those of the body come as they are, and `error.downcast_ref::<pm::Cancelled>()` tells the kill from
    /// them.
    #[must_use = "bodies do nothing unless they are polled; dropped, the task ends as dropped"]
    pub struct TaskBody<B> {
        run: Option<Run>,
        // Gone when it has ended.
        #[pin]
        body: Option<B>,
        // Comes instead.
        reply: Option<Vec<u8>>,
    }

    impl<B> PinnedDrop for TaskBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let Some(run) = this.run else { return };
            if this.body.is_none() {
                return;
            }
            if run.left == 0 {
                run.supervisor.finish(run.failed.as_deref(), || this.body.set(None));
            } else {
                run.supervisor.abandon(|| this.body.set(None));
            }
        }
    }
}

struct Run {
    supervisor: Supervisor,
    /// Why the task has failed, though its body may go on.
    failed: Option<String>,
    /// Bytes that are still to be sent; the highest number when that is not known. After them nobody asks for an end.
    left: u64,
    grpc: Option<Side>,
}

/// How many bytes of a body will be asked for.
fn promised(method: &Method, head: &response::Parts) -> u64 {
    let is_bare = method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    let length = || head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    if is_bare { 0 } else { length().unwrap_or(u64::MAX) }
}

impl<B> TaskBody<B> {
    /// One that is no task's.
    pub(super) fn plain(body: B) -> Self {
        Self { run: None, body: Some(body), reply: None }
    }

    /// An answer of our own, which belongs to no task any more.
    pub(super) fn reply(reply: Option<Vec<u8>>) -> Self {
        Self { run: None, body: None, reply }
    }
}

impl<B: Body<Error: Into<BoxError>>> TaskBody<B> {
    /// Goes on with the task of an answer.
    pub(super) fn new(
        mut supervisor: Supervisor,
        method: &Method,
        grpc: Option<Side>,
        head: &response::Parts,
        body: B,
    ) -> Self {
        let failed = match grpc {
            _ if head.status.is_server_error() => Some(head.status.to_string()),
            Some(side) => reply::grpc_failure(&head.headers, side),
            None => None,
        };
        if body.is_end_stream() {
            // Nobody may poll it.
            let mut body = Some(body);
            supervisor.finish(failed.as_deref(), || drop(body.take()));
            return Self::reply(None);
        }
        Self {
            run: Some(Run { supervisor, failed, left: promised(method, head), grpc }),
            body: Some(body),
            reply: None,
        }
    }
}

impl<B> Body for TaskBody<B>
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
            return Poll::Ready(this.reply.take().map(|reply| Ok(Frame::data(reply.into()))));
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
            Supervised::Ready((frame, is_end)) => (frame.map(|frame| frame.map_err(Into::into)), is_end),
            Supervised::Kill => {
                let cancelled = run.supervisor.kill(|| this.body.set(None));
                return Poll::Ready(Some(match run.grpc {
                    Some(Side::Server) => Ok(Frame::trailers(reply::trailers(&cancelled))),
                    _ => Err(cancelled.into()),
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
                if let Some(data) = frame.data_ref()
                    && run.left != u64::MAX
                {
                    run.left = run.left.saturating_sub(data.remaining() as u64);
                }
                if let Some(side) = run.grpc
                    && let Some(fields) = frame.trailers_ref()
                    && run.failed.is_none()
                {
                    run.failed = reply::grpc_failure(fields, side);
                }
            }
            None => {}
        }
        if frame.is_none() || is_end {
            run.supervisor.finish(run.failed.as_deref(), || this.body.set(None));
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

impl<B> fmt::Debug for TaskBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.run.as_ref().map(|run| run.supervisor.handle());
        f.debug_struct("TaskBody").field("task", &task).finish_non_exhaustive()
    }
}
