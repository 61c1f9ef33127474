//! Describes a request as a task: its id, kind and attributes.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::HeaderName;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Uri};
use pm_core::{CancelPolicy, ProcessList, TaskBuilder};

#[cfg(feature = "axum")]
use super::axum::{connected, matched_route};
use super::connection::ConnectionGuard;
use super::current::Handover;
use super::grpc::{Grpc, Side};
use super::id::{self, Fields, TraceParent};
use super::methods::Methods;
use super::routes::{self, Unrouted};
use super::run::Run;

type Text = dyn for<'p> Fn(&'p Parts) -> Option<Cow<'p, str>> + Send + Sync;
type Peer = dyn Fn(&Parts) -> Option<SocketAddr> + Send + Sync;
type Describe = dyn for<'l> Fn(TaskBuilder<'l>, &Parts) -> TaskBuilder<'l> + Send + Sync;

/// The configuration of a [`TasksLayer`](super::TasksLayer).
#[derive(Clone)]
pub(super) struct Config {
    pub(super) list: ProcessList,
    pub(super) id: Option<Arc<Text>>,
    pub(super) route: Option<Arc<Text>>,
    /// Templates of routes.
    pub(super) routes: Arc<[String]>,
    /// The gRPC methods that were called.
    pub(super) methods: Arc<Methods>,
    /// Counts requests without a route, to advise routes.
    pub(super) unrouted: Arc<Unrouted>,
    pub(super) on_cancel: Option<CancelPolicy>,
    /// The policies of kinds, which may end with `*`.
    pub(super) on_cancel_of: Vec<(Box<str>, CancelPolicy)>,
    /// The connection of all requests.
    pub(super) connection: Option<ConnectionGuard>,
    pub(super) peer: Option<Arc<Peer>>,
    pub(super) describe: Option<Arc<Describe>>,
    pub(super) headers: Vec<HeaderName>,
    pub(super) query: bool,
    pub(super) reply_header: bool,
}

/// The head of a request.
#[derive(Clone, Copy)]
pub(super) struct Head<'r> {
    method: &'r Method,
    uri: &'r Uri,
    headers: &'r HeaderMap,
    pub(super) fields: Fields<'r>,
    extensions: &'r Extensions,
    /// All of the above, for the functions that the layer was configured with; `None` if there are none.
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
    pub(super) fn new(list: ProcessList) -> Self {
        Self {
            list,
            id: None,
            route: None,
            routes: Arc::default(),
            methods: Arc::default(),
            unrouted: Arc::default(),
            on_cancel: None,
            on_cancel_of: Vec::new(),
            connection: None,
            peer: None,
            describe: None,
            headers: Vec::new(),
            query: false,
            reply_header: true,
        }
    }

    /// Returns `true` if a configured function needs the parts of a request. Otherwise it stays whole: it is large, and
    /// taking it apart moves it twice.
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
        let grpc = Grpc::of(head.fields.content_type);
        let route = route
            .as_deref()
            .or_else(|| matched_route(head.extensions))
            .or_else(|| routes::route(&self.routes, head.uri.path()))
            .filter(|route| !route.trim().is_empty());
        let mut trial = None;
        let kind = match route {
            Some(route) => {
                self.unrouted.is_wrong();
                Kind::of(method, route)
            }
            None if !matches!(grpc, Grpc::No) && method == "POST" => {
                let (is_method, called) = self.methods.call(head.uri.path());
                trial = called;
                if is_method { Kind::of(method, head.uri.path()) } else { Kind::Known("grpc") }
            }
            None => {
                self.unrouted.count();
                Kind::Known(method)
            }
        };
        task = task.kind(kind.as_str());
        if let Some(policy) = self.policy(kind.as_str()) {
            task = task.on_cancel(policy);
        }
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
        let mut run = Run::new(task.supervise_with_status("handling"), Side::Server, head.method, grpc);
        run.trial = trial;
        run.reply_header = self.reply_header;
        if *head.method == Method::CONNECT || head.fields.asks_upgrade {
            run.handover = Handover::possible();
        }
        run
    }

    /// Returns the policy of a kind: the first that fits, else that of the layer.
    fn policy(&self, kind: &str) -> Option<CancelPolicy> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(beginning) => kind.starts_with(beginning),
            None => kind == pattern,
        };
        let of_kind = self.on_cancel_of.iter().find(|(pattern, _)| fits(pattern));
        of_kind.map(|(_, policy)| *policy).or(self.on_cancel)
    }

    fn peer(&self, head: &Head<'_>) -> Option<SocketAddr> {
        match &self.peer {
            Some(peer) => peer(head.parts?),
            None => head.extensions.get::<SocketAddr>().copied().or_else(|| connected(head.extensions)),
        }
    }
}

/// Returns the method for a kind. Methods that clients make up share one name.
pub(super) fn known_method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH") => known,
        _ => "OTHER",
    }
}

/// The kind of a request.
pub(super) enum Kind<'k> {
    Known(&'k str),
    /// Longer ones are rare, and a larger array would have to be zeroed each time.
    Short(Short<64>),
    Long(String),
}

impl<'k> Kind<'k> {
    /// Returns the kind of requests with a method to a route or host.
    pub(super) fn of(method: &str, of: &str) -> Self {
        let mut kind = Short::default();
        match [method, " ", of].into_iter().try_for_each(|part| kind.write_str(part)) {
            Ok(()) => Self::Short(kind),
            Err(_) => Self::Long([method, " ", of].concat()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Known(kind) => kind,
            Self::Short(kind) => kind.as_str(),
            Self::Long(kind) => kind,
        }
    }
}

#[cfg(not(feature = "axum"))]
fn matched_route(_extensions: &Extensions) -> Option<&str> {
    None
}

#[cfg(not(feature = "axum"))]
fn connected(_extensions: &Extensions) -> Option<SocketAddr> {
    None
}

/// A formatted string on the stack.
pub(super) struct Short<const N: usize> {
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
        // A value that does not fit is left out.
        let _ = write!(short, "{value}");
        short
    }

    fn as_str(&self) -> &str {
        // Only whole strings were added.
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
    fn the_longest_address_and_kinds_of_any_length_are_complete() {
        let address = std::net::SocketAddrV6::new([0xffff; 8].into(), u16::MAX, 0, u32::MAX);
        let short = Short::<64>::of(SocketAddr::from(address));
        assert_eq!(short.as_str(), address.to_string());

        let list = ProcessList::new();
        let long = "/x".repeat(62);
        let task = list.task("a").kind(Kind::of("GET", &long).as_str()).start();
        let kind = list.view(task.serial(), |view| view.kind().map(|kind| kind.to_string()));
        assert_eq!(kind, Some(Some(format!("GET {long}"))));
        assert_eq!(Short::<8>::of("nine long").as_str(), "");
    }
}
