//! What a server's layer is told, and how a request is described by it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;
use http::header::{HeaderName, USER_AGENT};
use http::request::Parts;
use pm_core::{ProcessList, Supervisor, TaskBuilder, global};
use tower_layer::Layer;

use super::id::{self, TraceParent, X_REQUEST_ID};
use super::service::Tasks;

type Text = dyn for<'p> Fn(&'p Parts) -> Option<Cow<'p, str>> + Send + Sync;
type Peer = dyn Fn(&Parts) -> Option<SocketAddr> + Send + Sync;
type Describe = dyn for<'l> Fn(TaskBuilder<'l>, &Parts) -> TaskBuilder<'l> + Send + Sync;

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
/// | attributes | `method`, `path`, `peer` (if it is [known](Self::peer)), `user_agent`, [chosen headers](Self::header), `traceparent` (if there is a valid one), `code` (the answer's) |
/// | status | `handling`, then what the handler says; `responding` from the head of the answer on; `upgraded` |
/// | end | finished with the last byte of the body; failed when the answer is 5xx, the body or the service fails, or a gRPC status tells a fault of the server; dropped when the client goes away before; aborted by a panic, which goes on |
///
/// The task is current whenever the handler and the body are polled, so [`pm::current()`](crate::current) is it, and tasks
/// that start there are its children. [`CurrentTask`](super::CurrentTask) is among the request's extensions. The answer
/// tells the task's serial in `Pm-Task-Id`, with which it can be found and killed; an id may belong to several.
///
/// A kill drops the handler where it awaits (after the list's [grace](crate::Options::grace)), and the client gets
/// [`503` as problem JSON](super::Killed), or the gRPC status `CANCELLED`, with the reason. If the head is gone already, the
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

#[derive(Clone)]
pub(super) struct Config {
    list: ProcessList,
    id: Option<Arc<Text>>,
    route: Option<Arc<Text>>,
    peer: Option<Arc<Peer>>,
    describe: Option<Arc<Describe>>,
    headers: Vec<HeaderName>,
    query: bool,
    pub(super) names_task: bool,
}

impl TasksLayer {
    /// One for the [`global`] list.
    pub fn new() -> Self {
        Self {
            config: Arc::new(Config {
                list: global().clone(),
                id: None,
                route: None,
                peer: None,
                describe: None,
                headers: Vec::new(),
                query: false,
                names_task: true,
            }),
        }
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

impl Config {
    /// Starts the task of a request.
    pub(super) fn start(&self, request: &Parts) -> Supervisor {
        let trace = TraceParent::of(&request.headers);
        let named = self.id.as_ref().and_then(|id| id(request)).filter(|id| !id.is_empty());
        let id = named.as_deref().or_else(|| id::text(&request.headers, X_REQUEST_ID));
        let mut task = match id.or(trace.as_ref().map(TraceParent::id)) {
            Some(id) => self.list.task(id),
            None => self.list.unnamed(),
        };
        let method = known_method(&request.method);
        let route = self.route.as_ref().and_then(|route| route(request));
        task = match route.as_deref().or_else(|| matched_route(request)) {
            Some(route) => with_kind(task, method, route),
            None => task.kind(method),
        };
        let path = match request.uri.path_and_query() {
            Some(whole) if self.query => whole.as_str(),
            _ => request.uri.path(),
        };
        task = task.attr("method", request.method.as_str()).attr("path", path);
        if let Some(peer) = self.peer(request) {
            task = task.attr("peer", Short::<64>::of(peer).as_str());
        }
        if let Some(agent) = request.headers.get(USER_AGENT) {
            task = task.attr("user_agent", &*String::from_utf8_lossy(agent.as_bytes()));
        }
        for name in &self.headers {
            if let Some(value) = request.headers.get(name) {
                task = task.attr(name.as_str(), &*String::from_utf8_lossy(value.as_bytes()));
            }
        }
        if let Some(trace) = &trace {
            task = task.attr("traceparent", trace.as_str());
        }
        if let Some(describe) = &self.describe {
            task = describe(task, request);
        }
        task.supervise()
    }

    fn peer(&self, request: &Parts) -> Option<SocketAddr> {
        match &self.peer {
            Some(peer) => peer(request),
            None => request.extensions.get::<SocketAddr>().copied().or_else(|| connected(request)),
        }
    }
}

/// The method for a kind: a client may invent others, so they share one.
pub(super) fn known_method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH") => known,
        _ => "OTHER",
    }
}

pub(super) fn with_kind<'l>(task: TaskBuilder<'l>, method: &str, of: &str) -> TaskBuilder<'l> {
    let kind = Short::<160>::of(format_args!("{method} {of}"));
    if kind.whole { task.kind(kind.as_str()) } else { task.kind(&format!("{method} {of}")) }
}

#[cfg(feature = "axum")]
use super::axum::{connected, matched_route};

#[cfg(not(feature = "axum"))]
fn matched_route(_request: &Parts) -> Option<&str> {
    None
}

#[cfg(not(feature = "axum"))]
fn connected(_request: &Parts) -> Option<SocketAddr> {
    None
}

/// A formatted text that needs no memory of its own.
struct Short<const N: usize> {
    bytes: [u8; N],
    length: usize,
    whole: bool,
}

impl<const N: usize> Short<N> {
    fn of(value: impl fmt::Display) -> Self {
        let mut short = Self { bytes: [0; N], length: 0, whole: true };
        if write!(short, "{value}").is_err() {
            short.whole = false;
        }
        short
    }

    fn as_str(&self) -> &str {
        // Only whole texts were added.
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Short<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_address_and_kinds_of_any_length_are_whole() {
        let address = std::net::SocketAddrV6::new([0xffff; 8].into(), u16::MAX, 0, u32::MAX);
        let short = Short::<64>::of(SocketAddr::from(address));
        assert_eq!((short.as_str(), short.whole), (address.to_string().as_str(), true));

        let list = ProcessList::new();
        let long = "/x".repeat(62);
        let task = with_kind(list.task("a"), "GET", &long).start();
        let kind = list.view(task.serial(), |view| view.kind().map(|kind| kind.to_string()));
        assert_eq!(kind, Some(Some(format!("GET {long}"))));
        assert!(!Short::<8>::of("nine long").whole);
    }
}
