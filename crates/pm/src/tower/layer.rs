//! The layer of a server: how requests become tasks, as its user chooses.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::HeaderName;
use http::request::Parts;
use pm_core::{ProcessList, TaskBuilder, global};
use tower_layer::Layer;

use super::describe::Config;
use super::service::Tasks;

/// Makes each request of a server a task, from its head to the last byte of its answer: feature `tower`.
///
/// For axum (`Router::layer`), hyper (`TowerToHyperService`), tonic (`Server::layer`) and whatever else serves
/// `http::Request`s through tower.
///
/// ```
/// let app: axum::Router = axum::Router::new().layer(pm::tower::TasksLayer::new());
/// ```
///
/// | of the task | is |
/// |---|---|
/// | id | the request's `X-Request-Id`, else the ids of trace and span in its `traceparent`, else made from the serial |
/// | kind | method and [route](Self::route), as `GET /hosts/{id}`; the method alone when there is no route. Never the path, of which there are as many as a client likes |
/// | attributes | `method`, `path`, `peer` (if it is [known](Self::peer)), `user_agent`, [chosen headers](Self::header), `traceparent` (if there is a valid one) and its `tracestate`, `code` (the answer's) |
/// | status | `handling`, then what the handler says; `responding` from the head of the answer on; `upgraded` |
/// | end | finished with the last byte of the body; failed when the answer is 5xx, the body or the service fails, or a gRPC status tells a fault of the server; dropped when the client goes away before; aborted by a panic, which goes on |
///
/// The task is current whenever the handler and the body are polled, so [`pm::current()`](crate::current) is it, and tasks
/// that start there are its children. [`CurrentTask`](super::CurrentTask) is among the request's extensions. The answer
/// tells the task's serial in `Pm-Task-Id`, with which it can be found and killed; an id may belong to several.
///
/// A kill drops the handler where it awaits (after the list's [grace](crate::Options::grace)), and the client gets
/// [`503` as problem JSON](super::CancelledResponse), or the gRPC status `CANCELLED`, with the reason. If the head is gone already, the
/// body ends with an error, so that the server cuts the connection; a gRPC answer ends with trailers that say so.
///
/// A request that waits for [`poll_ready`](tower_service::Service::poll_ready) is none yet. One that comes through a second
/// of these layers stays one task, that of the outer.
///
/// In axum, use `Router::layer`: around a whole `Router` the route is not known yet.
#[derive(Clone)]
#[must_use = "a layer does nothing until it is given a service"]
pub struct TasksLayer {
    config: Arc<Config>,
}

impl TasksLayer {
    /// One for the [`global`] list.
    pub fn new() -> Self {
        Self { config: Arc::new(Config::new(global().clone())) }
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }

    /// Has the tasks in this list.
    ///
    /// ```
    /// let list = pm::ProcessList::new();
    /// let layer = pm::tower::TasksLayer::new().list(&list);
    /// ```
    pub fn list(self, list: &ProcessList) -> Self {
        self.with(|config| config.list = list.clone())
    }

    /// Where the id comes from, before `X-Request-Id` and `traceparent` are asked.
    ///
    /// ```
    /// use pm::tower::TasksLayer;
    ///
    /// let layer = TasksLayer::new().id(|request| Some(request.headers.get("x-amzn-trace-id")?.to_str().ok()?.into()));
    /// ```
    pub fn id(self, id: impl for<'p> Fn(&'p Parts) -> Option<Cow<'p, str>> + Send + Sync + 'static) -> Self {
        self.with(|config| config.id = Some(Arc::new(id)))
    }

    /// The template of a request's route, as `/hosts/{id}`, for the kind of its task. There must be few of them: beyond the
    /// list's limit, kinds are not counted apart.
    ///
    /// With the feature `axum` its `MatchedPath` is asked when this gives `None`.
    ///
    /// ```
    /// use pm::tower::TasksLayer;
    ///
    /// let layer = TasksLayer::new().route(|request| match request.uri.path() {
    ///     "/" => Some("/".into()),
    ///     path if path.starts_with("/hosts/") => Some("/hosts/{id}".into()),
    ///     _ => None,
    /// });
    /// ```
    pub fn route(self, route: impl for<'p> Fn(&'p Parts) -> Option<Cow<'p, str>> + Send + Sync + 'static) -> Self {
        self.with(|config| config.route = Some(Arc::new(route)))
    }

    /// The address of a request's client.
    ///
    /// Without it, a `SocketAddr` among the extensions is taken; with the feature `axum`, its `ConnectInfo<SocketAddr>`, too.
    ///
    /// ```
    /// use pm::tower::TasksLayer;
    ///
    /// # #[derive(Clone)] struct Connection { remote: std::net::SocketAddr }
    /// let layer = TasksLayer::new().peer(|request| Some(request.extensions.get::<Connection>()?.remote));
    /// ```
    pub fn peer(self, peer: impl Fn(&Parts) -> Option<SocketAddr> + Send + Sync + 'static) -> Self {
        self.with(|config| config.peer = Some(Arc::new(peer)))
    }

    /// Records a header, too, as an attribute of its name in small letters. What looks like a secret is masked. A name that
    /// no header can have is never found.
    ///
    /// ```
    /// let layer = pm::tower::TasksLayer::new().header("x-tenant").header("X-Region");
    /// ```
    pub fn header(self, name: &str) -> Self {
        self.with(|config| config.headers.extend(name.parse::<HeaderName>()))
    }

    /// Whether the attribute `path` has the query, too, in which what looks like a secret is masked. Default: no.
    pub fn query(self, yes: bool) -> Self {
        self.with(|config| config.query = yes)
    }

    /// Whether answers tell the task's serial in `Pm-Task-Id`. Default: yes.
    pub fn reply_header(self, yes: bool) -> Self {
        self.with(|config| config.names_task = yes)
    }

    /// Describes a task further: with attributes of yours, a deadline, a grace, or as one that is not cancellable. What is
    /// said here comes after all else, and counts.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let layer = pm::tower::TasksLayer::new().describe(|task, request| {
    ///     task.deadline(Duration::from_secs(30)).attr("version", format!("{:?}", request.version).as_str())
    /// });
    /// ```
    pub fn describe(
        self,
        describe: impl for<'l> Fn(TaskBuilder<'l>, &Parts) -> TaskBuilder<'l> + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| config.describe = Some(Arc::new(describe)))
    }
}

impl Default for TasksLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TasksLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TasksLayer").field("list", &self.config.list).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for TasksLayer {
    type Service = Tasks<S>;

    fn layer(&self, inner: S) -> Tasks<S> {
        Tasks::new(inner, Arc::clone(&self.config))
    }
}
