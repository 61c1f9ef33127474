//! What a server's layer is told, and how a request is described by it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::HeaderName;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Uri};
use pm_core::{ProcessList, TaskBuilder, global};
use tower_layer::Layer;

use super::current::Handover;
use super::id::{self, Fields, TraceParent};
use super::reply::{Grpc, Side};
use super::run::Run;
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
/// | attributes | `method`, `path`, `peer` (if it is [known](Self::peer)), `user_agent`, [chosen headers](Self::header), `traceparent` (if there is a valid one) and its `tracestate`, `code` (the answer's) |
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
    names_task: bool,
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

/// What a request says before its body.
#[derive(Clone, Copy)]
pub(super) struct Head<'r> {
    method: &'r Method,
    uri: &'r Uri,
    headers: &'r HeaderMap,
    pub(super) fields: Fields<'r>,
    extensions: &'r Extensions,
    /// The same, for the functions that were given to the layer; there if there are any.
    parts: Option<&'r Parts>,
}

impl<'r> Head<'r> {
    pub(super) fn of<A>(request: &'r Request<A>) -> Self {
        let (method, uri, headers, extensions) =
            (request.method(), request.uri(), request.headers(), request.extensions());
        Self { method, uri, headers, fields: Fields::of(headers), extensions, parts: None }
    }

    pub(super) fn of_parts(parts: &'r Parts) -> Self {
        let Parts { method, uri, headers, extensions, .. } = parts;
        Self { method, uri, headers, fields: Fields::of(headers), extensions, parts: Some(parts) }
    }
}

impl Config {
    /// Whether a function wants the parts of a request. Else it had better stay whole: it is large, and taking it apart
    /// moves it twice.
    #[inline]
    pub(super) fn wants_parts(&self) -> bool {
        self.id.is_some() || self.route.is_some() || self.peer.is_some() || self.describe.is_some()
    }

    /// Starts the task of a request.
    pub(super) fn start(&self, head: &Head<'_>) -> Box<Run> {
        let Fields { trace, .. } = head.fields;
        let parts = head.parts;
        let named = self.id.as_ref().and_then(|id| id(parts?)).filter(|id| !id.is_empty());
        let id = named.as_deref().or_else(|| id::text(head.fields.request_id));
        let mut task = match id.or(trace.as_ref().map(TraceParent::id)) {
            Some(id) => self.list.task(id),
            None => self.list.unnamed(),
        };
        let method = known_method(head.method);
        let route = self.route.as_ref().and_then(|route| route(parts?));
        task = match route.as_deref().or_else(|| matched_route(head.extensions)) {
            Some(route) => with_kind(task, method, route),
            None => task.kind(method),
        };
        let path = match head.uri.path_and_query() {
            Some(whole) if self.query => whole.as_str(),
            _ => head.uri.path(),
        };
        task = task.attr("method", head.method.as_str()).attr("path", path);
        if let Some(peer) = self.peer(head) {
            task = task.attr("peer", Short::<64>::of(peer).as_str());
        }
        if let Some(agent) = head.fields.user_agent {
            task = task.attr("user_agent", &*String::from_utf8_lossy(agent.as_bytes()));
        }
        for name in &self.headers {
            if let Some(value) = head.headers.get(name) {
                task = task.attr(name.as_str(), &*String::from_utf8_lossy(value.as_bytes()));
            }
        }
        if let Some(trace) = &trace {
            task = task.attr("traceparent", trace.as_str());
            if head.fields.has_trace_state {
                task = task.attr("tracestate", &*id::trace_state(head.headers));
            }
        }
        if let Some(describe) = &self.describe
            && let Some(parts) = parts
        {
            task = describe(task, parts);
        }
        let mut run = Run::new(
            task.supervise_with_status("handling"),
            Side::Server,
            head.method,
            Grpc::of(head.fields.content_type),
        );
        run.names_task = self.names_task;
        if *head.method == Method::CONNECT || head.fields.asks_upgrade {
            run.handover = Handover::possible();
        }
        run
    }

    fn peer(&self, head: &Head<'_>) -> Option<SocketAddr> {
        match &self.peer {
            Some(peer) => peer(head.parts?),
            None => head.extensions.get::<SocketAddr>().copied().or_else(|| connected(head.extensions)),
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
    // Longer ones are rare, and an array that is never read must be zeroed, too.
    let mut kind = Short::<64>::default();
    let whole = [method, " ", of].into_iter().try_for_each(|part| kind.write_str(part));
    if whole.is_ok() { task.kind(kind.as_str()) } else { task.kind(&[method, " ", of].concat()) }
}

#[cfg(feature = "axum")]
use super::axum::{connected, matched_route};

#[cfg(not(feature = "axum"))]
fn matched_route(_extensions: &Extensions) -> Option<&str> {
    None
}

#[cfg(not(feature = "axum"))]
fn connected(_extensions: &Extensions) -> Option<SocketAddr> {
    None
}

/// A formatted text that needs no memory of its own.
struct Short<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Short<N> {
    fn default() -> Self {
        Self { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Short<N> {
    fn of(value: impl fmt::Display) -> Self {
        let mut short = Self::default();
        // What does not fit is not there.
        let _ = write!(short, "{value}");
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
        assert_eq!(short.as_str(), address.to_string());

        let list = ProcessList::new();
        let long = "/x".repeat(62);
        let task = with_kind(list.task("a"), "GET", &long).start();
        let kind = list.view(task.serial(), |view| view.kind().map(|kind| kind.to_string()));
        assert_eq!(kind, Some(Some(format!("GET {long}"))));
        assert_eq!(Short::<8>::of("nine long").as_str(), "");
    }
}
