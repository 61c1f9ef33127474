//! The layer of a server, and its configuration.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::HeaderName;
use http::request::Parts;
use pm_core::{CancelPolicy, ProcessList, TaskBuilder, global};
use tower_layer::Layer;

use super::connection::ConnectionGuard;
use super::describe::Config;
use super::service::Tasks;

/// Makes each request of a server a task, from its head to the last byte of the response.
///
/// Works with axum (`Router::layer`), hyper (`TowerToHyperService`), tonic (`Server::layer`) and any other tower
/// service of `http::Request`s.
///
/// ```
/// let app: axum::Router = axum::Router::new().layer(pm::tower::TasksLayer::new());
/// ```
///
/// The task has
///
/// - **id:** the request's `X-Request-Id`, else trace id and span id of its `traceparent`, else made from its kind and
///   serial, such as `GET-hosts-id-131`;
/// - **kind:** method and [route](Self::route), such as `GET /hosts/{id}`; the method alone without a route. Never the
///   path, since clients can make up any number of those, except that of gRPC methods, such as
///   `POST /routeguide.RouteGuide/GetFeature`: those that are not known to exist are `grpc` when there are many;
/// - **attributes:** `method`, `path`, `peer` (if it is [known](Self::peer)), `user_agent`, [chosen
///   headers](Self::header), `traceparent` (if there is a valid one) and its `tracestate`, `code` (status code of the
///   response);
/// - **status:** `handling`, then those that the handler sets; `responding` once the response head is ready; `waiting
///   for the client to read` over a [guarded connection](super::Connection); `upgraded`;
/// - **progress:** `bytes` of the body that the server has taken to send, if the body has several frames; before that,
///   over a guarded connection of HTTP/1, `bytes received` of the request's body. Not if the handler sets its own;
/// - **outcome:** finished with the last byte of the body; failed when the response is 5xx, the body or the service
///   fails, the body is shorter or longer than its `Content-Length`, or a gRPC status reports a server error; dropped
///   when the client disconnects earlier; aborted by a panic, which propagates.
///
/// The task is current whenever the handler and the body are polled: [`pm::current()`](crate::current) returns it, and
/// tasks started there are its children. The request's extensions contain a [`CurrentTask`](super::CurrentTask). The
/// response header `Pm-Task-Id` contains the task's serial, which identifies it; an id may belong to several tasks.
///
/// A cancellation drops the handler at its await point (unless its [policy](crate::CancelPolicy) is another one), and
/// the client gets [`503` as problem JSON](super::CancelledResponse), or the gRPC status `CANCELLED`, with the reason.
/// If the head has been sent already, the body ends with an error, so that the server closes the connection; a gRPC
/// response ends with trailers.
///
/// A request that waits for [`poll_ready`](tower_service::Service::poll_ready) is not a task yet. A request that passes
/// two of these layers is one task, that of the outer layer.
///
/// In axum, use `Router::layer`: a layer around the whole `Router` does not see the route. axum 0.7 has a `MatchedPath`
/// of its own: `.route(|request| Some(request.extensions.get::<axum::extract::MatchedPath>()?.as_str().into()))`. For
/// others, see [`routes`](Self::routes).
///
/// While a client does not read, HTTP libraries do not poll a response, and a kill waits. A [guarded
/// connection](super::Connection) is closed by the kill: [`pm::tower::serve`](super::serve) instead of `axum::serve`.
#[derive(Clone)]
#[must_use = "a layer does nothing until it is given a service"]
pub struct TasksLayer {
    config: Arc<Config>,
}

impl TasksLayer {
    /// Creates a layer for the [`global`] list.
    pub fn new() -> Self {
        Self { config: Arc::new(Config::new(global().clone())) }
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }

    /// Sets the list of the tasks. Default: the [`global`] list.
    ///
    /// ```
    /// let list = pm::ProcessList::new();
    /// let layer = pm::tower::TasksLayer::new().list(&list);
    /// ```
    pub fn list(self, list: &ProcessList) -> Self {
        self.with(|config| config.list = list.clone())
    }

    /// Sets a function that returns the id of a request. If it returns `None`, `X-Request-Id` and `traceparent` are
    /// used.
    ///
    /// ```
    /// use pm::tower::TasksLayer;
    ///
    /// let layer = TasksLayer::new().id(|request| Some(request.headers.get("x-amzn-trace-id")?.to_str().ok()?.into()));
    /// ```
    pub fn id(self, id: impl for<'p> Fn(&'p Parts) -> Option<Cow<'p, str>> + Send + Sync + 'static) -> Self {
        self.with(|config| config.id = Some(Arc::new(id)))
    }

    /// Sets a function that returns the route template of a request, such as `/hosts/{id}`, for the kind of its task.
    ///
    /// There should be few of them: beyond the list's limit, kinds share one set of statistics. With the feature
    /// `axum`, `MatchedPath` is used when this returns `None`.
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

    /// Sets the templates of the routes, for servers whose framework reports none (hyper, warp): of those that fit the
    /// path, the first is the kind's. `{name}` stands for one segment, `{*name}` for all that remain.
    ///
    /// They apply when [`route`](Self::route) and axum's `MatchedPath` give none.
    ///
    /// ```
    /// let layer = pm::tower::TasksLayer::new().routes(["/", "/hosts", "/hosts/{id}", "/files/{*path}"]);
    /// ```
    pub fn routes<R: Into<String>>(self, routes: impl IntoIterator<Item = R>) -> Self {
        self.with(|config| config.routes = routes.into_iter().map(Into::into).collect())
    }

    /// Sets the policy for cancels of all requests. Default: that of the [list](crate::Options::on_cancel).
    ///
    /// With `Refuse`, a request cannot be cancelled. With `Ask`, a handler is never dropped by a cancel: it ends when
    /// it observes the request, or when the client disconnects.
    ///
    /// ```
    /// use pm::CancelPolicy;
    /// use std::time::Duration;
    ///
    /// let layer = pm::tower::TasksLayer::new()
    ///     .on_cancel(CancelPolicy::AskThenDrop(Duration::from_secs(5)))
    ///     .on_cancel_of("GET *", CancelPolicy::Drop)
    ///     .on_cancel_of("POST /payments", CancelPolicy::Refuse);
    /// ```
    pub fn on_cancel(self, policy: CancelPolicy) -> Self {
        self.with(|config| config.on_cancel = Some(policy))
    }

    /// Sets the policy for cancels of requests of a kind, such as `GET /hosts/{id}`; with `*` at its end, of all kinds
    /// that begin so. Of several that fit, the one that was set first applies.
    pub fn on_cancel_of(self, kind: &str, policy: CancelPolicy) -> Self {
        self.with(|config| config.on_cancel_of.push((kind.into(), policy)))
    }

    /// Sets the connection that all requests of this layer's services come from: see [`Connection`](super::Connection).
    ///
    /// Without this, it is taken from the extensions of each request.
    pub fn connection(self, connection: impl Into<ConnectionGuard>) -> Self {
        self.with(|config| config.connection = Some(connection.into()))
    }

    /// Sets a function that returns the address of a request's client.
    ///
    /// Default: a `SocketAddr` from the request's extensions; with the feature `axum`, also `ConnectInfo<SocketAddr>`.
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

    /// Records a request header as an attribute named like it, in lower case. Values that look like secrets are masked.
    /// A name that is not a valid header name is ignored.
    ///
    /// ```
    /// let layer = pm::tower::TasksLayer::new().header("x-tenant").header("X-Region");
    /// ```
    pub fn header(self, name: &str) -> Self {
        self.with(|config| config.headers.extend(name.parse::<HeaderName>()))
    }

    /// Includes the query in the attribute `path`, with values that look like secrets masked. Default: `false`.
    pub fn query(self, included: bool) -> Self {
        self.with(|config| config.query = included)
    }

    /// Sends the task's serial in the response header `Pm-Task-Id`. Default: `true`.
    pub fn reply_header(self, sent: bool) -> Self {
        self.with(|config| config.reply_header = sent)
    }

    /// Sets a function that completes the description of a task: with more attributes, a deadline, or another
    /// [policy](crate::CancelPolicy) for cancels. It is applied last, and overrides the layer's own values.
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
