//! Rows of one endpoint: all pages that are wanted, and those of a Go original, which has no `/v1`.

use std::collections::BTreeMap;

use pm_client::{Client, ClientError, Event, Row};
use pm_wire::filter::{Filter, Parts};
use pm_wire::{TaskList, TaskRow, Timestamp};

use crate::out::words::duration;
use crate::query::Wanted;

/// The most that a server gives at once.
const PAGE: u64 = 1_000;

/// Which tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Live,
    Ended,
}

/// What one endpoint has.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) rows: Vec<Row>,
    /// How many there are of each, if only that is wanted; the value is absent for tasks that have none.
    pub(crate) groups: Vec<(Option<String>, u64)>,
    /// How many fit.
    pub(crate) total: u64,
    pub(crate) server_time: Timestamp,
    /// Tasks that run but have no place in the list.
    pub(crate) not_shown: u64,
    /// It has no `/v1`: serials, kinds and parents are not known.
    pub(crate) is_original: bool,
}

/// The rows that are wanted, in the order that is wanted.
pub(crate) async fn tasks(client: &Client, wanted: &Wanted, source: Source) -> Result<Tasks, ClientError> {
    if let Some(what) = &wanted.group_by {
        return groups(client, wanted, what, source).await;
    }
    let mut found = Tasks::default();
    let mut cursor: Option<String> = None;
    loop {
        let left = wanted.limit.map_or(PAGE, |limit| limit - (found.rows.len() as u64).min(limit));
        let query = wanted.query().limit(u32::try_from(left.min(PAGE)).expect("a page is small"));
        let query = cursor.take().map_or(query.clone(), |cursor| query.cursor(cursor));
        let page = match source {
            Source::Live => client.tasks(&query).await,
            Source::Ended => client.ended(&query).await,
        };
        let page = match page {
            Err(ClientError::NoV1 { .. }) if source == Source::Live => return original(client, wanted).await,
            page => page?,
        };
        if found.rows.is_empty() {
            found.total = page.total;
            found.not_shown = page.missing.map_or(0, |missing| missing.tasks_not_shown);
        }
        found.server_time = page.server_time;
        let is_empty = page.tasks.is_empty();
        found.rows.extend(page.tasks);
        let enough = wanted.limit.is_some_and(|limit| found.rows.len() as u64 >= limit);
        if source == Source::Live
            && wanted.limit.is_none()
            && page.next_cursor.is_some()
            && found.rows.len() <= PAGE as usize
        {
            // Each page is a pass over the whole list; all of it at once is one.
            if let Some(mut rows) = everything(client, wanted).await {
                rows.sort_by(|a, b| wanted.order.compare(a, b));
                (found.total, found.rows) = (rows.len() as u64, rows);
                break;
            }
        }
        match page.next_cursor {
            // A server that goes on without giving anything is not believed for ever.
            Some(next) if !enough && !is_empty => cursor = Some(next),
            _ => break,
        }
    }
    // Tasks start between two pages; what is here was there.
    found.total = found.total.max(found.rows.len() as u64);
    Ok(found)
}

/// All rows by the snapshot with which a stream begins; `None` if there is no stream to be had, for whatever reason.
async fn everything(client: &Client, wanted: &Wanted) -> Option<Vec<Row>> {
    let mut events = client.events(&wanted.unsorted());
    let mut rows = Vec::new();
    let snapshot = async {
        loop {
            match events.next().await?.ok()? {
                Event::Connected => {}
                Event::Snapshot { tasks, more, .. } => {
                    rows.extend(tasks);
                    if !more {
                        return Some(rows);
                    }
                }
                _ => return None,
            }
        }
    };
    tokio::time::timeout(client.timeout(), snapshot).await.ok()?
}

async fn groups(client: &Client, wanted: &Wanted, what: &str, source: Source) -> Result<Tasks, ClientError> {
    let query = wanted.query().limit(0).group_by(what);
    let page = match source {
        Source::Live => client.tasks(&query).await,
        Source::Ended => client.ended(&query).await,
    };
    let page = match page {
        Err(ClientError::NoV1 { .. }) if source == Source::Live => {
            let mut found = original(client, wanted).await?;
            let mut counts: BTreeMap<Option<String>, u64> = BTreeMap::new();
            for row in std::mem::take(&mut found.rows) {
                *counts.entry(value(&row, what)).or_default() += 1;
            }
            found.groups = counts.into_iter().collect();
            return Ok(found);
        }
        page => page?,
    };
    Ok(Tasks {
        groups: page.groups.into_iter().map(|group| (group.value, group.count)).collect(),
        total: page.total,
        server_time: page.server_time,
        not_shown: page.missing.map_or(0, |missing| missing.tasks_not_shown),
        ..Tasks::default()
    })
}

/// What the row is counted by.
fn value(row: &Row, what: &str) -> Option<String> {
    match what {
        "kind" => row.kind.clone(),
        "state" => Some(row.state.clone()),
        "status" => Some(row.status.clone()),
        "outcome" => row.outcome.clone(),
        what => match row.attrs.get(what.strip_prefix("attr.")?)? {
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        },
    }
}

async fn original(client: &Client, wanted: &Wanted) -> Result<Tasks, ClientError> {
    let TaskList { procs, server_time, .. } = client.list().await?;
    let mut rows: Vec<Row> = procs.iter().map(|task| original_row(task, server_time)).collect();
    rows.retain(|row| fits(&wanted.filter, row));
    rows.sort_by(|a, b| wanted.order.compare(a, b));
    let total = rows.len() as u64;
    if let Some(limit) = wanted.limit {
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(Tasks { rows, total, server_time, is_original: true, ..Tasks::default() })
}

/// A row of `/procs/` as one of `/v1`.
pub(crate) fn original_row(task: &TaskRow, now: Timestamp) -> Row {
    let millis = |since: Timestamp| Some(pm_wire::duration::millis(now.since(since)).floor());
    let mut row = Row::default();
    row.serial = task.serial.map(|serial| serial.to_string()).unwrap_or_default();
    row.id.clone_from(&task.id);
    row.kind.clone_from(&task.kind);
    row.state = if task.cancelling { "cancelling" } else { "running" }.to_owned();
    row.started_at = Some(task.proc_time);
    row.age_ms = millis(task.proc_time);
    row.status.clone_from(&task.status);
    row.status_at = Some(task.status_time);
    row.status_age_ms = millis(task.status_time);
    row.attrs.clone_from(&task.attrs);
    row.progress.clone_from(&task.progress);
    row.parent = task.parent.map(|parent| parent.to_string());
    row.parent_ended = task.parent_ended;
    row.protected = task.protected;
    row.cancellable = task.cancellable;
    row
}

pub(crate) fn fits(filter: &Filter, row: &Row) -> bool {
    filter.matches_parts(&Parts {
        serial: row.serial.parse().unwrap_or(0),
        id: &row.id,
        kind: row.kind.as_deref().unwrap_or_default(),
        state: &row.state,
        outcome: row.outcome.as_deref().unwrap_or_default(),
        status: &row.status,
        parent: row.parent.as_deref().and_then(|parent| parent.parse().ok()).unwrap_or(0),
        age: row.age_ms.map(duration),
        status_age: row.status_age_ms.map(duration),
        attrs: Some(&row.attrs),
    })
}
