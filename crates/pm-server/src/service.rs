//! A request in, a response out: what a connection of our own calls, and what can be nested in another server.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Buf;
use http::{Method, Request, Response, StatusCode};
use pm_core::ProcessList;
use pm_wire::CancelBody;

use super::access::gate::Gate;
use super::access::tokens::Tokens;
use super::access::{Caller, Identity, Scope};
use super::attempt::Attempt;
use super::audit::Audit;
use super::compress;
use super::events::Feed;
use super::failure::Failure;
use super::guard::Guard;
use super::procs;
use super::reply::{self, Body};
use super::route::{self, Need, Op, Operation, Params, Ref, Route, route};
use super::v1::{self, Idempotency};

/// The longest path and query, in bytes.
const MAX_TARGET: usize = 8 << 10;

/// The list as a service to nest in a server of your own; see [`Service`].
///
/// ```
/// use tower_service::Service;
///
/// let mut service = pm::service(pm::global());
/// let request = http::Request::get("/procs/").header("host", "localhost").body(String::new())?;
/// let response = service.call(request); // a future that no runtime needs to drive
/// # drop(response);
/// # Ok::<(), http::Error>(())
/// ```
#[must_use]
pub fn service(list: &ProcessList) -> Service {
    Service::new(list)
}

/// Answers requests about a list: a `tower::Service` for `http` requests with any body, which never fails and is always
/// ready.
///
/// With axum: `router.nest_service("/debug", pm::service(pm::global()))` serves `/debug/procs/`, and the page at `/debug/`,
/// with the slash. Where the router leaves the path whole, say so with [`prefix`](Self::prefix). Needs no runtime; how long a request and an answer may
/// take is up to the server around it.
///
/// **Everyone whom the server around it lets pass can cancel tasks.** Put it behind your own check. As a second line,
/// requests must name `localhost`, a loopback address or a host that was [allowed](Self::allow_host), and must not come
/// from another web site.
#[derive(Clone)]
pub struct Service {
    pub(super) state: Arc<State>,
    guard: Guard,
    gate: Gate,
    prefix: String,
    max_body: usize,
}

impl Service {
    pub(super) fn new(list: &ProcessList) -> Self {
        Self {
            state: State::new(list),
            guard: Guard::default(),
            gate: Gate::default(),
            prefix: String::new(),
            max_body: 64 << 10,
        }
    }

    pub(super) fn with_list(self, list: &ProcessList) -> Self {
        Self { state: State::new(list), ..self }
    }

    /// Answers requests for this host name too; see [`Builder::allow_host`](super::Builder::allow_host).
    #[must_use]
    pub fn allow_host(self, name: &str) -> Self {
        Self { guard: self.guard.allow(name), ..self }
    }

    pub(super) fn with_access(self, tokens: Option<Tokens>, token_required: bool) -> Self {
        Self { gate: Gate::new(tokens, token_required), ..self }
    }

    /// Before the first request.
    pub(super) fn with_audit(self, audit: Audit) -> Self {
        // Set once, as each state has one server.
        let _ = self.state.audit.set(audit);
        self
    }

    /// The path under which it is mounted, if the path of a request begins with it: `/debug` serves `/debug/procs/`.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Self { prefix, ..self }
    }

    /// How large the body of a request may be, in bytes. Default 64 KiB.
    #[must_use]
    pub fn max_body(self, bytes: usize) -> Self {
        Self { max_body: bytes, ..self }
    }

    /// Reads one request and does what it asks, but for waiting. `ends` are those of its connection.
    pub(super) fn begin<B>(&self, request: Request<B>, ends: Ends) -> impl Future<Output = Begun> + use<B>
    where
        B: http_body::Body,
    {
        let is_v1 = self.is_v1(request.uri().path());
        let is_packed = compress::is_wanted(request.headers(), ends.peer, ends.is_unix());
        let gate = self.gate.clone();
        let mut who = Requester::new(&ends, None);
        let decided = self.decide(&request, &ends, &mut who);
        if let Err(failure) = &decided
            && let Some(task) = self.attempted(&request)
        {
            Attempt::one(&self.state, &who, task, "").refused(failure);
        }
        let (parts, body) = request.into_parts();
        let max_body = self.max_body;
        let state = Arc::clone(&self.state);
        async move {
            let result = match decided {
                Ok(Decided::Answer(response)) => Ok(Begun::Done(response)),
                Ok(Decided::Procs(id, params)) => match read(body, max_body).await {
                    Ok(bytes) => {
                        let reason = CancelBody::from_lenient(&bytes).message;
                        procs::cancel(&state, &id, &params, &reason, &who).await
                    }
                    Err(failure) => Err(failure),
                },
                Ok(Decided::Ours(asked)) => match asked.operation.method {
                    "POST" => match read(body, max_body).await {
                        Ok(bytes) => v1::change(&state, asked, &who, &parts.headers, &bytes).await,
                        Err(failure) => Err(failure),
                    },
                    _ => v1::look(&state, &gate, asked, &who, &parts.headers)
                        .map(|response| Begun::Done(Box::new(response))),
                },
                Err(failure) => Err(failure),
            };
            let begun = result.unwrap_or_else(|failure| Begun::Done(Box::new(failure.reply(is_v1))));
            if is_packed { begun.packed() } else { begun }
        }
    }

    /// Whether a request is to cancel something, and the task that it names if it does.
    fn attempted<B>(&self, request: &Request<B>) -> Option<Option<String>> {
        let route = route(self.below(request.uri().path())?).ok()?;
        match (request.method(), route) {
            (&Method::DELETE, Route::Task(id)) => Some(Some(id)),
            (&Method::POST, Route::Ours(operation, segment)) if operation.need == Need::Cancel => {
                Some(segment.map(|segment| match Ref::read(&segment) {
                    Ok(Ref::Id(id)) => id,
                    // By its serial, or by what is no name.
                    _ => segment,
                }))
            }
            _ => None,
        }
    }

    /// The path below the prefix under which we are mounted.
    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&self.prefix)
    }

    /// Whether errors at a path are told as problem JSON.
    pub(super) fn is_v1(&self, path: &str) -> bool {
        self.below(path).is_none_or(route::is_v1)
    }

    /// What is to be done, and who wants it, as far as that is found out.
    fn decide<B>(&self, request: &Request<B>, ends: &Ends, who: &mut Requester) -> Result<Decided, Failure> {
        let answer = |response| Ok(Decided::Answer(Box::new(response)));
        let is_home = self.below(request.uri().path()) == Some("/");
        self.guard.check(request, ends.local, is_home)?;
        if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > MAX_TARGET) {
            let words = format!("the path and query have {MAX_TARGET} bytes at most");
            return Err(Failure::new(StatusCode::URI_TOO_LONG, "target-too-long", words));
        }
        let nothing = || nothing_here(&self.prefix);
        let path = self.below(request.uri().path()).ok_or_else(nothing)?;
        let (method, query) = (request.method(), request.uri().query());
        let list = &self.state.list;
        // A host alone, as CONNECT has, is no path, and not the prefix without its slash.
        let route = if request.uri().path().is_empty() { Ok(Route::Nothing) } else { route(path) };
        // Before anything is said of what there is. Only what tells nothing of tasks is for everybody.
        let is_open = match &route {
            Ok(Route::Ours(operation, _)) => operation.need == Need::Nothing,
            Ok(Route::Moved(to)) => to == "/",
            _ => false,
        };
        match self.gate.admit(request.headers(), ends.caller.as_ref(), ends.peer, Instant::now()) {
            Ok(caller) => who.caller = caller,
            Err(_) if is_open => {}
            Err(failure) => return Err(failure),
        }
        let route = route.map_err(|error| Failure::bad("invalid-path", error.to_string()).hint("write % as %25"))?;
        if let Route::Ours(operation, segment) = route {
            let allow = format!("{}, OPTIONS", operation.method);
            return match method.as_str() {
                "OPTIONS" => answer(reply::methods(&allow)),
                method if method == operation.method => {
                    who.must(operation.need)?;
                    let task = match operation.op {
                        Op::PageFile => segment.map(Ref::Id),
                        _ => segment.as_deref().map(Ref::read).transpose()?,
                    };
                    Ok(Decided::Ours(Asked { operation, task, query: query.map(str::to_owned) }))
                }
                _ => Err(method_not_allowed(&allow)),
            };
        }
        let params = Params::read(query)?;
        let serial = params.serial;
        match (route, method) {
            (Route::List, &Method::GET) => answer(procs::list(list)),
            (Route::List, _) => Err(method_not_allowed("GET")),
            (Route::History(id), &Method::GET) => procs::history(list, &id, serial).and_then(answer),
            (Route::History(_), _) => Err(method_not_allowed("GET")),
            (Route::Task(id), &Method::DELETE) => {
                who.must(Need::Cancel)?;
                Ok(Decided::Procs(id, params))
            }
            (Route::Task(_) | Route::NoSuchId, &Method::OPTIONS) => answer(reply::methods("DELETE, OPTIONS")),
            (Route::Task(_), _) => Err(method_not_allowed("DELETE, OPTIONS")),
            (Route::NoSuchId, _) => Err(procs::no_such_task(None)),
            (Route::Moved(to), _) => {
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                reply::moved(&format!("{}{to}{query}", self.prefix)).map_or_else(|| Err(nothing()), answer)
            }
            (Route::Nothing | Route::Ours(..), _) => Err(nothing()),
        }
    }
}

/// What all requests share.
pub(super) struct State {
    pub(super) list: ProcessList,
    pub(super) feed: Feed,
    pub(super) keys: Idempotency,
    /// Tells this list, since it was served first, from all others.
    pub(super) boot: String,
    pub(super) since: Instant,
    /// Connections that are open on listeners of our own.
    pub(super) connections: AtomicUsize,
    audit: OnceLock<Audit>,
    /// How reading certificates again goes, if there is a listener with TLS.
    #[cfg(feature = "tls")]
    pub(super) tls: OnceLock<Arc<super::listen::tls::Health>>,
}

impl State {
    fn new(list: &ProcessList) -> Arc<Self> {
        let boot = format!("{:012x}", RandomState::new().hash_one(list.now().unix_nanos()) >> 16);
        Arc::new(Self {
            list: list.clone(),
            feed: Feed::new(list, &boot),
            keys: Idempotency::default(),
            boot,
            since: Instant::now(),
            connections: AtomicUsize::new(0),
            audit: OnceLock::new(),
            #[cfg(feature = "tls")]
            tls: OnceLock::new(),
        })
    }

    /// Who tried to cancel what. In memory only, unless there is a file.
    pub(super) fn audit(&self) -> &Audit {
        self.audit.get_or_init(Audit::in_memory)
    }
}

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub(super) struct Requester {
    peer: Option<IpAddr>,
    is_unix: bool,
    pub(super) caller: Caller,
}

impl Requester {
    fn new(ends: &Ends, caller: Option<Caller>) -> Self {
        let nobody = Caller { identity: Identity::Nobody, scope: Scope::Read };
        Self { peer: ends.peer, is_unix: ends.is_unix(), caller: caller.unwrap_or(nobody) }
    }

    /// The other end of the connection, as it is shown.
    pub(super) fn peer(&self) -> String {
        match self.peer {
            Some(peer) => peer.to_string(),
            None if self.is_unix => "unix".to_owned(),
            None => String::new(),
        }
    }

    /// Whether the caller may do this.
    fn must(&self, need: Need) -> Result<(), Failure> {
        let needed = match need {
            Need::Nothing => return Ok(()),
            Need::Read => Scope::Read,
            Need::Cancel => Scope::Cancel,
        };
        if self.caller.scope.allows(needed) {
            return Ok(());
        }
        let what = if matches!(self.caller.identity, Identity::Certificate(_)) { "certificate" } else { "token" };
        let words = format!("this {what} may {}, not {needed}", self.caller.scope);
        Err(Failure::new(StatusCode::FORBIDDEN, "insufficient-scope", words)
            .hint("a token with the scope `cancel` is needed"))
    }

    /// How a task is told who asks it to stop: by name if there is one.
    pub(super) fn shown(&self) -> String {
        match &self.caller.identity {
            Identity::Loopback | Identity::Anyone | Identity::Nobody => self.peer(),
            known => known.to_string(),
        }
    }
}

/// A request for one of our operations.
pub(super) struct Asked {
    pub(super) operation: &'static Operation,
    pub(super) task: Option<Ref>,
    pub(super) query: Option<String>,
}

enum Decided {
    Answer(Box<Response<Body>>),
    /// A cancel of the first pm, once its body was read: the id, and what was said of it.
    Procs(String, Params),
    Ours(Asked),
}

/// Both ends of a connection, as far as they are known.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) local: Option<IpAddr>,
    pub(super) peer: Option<IpAddr>,
    /// Who is there, as far as the door tells.
    pub(super) caller: Option<Caller>,
}

impl Ends {
    fn is_unix(&self) -> bool {
        matches!(self.caller, Some(Caller { identity: Identity::Uid(_), .. }))
    }

    /// Those of a server around us: whom it lets pass may all.
    pub(super) fn unknown() -> Self {
        Self { local: None, peer: None, caller: Some(Caller { identity: Identity::Anyone, scope: Scope::Cancel }) }
    }
}

/// A request that was read.
pub(super) enum Begun {
    Done(Box<Response<Body>>),
    /// Somebody waits for what comes of a cancel.
    Waits(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Begun {
    /// The same in fewer bytes. What comes of a cancel is short.
    fn packed(self) -> Self {
        match self {
            Self::Done(response) => Self::Done(Box::new(reply::packed(*response))),
            waits => waits,
        }
    }

    /// Waits as long as was asked for.
    pub(super) async fn finish(self) -> Response<Body> {
        match self {
            Self::Done(response) => *response,
            Self::Waits(reply) => reply.await,
        }
    }
}

fn nothing_here(prefix: &str) -> Failure {
    Failure::not_found("not-found", "nothing is served at this path")
        .hint(format!("the list is at {prefix}/v1/tasks and {prefix}/procs/, and a slash within an id is written %2F"))
}

fn method_not_allowed(allow: &str) -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", format!("this path allows {allow}")).allow(allow)
}

/// The whole body, if it is small enough. One that tells beforehand that it is not, is not read at all.
async fn read<B: http_body::Body>(body: B, limit: usize) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        let words = format!("the body may have {limit} bytes at most");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", words).closing()
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let broken = |_| Failure::bad("body-broken", "the body of the request broke off");
        let Ok(mut data) = frame.map_err(broken)?.into_data() else { continue };
        while data.has_remaining() {
            let chunk = data.chunk();
            if bytes.len() + chunk.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(chunk);
            let length = chunk.len();
            data.advance(length);
        }
    }
    Ok(bytes)
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let begin = self.begin(request, Ends::unknown());
        ResponseFuture { answer: Box::pin(async move { begin.await.finish().await }) }
    }
}

/// An answer of a [`Service`] to come.
pub struct ResponseFuture {
    answer: Pin<Box<dyn Future<Output = Response<Body>> + Send>>,
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer.as_mut().poll(context).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, max_body, .. } = self;
        f.debug_struct("Service").field("prefix", prefix).field("max_body", max_body).finish_non_exhaustive()
    }
}
