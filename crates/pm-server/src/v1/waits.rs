//! Who waits for what, and who blocks whom.

use http::{Response, StatusCode};
use pm_core::{BlockedTask, Cycle, ResourceHolder, Serial, TaskBrief, WaitReport, WaitTreeRow};
use pm_wire::duration::millis;
use serde_json::{Map, Value, json};

use super::server_time;
use crate::request::State;
use crate::request::query;
use crate::response::{self, Body, Failure};

/// Waits that are shown unless asked for more.
const LIMIT: usize = 1_000;
/// Waits that are shown at most: as many as a list notes.
const MAX_LIMIT: u64 = 10_000;
/// Holders that are told of each wait.
const MAX_HOLDERS: usize = 10;

/// All waits, those in a circle first, then those behind one, then the longest.
pub(super) fn waits(state: &State, text: Option<&str>) -> Result<Response<Body>, Failure> {
    let limit = query::only_limit(text, MAX_LIMIT)?.map_or(LIMIT, |limit| limit as usize);
    let mut waits = state.list.waits();
    let tree: Vec<Value> = waits.tree().iter().take(limit).map(row).collect();
    // Sorted by their length already.
    waits.waits.sort_by_key(|wait| (!wait.in_cycle, !wait.is_stuck));
    let mut answer = json!({
        "serverTime": server_time(state),
        "total": waits.waits.len(),
        "truncated": waits.waits.len() > limit || tree.len() > limit,
        "waits": waits.waits.iter().take(limit).map(wait).collect::<Vec<_>>(),
        "cycles": waits.cycles.iter().take(limit).map(cycle).collect::<Vec<_>>(),
        "tree": tree,
    });
    if waits.not_shown > 0 {
        answer["notShown"] = waits.not_shown.into();
    }
    Ok(response::serialized(StatusCode::OK, &answer))
}

/// What one task waits for, and who waits for what it holds; `None` where there is nothing to tell.
pub(super) struct OfTask {
    pub(super) waits: Option<Value>,
    pub(super) holds_up: Option<Value>,
}

impl OfTask {
    pub(super) fn of(waits: &WaitReport, serial: Serial) -> Self {
        let holds = |wait: &&BlockedTask| wait.resource.holders.iter().any(|holder| holder.task.serial == serial);
        let some = |values: Vec<Value>| (!values.is_empty()).then(|| values.into());
        let own = waits.waits.iter().filter(|wait| wait.task.serial == serial).map(wait).collect();
        let others = waits.waits.iter().filter(holds).take(LIMIT).map(|wait| waiter(wait).into()).collect();
        Self { waits: some(own), holds_up: some(others) }
    }
}

fn task(task: &TaskBrief) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("serial".into(), task.serial.to_string().into());
    value.insert("id".into(), task.id.as_str().into());
    if let Some(kind) = &task.kind {
        value.insert("kind".into(), kind.as_str().into());
    }
    value
}

fn waiter(wait: &BlockedTask) -> Map<String, Value> {
    let mut value = task(&wait.task);
    value.insert("resource".into(), wait.resource.name.as_str().into());
    value.insert("resourceKind".into(), wait.resource.kind.as_str().into());
    value.insert("units".into(), wait.units.into());
    value.insert("waitMs".into(), millis(wait.waited_for).into());
    value
}

fn wait(wait: &BlockedTask) -> Value {
    let holders = &wait.resource.holders;
    let mut value = waiter(wait);
    value.insert("isStuck".into(), wait.is_stuck.into());
    value.insert("inCycle".into(), wait.in_cycle.into());
    value.insert("holders".into(), holders.iter().take(MAX_HOLDERS).map(holder).collect::<Vec<_>>().into());
    let counts =
        [("moreHolders", holders.len().saturating_sub(MAX_HOLDERS)), ("unknownHolders", wait.resource.unknown_holders)];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        value.insert(name.into(), count.into());
    }
    value.into()
}

fn holder(holder: &ResourceHolder) -> Value {
    let mut value = task(&holder.task);
    value.insert("units".into(), holder.units.into());
    value.insert("heldMs".into(), millis(holder.held_for).into());
    value.into()
}

fn cycle(cycle: &Cycle) -> Value {
    let steps = cycle.steps.iter().map(|step| {
        let mut value = task(&step.task);
        value.insert("resource".into(), step.resource.name.as_str().into());
        value.insert("heldBy".into(), step.held_by.to_string().into());
        Value::from(value)
    });
    json!({ "steps": steps.collect::<Vec<_>>() })
}

fn row(row: &WaitTreeRow<'_>) -> Value {
    let mut value = row.wait.map_or_else(|| task(row.task), waiter);
    value.insert("depth".into(), row.depth.into());
    if row.repeated {
        value.insert("repeated".into(), true.into());
    }
    value.into()
}
