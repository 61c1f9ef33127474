//! A request in, a response out: what a connection of our own calls, and what can be nested in another server.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Buf;
use http::{Method, Request, Response, StatusCode};
use pm_core::ProcessList;
use pm_wire::CancelBody;

use super::guard::Guard;
use super::procs;
use super::reply::{self, Body};
use super::route::{Params, Route, route};

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
/// With axum: `router.nest_service("/debug", pm::service(pm::global()))` serves `/debug/procs/`. Where the router
/// leaves the path whole, say so with [`prefix`](Self::prefix). Needs no runtime; how long a request and an answer may
/// take is up to the server around it.
///
/// **Everyone whom the server around it lets pass can cancel tasks.** Put it behind your own check. As a second line,
/// requests must name `localhost`, a loopback address or a host that was [allowed](Self::allow_host), and must not come
/// from another web site.
#[derive(Clone)]
pub struct Service {
    list: ProcessList,
    guard: Guard,
    prefix: String,
    max_body: usize,
}

impl Service {
    pub(super) fn new(list: &ProcessList) -> Self {
        Self { list: list.clone(), guard: Guard::default(), prefix: String::new(), max_body: 64 << 10 }
    }

    pub(super) fn with_list(self, list: &ProcessList) -> Self {
        Self { list: list.clone(), ..self }
    }

    /// Answers requests for this host name too; see [`Builder::allow_host`](super::Builder::allow_host).
    #[must_use]
    pub fn allow_host(self, name: &str) -> Self {
        Self { guard: self.guard.allow(name), ..self }
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
        let decided = self.decide(&request, ends.local);
        let body = request.into_body();
        let max_body = self.max_body;
        let list = self.list.clone();
        async move {
            let (id, params) = match decided {
                Decided::Answer(response) => return Begun::Done(response),
                Decided::Cancel(id, params) => (id, params),
            };
            let refused = match read(body, max_body).await {
                Ok(bytes) => {
                    let by = ends.peer.map(|peer| peer.to_string()).unwrap_or_default();
                    return procs::cancel(&list, &id, &params, &CancelBody::from_lenient(&bytes).message, &by);
                }
                Err(NoBody::TooLarge) => reply::body_too_large(max_body),
                Err(NoBody::Broken) => reply::error(StatusCode::BAD_REQUEST, "the body of the request broke off"),
            };
            Begun::Done(Box::new(refused))
        }
    }

    fn decide<B>(&self, request: &Request<B>, local: Option<IpAddr>) -> Decided {
        let answer = |response| Decided::Answer(Box::new(response));
        if let Err(refusal) = self.guard.check(request, local) {
            return Decided::Answer(refusal);
        }
        let Some(path) = request.uri().path().strip_prefix(&self.prefix) else {
            return answer(nothing_here(&self.prefix));
        };
        let (method, query) = (request.method(), request.uri().query());
        let route = match route(path) {
            Ok(route) => route,
            Err(error) => return answer(reply::error(StatusCode::BAD_REQUEST, &format!("{error}; write % as %25"))),
        };
        let params = match Params::read(query) {
            Ok(params) => params,
            Err(wrong) => return answer(reply::error(StatusCode::BAD_REQUEST, &wrong)),
        };
        let serial = params.serial;
        answer(match (route, method) {
            (Route::List, &Method::GET) => procs::list(&self.list),
            (Route::List, _) => reply::method_not_allowed("GET"),
            (Route::History(id), &Method::GET) => procs::history(&self.list, &id, serial),
            (Route::History(_), _) => reply::method_not_allowed("GET"),
            (Route::Task(id), &Method::DELETE) => return Decided::Cancel(id, params),
            (Route::Task(_) | Route::NoSuchId, &Method::OPTIONS) => reply::methods("DELETE, OPTIONS"),
            (Route::Task(_), _) => reply::method_not_allowed("DELETE, OPTIONS"),
            (Route::NoSuchId, _) => procs::no_such_task(None),
            (Route::Moved(to), _) => {
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                reply::moved(&format!("{}{to}{query}", self.prefix))
            }
            (Route::Nothing, _) => nothing_here(&self.prefix),
        })
    }
}

enum Decided {
    Answer(Box<Response<Body>>),
    /// Once its body was read: the id, and what was said of it.
    Cancel(String, Params),
}

/// Both ends of a connection, as far as they are known.
#[derive(Clone, Copy, Default)]
pub(super) struct Ends {
    pub(super) local: Option<IpAddr>,
    pub(super) peer: Option<IpAddr>,
}

/// A request that was read.
pub(super) enum Begun {
    Done(Box<Response<Body>>),
    /// A cancel, and somebody who waits for what comes of it.
    Waits(procs::Waits),
}

impl Begun {
    /// Waits as long as was asked for.
    pub(super) async fn finish(self) -> Response<Body> {
        match self {
            Self::Done(response) => *response,
            Self::Waits(waits) => waits.reply().await,
        }
    }
}

fn nothing_here(prefix: &str) -> Response<Body> {
    reply::not_found(&format!(
        "nothing is served at this path; the list is at {prefix}/procs/, and a slash within an id is written %2F"
    ))
}

enum NoBody {
    TooLarge,
    Broken,
}

/// The whole body, if it is small enough. One that tells beforehand that it is not, is not read at all.
async fn read<B: http_body::Body>(body: B, limit: usize) -> Result<Vec<u8>, NoBody> {
    if body.size_hint().lower() > limit as u64 {
        return Err(NoBody::TooLarge);
    }
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let Ok(mut data) = frame.map_err(|_| NoBody::Broken)?.into_data() else { continue };
        while data.has_remaining() {
            let chunk = data.chunk();
            if bytes.len() + chunk.len() > limit {
                return Err(NoBody::TooLarge);
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
        let begin = self.begin(request, Ends::default());
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
