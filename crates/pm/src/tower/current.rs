//! What a handler, and whoever goes on with its connection, holds of the task of a request.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use pm_core::{Cancelled, SupervisedPoll, Supervisor, TaskHandle};

/// The task of a request, among the request's extensions.
///
/// With the feature `axum` it is an extractor, too. All that a [`TaskHandle`] can do, it does. Deep below, where there is
/// no request, [`pm::current()`](crate::current) gives a handle of the same task.
///
/// ```
/// use pm::tower::CurrentTask;
///
/// async fn handle<B>(request: http::Request<B>) -> Result<(), pm::Cancelled> {
///     let task = request.extensions().get::<CurrentTask>().expect("there is a TasksLayer");
///     task.status("reading the table")?;
///     Ok(())
/// }
/// ```
///
/// # Upgrades
///
/// When a request asks for an upgrade and the answer is `101 Switching Protocols`, or says yes to `CONNECT`, the connection
/// is no longer seen by a layer. The
/// task goes on, in the status `upgraded`, until the last clone of this is dropped: what serves the upgraded connection
/// holds one. Better, it runs as the task, by [`upgraded`](Self::upgraded): then a kill cuts the connection. If nobody holds
/// one, the task ends with the answer. After any other answer, a clone keeps nothing.
///
/// ```
/// # use pm::tower::CurrentTask;
/// # async fn talk(_: impl Sized) {}
/// async fn handle(mut request: http::Request<hyper::body::Incoming>) -> http::Response<String> {
///     let task = request.extensions().get::<CurrentTask>().cloned().expect("there is a TasksLayer");
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

/// What is between the future of a response and who goes on with its connection; nothing where nobody can.
#[derive(Clone)]
pub(super) struct Handover(Option<Arc<Shared>>);

#[derive(Default)]
struct Shared(Mutex<Between>);

#[derive(Default)]
struct Between {
    /// There between the answer and the first poll of what goes on.
    supervisor: Option<Supervisor>,
    /// Of what goes on, and was polled before the answer.
    waker: Option<Waker>,
}

impl Shared {
    /// Nothing but moves happens under the lock.
    fn with<T>(&self, f: impl FnOnce(&mut Between) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Nobody ran the rest as the task, and nobody holds it any more.
        if let Some(mut supervisor) = self.with(|between| between.supervisor.take()) {
            supervisor.finish(None, || ());
        }
    }
}

impl Handover {
    /// For a request whose answer may be an upgrade.
    pub(super) fn possible() -> Self {
        Self(Some(Arc::default()))
    }

    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Hands the task over to who holds a clone of this. If nobody does, it ends.
    pub(super) fn give(self, mut supervisor: Supervisor) {
        let Some(shared) = &self.0 else { return supervisor.finish(None, || ()) };
        let waker = shared.with(|between| {
            between.supervisor = Some(supervisor);
            between.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn take(&self) -> Option<Supervisor> {
        self.0.as_ref()?.with(|between| between.supervisor.take())
    }

    /// The same; if it is not there yet, the waker is woken when it comes.
    fn take_or_wake(&self, waker: &Waker) -> Option<Supervisor> {
        let waker = waker.clone();
        let (supervisor, old) = self.0.as_ref()?.with(|between| match between.supervisor.take() {
            Some(supervisor) => (Some(supervisor), Some(waker)),
            None => (None, between.waker.replace(waker)),
        });
        // Not under the lock.
        drop(old);
        supervisor
    }
}

impl CurrentTask {
    pub(super) fn new(handle: TaskHandle, handover: Handover) -> Self {
        Self { handle, handover }
    }

    /// For where there is no layer.
    #[cfg(feature = "axum")]
    pub(super) fn of_thread() -> Self {
        Self { handle: crate::current(), handover: Handover::none() }
    }

    /// A handle of the task, which keeps nothing.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        self.handle
    }

    /// Runs `future`, which serves an upgraded connection, as the task of the request.
    ///
    /// It may be made, and polled, before the answer or after it. From the answer on, the task is current whenever the
    /// future is polled, and ends with it: as finished when it is ready, as dropped when it is dropped. A kill drops the
    /// future where it awaits, and so cuts the connection.
    ///
    /// Of several, the first that is polled after the answer has the task; in the others it is only current. If the answer
    /// is no upgrade, the task ends without regard to this.
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
    /// A future that goes on as the task of a request; made by [`CurrentTask::upgraded`].
    ///
    /// Gives [`Cancelled`] when the task was killed, else what the future gives.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Upgraded<F> {
        task: CurrentTask,
        // There from the first poll after the answer on.
        supervisor: Option<Supervisor>,
        // Gone when it has ended.
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
