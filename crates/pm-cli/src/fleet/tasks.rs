//! The tasks of one endpoint: all pages, or those of a Go original, which has no `/v1`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pm_client::{Client, ClientError, Event, Outcome, Row, Serial, TaskState, Update};
use pm_wire::filter::{Filter, Parts};
use pm_wire::v1::GroupBy;
use pm_wire::{TaskList, TaskRow, Timestamp, attr_text};

use super::ceiling::{Amount, too_much};
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

/// Fetches the selected tasks, in order. More than an endpoint may have are an error.
pub(crate) async fn tasks(client: &Client, selection: &Selection, source: Source) -> Result<Tasks, ClientError> {
    if let Some(key) = &selection.group_by {
        return groups(client, selection, key, source).await;
    }
    let started = Instant::now();
    let mut found = Tasks::default();
    let mut held = Amount::default();
    let mut cursor: Option<String> = None;
    loop {
        let left = selection.limit.map_or(PAGE, |limit| limit - (found.rows.len() as u64).min(limit));
        let query = selection.query().limit(u32::try_from(left.min(PAGE)).expect("a page is small"));
        let query = cursor.as_ref().map_or(query.clone(), |cursor| query.cursor(cursor));
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
        add(&mut found.rows, page.tasks, &mut held, client)?;
        let enough = selection.limit.is_some_and(|limit| found.rows.len() as u64 >= limit);
        if source == Source::Live
            && selection.limit.is_none()
            && page.next_cursor.is_some()
            && found.rows.len() <= PAGE as usize
        {
            // Each page costs the server a pass over the whole list, a snapshot costs one in all.
            let left = client.timeout().saturating_sub(started.elapsed());
            if let Some(mut rows) = snapshot_rows(client, selection, left).await? {
                rows.sort_by(|a, b| selection.order.compare(a, b));
                (found.total, found.rows) = (rows.len() as u64, rows);
                break;
            }
        }
        match page.next_cursor {
            _ if enough => break,
            None => break,
            Some(next) if is_empty || cursor.as_ref() == Some(&next) => {
                return Err(ClientError::EndlessPages { url: client.endpoint().to_owned() });
            }
            next => cursor = next,
        }
    }
    // Tasks may start between two pages.
    found.total = found.total.max(found.rows.len() as u64);
    Ok(found)
}

/// Adds more rows of one endpoint.
fn add(rows: &mut Vec<Row>, more: Vec<Row>, held: &mut Amount, client: &Client) -> Result<(), ClientError> {
    more.iter().try_for_each(|row| held.add(row)).map_err(|ceiling| too_much(client.endpoint(), ceiling))?;
    rows.extend(more);
    Ok(())
}

/// Fetches all rows from the snapshot at the start of a stream; `None` if the stream fails or takes too long.
async fn snapshot_rows(
    client: &Client,
    selection: &Selection,
    limit: Duration,
) -> Result<Option<Vec<Row>>, ClientError> {
    let mut events = client.v1().events(&selection.unsorted());
    let (mut rows, mut held) = (Vec::new(), Amount::default());
    let snapshot = async {
        loop {
            match events.next().await {
                Some(Ok(Update::Connected)) => {}
                Some(Ok(Update::Event(Event::Snapshot(snapshot)))) => {
                    add(&mut rows, snapshot.tasks, &mut held, client)?;
                    if !snapshot.more {
                        return Ok(Some(rows));
                    }
                }
                _ => return Ok(None),
            }
        }
    };
    tokio::time::timeout(limit, snapshot).await.unwrap_or(Ok(None))
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
    let rows = procs.into_iter().map(|task| original_row(task, server_time));
    let mut rows: Vec<Row> = rows.filter(|row| matches(&selection.filter, row)).collect();
    rows.sort_by(|a, b| selection.order.compare(a, b));
    let total = rows.len() as u64;
    if let Some(limit) = selection.limit {
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(Tasks { rows, total, server_time, is_original: true, ..Tasks::default() })
}

/// Converts a row of `/procs/` to one of `/v1`.
pub(crate) fn original_row(task: TaskRow, now: Timestamp) -> Row {
    // In whole milliseconds, as in `/v1`.
    let age = |since: Timestamp| Some(Duration::from_millis(now.since(since).as_millis() as u64));
    let mut row = Row::default();
    row.serial = task.serial;
    row.id = task.id;
    row.kind = task.kind;
    row.state = Some(if task.cancelling { TaskState::Cancelling } else { TaskState::Running });
    row.started_at = Some(task.proc_time);
    row.age = age(task.proc_time);
    row.status = task.status;
    row.status_at = Some(task.status_time);
    row.status_age = age(task.status_time);
    row.attrs = task.attrs;
    row.progress = task.progress;
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
