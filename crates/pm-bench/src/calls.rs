//! The cost of a layer for a request without a network: an axum service that is called in this thread, as hyper calls
//! it.
//!
//! These nanoseconds can be compared, and show where ours go: into what axum takes for any layer with a body of its
//! own, into the header that names the task, and into the task itself.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Extensions, Request, Response};
use http_body::{Frame, SizeHint};
use pm::{Options, ProcessList};
use pm_bench::axum_call::call;
use tower_http::trace::TraceLayer;
use tower_layer::layer_fn;
use tower_service::Service;

use crate::harness::{Effort, compare};
use crate::report::{Goal, Report};

const PATH: &str = "/hosts/db1";

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    let list = ProcessList::with_options(Options::new());
    let off = ProcessList::with_options(Options::new());
    off.set_enabled(false);
    let router = || Router::new().route("/hosts/{host}", get(async || "hello"));
    let ours = || pm::tower::TasksLayer::new().list(&list);
    let mut cases = [
        router(),
        router().layer(layer_fn(Empty)),
        router().layer(ours()),
        router().layer(ours().reply_header(false)),
        router().layer(ours().list(&off)),
        router().layer(TraceLayer::new_for_http()),
    ];
    let [bare, empty, whole, unnamed, off, trace] = &mut cases;
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::sink).finish();
    let _subscribed = tracing::subscriber::set_default(lines);
    let calls = |router: &mut Router, count| (0..count).for_each(|_| call(router, PATH));
    let medians = compare(
        effort,
        &mut [
            &mut |count| calls(bare, count),
            &mut |count| calls(empty, count),
            &mut |count| calls(whole, count),
            &mut |count| calls(unnamed, count),
            &mut |count| calls(off, count),
            &mut |count| calls(trace, count),
            &mut |count| (0..count).for_each(|_| task(&list)),
            &mut |count| (0..count).for_each(|_| drop(black_box(extensions()))),
            &mut |count| (0..count).for_each(|_| drop(black_box(one_more(extensions())))),
        ],
    );
    let [bare, empty, whole, unnamed, off, trace, task, two, three] = medians[..] else { return };
    report.plain("without a network, bare", bare, "ns", Goal::None);
    report.beside(
        "without a network, our layer adds",
        whole - bare,
        "ns",
        ("TraceLayer", trace - bare),
        Goal::MostTimes(1.0),
    );
    let parts = [
        ("axum, for any layer with a body of its own", empty - bare),
        ("the task, which is measured alone", task),
        ("the header that names the task", whole - unnamed),
        ("the task among the request's extensions", three - two),
    ];
    let rest = whole - bare - parts.iter().map(|(_, part)| part).sum::<f64>();
    for (name, part) in parts.into_iter().chain([("the rest: fields, a box, what is moved, caches", rest)]) {
        report.plain(format!("of that, {name}"), part, "ns", Goal::None);
    }
    report.plain("our layer adds, with a list that is off", off - bare, "ns", Goal::None);
}

/// The task of such a request, by hand.
fn task(list: &ProcessList) {
    let task = list.unnamed().kind("GET /hosts/{host}").attr("method", "GET").attr("path", black_box(PATH)).start();
    let _ = task.status("handling");
    task.set("code", 200_u16);
    let _ = task.status("responding");
}

/// Returns two extensions, as many as axum adds to a request for a route.
fn extensions() -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(black_box([1_u64; 2]));
    extensions.insert(black_box([1_u64; 3]));
    extensions
}

/// And another as large as ours.
fn one_more(mut extensions: Extensions) -> Extensions {
    extensions.insert(black_box([1_u64; 4]));
    extensions
}

/// A layer that does nothing, with a body of its own.
#[derive(Clone)]
pub(crate) struct Empty<S>(pub(crate) S);

impl<S, A> Service<Request<A>> for Empty<S>
where
    S: Service<Request<A>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<EmptyBody>;
    type Error = Infallible;
    type Future = EmptyFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> EmptyFuture<S::Future> {
        EmptyFuture { future: self.0.call(request) }
    }
}

pin_project_lite::pin_project! {
    pub(crate) struct EmptyFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for EmptyFuture<F> {
    type Output = Result<Response<EmptyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(context).map_ok(|response| response.map(|body| EmptyBody { body }))
    }
}

pin_project_lite::pin_project! {
    pub(crate) struct EmptyBody {
        #[pin]
        body: Body,
    }
}

impl http_body::Body for EmptyBody {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, axum::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
