//! A layer for services of any request type: each call is a task.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use pm_core::{SupervisedPoll, Supervisor, TaskBuilder};
use tower_layer::Layer;
use tower_service::Service;

use super::body::BoxError;

/// Makes each call of a service a task that a function describes: for job queues, lambda functions, language servers
/// and whatever else is a `Service`, with requests of any type.
///
/// The task is current whenever the call is polled, and ends with it: as failed with an error, as dropped when its
/// future is dropped. A cancellation drops the call at its await point, according to its [policy](crate::CancelPolicy);
/// its error is then [`Cancelled`](crate::Cancelled) (`error.downcast_ref::<pm::Cancelled>()`). Other errors are boxed
/// and pass through. For requests of HTTP, [`TasksLayer`](super::TasksLayer) does more.
///
/// ```
/// use pm::tower::TaskLayer;
/// use tower::{ServiceBuilder, ServiceExt as _, service_fn};
///
/// struct Job { id: u64, rows: u64 }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let service = ServiceBuilder::new()
///     .layer(TaskLayer::new(|job: &Job| pm::task(&format!("job-{}", job.id)).kind("import").attr("rows", job.rows)))
///     .service(service_fn(async |job: Job| {
///         pm::current().status("importing")?;
///         Ok::<_, pm::Cancelled>(job.rows)
///     }));
/// assert_eq!(service.oneshot(Job { id: 7, rows: 3 }).await?, 3);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(()) }).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is given a service"]
pub struct TaskLayer<F> {
    describe: F,
}

impl<F> TaskLayer<F> {
    /// Creates a layer from a function that describes the task of a request, such as `pm::task(id).kind(..)`.
    pub fn new<R>(describe: F) -> Self
    where
        F: Fn(&R) -> TaskBuilder<'static>,
    {
        Self { describe }
    }
}

impl<F> fmt::Debug for TaskLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLayer").finish_non_exhaustive()
    }
}

impl<S, F: Clone> Layer<S> for TaskLayer<F> {
    type Service = TaskService<S, F>;

    fn layer(&self, inner: S) -> TaskService<S, F> {
        TaskService { inner, describe: self.describe.clone() }
    }
}

/// A service whose calls are tasks; created by [`TaskLayer`].
#[derive(Clone)]
pub struct TaskService<S, F> {
    inner: S,
    describe: F,
}

impl<S: fmt::Debug, F> fmt::Debug for TaskService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, F, R> Service<R> for TaskService<S, F>
where
    S: Service<R, Error: Into<BoxError>>,
    F: Fn(&R) -> TaskBuilder<'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = TaskServiceFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> TaskServiceFuture<S::Future> {
        let mut supervisor = (self.describe)(&request).supervise();
        if supervisor.should_kill() {
            return TaskServiceFuture { supervisor, future: None };
        }
        // Tasks started within the call are children of the task, and a panic ends it.
        let entered = supervisor.enter();
        let future = Some(self.inner.call(request));
        entered.leave();
        TaskServiceFuture { supervisor, future }
    }
}

pin_project! {
    /// The future of a call that runs as its task; returned by [`TaskService`].
    #[must_use = "futures do nothing unless they are polled; dropped, the task ends as dropped"]
    pub struct TaskServiceFuture<F> {
        supervisor: Supervisor,
        // `None` once it has ended, or if the task was cancelled before it began.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for TaskServiceFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.supervisor.abandon(|| this.future.set(None));
            }
        }
    }
}

impl<F, T, E> Future for TaskServiceFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = match this.future.as_mut().as_pin_mut() {
            Some(future) => this.supervisor.poll(context, |context| future.poll(context).map_err(Into::into)),
            None if this.supervisor.should_kill() => SupervisedPoll::Kill,
            // Polled after its end.
            None => return Poll::Pending,
        };
        Poll::Ready(match polled {
            SupervisedPoll::Ready(output) => {
                let failed = output.as_ref().err().map(ToString::to_string);
                this.supervisor.finish(failed.as_deref(), || this.future.set(None));
                output
            }
            SupervisedPoll::Kill => Err(this.supervisor.kill(|| this.future.set(None)).into()),
            _ => return Poll::Pending,
        })
    }
}

impl<F> fmt::Debug for TaskServiceFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskServiceFuture").field("task", &self.supervisor.handle()).finish_non_exhaustive()
    }
}
