//! The service that a layer makes, and the future of its answer: the task from the request to the head.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use pm_core::{Supervised, Supervisor, TaskHandle};
use tower_service::Service;

use super::body::{BoxError, TaskBody};
use super::current::CurrentTask;
use super::layer::Config;
use super::reply::{self, Grpc, Side};

/// A service whose requests are tasks; made by [`TasksLayer`](super::TasksLayer). Clone it for each connection, if you like.
#[derive(Clone)]
pub struct Tasks<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S> Tasks<S> {
    pub(super) fn new(inner: S, config: Arc<Config>) -> Self {
        Self { inner, config }
    }
}

impl<S: fmt::Debug> fmt::Debug for Tasks<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, A, B> Service<Request<A>> for Tasks<S>
where
    S: Service<Request<A>, Response = Response<B>, Error: fmt::Display>,
    B: Body<Data: From<Vec<u8>>, Error: Into<BoxError>>,
{
    type Response = Response<TaskBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> ResponseFuture<S::Future> {
        // What an outer layer tracks is one task already.
        if request.extensions().get::<CurrentTask>().is_some_and(|task| task.is_live()) {
            return ResponseFuture { future: Some(self.inner.call(request)), run: None };
        }
        let (mut head, body) = request.into_parts();
        let mut supervisor = self.config.start(&head);
        let handle = supervisor.handle();
        say(handle, "handling");
        let task = CurrentTask::new(handle);
        let method = head.method.clone();
        let grpc = Grpc::of(&head.headers);
        head.extensions.insert(task.clone());
        let request = Request::from_parts(head, body);
        let future = call(&mut supervisor, || self.inner.call(request));
        let names_task = self.config.names_task;
        ResponseFuture { future, run: Some(Run { supervisor, task, method, grpc, names_task }) }
    }
}

/// Calls a service as the task: what it starts is below it, and its panic ends it. Not if it is killed already.
pub(super) fn call<F>(supervisor: &mut Supervisor, call: impl FnOnce() -> F) -> Option<F> {
    let mut context = Context::from_waker(Waker::noop());
    match supervisor.poll(&mut context, |_| Poll::Ready(call())) {
        Supervised::Ready(future) => Some(future),
        _ => None,
    }
}

/// Polls a future as the task. When it is ready, it is dropped as the task, too, to which a panic belongs.
pub(super) fn poll_within<F: Future>(
    supervisor: &mut Supervisor,
    mut future: Pin<&mut Option<F>>,
    context: &mut Context<'_>,
) -> Supervised<F::Output> {
    if future.is_none() {
        return Supervised::Kill;
    }
    supervisor.poll(context, |context| {
        let Some(running) = future.as_mut().as_pin_mut() else { return Poll::Pending };
        let output = ready!(running.poll(context));
        future.set(None);
        Poll::Ready(output)
    })
}

/// A status of ours: as the handler does not hear a kill by it, it must not count as heard.
pub(super) fn say(task: TaskHandle, status: &str) {
    if !task.is_cancelled() {
        let _ = task.status(status);
    }
}

struct Run {
    supervisor: Supervisor,
    task: CurrentTask,
    method: Method,
    grpc: Grpc,
    names_task: bool,
}

impl Run {
    /// The answer of a killed request.
    fn kill<B>(mut self, drop_it: impl FnOnce()) -> Response<TaskBody<B>> {
        let cancelled = self.supervisor.kill(drop_it);
        let (mut response, body) = reply::killed(cancelled, &self.grpc);
        self.name_task(response.headers_mut());
        response.map(|()| TaskBody::reply(body))
    }

    fn name_task(&self, headers: &mut http::HeaderMap) {
        if self.names_task {
            reply::name_task(headers, self.task.handle());
        }
    }

    /// Goes on with the task in the body, or with the connection.
    fn respond<B>(mut self, response: Response<B>) -> Response<TaskBody<B>>
    where
        B: Body<Data: From<Vec<u8>>, Error: Into<BoxError>>,
    {
        let handle = self.supervisor.handle();
        // A kill that came with the head: an answer that is not whole would be cut, so it had better not begin.
        if handle.is_cancelled() && !response.body().is_end_stream() {
            let mut context = Context::from_waker(Waker::noop());
            if matches!(self.supervisor.poll(&mut context, |_| Poll::Ready(())), Supervised::Kill) {
                return self.kill(|| drop(response));
            }
        }
        let (mut head, body) = response.into_parts();
        self.name_task(&mut head.headers);
        handle.set("code", head.status.as_u16());
        let is_upgrade = head.status == StatusCode::SWITCHING_PROTOCOLS
            || self.method == Method::CONNECT && head.status.is_success();
        let body = if is_upgrade {
            say(handle, "upgraded");
            self.task.hand_over(self.supervisor);
            TaskBody::plain(body)
        } else {
            say(handle, "responding");
            let grpc = matches!(self.grpc, Grpc::Native(_)).then_some(Side::Server);
            TaskBody::new(self.supervisor, &self.method, grpc, &head, body)
        };
        Response::from_parts(head, body)
    }
}

pin_project! {
    /// The future of an answer, which runs as the task of its request; made by [`Tasks`].
    ///
    /// Dropped before it is ready, as when the client goes away, the task ends as dropped.
    #[must_use = "futures do nothing unless they are polled; dropped, the task ends as dropped"]
    pub struct ResponseFuture<F> {
        // Gone when it is ready, and never there if the task was killed before it began.
        #[pin]
        future: Option<F>,
        // Gone when it is ready, and never there if the task is that of an outer layer.
        run: Option<Run>,
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(run) = this.run {
                run.supervisor.abandon(|| this.future.set(None));
            }
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data: From<Vec<u8>>, Error: Into<BoxError>>,
    E: fmt::Display,
{
    type Output = Result<Response<TaskBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(run) = this.run.as_mut() else {
            let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
            return future.poll(context).map_ok(|response| response.map(TaskBody::plain));
        };
        let polled = poll_within(&mut run.supervisor, this.future.as_mut(), context);
        if matches!(polled, Supervised::Pending) {
            return Poll::Pending;
        }
        let Some(mut run) = this.run.take() else { return Poll::Pending };
        Poll::Ready(match polled {
            Supervised::Ready(Ok(response)) => Ok(run.respond(response)),
            Supervised::Ready(Err(error)) => {
                run.supervisor.finish(Some(&error.to_string()), || ());
                Err(error)
            }
            _ => Ok(run.kill(|| this.future.set(None))),
        })
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.run.as_ref().map(|run| run.supervisor.handle());
        f.debug_struct("ResponseFuture").field("task", &task).finish_non_exhaustive()
    }
}
