//! Streams that run as tasks.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;
use pm_core::{Cancelled, SupervisedPoll, Supervisor, TaskBuilder, TaskHandle};

use super::sealed::Sealed;

/// Runs a stream as the task that a [`TaskBuilder`] describes. Needs no runtime.
///
/// This trait is sealed.
///
/// ```
/// use pm::prelude::*;
/// # use futures_util::{StreamExt as _, future::FutureExt as _};
///
/// let list = pm::ProcessList::new();
/// let mut rows = list.task("export-42").run_stream(futures_util::stream::iter(1..=3));
/// # async {
/// assert_eq!(rows.next().await.unwrap().unwrap(), 1);
/// list.cancel("export-42", "too slow").unwrap();
/// assert_eq!(rows.next().await.unwrap().unwrap_err().reason(), "too slow");
/// assert!(rows.next().await.is_none());
/// # }.now_or_never().unwrap();
/// ```
pub trait RunStreamExt: Sealed + Sized {
    /// Starts the task, and returns a stream that runs `stream` as that task.
    ///
    /// The task is current whenever the stream is polled. It ends with the stream, or as dropped when the stream is
    /// dropped before its end. A cancellation drops the inner stream at its await point, unless its policy is another
    /// one; the last item is then `Err(Cancelled)`.
    fn run_stream<S: Stream>(self, stream: S) -> TaskStream<S>;

    /// Starts the task, and returns a stream of results that runs as that task.
    ///
    /// Like [`run_stream`](Self::run_stream), but a cancellation yields the error that is made from [`Cancelled`]. If
    /// the last item was an error, the task ends as failed, with the error as its reason.
    fn try_run_stream<S, T, E>(self, stream: S) -> TryTaskStream<S>
    where
        S: Stream<Item = Result<T, E>>,
        E: fmt::Display + From<Cancelled>;
}

impl RunStreamExt for TaskBuilder<'_> {
    fn run_stream<S: Stream>(self, stream: S) -> TaskStream<S> {
        TaskStream { supervisor: self.supervise(), stream: Some(stream), failed: None }
    }

    fn try_run_stream<S, T, E>(self, stream: S) -> TryTaskStream<S>
    where
        S: Stream<Item = Result<T, E>>,
        E: fmt::Display + From<Cancelled>,
    {
        TryTaskStream { running: self.run_stream(stream) }
    }
}

pin_project! {
    /// A stream that runs as a task; returned by [`RunStreamExt::run_stream`].
    #[must_use = "streams do nothing unless they are polled; dropped, the task ends as dropped"]
    pub struct TaskStream<S> {
        supervisor: Supervisor,
        // `None` once it has ended.
        #[pin]
        stream: Option<S>,
        // The error of the last item.
        failed: Option<String>,
    }

    impl<S> PinnedDrop for TaskStream<S> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.stream.is_none() {
                return;
            }
            match this.failed.take() {
                Some(failed) => this.supervisor.finish(Some(&failed), || this.stream.set(None)),
                None => this.supervisor.abandon(|| this.stream.set(None)),
            }
        }
    }
}

impl<S> TaskStream<S> {
    /// Returns a handle of the task.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        self.supervisor.handle()
    }
}

impl<S: Stream> TaskStream<S> {
    fn poll_item(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        failed: impl FnOnce(&S::Item) -> Option<String>,
    ) -> Poll<Option<Result<S::Item, Cancelled>>> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        match this.supervisor.poll(context, |context| stream.poll_next(context)) {
            SupervisedPoll::Ready(Some(item)) => {
                *this.failed = failed(&item);
                Poll::Ready(Some(Ok(item)))
            }
            SupervisedPoll::Ready(None) => {
                this.supervisor.finish(this.failed.as_deref(), || this.stream.set(None));
                Poll::Ready(None)
            }
            SupervisedPoll::Kill => Poll::Ready(Some(Err(this.supervisor.kill(|| this.stream.set(None))))),
            _ => Poll::Pending,
        }
    }

    fn remaining(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, Some(0)), |stream| {
            // A cancellation may end it at any time, and adds an item of its own.
            (0, stream.size_hint().1.and_then(|most| most.checked_add(1)))
        })
    }
}

impl<S: Stream> Stream for TaskStream<S> {
    type Item = Result<S::Item, Cancelled>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(context, |_| None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.remaining()
    }
}

impl<S> fmt::Debug for TaskStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStream").field("task", &self.supervisor.handle()).finish_non_exhaustive()
    }
}

pin_project! {
    /// A stream of results that runs as a task; returned by [`RunStreamExt::try_run_stream`].
    #[must_use = "streams do nothing unless they are polled; dropped, the task ends as dropped"]
    pub struct TryTaskStream<S> {
        #[pin]
        running: TaskStream<S>,
    }
}

impl<S> TryTaskStream<S> {
    /// Returns a handle of the task.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        self.running.handle()
    }
}

impl<S, T, E> Stream for TryTaskStream<S>
where
    S: Stream<Item = Result<T, E>>,
    E: fmt::Display + From<Cancelled>,
{
    type Item = Result<T, E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let failed = |item: &Result<T, E>| item.as_ref().err().map(ToString::to_string);
        let polled = self.project().running.poll_item(context, failed);
        polled.map(|item| item.map(|item| item.unwrap_or_else(|cancelled| Err(E::from(cancelled)))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.running.remaining()
    }
}

impl<S> fmt::Debug for TryTaskStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryTaskStream").field("task", &self.handle()).finish_non_exhaustive()
    }
}
