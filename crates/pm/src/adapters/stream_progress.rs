//! Streams that a task consumes: report its progress, and end when it is cancelled.

use std::borrow::Cow;
use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use pm_core::{Cancelled, CancelledFuture, Meter, TaskHandle};

/// Adapts streams that a task consumes, as [`TaskIteratorExt`](crate::TaskIteratorExt) does for iterators.
///
/// Implemented for every stream.
///
/// ```
/// use pm::prelude::*;
/// # use futures_util::{StreamExt as _, future::FutureExt as _};
///
/// let list = pm::ProcessList::new();
/// let task = list.start("import-42");
/// # async {
/// let mut rows = futures_util::stream::iter(1..=3).with_progress(&task, "rows").checked(&task);
/// while let Some(row) = rows.next().await {
///     let _row = row?; // `Err(Cancelled)` once the task is asked to stop
/// }
/// # Ok::<(), pm::Cancelled>(())
/// # }.now_or_never().unwrap().unwrap();
/// let done = list.view(task.serial(), |task| task.progress().unwrap().done);
/// assert_eq!(done, Some(3));
/// ```
pub trait TaskStreamExt: Stream + Sized {
    /// Reports the number of items received as the task's progress.
    ///
    /// The total is the stream's size hint, if that is exact. A total that turns out to be wrong is corrected, and when
    /// the stream ends, the total is the number of items received. The list is updated from time to time, as by a
    /// [`Meter`].
    fn with_progress(self, task: impl Into<TaskHandle>, unit: impl Into<Cow<'static, str>>) -> ProgressStream<Self> {
        let total = match self.size_hint() {
            (least, Some(most)) if least == most => least as u64,
            _ => 0,
        };
        ProgressStream { stream: self, meter: task.into().meter(total, unit) }
    }

    /// Ends the stream with one `Err(Cancelled)` when the task is asked to stop, also while it waits for an item.
    ///
    /// No item is taken from the inner stream after that, so none is lost.
    fn checked(self, task: impl Into<TaskHandle>) -> CheckedStream<Self> {
        let task = task.into();
        CheckedStream { stream: self, task, cancelled: task.cancelled(), ended: false }
    }
}

impl<S: Stream> TaskStreamExt for S {}

pin_project! {
    /// A stream that reports its progress; returned by [`TaskStreamExt::with_progress`].
    #[must_use = "streams do nothing unless they are polled"]
    pub struct ProgressStream<S> {
        #[pin]
        stream: S,
        meter: Meter,
    }
}

impl<S: Stream> Stream for ProgressStream<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let polled = this.stream.poll_next(context);
        match &polled {
            Poll::Ready(Some(_)) => this.meter.add(1),
            Poll::Ready(None) => this.meter.finish(),
            // The next item may take long: keep the list up to date until then.
            Poll::Pending => this.meter.flush(),
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<S: FusedStream> FusedStream for ProgressStream<S> {
    fn is_terminated(&self) -> bool {
        self.stream.is_terminated()
    }
}

impl<S> fmt::Debug for ProgressStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressStream").field("meter", &self.meter).finish_non_exhaustive()
    }
}

pin_project! {
    /// A stream that ends when its task is cancelled; returned by [`TaskStreamExt::checked`].
    #[must_use = "streams do nothing unless they are polled"]
    pub struct CheckedStream<S> {
        #[pin]
        stream: S,
        task: TaskHandle,
        cancelled: CancelledFuture,
        ended: bool,
    }
}

impl<S: Stream> Stream for CheckedStream<S> {
    type Item = Result<S::Item, Cancelled>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        if let Err(cancelled) = this.task.checkpoint() {
            *this.ended = true;
            return Poll::Ready(Some(Err(cancelled)));
        }
        match this.stream.poll_next(context) {
            Poll::Ready(item) => {
                *this.ended = item.is_none();
                Poll::Ready(item.map(Ok))
            }
            Poll::Pending => Pin::new(this.cancelled).poll(context).map(|cancelled| {
                *this.ended = true;
                Some(Err(cancelled))
            }),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.ended {
            return (0, Some(0));
        }
        // A cancellation may end it at any time, and is an item itself.
        let (least, most) = self.stream.size_hint();
        (least.min(1), most.and_then(|most| most.checked_add(1)))
    }
}

impl<S: Stream> FusedStream for CheckedStream<S> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<S> fmt::Debug for CheckedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedStream").field("task", &self.task).finish_non_exhaustive()
    }
}
