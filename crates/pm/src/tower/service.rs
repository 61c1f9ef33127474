//! The service of a server, and its response future: the task from the request to the head of the response.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, Version};
use http_body::Body;
use pin_project_lite::pin_project;
use pm_core::SupervisedPoll;
use tower_service::Service;

use super::body::{BoxError, ResponseBody};
use super::connection::ConnectionGuard;
use super::current::CurrentTask;
use super::describe::{Config, Head};
use super::grpc;
use super::reply;
use super::run::Run;

/// A service whose requests are tasks; created by [`TasksLayer`](super::TasksLayer). Cheap to clone, for example for
/// each connection.
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
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    // One function without helpers: requests and futures are large, and this moves them least.
    #[inline]
    fn call(&mut self, mut request: Request<A>) -> ResponseFuture<S::Future> {
        // An outer layer has made it a task already.
        if request.extensions().get::<CurrentTask>().is_some_and(|task| task.is_live()) {
            return ResponseFuture { future: Some(self.inner.call(request)), run: None };
        }
        let connection = match &self.config.connection {
            Some(connection) => Some(connection.on_connection(is_shared(&request))),
            None => request.extensions().get::<ConnectionGuard>().cloned().map(|guard| {
                guard.extend(request.extensions_mut());
                guard.on_connection(is_shared(&request))
            }),
        };
        let mut run = if self.config.wants_parts() {
            let run;
            (request, run) = self.start_by_parts(request);
            run
        } else {
            self.config.start(&Head::of(&request))
        };
        if let Some(connection) = &connection
            && let Some(length) = upload(request.headers())
        {
            connection.receive(run.handle(), length);
        }
        run.connection = connection;
        request.extensions_mut().insert(CurrentTask::new(run.handle(), run.handover.clone()));
        if run.supervisor.should_kill() {
            return ResponseFuture { future: None, run: Some(run) };
        }
        // Tasks started within the call are children of the task, and a panic ends it.
        let entered = run.supervisor.enter();
        let mut response = ResponseFuture { future: Some(self.inner.call(request)), run: None };
        entered.leave();
        response.run = Some(run);
        response
    }
}

impl<S> Tasks<S> {
    #[inline(never)]
    fn start_by_parts<A>(&self, request: Request<A>) -> (Request<A>, Box<Run>) {
        let (parts, body) = request.into_parts();
        let run = self.config.start(&Head::of_parts(&parts));
        (Request::from_parts(parts, body), run)
    }
}

/// Returns `true` if other requests may be answered over the connection at the same time.
fn is_shared<A>(request: &Request<A>) -> bool {
    request.version() >= Version::HTTP_2
}

/// Returns the length of the body of a request that has one; 0 if it is unknown.
fn upload(headers: &HeaderMap) -> Option<u64> {
    match headers.get(CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok().filter(|&length| length > 0),
        None => headers.contains_key(TRANSFER_ENCODING).then_some(0),
    }
}

/// Ends the task as cancelled, and returns the response for that.
#[cold]
fn kill<B>(run: &mut Run, drop_it: impl FnOnce()) -> Response<ResponseBody<B>> {
    let handle = run.handle();
    let cancelled = run.supervisor.kill(drop_it);
    let (mut response, body) = reply::cancelled(cancelled, &run.grpc);
    if run.reply_header {
        reply::add_task_id(response.headers_mut(), handle);
    }
    response.map(|()| ResponseBody::reply(body))
}

/// Continues the task in the body of the response, or in the upgraded connection.
#[inline]
fn respond<B>(mut run: Box<Run>, mut response: Response<B>) -> Response<ResponseBody<B>>
where
    B: Body<Data: From<Vec<u8>>, Error: Into<BoxError>>,
{
    let handle = run.handle();
    // Cancelled along with the head: better not to begin a response that would be cut off.
    if handle.is_cancelled() && !response.body().is_end_stream() && run.supervisor.should_kill() {
        return kill(&mut run, || drop(response));
    }
    if run.reply_header {
        reply::add_task_id(response.headers_mut(), handle);
    }
    if let Some(connection) = &run.connection {
        connection.end_receiving();
    }
    let status = response.status();
    handle.set("code", status.as_u16());
    if let Some(trial) = run.trial.take() {
        trial.answered(grpc::is_of_a_method(status, response.headers()));
    }
    if run.is_upgraded_by(status) {
        handle.note("upgraded");
        let run = *run;
        if let Some(connection) = &run.connection {
            connection.upgrade(&run.supervisor, run.handover.clone());
        }
        run.handover.give(run.supervisor);
        return response.map(ResponseBody::plain);
    }
    handle.note("responding");
    ResponseBody::of(response, run)
}

pin_project! {
    /// The response future of [`Tasks`], which runs the inner service's future as the task of its request.
    ///
    /// If it is dropped before it is ready, for example because the client disconnected, the task ends as dropped.
    #[must_use = "futures do nothing unless they are polled; dropped, the task ends as dropped"]
    pub struct ResponseFuture<F> {
        // `None` once it is ready, or if the task was cancelled before it began.
        #[pin]
        future: Option<F>,
        // `None` once it is ready, or if an outer layer has made the request a task.
        run: Option<Box<Run>>,
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
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(run) = this.run.as_mut() else {
            let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
            return future.poll(context).map_ok(|response| response.map(ResponseBody::plain));
        };
        let polled = run.poll(this.future.as_mut(), context);
        if matches!(polled, SupervisedPoll::Pending) {
            return Poll::Pending;
        }
        let Some(mut run) = this.run.take() else { return Poll::Pending };
        Poll::Ready(match polled {
            SupervisedPoll::Ready(Ok(response)) => Ok(respond(run, response)),
            SupervisedPoll::Ready(Err(error)) => {
                run.supervisor.finish(Some(&error.to_string()), || ());
                Err(error)
            }
            _ => Ok(kill(&mut run, || this.future.set(None))),
        })
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.run.as_ref().map(|run| run.supervisor.handle());
        f.debug_struct("ResponseFuture").field("task", &task).finish_non_exhaustive()
    }
}
