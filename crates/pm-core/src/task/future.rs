//! Futures that run as tasks: current while they are polled, woken and dropped when they are killed.
//!
//! Contains `unsafe`: the future is pinned within ours, and is dropped there when it is killed.
#![allow(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::current::current;
use super::handle::TaskHandle;
use super::supervisor::{SupervisedPoll, Supervisor};
use crate::cancel::cancelled::Cancelled;
use crate::layout::words::{acquire, cancel};

/// A future that runs as a task; made by [`TaskBuilder::run`](crate::TaskBuilder::run).
///
/// The task starts when this is made and ends with the future: when it is ready, panics, is killed or is dropped.
/// Polled again after that, it stays pending.
#[must_use = "futures do nothing unless they are polled; dropped, the task ends as dropped"]
pub struct TaskFuture<F> {
    supervisor: Supervisor,
    /// Gone when it has ended. Pinned with all of this: never moved, only dropped in place.
    future: Option<F>,
}

impl<F> TaskFuture<F> {
    pub(crate) fn new(supervisor: Supervisor, future: F) -> Self {
        Self { supervisor, future: Some(future) }
    }

    /// A handle of the task.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        self.supervisor.handle()
    }

    fn parts(self: Pin<&mut Self>) -> (&mut Supervisor, Pin<&mut Option<F>>) {
        // SAFETY: `future` is pinned as long as `self` is: nothing here moves it out, it is only ever dropped in place
        // (by `Pin::set` and by the compiler), and `TaskFuture` is `Unpin` only if `F` is. `supervisor` is not pinned.
        unsafe {
            let this = self.get_unchecked_mut();
            (&mut this.supervisor, Pin::new_unchecked(&mut this.future))
        }
    }
}

impl<F: Future> TaskFuture<F> {
    #[inline]
    fn poll_judged(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        failed: impl FnOnce(&F::Output) -> Option<String>,
    ) -> Poll<Result<F::Output, Cancelled>> {
        let (supervisor, mut slot) = self.parts();
        let Some(future) = slot.as_mut().as_pin_mut() else { return Poll::Pending };
        // By reference, and not through the frames in between, each of which would have room for it.
        let mut output = None;
        let polled = supervisor
            .poll(context, |context| future.poll(context).map(|ready| output = Some((failed(&ready), ready))));
        if let SupervisedPoll::Pending = polled {
            return Poll::Pending;
        }
        Poll::Ready(end(supervisor, slot, output))
    }
}

/// Ends the task with the output of the future, or by a cancel if there is none.
#[inline]
fn end<F: Future>(
    supervisor: &mut Supervisor,
    mut future: Pin<&mut Option<F>>,
    output: Option<(Option<String>, F::Output)>,
) -> Result<F::Output, Cancelled> {
    match output {
        Some((failed, output)) => {
            supervisor.finish(failed.as_deref(), || future.set(None));
            Ok(output)
        }
        None => Err(supervisor.kill(|| future.set(None))),
    }
}

impl<F: Future> Future for TaskFuture<F> {
    type Output = Result<F::Output, Cancelled>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_judged(context, |_| None)
    }
}

impl<F> Drop for TaskFuture<F> {
    fn drop(&mut self) {
        // SAFETY: `self` is dropped, so it is not moved after this.
        let (supervisor, mut future) = unsafe { Pin::new_unchecked(self) }.parts();
        if future.is_some() {
            supervisor.abandon(|| future.set(None));
        }
    }
}

impl<F> fmt::Debug for TaskFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskFuture").field("task", &self.supervisor.task).finish_non_exhaustive()
    }
}

/// A future with a result that runs as a task; made by [`TaskBuilder::try_run`](crate::TaskBuilder::try_run).
#[must_use = "futures do nothing unless they are polled; dropped, the task ends as dropped"]
pub struct TryTaskFuture<F>(TaskFuture<F>);

impl<F> TryTaskFuture<F> {
    pub(crate) fn new(running: TaskFuture<F>) -> Self {
        Self(running)
    }

    /// A handle of the task.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        self.0.handle()
    }
}

impl<F, T, E> Future for TryTaskFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: fmt::Display + From<Cancelled>,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the field is pinned as long as `self` is: nothing moves it, and there is no `Drop` of ours.
        let running = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        let handle = running.handle();
        let polled = running.poll_judged(context, |output| {
            let error = output.as_ref().err()?;
            // A task that was cancelled may have observed that through a task below, as this error.
            handle.checkpoint().is_ok().then(|| error.to_string())
        });
        polled.map(|result| result.unwrap_or_else(|cancelled| Err(E::from(cancelled))))
    }
}

impl<F> fmt::Debug for TryTaskFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryTaskFuture").field(&self.0.supervisor.task).finish()
    }
}

/// Runs `future` as a section in which the current task must not be killed.
///
/// A kill waits until the section is done, also if the task's grace is over; then the task is dropped at its next
/// await. The task still observes the request. The section lasts from the first poll until the future is done or
/// dropped.
///
/// ```
/// # let waker = std::task::Waker::noop();
/// # let mut context = std::task::Context::from_waker(waker);
/// let list = pm_core::ProcessList::new();
/// let mut transfer = std::pin::pin!(list.task("transfer").run(async {
///     pm_core::protect(std::future::ready("both accounts are written")).await
/// }));
/// # let std::task::Poll::Ready(result) = transfer.as_mut().poll(&mut context) else { panic!() };
/// assert!(result.is_ok());
/// ```
pub fn protect<F: Future>(future: F) -> Protected<F> {
    Protected { section: Section(TaskHandle::INERT), begun: false, future }
}

/// A future that a cancellation does not drop; made by [`protect`].
#[must_use = "futures do nothing unless they are polled"]
pub struct Protected<F> {
    section: Section,
    begun: bool,
    future: F,
}

/// The mark at the task; taken off on drop.
struct Section(TaskHandle);

impl Section {
    fn begin() -> Self {
        let task = current();
        let marked = task.task().is_some_and(|task| {
            let Some(writer) = task.lock() else { return false };
            writer.add_protected(true)
        });
        Self(if marked { task } else { TaskHandle::INERT })
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        let Some(task) = self.0.task() else { return };
        let Some(writer) = task.lock() else { return };
        writer.add_protected(false);
        drop(writer);
        if cancel::is_asked(acquire(task.slot().cancel())) {
            task.slot().wake_future(task.serial);
        }
    }
}

impl<F: Future> Future for Protected<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned as long as `self` is: nothing moves it, and there is no `Drop` of `Protected`.
        let (section, begun, future) = unsafe {
            let this = self.get_unchecked_mut();
            (&mut this.section, &mut this.begun, Pin::new_unchecked(&mut this.future))
        };
        if !*begun {
            *begun = true;
            *section = Section::begin();
        }
        let polled = future.poll(context);
        if polled.is_ready() {
            *section = Section(TaskHandle::INERT);
        }
        polled
    }
}

impl<F> fmt::Debug for Protected<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protected").field("begun", &self.begun).finish_non_exhaustive()
    }
}

/// A future that runs as part of a task; made by [`TaskFutureExt`](crate::TaskFutureExt).
#[must_use = "futures do nothing unless they are polled"]
pub struct InTask<F> {
    task: TaskHandle,
    future: F,
}

impl<F> InTask<F> {
    pub(super) fn new(task: TaskHandle, future: F) -> Self {
        Self { task, future }
    }
}

impl<F: Future> Future for InTask<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned as long as `self` is: nothing moves it, and there is no `Drop` of `InTask`. `task`
        // is not pinned.
        let (task, future) = unsafe {
            let this = self.get_unchecked_mut();
            (this.task, Pin::new_unchecked(&mut this.future))
        };
        let _current = task.enter();
        future.poll(context)
    }
}

impl<F> fmt::Debug for InTask<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InTask").field("task", &self.task).finish_non_exhaustive()
    }
}
