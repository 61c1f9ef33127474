//! The answers of `/v1`, of `/metrics`, `/healthz` and `/openapi.json`.
//!
//! | room | what |
//! |---|---|
//! | `page.rs` | some tasks out of many: filter, order, limit, cursor, groups |
//! | `tasks.rs` | the list, what ended, the tree, one task, its history |
//! | `cancel.rs` | asking one task to stop, or many |
//! | `idempotency.rs` | the same request twice |
//! | `summary.rs` | kinds, info |
//! | `waits.rs` | who waits for what |
//! | `metrics.rs` | the same for Prometheus |
//! | `../../openapi.json` | all of it, described; kept by hand |
//! | `described.rs` | tests that hold it against the code |

mod cancel;
#[cfg(test)]
mod described;
mod idempotency;
mod metrics;
mod page;
mod summary;
mod tasks;
mod waits;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use pm_wire::v1_rows::Fields;

use super::access::gate::Gate;
#[cfg(feature = "dashboard")]
use super::dashboard;
use super::events;
use super::failure::Failure;
use super::query;
use super::reply::{self, Body};
use super::route::Op;
#[cfg(feature = "dashboard")]
use super::route::Ref;
use super::service::{Asked, Begun, Requester, State};

pub(super) use idempotency::Idempotency;

/// The description of the API (OpenAPI 3.1).
pub(super) const OPENAPI: &str = include_str!("../../openapi.json");

const HOME: &str = "\
This is the process list of a program: see what runs in it, and stop it. In a browser it is a page.

  GET  /v1/tasks             what runs now; filters as kind=GET* minAge=5s attr.host=db1
  GET  /v1/tasks/SERIAL      one task, and /history below it
  POST /v1/tasks/SERIAL/cancel
  GET  /v1/ended /v1/kinds /v1/tree /v1/waits /v1/info /v1/audit
  GET  /v1/events            changes as they happen
  GET  /metrics /healthz
  GET  /openapi.json         all of it in detail
  GET  /procs/               the same list for clients of the first pm
";

/// Answers what changes nothing.
pub(super) fn look(
    state: &State,
    gate: &Gate,
    asked: Asked,
    who: &Requester,
    headers: &HeaderMap,
) -> Result<Response<Body>, Failure> {
    let query = asked.query.as_deref();
    match (asked.operation.op, &asked.task) {
        (Op::Tasks, _) => tasks::list(state, query),
        (Op::Ended, _) => tasks::ended(state, query),
        (Op::Tree, _) => tasks::tree(state, query),
        (Op::Task, Some(task)) => tasks::one(state, task, query),
        (Op::History, Some(task)) => tasks::history(state, task, query),
        (Op::Events, _) => events::watch(state, query, headers),
        (Op::Kinds, _) => query::none(query).map(|()| summary::kinds(state)),
        (Op::Info, _) => query::none(query).map(|()| summary::info(state, gate, who.caller.scope)),
        (Op::Waits, _) => waits::waits(state, query),
        (Op::Audit, _) => summary::audit(state, query),
        (Op::Metrics, _) => query::none(query).map(|()| metrics::metrics(state, header(headers, "accept"))),
        (Op::Health, _) => Ok(reply::json(br#"{"status":"ok"}"#.to_vec())),
        (Op::OpenApi, _) => Ok(reply::whole(StatusCode::OK, reply::JSON, Bytes::from_static(OPENAPI.as_bytes()))),
        #[cfg(feature = "dashboard")]
        (Op::Home, _) if header(headers, "accept").contains("text/html") => Ok(reply::index(dashboard::index())),
        #[cfg(feature = "dashboard")]
        (Op::PageFile, Some(Ref::Id(name))) => match dashboard::file(name) {
            Some(file) => Ok(reply::file(file)),
            None => Err(Failure::not_found("not-found", "the page has no such file").hint("load the page anew")),
        },
        (Op::Home, _) => Ok(reply::whole(StatusCode::OK, reply::TEXT, Bytes::from_static(HOME.as_bytes()))),
        (Op::Task | Op::History | Op::CancelTask | Op::CancelMany | Op::PageFile, _) => {
            Err(Failure::not_found("not-found", "nothing is served at this path"))
        }
    }
}

/// Now, as answers tell it.
fn server_time(state: &State) -> String {
    pm_wire::time::rfc3339(state.list.now().unix_nanos()).as_str().to_owned()
}

/// A header that may be there, as text.
pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Does what is asked, and answers.
pub(super) async fn change(
    state: &Arc<State>,
    asked: Asked,
    who: &Requester,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Begun, Failure> {
    query::none(asked.query.as_deref())?;
    cancel::begin(state, asked, who, headers, body).await
}

/// What `fields` and `view` mean: where both are there, the one says which members, the other whether statuses are cut.
pub(super) fn fields_of(fields: Option<&str>, view: Option<&str>) -> Result<Fields, Failure> {
    let named = fields.map(Fields::parse).transpose();
    let named = named.map_err(|error| query::invalid("fields", error.to_string()))?;
    match view {
        Some("brief") => Ok(named.map_or(Fields::BRIEF, Fields::with_brief_status)),
        None | Some("full") => Ok(named.unwrap_or(Fields::FULL)),
        Some(_) => Err(query::invalid("view", "view is brief or full")),
    }
}
