//! The tasks of one endpoint: all pages, or those of a Go original, which has no `/v1`.

use std::time::Duration;

use std::collections::BTreeMap;

use pm_client::{Client, ClientError, Event, Outcome, Row, Serial, TaskState, Update};
use pm_wire::filter::{Filter, Parts};
use pm_wire::v1::GroupBy;
use pm_wire::{TaskList, TaskRow, Timestamp, attr_text};

use crate::query::Selection;

/// The most rows of a page.
const PAGE: u64 = 1_000;

/// Running or ended tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Live,
    Ended,
}

/// The tasks of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) rows: Vec<Row>,
    /// Counts by value, if the selection is grouped; `None` for tasks without a value.
    pub(crate) groups: Vec<(Option<String>, u64)>,
    /// The number of matching tasks.
    pub(crate) total: u64,
    pub(crate) server_time: Timestamp,
    /// Running tasks that the list had no capacity for.
    pub(crate) not_shown: u64,
    /// A Go original: serials, kinds and parents are unknown.
    pub(crate) is_original: bool,
}

/// Fetches the selected tasks, in order.
pub(crate) async fn tasks(client: &Client, selection: &Selection, source: Source) -> Result<Tasks, ClientError> {
    if let Some(key) = &selection.group_by {
        return groups(client, selection, key, source).await;
    }
    let mut found = Tasks::default();
    let mut cursor: Option<String> = None;
    loop {
        let left = selection.limit.map_or(PAGE, |limit| limit - (found.rows.len() as u64).min(limit));
        let query = selection.query().limit(u32::try_from(left.min(PAGE)).expect("a page is small"));
        let query = cursor.take().map_or(query.clone(), |cursor| query.cursor(cursor));
        let page = match source {
            Source::Live => client.v1().tasks(&query).await,
            Source::Ended => client.v1().ended(&query).await,
        };
        let page = match page {
            Err(ClientError::NoV1 { .. }) if source == Source::Live => return original(client, selection).await,
            page => page?,
        };
        if found.rows.is_empty() {
            found.total = page.total;
            found.not_shown = page.missing.map_or(0, |missing| missing.tasks_not_shown);
        }
        found.server_time = page.server_time;
        let is_empty = page.tasks.is_empty();
        found.rows.extend(page.tasks);
        let enough = selection.limit.is_some_and(|limit| found.rows.len() as u64 >= limit);
        if source == Source::Live
            && selection.limit.is_none()
            && page.next_cursor.is_some()
            && found.rows.len() <= PAGE as usize
        {
            // Each page costs the server a pass over the whole list, a snapshot costs one in all.
            if let Some(mut rows) = snapshot_rows(client, selection).await {
                rows.sort_by(|a, b| selection.order.compare(a, b));
                (found.total, found.rows) = (rows.len() as u64, rows);
                break;
            }
        }
        match page.next_cursor {
            // Stops if a server keeps returning empty pages.
            Some(next) if !enough && !is_empty => cursor = Some(next),
            _ => break,
        }
    }
    // Tasks may start between two pages.
    found.total = found.total.max(found.rows.len() as u64);
    Ok(found)
}

/// Fetches all rows from the snapshot at the start of a stream; `None` if the stream fails.
async fn snapshot_rows(client: &Client, selection: &Selection) -> Option<Vec<Row>> {
    let mut events = client.v1().events(&selection.unsorted());
    let mut rows = Vec::new();
    let snapshot = async {
        loop {
            match events.next().await?.ok()? {
                Update::Connected => {}
                Update::Event(Event::Snapshot(snapshot)) => {
                    rows.extend(snapshot.tasks);
                    if !snapshot.more {
                        return Some(rows);
                    }
                }
                _ => return None,
            }
        }
    };
    tokio::time::timeout(client.timeout(), snapshot).await.ok()?
}

async fn groups(client: &Client, selection: &Selection, key: &GroupBy, source: Source) -> Result<Tasks, ClientError> {
    let query = selection.query().limit(0).group_by(key);
    let page = match source {
        Source::Live => client.v1().tasks(&query).await,
        Source::Ended => client.v1().ended(&query).await,
    };
    let page = match page {
        Err(ClientError::NoV1 { .. }) if source == Source::Live => {
            let mut found = original(client, selection).await?;
            let mut counts: BTreeMap<Option<String>, u64> = BTreeMap::new();
            for row in std::mem::take(&mut found.rows) {
                *counts.entry(value(&row, key)).or_default() += 1;
            }
            found.groups = counts.into_iter().collect();
            return Ok(found);
        }
        page => page?,
    };
    Ok(Tasks {
        groups: page.groups.into_iter().flatten().map(|group| (group.value, group.count)).collect(),
        total: page.total,
        server_time: page.server_time,
        not_shown: page.missing.map_or(0, |missing| missing.tasks_not_shown),
        ..Tasks::default()
    })
}

/// The value by which the row is counted.
fn value(row: &Row, key: &GroupBy) -> Option<String> {
    match key {
        GroupBy::Kind => row.kind.clone(),
        GroupBy::State => row.state.as_ref().map(|state| state.to_string()),
        GroupBy::Status => Some(row.status.clone()),
        GroupBy::Outcome => row.outcome.as_ref().map(|outcome| outcome.to_string()),
        GroupBy::Attr(name) => row.attrs.get(name).map(|value| attr_text(value).into_owned()),
    }
}

async fn original(client: &Client, selection: &Selection) -> Result<Tasks, ClientError> {
    let TaskList { procs, server_time, .. } = client.procs().list().await?;
    let mut rows: Vec<Row> = procs.iter().map(|task| original_row(task, server_time)).collect();
    rows.retain(|row| matches(&selection.filter, row));
    rows.sort_by(|a, b| selection.order.compare(a, b));
    let total = rows.len() as u64;
    if let Some(limit) = selection.limit {
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(Tasks { rows, total, server_time, is_original: true, ..Tasks::default() })
}

/// Converts a row of `/procs/` to one of `/v1`.
pub(crate) fn original_row(task: &TaskRow, now: Timestamp) -> Row {
    // In whole milliseconds, as in `/v1`.
    let age = |since: Timestamp| Some(Duration::from_millis(now.since(since).as_millis() as u64));
    let mut row = Row::default();
    row.serial = task.serial;
    row.id.clone_from(&task.id);
    row.kind.clone_from(&task.kind);
    row.state = Some(if task.cancelling { TaskState::Cancelling } else { TaskState::Running });
    row.started_at = Some(task.proc_time);
    row.age = age(task.proc_time);
    row.status.clone_from(&task.status);
    row.status_at = Some(task.status_time);
    row.status_age = age(task.status_time);
    row.attrs.clone_from(&task.attrs);
    row.progress.clone_from(&task.progress);
    row.parent = task.parent;
    row.parent_ended = task.parent_ended;
    row.protected = task.protected;
    row.cancellable = task.cancellable;
    row
}

pub(crate) fn matches(filter: &Filter, row: &Row) -> bool {
    filter.matches_parts(&Parts {
        serial: row.serial.map_or(0, Serial::get),
        id: &row.id,
        kind: row.kind.as_deref().unwrap_or_default(),
        state: row.state.as_ref().map_or("", TaskState::as_str),
        outcome: row.outcome.as_ref().map_or("", Outcome::as_str),
        status: &row.status,
        parent: row.parent.map_or(0, Serial::get),
        age: row.age,
        status_age: row.status_age,
        attrs: Some(&row.attrs),
    })
}
