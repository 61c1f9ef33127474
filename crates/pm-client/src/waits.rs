//! Who waits for what, as `/v1/waits` tells it.

use pm_wire::Timestamp;
use serde::{Deserialize, Serialize};

use crate::TaskRef;

/// Who waits for what, who holds it, and who waits in a circle: the answer to `GET /v1/waits`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Waits {
    /// Those who wait: first those in a circle, then those behind one, then the longest.
    pub waits: Vec<Wait>,
    /// Tasks that wait in a circle, so that none goes on by itself.
    #[serde(default)]
    pub cycles: Vec<Cycle>,
    /// Who blocks whom, row by row: each waits for the one above it with one less depth.
    #[serde(default)]
    pub tree: Vec<BlockedRow>,
    /// The server's clock.
    pub server_time: Timestamp,
    /// How many wait in all.
    #[serde(default)]
    pub total: u64,
    /// There are more than are here.
    #[serde(default)]
    pub truncated: bool,
    /// Waits that the list had no room for, since it was made.
    #[serde(default)]
    pub not_shown: u64,
}

/// A task that waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Wait {
    /// The serial of the task.
    pub serial: String,
    /// Its id.
    pub id: String,
    /// Its kind, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it waits for.
    pub resource: String,
    /// What sort of thing that is: `mutex`, `rwLock`, `semaphore`, `channel`, `other`.
    pub resource_kind: String,
    /// How many units of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
    /// For how many milliseconds so far.
    pub wait_ms: f64,
    /// Whether it can't go on before a circle is broken.
    pub is_stuck: bool,
    /// Whether it is in a circle itself.
    pub in_cycle: bool,
    /// Who holds it: the ten that have held it longest.
    pub holders: Vec<Holder>,
    /// Tasks that hold it besides these.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_holders: u64,
    /// Others that hold it: no tasks, or tasks that have ended or belong to another list.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown_holders: u64,
}

/// A task that holds what others wait for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Holder {
    /// The serial of the task.
    pub serial: String,
    /// Its id.
    pub id: String,
    /// Its kind, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How many units it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
    /// For how many milliseconds so far.
    pub held_ms: f64,
}

/// Tasks that wait in a circle: each for what the next one holds, the last one for what the first one does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Cycle {
    /// Each task once.
    pub steps: Vec<CycleStep>,
}

/// A task of a circle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CycleStep {
    /// The serial of the task.
    pub serial: String,
    /// Its id.
    pub id: String,
    /// Its kind, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it waits for.
    pub resource: String,
    /// The serial of the task that holds it: that of the next step.
    pub held_by: String,
}

/// A row of the tree of who blocks whom. At the top are those who wait for nobody that is known, and one of each circle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct BlockedRow {
    /// How many tasks are above it.
    pub depth: u64,
    /// The serial of the task.
    pub serial: String,
    /// Its id.
    pub id: String,
    /// Its kind, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it waits for, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// For how many milliseconds so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<f64>,
    /// It is further up already, with what is below it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

impl From<&Wait> for TaskRef {
    fn from(wait: &Wait) -> Self {
        wait.serial.parse().map_or_else(|_| Self::id(&wait.id), Self::serial)
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
