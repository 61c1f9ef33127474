//! The answers of `/v1`, of `/metrics`, `/healthz` and `/openapi.json`.
//!
//! | module | content |
//! |---|---|
//! | `page.rs` | a page of tasks: filter, order, limit, cursor, groups |
//! | `tasks.rs` | live tasks, ended tasks, the tree, one task, its history |
//! | `cancel.rs` | cancels one task, or many |
//! | `events.rs` | changes as they happen |
//! | `summary.rs` | kinds, info, audit |
//! | `waits.rs` | blocked tasks, and what they wait for |
//! | `metrics.rs` | counters for Prometheus |
//!
//! `openapi.json`, beside `src`, describes all of it; `tests/described.rs` compares it with the code.

mod cancel;
mod events;
mod metrics;
mod page;
mod summary;
mod tasks;
mod waits;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use crate::access::gate::Gate;
#[cfg(feature = "dashboard")]
use crate::dashboard;
use crate::request::query;
use crate::request::route::Op;
#[cfg(feature = "dashboard")]
use crate::request::route::TaskRef;
use crate::request::{Answer, Call, Requester, State, header};
use crate::response::{self, Body, Failure};

/// The description of the API (OpenAPI 3.1).
pub(crate) const OPENAPI: &str = include_str!("../../openapi.json");

const HOME: &str = "\
This is the process list of a program: see what runs in it, and stop it. In a browser it is a page.

  GET  /v1/tasks             what runs now; filters as kind=GET* minAge=5s attr.host=db1
  GET  /v1/tasks/SERIAL      one task, and /history below it
  POST /v1/tasks/SERIAL/cancel
  GET  /v1/ended /v1/kinds /v1/tree /v1/waits /v1/info /v1/audit
  GET  /v1/events            changes as they happen
  GET  /metrics /healthz
  GET  /openapi.json         all of it in detail
  GET  /procs/               the list for clients of VividCortex/pm
";

/// Answers a call that changes nothing.
pub(crate) fn read(
    state: &State,
    gate: &Gate,
    call: Call,
    requester: &Requester,
    headers: &HeaderMap,
) -> Result<Response<Body>, Failure> {
    let query = call.query.as_deref();
    match (call.operation.op, &call.task) {
        (Op::Tasks, _) => tasks::list(state, query),
        (Op::Ended, _) => tasks::ended(state, query),
        (Op::Tree, _) => tasks::tree(state, query),
        (Op::Task, Some(task)) => tasks::one(state, task, query),
        (Op::History, Some(task)) => tasks::history(state, task, query),
        (Op::Events, _) => events::watch(state, query, headers),
        (Op::Kinds, _) => query::none(query).map(|()| summary::kinds(state)),
        (Op::Info, _) => query::none(query).map(|()| summary::info(state, gate, requester.caller.permission)),
        (Op::Waits, _) => waits::waits(state, query),
        (Op::Audit, _) => summary::audit(state, query),
        (Op::Metrics, _) => query::none(query).map(|()| metrics::metrics(state, header(headers, "accept"))),
        (Op::Health, _) => Ok(response::json(br#"{"status":"ok"}"#.to_vec())),
        (Op::OpenApi, _) => Ok(response::whole(StatusCode::OK, response::JSON, Bytes::from_static(OPENAPI.as_bytes()))),
        #[cfg(feature = "dashboard")]
        (Op::Home, _) if header(headers, "accept").contains("text/html") => Ok(dashboard::index()),
        #[cfg(feature = "dashboard")]
        (Op::PageFile, Some(TaskRef::Id(name))) => match dashboard::file(name) {
            Some(file) => Ok(file),
            None => Err(Failure::not_found("not-found", "the page has no such file").hint("reload the page")),
        },
        (Op::Home, _) => Ok(response::whole(StatusCode::OK, response::TEXT, Bytes::from_static(HOME.as_bytes()))),
        (Op::Task | Op::History | Op::CancelTask | Op::CancelMany | Op::PageFile, _) => {
            Err(Failure::not_found("not-found", "nothing is served at this path"))
        }
    }
}

/// Answers a call that changes something.
pub(crate) async fn change(
    state: &Arc<State>,
    call: Call,
    requester: &Requester,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Answer, Failure> {
    query::none(call.query.as_deref())?;
    cancel::begin(state, call, requester, headers, body).await
}
