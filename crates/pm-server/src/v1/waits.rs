//! Tasks that wait, and the tasks that hold them up.

use http::{Response, StatusCode};
use pm_core::{Serial, WaitReport};
use pm_wire::v1;

use crate::request::State;
use crate::request::query;
use crate::response::{self, Body, Failure};

/// Waits in a response unless the request says how many.
const LIMIT: usize = 1_000;
/// Waits in a response at most: as many as a list notes.
const MAX_LIMIT: u64 = 10_000;

/// `GET /v1/waits`
pub(super) fn waits(state: &State, text: Option<&str>) -> Result<Response<Body>, Failure> {
    let limit = query::only_limit(text, MAX_LIMIT)?.map_or(LIMIT, |limit| limit as usize);
    let report = v1::WaitReport::new(&state.list.waits(), limit, state.list.now().into());
    Ok(response::serialized(StatusCode::OK, &report))
}

/// Returns the waits of one task, and the tasks that wait for what it holds.
pub(super) fn of_task(waits: &WaitReport, serial: Serial) -> (Vec<v1::BlockedTask>, Vec<v1::Waiter>) {
    let own = waits.waits.iter().filter(|wait| wait.task.serial == serial).map(v1::BlockedTask::from);
    let others = waits
        .waits
        .iter()
        .filter(|wait| wait.resource.holders.iter().any(|holder| holder.task.serial == serial))
        .take(LIMIT)
        .map(v1::Waiter::from);
    (own.collect(), others.collect())
}
