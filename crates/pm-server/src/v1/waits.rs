//! Tasks that wait, and the tasks that hold them up.

use http::{Response, StatusCode};
use pm_core::{Serial, WaitReport};
use pm_wire::v1;

use crate::request::State;
use crate::request::query;
use crate::response::{self, Body, Failure, Held};

/// Waits in a response unless the request says how many.
const LIMIT: usize = 1_000;
/// Waits in a response at most: as many as a list notes.
const MAX_LIMIT: u64 = 10_000;

/// The bytes that a wait takes in the report of the list.
const REPORT_BYTES: u64 = 1 << 10;
/// The bytes that a wait takes while the response is put together: itself, its row in the tree, and the JSON of both.
const WAIT_BYTES: u64 = 3 << 10;

/// `GET /v1/waits`
pub(super) fn waits(state: &State, text: Option<&str>) -> Result<Response<Body>, Failure> {
    let limit = query::only_limit(text, MAX_LIMIT)?.map_or(LIMIT, |limit| limit as usize);
    let (waits, counted) = report(state)?;
    let _held = state.memory.hold_for_response(waits.waits.len().min(limit) as u64 * WAIT_BYTES)?;
    let report = v1::WaitReport::new(&waits, limit, state.list.now().into());
    drop((waits, counted));
    Ok(response::serialized(StatusCode::OK, &report))
}

/// Returns all waits, and the part of the budget that they are counted in: as many as there were the last time.
pub(super) fn report(state: &State) -> Result<(WaitReport, Held), Failure> {
    let held = state.memory.hold_for_response(state.waits.or(0) * REPORT_BYTES)?;
    let report = state.list.waits();
    state.waits.set(report.waits.len());
    Ok((report, held))
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
