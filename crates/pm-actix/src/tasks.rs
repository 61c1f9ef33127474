//! The middleware and its configuration.

use std::fmt;
use std::future::{Ready, ready};
use std::rc::Rc;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use pm_core::{CancelPolicy, ProcessList, TaskBuilder, global};

use crate::body::TaskBody;
use crate::describe::Config;
use crate::service::TasksService;

/// A middleware that makes each request a task, from its head to the last byte of the response, or to the end of its
/// websocket.
///
/// The task has
///
/// - **id:** the request's `X-Request-Id`, else made from its kind and serial;
/// - **kind:** method and route, such as `GET /hosts/{id}`; the method alone when no route matches;
/// - **attributes:** `method`, `path`, `peer`, `user_agent`, `code` (status code of the response);
/// - **status:** `handling`, then those that the handler sets; `responding` once the response head is ready; `upgraded`
///   for websockets;
/// - **progress:** the bytes of a body of several parts, unless the handler has set its own;
/// - **outcome:** finished with the last byte of the body; failed when the response is 5xx, the body fails or is
///   shorter than its length; dropped when the client disconnects earlier; aborted by a panic.
///
/// The task is current whenever the handler and the body are polled: [`pm_core::current`] returns it, and tasks started
/// there are its children. A cancellation drops the handler at its await point, according to the task's
/// [policy](CancelPolicy), and the client gets [`503`](crate::Killed); once the head has been sent, the body ends with
/// an error, and the connection is closed. While the client reads nothing, actix-web does not poll a body: a kill then
/// waits until the client reads or hangs up. A client that closes its half while a body waits is noticed with the next
/// write, or at once with `HttpServer::h1_allow_half_closed(false)`.
///
/// Wrap the `App` with it last, so that it is outermost. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    config: Rc<Config>,
}

impl Tasks {
    /// Creates a middleware for the [`global`] list.
    #[must_use]
    pub fn new() -> Self {
        Self { config: Rc::new(Config { list: global().clone(), on_cancel: None, describe: None }) }
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Rc::make_mut(&mut self.config));
        self
    }

    /// Sets the list of the tasks. Default: the [`global`] list.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let tasks = pm_actix::Tasks::new().list(&list);
    /// ```
    #[must_use]
    pub fn list(self, list: &ProcessList) -> Self {
        self.with(|config| config.list = list.clone())
    }

    /// Sets the policy for cancels. Default: that of the request's kind or of the list.
    ///
    /// ```
    /// let tasks = pm_actix::Tasks::new().on_cancel(pm_core::CancelPolicy::Refuse);
    /// ```
    #[must_use]
    pub fn on_cancel(self, policy: CancelPolicy) -> Self {
        self.with(|config| config.on_cancel = Some(policy))
    }

    /// Sets a function that completes the description of a task: with more attributes, a deadline, or another policy.
    /// It is applied last, and overrides the middleware's own values.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let tasks = pm_actix::Tasks::new().describe(|task, request| {
    ///     task.deadline(Duration::from_secs(30)).attr("version", format!("{:?}", request.version()).as_str())
    /// });
    /// ```
    #[must_use]
    pub fn describe(
        self,
        describe: impl for<'l> Fn(TaskBuilder<'l>, &ServiceRequest) -> TaskBuilder<'l> + 'static,
    ) -> Self {
        self.with(|config| config.describe = Some(Rc::new(describe)))
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("list", &self.config.list).finish_non_exhaustive()
    }
}

impl<S, B> Transform<S, ServiceRequest> for Tasks
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<TaskBody<B>>;
    type Error = Error;
    type Transform = TasksService<S>;
    type InitError = ();
    type Future = Ready<Result<TasksService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(TasksService::new(service, Rc::clone(&self.config))))
    }
}
