//! Tasks that wait for resources, and the tasks that hold them.

use std::time::Duration;

use pm_core::{Serial, TaskBrief};
use serde::{Deserialize, Serialize};

use crate::as_json::{is_false, is_zero, millis, serial};
use crate::timestamp::Timestamp;
use crate::words::ResourceKind;

/// The most holders of a resource that are shown: those that have held it longest.
const MAX_HOLDERS: usize = 10;

/// The tasks that wait, and those that hold what they wait for: the answer to `GET /v1/waits`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WaitReport {
    /// The tasks that wait: first those in a cycle, then those behind one, then the others; the longest waits first.
    #[serde(deserialize_with = "crate::as_json::at_most::<1_000_000, _, _>")]
    pub waits: Vec<BlockedTask>,
    /// The cycles: tasks that wait for each other, so that none can continue.
    #[serde(default)]
    pub cycles: Vec<Cycle>,
    /// The tree of blocked tasks, row by row: each waits for the one above it with one less depth.
    #[serde(default)]
    pub tree: Vec<WaitTreeRow>,
    /// The server's clock when the report was made.
    pub server_time: Timestamp,
    /// The number of tasks that wait.
    #[serde(default)]
    pub total: u64,
    /// True if there are more waits or rows of the tree than shown.
    #[serde(default)]
    pub truncated: bool,
    /// Waits for which the list had no space, since it was created.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_shown: u64,
}

/// A task that waits for a resource, and the tasks that hold it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct BlockedTask {
    /// The serial of the task.
    #[serde(with = "serial::option")]
    pub serial: Option<Serial>,
    /// The id of the task.
    pub id: String,
    /// The kind of the task, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name of the resource.
    pub resource: String,
    /// The kind of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_kind: Option<ResourceKind>,
    /// The units that the task waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
    /// How long it has waited.
    #[serde(rename = "waitMs", with = "millis")]
    pub waited: Duration,
    /// True if the task cannot continue before a cycle is broken.
    pub is_stuck: bool,
    /// True if the task is in a cycle.
    pub in_cycle: bool,
    /// The ten tasks that have held the resource longest.
    pub holders: Vec<ResourceHolder>,
    /// The number of tasks that hold the resource besides these.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_holders: u64,
    /// The number of other holders: not tasks, or tasks that have ended or are in another list.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown_holders: u64,
}

/// A task that waits for a resource whose holder is known: [`TaskReply::task`](super::TaskReply::task).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Waiter {
    /// The serial of the task.
    #[serde(with = "serial::option")]
    pub serial: Option<Serial>,
    /// The id of the task.
    pub id: String,
    /// The kind of the task, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name of the resource.
    pub resource: String,
    /// The kind of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_kind: Option<ResourceKind>,
    /// The units that the task waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
    /// How long it has waited.
    #[serde(rename = "waitMs", with = "millis")]
    pub waited: Duration,
}

/// A task that holds a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ResourceHolder {
    /// The serial of the task.
    #[serde(with = "serial::option")]
    pub serial: Option<Serial>,
    /// The id of the task.
    pub id: String,
    /// The kind of the task, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The units that it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
    /// How long it has held them.
    #[serde(rename = "heldMs", with = "millis")]
    pub held: Duration,
}

/// A cycle of tasks: each waits for a resource that the next one holds, and the last one waits for the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Cycle {
    /// The tasks, each once.
    pub steps: Vec<CycleStep>,
}

/// A task in a cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CycleStep {
    /// The serial of the task.
    #[serde(with = "serial::option")]
    pub serial: Option<Serial>,
    /// The id of the task.
    pub id: String,
    /// The kind of the task, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name of the resource that it waits for.
    pub resource: String,
    /// The serial of the task that holds the resource, which is that of the next step.
    #[serde(with = "serial::option")]
    pub held_by: Option<Serial>,
}

/// A row of the tree of blocked tasks. At the top are tasks that wait for no known task, and one of each cycle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct WaitTreeRow {
    /// The number of tasks above this one.
    pub depth: u64,
    /// The serial of the task.
    #[serde(with = "serial::option")]
    pub serial: Option<Serial>,
    /// The id of the task.
    pub id: String,
    /// The kind of the task, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name of the resource that it waits for, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The kind of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_kind: Option<ResourceKind>,
    /// The units that the task waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
    /// How long it has waited.
    #[serde(rename = "waitMs", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub waited: Option<Duration>,
    /// True if the task is further up already, with the rows below it.
    #[serde(skip_serializing_if = "is_false")]
    pub repeated: bool,
}

impl WaitReport {
    /// Makes a report of a list's waits, with at most `limit` entries in each part.
    #[must_use]
    pub fn new(waits: &pm_core::WaitReport, limit: usize, server_time: Timestamp) -> Self {
        let tree: Vec<_> = waits.tree().iter().take(limit).map(WaitTreeRow::from).collect();
        // The list has the longest waits first, and sorting keeps that order.
        let mut sorted: Vec<&pm_core::BlockedTask> = waits.waits.iter().collect();
        sorted.sort_by_key(|wait| (!wait.in_cycle, !wait.is_stuck));
        Self {
            truncated: sorted.len() > limit || tree.len() > limit,
            total: sorted.len() as u64,
            waits: sorted.into_iter().take(limit).map(BlockedTask::from).collect(),
            cycles: waits.cycles.iter().take(limit).map(Cycle::from).collect(),
            tree,
            server_time,
            not_shown: waits.not_shown,
        }
    }
}

impl From<&pm_core::BlockedTask> for BlockedTask {
    fn from(wait: &pm_core::BlockedTask) -> Self {
        let holders = &wait.resource.holders;
        Self {
            is_stuck: wait.is_stuck,
            in_cycle: wait.in_cycle,
            holders: holders.iter().take(MAX_HOLDERS).map(ResourceHolder::from).collect(),
            more_holders: holders.len().saturating_sub(MAX_HOLDERS) as u64,
            unknown_holders: wait.resource.unknown_holders as u64,
            ..Waiter::from(wait).into()
        }
    }
}

/// Makes a task without holders that is not stuck, since a [`Waiter`] has neither.
impl From<Waiter> for BlockedTask {
    fn from(waiter: Waiter) -> Self {
        let Waiter { serial, id, kind, resource, resource_kind, units, waited } = waiter;
        Self { serial, id, kind, resource, resource_kind, units, waited, ..Self::default() }
    }
}

impl From<&pm_core::BlockedTask> for Waiter {
    fn from(wait: &pm_core::BlockedTask) -> Self {
        let TaskBrief { serial, id, kind, .. } = wait.task.clone();
        Self {
            serial: Some(serial),
            id,
            kind,
            resource: wait.resource.name.clone(),
            resource_kind: Some(wait.resource.kind.into()),
            units: Some(wait.units),
            waited: wait.waited_for,
        }
    }
}

impl From<&pm_core::ResourceHolder> for ResourceHolder {
    fn from(holder: &pm_core::ResourceHolder) -> Self {
        let TaskBrief { serial, id, kind, .. } = holder.task.clone();
        Self { serial: Some(serial), id, kind, units: Some(holder.units), held: holder.held_for }
    }
}

impl From<&pm_core::Cycle> for Cycle {
    fn from(cycle: &pm_core::Cycle) -> Self {
        let step = |step: &pm_core::CycleStep| {
            let TaskBrief { serial, id, kind, .. } = step.task.clone();
            let resource = step.resource.name.clone();
            CycleStep { serial: Some(serial), id, kind, resource, held_by: Some(step.held_by) }
        };
        Self { steps: cycle.steps.iter().map(step).collect() }
    }
}

impl From<&pm_core::WaitTreeRow<'_>> for WaitTreeRow {
    fn from(row: &pm_core::WaitTreeRow<'_>) -> Self {
        let TaskBrief { serial, id, kind, .. } = row.task.clone();
        let waiter = row.wait.map(Waiter::from);
        let units = waiter.as_ref().and_then(|waiter| waiter.units);
        let waited = waiter.as_ref().map(|waiter| waiter.waited);
        let (resource, resource_kind) =
            waiter.map_or((None, None), |waiter| (Some(waiter.resource), waiter.resource_kind));
        let (depth, repeated) = (row.depth as u64, row.repeated);
        Self { depth, serial: Some(serial), id, kind, resource, resource_kind, units, waited, repeated }
    }
}
