//! The data that is fetched about one task. All but the task itself is optional.

use pm_client::{BlockedTask, Client, ClientError, HistoryEntry, KindStats, Query, Row, TaskRef, WaitReport};
use pm_wire::Timestamp;

use crate::out::format;
use crate::verbs::{TaskName, find};

/// The history entries that are kept.
const ENTRIES: usize = 5;
/// The children that are fetched; more are only counted.
const CHILDREN: u32 = 100;

/// A task and its context.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) task: Row,
    pub(super) server_time: Timestamp,
    pub(super) is_original: bool,
    /// Statistics of its kind.
    pub(super) kind: Option<KindStats>,
    /// Its parent, if it is still running.
    pub(super) parent: Option<Row>,
    /// Its running children, oldest first.
    pub(super) children: Vec<Row>,
    /// The number of its running children.
    pub(super) children_total: u64,
    /// The resources it waits for.
    pub(super) waits: Vec<BlockedTask>,
    /// The waits of other tasks for resources that it holds.
    pub(super) holds_up: Vec<BlockedTask>,
    /// All waits of its server, if it waits itself.
    pub(super) all_waits: Option<WaitReport>,
    /// Its newest history entries.
    pub(super) history: Vec<HistoryEntry>,
}

/// Fetches the task, then its context.
pub(super) async fn gather(client: &Client, target: &TaskName) -> Result<Evidence, ClientError> {
    let found = find(client, target).await?;
    let mut evidence = Evidence {
        task: found.row,
        waits: found.waits,
        holds_up: found.holds_up,
        server_time: found.server_time,
        is_original: found.is_original,
        ..Evidence::default()
    };
    if found.is_original {
        if let Ok(history) = client.procs().history(&evidence.task.id).await {
            let entry = |entry: pm_wire::HistoryEntry| {
                let mut new = HistoryEntry::default();
                (new.at, new.status) = (entry.ts, entry.status);
                new
            };
            evidence.history = last(history.history.into_iter().map(entry).collect());
        }
        return Ok(evidence);
    }
    let task = TaskRef::from(&evidence.task);
    let below = Query::new().filter("parent", format::serial(evidence.task.serial)).limit(CHILDREN);
    let parent = async {
        let parent = TaskRef::serial(evidence.task.parent?);
        client.v1().task(parent).await.ok().map(|reply| reply.task).filter(|parent| !parent.has_ended())
    };
    // Older servers do not support waits.
    let all_waits = async { if evidence.waits.is_empty() { None } else { client.v1().waits(None).await.ok() } };
    let (kinds, history, children, parent, all_waits) =
        tokio::join!(client.v1().kinds(), client.v1().history(&task), client.v1().tasks(&below), parent, all_waits);
    evidence.all_waits = all_waits;
    evidence.kind = kinds
        .ok()
        .and_then(|kinds| kinds.kinds.into_iter().find(|kind| !kind.other && kind.kind == evidence.task.kind));
    if let Ok(children) = children {
        evidence.children_total = children.total;
        evidence.children = children.tasks;
        evidence.children.truncate(CHILDREN as usize);
    }
    evidence.history = history.map(|history| last(history.history)).unwrap_or_default();
    evidence.parent = parent;
    Ok(evidence)
}

fn last(mut entries: Vec<HistoryEntry>) -> Vec<HistoryEntry> {
    entries.drain(..entries.len().saturating_sub(ENTRIES));
    entries
}
