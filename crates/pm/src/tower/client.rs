//! The layer of a client: each call to another service is a task, below the task that makes it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use pm_core::{ProcessList, SupervisedPoll, Supervisor, TaskHandle, ValueView, current, global};
use tower_layer::Layer;
use tower_service::Service;

use super::body::{BoxError, ResponseBody};
use super::describe::{Kind, known_method};
use super::grpc::{Grpc, Side};
use super::id::{self, Fields, TRACEPARENT, TRACESTATE, TraceParent, X_REQUEST_ID};
use super::run::Run;

/// Makes each call to another service a task, below the task that makes the call.
///
/// Works with hyper-util's client, tonic's `Channel`, and any other tower service of `http::Request`s. (reqwest has its
/// own request type.)
///
/// ```
/// use tower_layer::Layer as _;
/// # struct Client;
/// # let client = Client;
/// let client = pm::tower::CallsLayer::new().layer(client);
/// ```
///
/// The task has
///
/// - **id:** trace id and span id of the outgoing `traceparent`;
/// - **kind:** method and host, such as `GET api.example.com`;
/// - **attributes:** `method`, `url` without the query, `code` (status code of the response);
/// - **status:** `waiting for https://api.example.com/hosts`; `receiving` once the response head has arrived;
/// - **outcome:** finished with the last byte of the body; failed when the call or the body fails, the response is 5xx,
///   or a gRPC status is not 0; dropped when the caller drops it earlier.
///
/// The task is a child of the task that is current when the call is made, and is cancelled with it: the call is
/// dropped, and its error is [`Cancelled`](crate::Cancelled) (`error.downcast_ref::<pm::Cancelled>()`). It can also be
/// cancelled alone.
///
/// A request without `traceparent` gets one: a new span of the trace of the incoming request that the call is made for,
/// as recorded by [`TasksLayer`](super::TasksLayer), with its `tracestate`. If there is none, a new trace is generated
/// and recorded in the calling task, so that its next call belongs to it, too. A request without `X-Request-Id` gets
/// that of the incoming request.
///
/// A retry layer belongs inside this one if all attempts should be one task, else around it.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is given a service"]
pub struct CallsLayer {
    list: ProcessList,
}

impl CallsLayer {
    /// Creates a layer for the [`global`] list.
    pub fn new() -> Self {
        Self { list: global().clone() }
    }

    /// Sets the list of the tasks. Default: the [`global`] list.
    ///
    /// It should be the list of the calling tasks: a cancellation propagates only within one list.
    ///
    /// ```
    /// let list = pm::ProcessList::new();
    /// let layer = pm::tower::CallsLayer::new().list(&list);
    /// ```
    pub fn list(self, list: &ProcessList) -> Self {
        Self { list: list.clone() }
    }
}

impl Default for CallsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for CallsLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls { inner, list: Arc::new(self.list.clone()) }
    }
}

/// A client whose calls are tasks; created by [`CallsLayer`].
#[derive(Clone)]
pub struct Calls<S> {
    inner: S,
    list: Arc<ProcessList>,
}

impl<S: fmt::Debug> fmt::Debug for Calls<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, A, B> Service<Request<A>> for Calls<S>
where
    S: Service<Request<A>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body<Data: From<Vec<u8>>, Error: Into<BoxError>>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = BoxError;
    type Future = CallFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<A>) -> CallFuture<S::Future> {
        let (mut head, body) = request.into_parts();
        let supervisor = start(&self.list, &mut head);
        let mut run = Run::new(supervisor, Side::Client, &head.method, Grpc::of(head.headers.get(CONTENT_TYPE)));
        let request = Request::from_parts(head, body);
        if run.supervisor.should_kill() {
            return CallFuture { future: None, run: Some(run) };
        }
        let entered = run.supervisor.enter();
        let future = Some(self.inner.call(request));
        entered.leave();
        CallFuture { future, run: Some(run) }
    }
}

/// Starts the task of a call, and adds the trace and request id that it inherits to the request.
fn start(list: &ProcessList, head: &mut Parts) -> Supervisor {
    let parent = current();
    let inherited = Inherited::of(list, parent);
    let own = Fields::of(&head.headers).trace;
    if let (None, Some(state)) = (own, inherited.trace_state) {
        head.headers.insert(TRACESTATE, state);
    }
    let trace = own.unwrap_or_else(|| {
        let trace = inherited.trace.unwrap_or_else(|| {
            let new = TraceParent::generate();
            if parent.is_live() {
                parent.set("traceparent", new.as_str());
            }
            new
        });
        trace.child()
    });
    if let Ok(value) = HeaderValue::from_str(trace.as_str()) {
        head.headers.insert(TRACEPARENT, value);
    }
    if let Some(id) = inherited.request_id
        && !head.headers.contains_key(X_REQUEST_ID)
    {
        head.headers.insert(X_REQUEST_ID, id);
    }

    let authority = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => id::text(head.headers.get(HOST)).unwrap_or_default(),
    };
    // Without user info and port.
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => host,
    };
    let scheme = head.uri.scheme_str().unwrap_or("http");
    let url = format!("{scheme}://{authority}{}", head.uri.path());
    let task = list.task(trace.id()).attr("method", head.method.as_str()).attr("url", &url);
    let method = known_method(&head.method);
    let kind = if host.is_empty() { Kind::Known(method) } else { Kind::of(method, host) };
    let task = task.kind(kind.as_str());
    let supervisor = task.supervise();
    supervisor.handle().note(&format!("waiting for {url}"));
    supervisor
}

/// Trace and request id of the incoming request that a call is made for, from the tasks above the call.
#[derive(Default)]
struct Inherited {
    trace: Option<TraceParent>,
    /// The `tracestate` of that trace.
    trace_state: Option<HeaderValue>,
    request_id: Option<HeaderValue>,
}

impl Inherited {
    /// How many ancestors are searched for the request.
    const MAX_DEPTH: usize = 32;

    fn of(list: &ProcessList, parent: TaskHandle) -> Self {
        let mut inherited = Self::default();
        let mut next = parent.serial().filter(|_| parent.is_live());
        for _ in 0..Self::MAX_DEPTH {
            let Some(serial) = next else { break };
            let above = list.view(serial, |task| {
                let (mut trace, mut state, mut is_request) = (None, None, false);
                for (name, value) in task.attrs() {
                    match (name.as_str(), value) {
                        ("traceparent", ValueView::Text(text)) => trace = TraceParent::parse(text.as_bytes()),
                        // Not if part of it is masked.
                        ("tracestate", ValueView::Text(text)) if !text.as_str().contains("***") => {
                            state = HeaderValue::from_str(text.as_str()).ok();
                        }
                        ("path", _) => is_request = true,
                        _ => {}
                    }
                }
                let id = task.id();
                if is_request
                    && inherited.request_id.is_none()
                    && !task.is_unnamed()
                    && is_given(id.as_str(), trace.as_ref())
                {
                    inherited.request_id = HeaderValue::from_str(id.as_str()).ok();
                }
                if inherited.trace.is_none() && trace.is_some() {
                    (inherited.trace, inherited.trace_state) = (trace, state);
                }
                // The ancestors of a request have nothing to do with it.
                task.parent().filter(|_| !is_request)
            });
            next = above.flatten();
        }
        inherited
    }
}

/// Returns `true` if the id of a request, which is not made from its kind, was sent by its client, and is stored
/// unabridged.
fn is_given(id: &str, trace: Option<&TraceParent>) -> bool {
    let is_generated = trace.is_some_and(|trace| trace.id() == id);
    !is_generated && !id.ends_with('…') && !id.contains("***")
}

fn receive<B>(mut run: Box<Run>, response: Response<B>) -> Response<ResponseBody<B>>
where
    B: Body<Data: From<Vec<u8>>, Error: Into<BoxError>>,
{
    let (handle, status) = (run.handle(), response.status());
    handle.set("code", status.as_u16());
    handle.note("receiving");
    if run.is_upgraded_by(status) {
        run.supervisor.finish(None, || ());
        return response.map(ResponseBody::plain);
    }
    ResponseBody::of(response, run)
}

pin_project! {
    /// The future of a call, which runs as its task; returned by [`Calls`].
    #[must_use = "futures do nothing unless they are polled; dropped, the task ends as dropped"]
    pub struct CallFuture<F> {
        // `None` once it is ready, or if the task was cancelled before it began.
        #[pin]
        future: Option<F>,
        // `None` once it is ready.
        run: Option<Box<Run>>,
    }

    impl<F> PinnedDrop for CallFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(run) = this.run {
                run.supervisor.abandon(|| this.future.set(None));
            }
        }
    }
}

impl<F, B, E> Future for CallFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data: From<Vec<u8>>, Error: Into<BoxError>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(run) = this.run.as_mut() else { return Poll::Pending };
        let polled = run.poll(this.future.as_mut(), context);
        if matches!(polled, SupervisedPoll::Pending) {
            return Poll::Pending;
        }
        let Some(mut run) = this.run.take() else { return Poll::Pending };
        Poll::Ready(match polled {
            SupervisedPoll::Ready(Ok(response)) => Ok(receive(run, response)),
            SupervisedPoll::Ready(Err(error)) => {
                let error = error.into();
                run.supervisor.finish(Some(&error.to_string()), || ());
                Err(error)
            }
            _ => Err(run.supervisor.kill(|| this.future.set(None)).into()),
        })
    }
}

impl<F> fmt::Debug for CallFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.run.as_ref().map(|run| run.supervisor.handle());
        f.debug_struct("CallFuture").field("task", &task).finish_non_exhaustive()
    }
}
