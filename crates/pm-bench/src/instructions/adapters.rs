//! Requests of an axum service and spans of tracing, as they are and with our layers.

use std::hint::black_box;

use axum::Router;
use axum::routing::get;
use pm::tower::TasksLayer;
use pm_bench::axum_call::call;
use pm_bench::work;
use tracing::{Dispatch, Subscriber, dispatcher, info, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::Registry;

use crate::operation::{Operation, Repeat, repeat, resting_list};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation::new("axum request: bare", || requests(router())).times(1024),
    Operation::new("axum request: a task", || requests(router().layer(TasksLayer::new().list(&work::list()))))
        .times(2048),
    Operation::new("axum request: the list disabled", || {
        let list = work::list();
        list.set_enabled(false);
        requests(router().layer(TasksLayer::new().list(&list)))
    })
    .times(1024),
    Operation::new("span: a layer that does nothing", || spans(idle())),
    Operation::new("span: ignored by our layer", || spans(ours())),
    Operation::new("span: a task", || {
        within(ours(), |number| drop(black_box(info_span!("request", pm.id = "req-1", rows = number).entered())))
    }),
    Operation::new("event: a layer that does nothing", || within(idle(), |number| info!(rows = number, "reading"))),
    Operation::new("event: within no task", || within(ours(), |number| info!(rows = number, "reading"))),
];

fn router() -> Router {
    Router::new().route("/hosts/{host}", get(async || "hello"))
}

fn requests(mut router: Router) -> Repeat {
    repeat(move |_| call(&mut router, "/hosts/db1"))
}

/// A layer that does nothing: a registry without any never frees a span.
struct Idle;

impl Layer<Registry> for Idle {}

fn idle() -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry().with(Idle)
}

fn ours() -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry().with(pm::tracing_layer().list(&resting_list()))
}

/// Repeats `work` where `subscriber` is the thread's default.
fn within(subscriber: impl Subscriber + Send + Sync + 'static, work: impl FnMut(u64) + 'static) -> Repeat {
    let subscriber = Dispatch::new(subscriber);
    let mut turns = repeat(work);
    Box::new(move |count| dispatcher::with_default(&subscriber, || turns(count)))
}

fn spans(subscriber: impl Subscriber + Send + Sync + 'static) -> Repeat {
    within(subscriber, |number| drop(black_box(info_span!("request", rows = number).entered())))
}
