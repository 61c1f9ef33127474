//! The service that runs each request as a task, and its response future.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use pm_core::{SupervisedPoll, Supervisor};

use crate::body::TaskBody;
use crate::describe::Config;
use crate::killed::Killed;

/// A service whose requests are tasks; created by [`Tasks`](crate::Tasks).
pub struct TasksService<S> {
    inner: S,
    config: Rc<Config>,
}

impl<S> TasksService<S> {
    pub(crate) fn new(inner: S, config: Rc<Config>) -> Self {
        Self { inner, config }
    }
}

impl<S: fmt::Debug> fmt::Debug for TasksService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TasksService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B> Service<ServiceRequest> for TasksService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<TaskBody<B>>;
    type Error = Error;
    type Future = TaskResponse<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> TaskResponse<S::Future> {
        let mut supervisor = self.config.start(&request);
        let is_head = request.method() == Method::HEAD;
        // Tasks started within the call are children of the task, and a panic ends it.
        let entered = supervisor.enter();
        let future = Some(Box::pin(self.inner.call(request)));
        entered.leave();
        TaskResponse { supervisor: Some(supervisor), future, is_head }
    }
}

/// The response future of [`TasksService`], which runs the handler as the task of its request.
///
/// If it is dropped before it is ready, for example because the client disconnected, the task ends as dropped.
#[must_use = "futures do nothing unless they are polled; dropped, the task ends as dropped"]
pub struct TaskResponse<F> {
    /// `None` once the task has passed to the body, or has ended.
    supervisor: Option<Supervisor>,
    future: Option<Pin<Box<F>>>,
    is_head: bool,
}

impl<F> Drop for TaskResponse<F> {
    fn drop(&mut self) {
        if let Some(supervisor) = &mut self.supervisor {
            let future = &mut self.future;
            supervisor.abandon(|| drop(future.take()));
        }
    }
}

impl<F, B> Future for TaskResponse<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<TaskBody<B>>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (Some(supervisor), Some(future)) = (&mut this.supervisor, &mut this.future) else { return Poll::Pending };
        let polled = supervisor.poll(context, |context| future.as_mut().poll(context));
        let response = match polled {
            SupervisedPoll::Ready(Ok(response)) => response,
            SupervisedPoll::Ready(Err(error)) => {
                let status = error.as_response_error().status_code();
                supervisor.handle().set("code", status.as_u16());
                let failed = status.is_server_error().then(|| error.to_string());
                supervisor.finish(failed.as_deref(), || this.future = None);
                this.supervisor = None;
                return Poll::Ready(Err(error));
            }
            SupervisedPoll::Kill => {
                let cancelled = supervisor.kill(|| this.future = None);
                this.supervisor = None;
                return Poll::Ready(Err(Killed::from(cancelled).into()));
            }
            _ => return Poll::Pending,
        };
        this.future = None;
        let Some(supervisor) = this.supervisor.take() else { return Poll::Pending };
        let status = response.status();
        let handle = supervisor.handle();
        handle.set("code", status.as_u16());
        handle.note(if status.as_u16() == 101 { "upgraded" } else { "responding" });
        let failed = status.is_server_error().then(|| status.to_string());
        let is_bodyless = this.is_head || matches!(status.as_u16(), 204 | 304);
        Poll::Ready(Ok(response.map_body(|_, body| TaskBody::new(supervisor, body, failed, is_bodyless))))
    }
}

impl<F> fmt::Debug for TaskResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.supervisor.as_ref().map(Supervisor::handle);
        f.debug_struct("TaskResponse").field("task", &task).finish_non_exhaustive()
    }
}
