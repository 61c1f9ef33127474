//! The list as a service: a request in, a response out. Serves the connections of our own listeners, and nests in other
//! servers.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Buf;
use http::{Method, Request, Response, StatusCode};
use pm_core::{ProcessList, Serial};
use pm_wire::CancelBody;

use crate::access::Permission;
use crate::access::gate::Gate;
use crate::access::guard::Guard;
use crate::access::tokens::Tokens;
use crate::audit::Audit;
use crate::cancel::{Attempt, no_live_task};
use crate::procs::{self, Params};
use crate::request::route::{self, Op, Route, TaskRef, route};
use crate::request::{Answer, Call, ConnectionInfo, Requester, State};
use crate::response::{self, Body, Failure, Memory, compress};
use crate::v1;
use crate::workers::Workers;

/// The longest path and query, in bytes.
const MAX_TARGET: usize = 8 << 10;

/// Returns the list as a service to nest in another server; see [`Service`].
///
/// ```
/// use tower_service::Service;
///
/// let mut service = pm::service(pm::global());
/// let request = http::Request::get("/procs/").header("host", "localhost").body(String::new())?;
/// let response = service.call(request); // a future for any runtime
/// # drop(response);
/// # Ok::<(), http::Error>(())
/// ```
#[must_use]
pub fn service(list: &ProcessList) -> Service {
    Service::new(list)
}

/// Answers requests about a list: a `tower::Service` for `http` requests with any body. It never fails and is always
/// ready.
///
/// With axum: `router.nest_service("/debug", pm::service(pm::global()))` serves `/debug/procs/`, and the page at
/// `/debug/`, with the slash. Where the router does not strip its path, set the [`prefix`](Self::prefix). It needs no
/// runtime. Time limits for requests and responses are up to the server around it.
///
/// **Everyone whose requests the server around it lets pass can cancel tasks.** Put it behind an access check. As a
/// second line of defence, requests must name `localhost`, a loopback address or an [allowed host](Self::allow_host),
/// and must not come from another web site.
#[derive(Clone)]
pub struct Service {
    pub(crate) state: Arc<State>,
    guard: Guard,
    gate: Gate,
    prefix: String,
    max_body: usize,
    text_attrs: bool,
}

impl Service {
    pub(crate) fn new(list: &ProcessList) -> Self {
        Self {
            state: State::new(list),
            guard: Guard::default(),
            gate: Gate::default(),
            prefix: String::new(),
            max_body: 64 << 10,
            text_attrs: false,
        }
    }

    pub(crate) fn with_list(self, list: &ProcessList) -> Self {
        Self { state: State::new(list), ..self }
    }

    /// Allows another host name in requests; see [`Builder::allow_host`](crate::Builder::allow_host).
    #[must_use]
    pub fn allow_host(self, name: &str) -> Self {
        Self { guard: self.guard.allow(name), ..self }
    }

    /// Allows another origin of web pages; see [`Builder::allow_origin`](crate::Builder::allow_origin). One that is not
    /// an origin allows nothing.
    #[must_use]
    pub fn allow_origin(self, origin: &str) -> Self {
        Self { guard: self.guard.allow_origin(origin), ..self }
    }

    /// Returns the first allowed origin that is not one.
    pub(crate) fn bad_origin(&self) -> Option<&str> {
        self.guard.bad_origin()
    }

    pub(crate) fn with_access(self, tokens: Option<Tokens>, token_required: bool) -> Self {
        Self { gate: Gate::new(tokens, token_required), ..self }
    }

    /// Sets the audit log; before the first request.
    pub(crate) fn with_audit(self, audit: Audit) -> Self {
        // Set only once, as each state belongs to one server.
        let _ = self.state.audit.set(audit);
        self
    }

    /// Sets the path under which the service is mounted, if paths of requests begin with it: `/debug` serves
    /// `/debug/procs/`. Default: none.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Self { prefix, ..self }
    }

    /// Sets the largest body of a request, in bytes. Default 64 KiB.
    #[must_use]
    pub fn max_body(self, bytes: usize) -> Self {
        Self { max_body: bytes, ..self }
    }

    /// Writes the values of attributes as strings in the list of `/procs/`, numbers and booleans as well. Default
    /// `false`. Clients of VividCortex/pm that expect strings, such as its terminal client, fail on anything else.
    /// `/v1` is the same either way.
    #[must_use]
    pub fn text_attrs(self, text: bool) -> Self {
        Self { text_attrs: text, ..self }
    }

    /// Handles a request, apart from waiting for a verdict: the time limit for the body ends with this.
    pub(crate) fn handle<B>(
        &self,
        request: Request<B>,
        connection: ConnectionInfo,
    ) -> impl Future<Output = Answer> + use<B>
    where
        B: http_body::Body,
    {
        let is_v1 = self.is_v1(request.uri().path());
        let gate = self.gate.clone();
        let mut requester = Requester::unidentified(&connection);
        let decided = self.decide(&request, &connection, &mut requester);
        if let Err(failure) = &decided
            && let Some(task) = self.attempted(&request)
        {
            Attempt::one(&self.state, &requester, task, "").refused(failure);
        }
        let finish = Finish {
            is_head: request.method() == Method::HEAD,
            is_compressed: compress::is_wanted(request.headers(), connection.peer, connection.is_unix()),
            is_v1,
            memory: Arc::clone(&self.state.memory),
        };
        let (parts, body) = request.into_parts();
        let max_body = self.max_body;
        let state = Arc::clone(&self.state);
        async move {
            let result = match decided {
                Ok(Decided::Answer(response)) => Ok(finish.answer(&state, *response)),
                // A hook of the program may take its time, unlike the body.
                Ok(Decided::Procs(id, params)) => read(body, max_body, &state.memory).await.map(|bytes| {
                    Answer::later(is_v1, async move {
                        let reason = CancelBody::from_lenient(&bytes).message;
                        procs::cancel(&state, id, params, reason, requester).await
                    })
                }),
                Ok(Decided::History(id, serial)) => {
                    let threads = state.threads_for_history(Some(&id), serial);
                    let list = state.list.clone();
                    finish.made(&state, threads, &requester, move || procs::history(&list, &id, serial))
                }
                Ok(Decided::Call(call)) => match call.operation.method {
                    "POST" => read(body, max_body, &state.memory).await.map(|bytes| {
                        Answer::later(is_v1, async move {
                            v1::change(&state, call, &requester, &parts.headers, &bytes).await
                        })
                    }),
                    _ => {
                        let threads = state.threads_for(call.operation.op, call.task.as_ref(), call.query.as_deref());
                        let (shared, caller) = (Arc::clone(&state), requester.clone());
                        finish.made(&state, threads, &requester, move || {
                            let response = v1::read(&shared, &gate, call, &caller, &parts.headers)?;
                            Ok(response::admitted(response, || gate.again(&parts.headers)))
                        })
                    }
                },
                Err(failure) => Err(failure),
            };
            result.unwrap_or_else(|failure| Answer::ready(finish.response(failure.response(is_v1))))
        }
    }

    /// Returns why a request was not handled in time: its body did not arrive whole, or the disk of the audit log
    /// hangs. The connection is closed, as the rest of the body is not read.
    pub(crate) fn timed_out(&self) -> Failure {
        let failure = match self.state.audit.get().and_then(Audit::unresponsive) {
            Some(why) => crate::cancel::not_recorded(&why),
            None => {
                let detail = "the body of the request did not arrive in time";
                Failure::new(StatusCode::REQUEST_TIMEOUT, "body-timed-out", detail)
            }
        };
        failure.closing()
    }

    /// Returns the task that a request would cancel, as far as it names one; `None` if it would cancel nothing.
    fn attempted<B>(&self, request: &Request<B>) -> Option<Option<String>> {
        let route = route(self.below(request.uri().path())?).ok()?;
        match (request.method(), route) {
            (&Method::DELETE, Route::Task(id)) => Some(Some(id)),
            (&Method::POST, Route::Operation(operation, segment))
                if operation.permission == Some(Permission::Cancel) =>
            {
                Some(segment.map(|segment| match TaskRef::read(&segment) {
                    Ok(TaskRef::Id(id)) => id,
                    // A serial, or not valid.
                    _ => segment,
                }))
            }
            _ => None,
        }
    }

    /// Strips the prefix under which the service is mounted.
    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&self.prefix)
    }

    /// Returns `true` if errors at a path are problem JSON.
    pub(crate) fn is_v1(&self, path: &str) -> bool {
        self.below(path).is_none_or(route::is_v1)
    }

    /// Decides what to do, without reading the body. Identifies the requester, if that is possible, also where it
    /// fails.
    fn decide<B>(
        &self,
        request: &Request<B>,
        connection: &ConnectionInfo,
        requester: &mut Requester,
    ) -> Result<Decided, Failure> {
        let answer = |response| Ok(Decided::Answer(Box::new(response)));
        self.guard.check(request, connection.local, self.below(request.uri().path()))?;
        if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > MAX_TARGET) {
            let detail = format!("path and query together exceed {MAX_TARGET} bytes");
            return Err(Failure::new(StatusCode::URI_TOO_LONG, "target-too-long", detail));
        }
        let nothing = || nothing_here(&self.prefix);
        let path = self.below(request.uri().path()).ok_or_else(nothing)?;
        // A HEAD request is answered as GET is, without the body.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let query = request.uri().query();
        // CONNECT has a host without a path, which is not the prefix without its slash.
        let route = if request.uri().path().is_empty() { Ok(Route::Nothing) } else { route(path) };
        // Before the response reveals what exists. Only what shows nothing about tasks is open to everyone.
        let is_open = match &route {
            Ok(Route::Operation(operation, _)) => operation.permission.is_none(),
            Ok(Route::Moved(to)) => to == "/",
            _ => false,
        };
        match self.gate.admit(request.headers(), connection.caller.as_ref(), connection.peer, Instant::now()) {
            Ok(caller) => requester.caller = caller,
            Err(_) if is_open => {}
            Err(failure) => return Err(failure),
        }
        let route = route.map_err(|error| Failure::bad("invalid-path", error.to_string()).hint("write % as %25"))?;
        if let Route::Operation(operation, segment) = route {
            let head = if operation.method == "GET" { ", HEAD" } else { "" };
            let allow = format!("{}{head}, OPTIONS", operation.method);
            return match method.as_str() {
                "OPTIONS" => answer(response::methods(&allow)),
                method if method == operation.method => {
                    if let Some(permission) = operation.permission {
                        requester.require(permission)?;
                    }
                    let task = match operation.op {
                        Op::PageFile => segment.map(TaskRef::Id),
                        _ => segment.as_deref().map(TaskRef::read).transpose()?,
                    };
                    Ok(Decided::Call(Call { operation, task, query: query.map(str::to_owned) }))
                }
                _ => Err(method_not_allowed(&allow)),
            };
        }
        let params = Params::read(query)?;
        let serial = params.serial;
        match (route, method) {
            (Route::List, &Method::GET) => answer(procs::list(&self.state, self.text_attrs)),
            (Route::List, _) => Err(method_not_allowed("GET, HEAD")),
            (Route::History(id), &Method::GET) => Ok(Decided::History(id, serial)),
            (Route::History(_), _) => Err(method_not_allowed("GET, HEAD")),
            (Route::Task(id), &Method::DELETE) => {
                requester.require(Permission::Cancel)?;
                Ok(Decided::Procs(id, params))
            }
            (Route::Task(_) | Route::NoSuchId, &Method::OPTIONS) => answer(response::methods("DELETE, OPTIONS")),
            (Route::Task(_), _) => Err(method_not_allowed("DELETE, OPTIONS")),
            (Route::NoSuchId, _) => Err(no_live_task(None)),
            (Route::Moved(to), _) => {
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                response::moved(&format!("{}{to}{query}", self.prefix)).map_or_else(|| Err(nothing()), answer)
            }
            (Route::Nothing | Route::Operation(..), _) => Err(nothing()),
        }
    }
}

enum Decided {
    Answer(Box<Response<Body>>),
    /// The history of a task at `/procs/{id}/history`.
    History(String, Option<Serial>),
    /// A cancel at `/procs/{id}`, once its body was read.
    Procs(String, Params),
    Call(Call),
}

/// The last steps of each response.
#[derive(Clone)]
struct Finish {
    is_head: bool,
    is_compressed: bool,
    is_v1: bool,
    memory: Arc<Memory>,
}

impl Finish {
    fn response(&self, response: Response<Body>) -> Response<Body> {
        let response = if self.is_compressed { response::compressed(response) } else { response };
        let response = if self.is_head { response::without_body(response) } else { response };
        response::counted(response, &self.memory).unwrap_or_else(|error| Failure::from(error).response(self.is_v1))
    }

    /// Returns a response as the answer, once it is compressed.
    fn answer(&self, state: &State, response: Response<Body>) -> Answer {
        if !(self.is_compressed && response::is_long_to_compress(&response)) {
            return Answer::ready(self.response(response));
        }
        let finish = self.clone();
        let response = state.pieces.run(None, move || finish.response(response));
        Answer::later(self.is_v1, async move { response.await.map(Answer::ready) })
    }

    /// Returns the answer that `make` makes, on one of some threads, or else at once.
    fn made(
        &self,
        state: &State,
        threads: Option<&Workers>,
        requester: &Requester,
        make: impl FnOnce() -> Result<Response<Body>, Failure> + Send + 'static,
    ) -> Result<Answer, Failure> {
        let Some(threads) = threads else { return Ok(self.answer(state, make()?)) };
        let finish = self.clone();
        let make = move || finish.response(make().unwrap_or_else(|failure| failure.response(finish.is_v1)));
        let response = threads.run(requester.client().as_ref(), make);
        Ok(Answer::later(self.is_v1, async move { response.await.map(Answer::ready) }))
    }
}

fn nothing_here(prefix: &str) -> Failure {
    Failure::not_found("not-found", "nothing is served at this path")
        .hint(format!("the list is at {prefix}/v1/tasks and {prefix}/procs/; write a slash within an id as %2F"))
}

fn method_not_allowed(allow: &str) -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", format!("this path allows {allow}")).allow(allow)
}

/// Reads the whole body. One that declares a length beyond the limit is not read at all.
async fn read<B: http_body::Body>(body: B, limit: usize, memory: &Arc<Memory>) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        let detail = format!("the body exceeds {limit} bytes");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail).closing()
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    // A short one is never refused, so that cancels get through.
    let upper = body.size_hint().upper().unwrap_or(u64::MAX).min(limit as u64);
    let _held = memory.hold_for_response(upper).map_err(|error| Failure::from(error).closing())?;
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let broken = |_| Failure::bad("body-broken", "the body of the request ended early");
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
        let answer = self.handle(request, ConnectionInfo::of_other_server());
        ResponseFuture { response: Box::pin(async move { answer.await.response().await }) }
    }
}

/// The future of a [`Service`], which resolves to the response about the list and never fails.
///
/// The layers of `pm::tower`, which make the application's own requests tasks, have a `ResponseFuture` of their own.
#[must_use = "a future does nothing until it is polled"]
pub struct ResponseFuture {
    response: Pin<Box<dyn Future<Output = Response<Body>> + Send>>,
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.response.as_mut().poll(context).map(Ok)
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
