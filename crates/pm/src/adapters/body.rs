//! HTTP bodies that run as tasks.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use pm_core::{Cancelled, SupervisedPoll, Supervisor, TaskBuilder, TaskHandle};

use super::sealed::Sealed;

/// Runs an HTTP body as the task that a [`TaskBuilder`] describes. Needs no runtime.
///
/// This trait is sealed.
pub trait RunBodyExt: Sealed + Sized {
    /// Starts the task, and returns a body that runs `body` as that task. See [`TaskBody`].
    fn run_body<B: Body<Error: fmt::Display>>(self, body: B) -> TaskBody<B>;
}

impl RunBodyExt for TaskBuilder<'_> {
    fn run_body<B: Body<Error: fmt::Display>>(self, body: B) -> TaskBody<B> {
        TaskBody::new(self.supervise(), body)
    }
}

pin_project! {
    /// A body that runs as a task; returned by [`RunBodyExt::run_body`].
    ///
    /// The task is current whenever the body is polled. It ends
    ///
    /// - with the last frame, even if it is not polled again after that;
    /// - as failed, with the error as its reason, when the body fails, or ends before the exact length of its size
    ///   hint;
    /// - as dropped, when the body is dropped before its end, for example because the client disconnected;
    /// - as cancelled, on a cancel request: the inner body is dropped at its await point, unless its policy is another
    ///   one, and the next frame is [`BodyError::Cancelled`]. A server then closes the connection, so that the client
    ///   can see that the body is incomplete.
    ///
    /// ```
    /// use http_body::Body as _;
    /// use pm::prelude::*;
    ///
    /// let list = pm::ProcessList::new();
    /// let body = list.task("download-42").run_body(http_body_util::Full::new(&b"all of it"[..]));
    /// assert_eq!(body.size_hint().exact(), Some(9));
    /// assert_eq!(list.counters().live, 1);
    /// drop(body);
    /// assert_eq!(list.counters().dropped, 1);
    /// ```
    #[must_use = "bodies do nothing unless they are polled; dropped, the task ends as dropped"]
    pub struct TaskBody<B> {
        supervisor: Supervisor,
        // The length that the body has promised, and what is left of it.
        length: Option<(u64, u64)>,
        // `None` once it has ended.
        #[pin]
        body: Option<B>,
    }

    impl<B> PinnedDrop for TaskBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.body.is_some() {
                this.supervisor.abandon(|| this.body.set(None));
            }
        }
    }
}

impl<B: Body<Error: fmt::Display>> TaskBody<B> {
    /// Continues a task that is already running: a handler, for example, runs the body of its response as the same
    /// task.
    pub fn new(mut supervisor: Supervisor, body: B) -> Self {
        if body.is_end_stream() {
            // It may never be polled.
            supervisor.finish(None, || drop(body));
            return Self { supervisor, length: None, body: None };
        }
        let length = body.size_hint().exact().map(|length| (length, length));
        Self { supervisor, length, body: Some(body) }
    }
}

impl<B> TaskBody<B> {
    /// Returns a handle of the task.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        self.supervisor.handle()
    }
}

impl<B: Body<Error: fmt::Display>> Body for TaskBody<B> {
    type Data = B::Data;
    type Error = BodyError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(mut body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let polled = this.supervisor.poll(context, |context| {
            let polled = body.as_mut().poll_frame(context);
            let is_end = body.is_end_stream();
            polled.map(|frame| (frame, is_end))
        });
        let (frame, is_end) = match polled {
            SupervisedPoll::Ready(ready) => ready,
            SupervisedPoll::Kill => {
                let cancelled = this.supervisor.kill(|| this.body.set(None));
                return Poll::Ready(Some(Err(BodyError::Cancelled(cancelled))));
            }
            _ => return Poll::Pending,
        };
        match &frame {
            Some(Err(error)) => this.supervisor.finish(Some(&error.to_string()), || this.body.set(None)),
            Some(Ok(frame)) => {
                if let (Some(data), Some((_, left))) = (frame.data_ref(), &mut *this.length) {
                    *left = left.saturating_sub(data.remaining() as u64);
                }
            }
            None => {}
        }
        if is_end || frame.is_none() {
            let failed = match *this.length {
                Some((length, left @ 1..)) => Some(format!("the body ended after {} of {length} bytes", length - left)),
                _ => None,
            };
            this.supervisor.finish(failed.as_deref(), || this.body.set(None));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Body)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> fmt::Debug for TaskBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBody").field("task", &self.supervisor.handle()).finish_non_exhaustive()
    }
}

/// An error of a [`TaskBody`].
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError<E> {
    /// Its task was cancelled.
    Cancelled(Cancelled),
    /// The inner body failed.
    Body(E),
}

impl<E: fmt::Display> fmt::Display for BodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled(cancelled) => cancelled.fmt(f),
            Self::Body(error) => error.fmt(f),
        }
    }
}

impl<E: Error> Error for BodyError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Cancelled(_) => None,
            // `Display` shows this error already.
            Self::Body(error) => error.source(),
        }
    }
}
