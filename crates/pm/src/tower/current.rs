//! The task of a request, as handlers see it, and its handover to an upgraded connection.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use pm_core::{Cancelled, SupervisedPoll, Supervisor, TaskHandle};

/// The task of a request, stored in the request's extensions.
///
/// Dereferences to its [`TaskHandle`]. With the feature `axum` it is also an extractor. Code without access to the
/// request gets a handle of the same task from [`pm::current()`](crate::current).
///
/// ```
/// use pm::tower::CurrentTask;
///
/// async fn handle<B>(request: http::Request<B>) -> Result<(), pm::Cancelled> {
///     let task = request.extensions().get::<CurrentTask>().expect("TasksLayer is installed");
///     task.status("reading the table")?;
///     Ok(())
/// }
/// ```
///
/// # Upgrades
///
/// When a request asks for an upgrade and the response is `101 Switching Protocols`, or accepts a `CONNECT`, the layer
/// no longer sees the connection. The task continues, in the status `upgraded`,
///
/// - over a [guarded connection](super::Connection) of HTTP/1, until that is closed: nothing needs to be written, and a
///   kill closes it;
/// - while a clone of this value exists: the code that serves the upgraded connection can hold one;
/// - best, as the future given to [`upgraded`](Self::upgraded): a cancellation drops it at its await point.
///
/// Without any of these, the task ends with the response. After any other response, a clone does not keep the task
/// running.
///
/// ```
/// # use pm::tower::CurrentTask;
/// # async fn talk(_: impl Sized) {}
/// async fn handle(mut request: http::Request<hyper::body::Incoming>) -> http::Response<String> {
///     let task = request.extensions().get::<CurrentTask>().cloned().expect("TasksLayer is installed");
///     tokio::spawn(task.upgraded(async move {
///         if let Ok(connection) = hyper::upgrade::on(&mut request).await {
///             talk(connection).await;
///         }
///     }));
///     http::Response::builder().status(101).header("upgrade", "chat").body(String::new()).unwrap()
/// }
/// ```
#[derive(Clone)]
pub struct CurrentTask {
    handle: TaskHandle,
    handover: Handover,
}

/// Passes a task from the future of a response to the code that serves the upgraded connection; `None` if there can be
/// none.
#[derive(Clone)]
pub(super) struct Handover(Option<Arc<Shared>>);

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// Present from the response until the first poll of the future that continues the task.
    supervisor: Option<Supervisor>,
    /// The waker of that future, if it was polled before the response.
    waker: Option<Waker>,
}

impl Shared {
    /// Only moves values under the lock.
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // No future continued the task, and the last clone is gone.
        if let Some(mut supervisor) = self.with(|state| state.supervisor.take()) {
            supervisor.finish(None, || ());
        }
    }
}

impl Handover {
    /// A handover for a request whose response may be an upgrade.
    pub(super) fn possible() -> Self {
        Self(Some(Arc::default()))
    }

    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Hands the task over to the holders of a clone. If there is none, the task ends.
    pub(super) fn give(self, mut supervisor: Supervisor) {
        let Some(shared) = &self.0 else { return supervisor.finish(None, || ()) };
        let waker = shared.with(|state| {
            state.supervisor = Some(supervisor);
            state.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends the task as cancelled, unless a future continues it.
    pub(super) fn kill(&self) {
        if let Some(mut supervisor) = self.take() {
            supervisor.kill(|| ());
        }
    }

    fn take(&self) -> Option<Supervisor> {
        self.0.as_ref()?.with(|state| state.supervisor.take())
    }

    /// Takes the task, or registers the waker to be woken when it is handed over.
    fn take_or_wake(&self, waker: &Waker) -> Option<Supervisor> {
        let waker = waker.clone();
        let (supervisor, old) = self.0.as_ref()?.with(|state| match state.supervisor.take() {
            Some(supervisor) => (Some(supervisor), Some(waker)),
            None => (None, state.waker.replace(waker)),
        });
        // Drop it outside of the lock.
        drop(old);
        supervisor
    }
}

impl CurrentTask {
    pub(super) fn new(handle: TaskHandle, handover: Handover) -> Self {
        Self { handle, handover }
    }

    /// The current task of this thread, for requests without a layer.
    #[cfg(feature = "axum")]
    pub(super) fn of_thread() -> Self {
        Self { handle: pm_core::current(), handover: Handover::none() }
    }

    /// Returns a handle of the task, which does not keep an upgraded connection's task running.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        self.handle
    }

    /// Runs `future`, which serves an upgraded connection, as the task of the request.
    ///
    /// It may be created and polled before or after the response. After the response, the task is current whenever the
    /// future is polled, and ends with it: as finished when it completes, as dropped when it is dropped. A cancellation
    /// drops the future at its await point, which closes the connection.
    ///
    /// Of several such futures, the first one polled after the response continues the task; in the others it is only
    /// current. If the response is not an upgrade, the task ends independently of the future.
    pub fn upgraded<F: Future>(self, future: F) -> Upgraded<F> {
        Upgraded { task: self, supervisor: None, future: Some(future) }
    }
}

impl Deref for CurrentTask {
    type Target = TaskHandle;

    fn deref(&self) -> &TaskHandle {
        &self.handle
    }
}

impl fmt::Debug for CurrentTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentTask").field(&self.handle.serial()).finish()
    }
}

pin_project! {
    /// A future that continues the task of a request; returned by [`CurrentTask::upgraded`].
    ///
    /// Returns the output of the inner future, or [`Cancelled`] if the task was cancelled.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Upgraded<F> {
        task: CurrentTask,
        // Present from the first poll after the response.
        supervisor: Option<Supervisor>,
        // `None` once it has ended.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Upgraded<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_none() {
                return;
            }
            if let Some(mut supervisor) = this.supervisor.take().or_else(|| this.task.handover.take()) {
                supervisor.abandon(|| this.future.set(None));
            }
        }
    }
}

impl<F: Future> Future for Upgraded<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
        if this.supervisor.is_none() {
            *this.supervisor = this.task.handover.take_or_wake(context.waker());
        }
        let Some(supervisor) = this.supervisor else {
            let entered = this.task.handle.enter();
            let polled = future.poll(context);
            if polled.is_ready() {
                this.future.set(None);
            }
            drop(entered);
            return polled.map(Ok);
        };
        match supervisor.poll(context, |context| future.poll(context)) {
            SupervisedPoll::Ready(output) => {
                supervisor.finish(None, || this.future.set(None));
                Poll::Ready(Ok(output))
            }
            SupervisedPoll::Kill => Poll::Ready(Err(supervisor.kill(|| this.future.set(None)))),
            _ => Poll::Pending,
        }
    }
}

impl<F> fmt::Debug for Upgraded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").field("task", &self.task).finish_non_exhaustive()
    }
}
