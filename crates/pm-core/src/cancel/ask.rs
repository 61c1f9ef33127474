//! Asks a task and all below it to stop: first all are marked, then those that are idle are woken.

use super::announce;
use super::handle::CancelHandle;
use super::mark::mark;
use super::request::{CancelError, CancelRequest};
use super::tree;
use crate::base::serial::Serial;
use crate::shared::state::TaskRef;
use crate::slot::copy::{Detail, Wanted};
use crate::slot::request::Request;
use crate::store::recorded;
use crate::view::row::Row;

/// Asks a task and all below it to stop, and returns once all of them have been asked.
pub(crate) fn cancel_task(task: TaskRef, request: &CancelRequest<'_>) -> Result<CancelHandle, CancelError> {
    let (store, counters) = (task.store(), &task.store().counters);
    let reason = recorded::recorded(store, request.reason, store.limits.status);
    let by = recorded::recorded(store, request.by, store.limits.name);
    let stored = Request { reason: &reason.text, by: &by.text, origin: None };
    let writer = task.lock().ok_or(CancelError::NotFound)?;
    if !writer.is_cancellable() {
        return Err(CancelError::NotCancellable { serial: Serial::new(task.serial) });
    }
    expect(task, request)?;
    let marked = mark(&writer, &stored);
    let handle = CancelHandle::new(&writer, marked.is_some());
    drop(writer);
    let Some(marked) = marked else { return Ok(handle) };
    reason.count(counters);
    by.count(counters);
    let below = if marked.has_children {
        tree::cancel_below(task, &Request { origin: Some(task.serial), ..stored })
    } else {
        Vec::new()
    };
    let count = below.len() as u64;
    marked.wakers.wake(counters);
    announce::cancelled(task);
    for (task, wakers) in below {
        wakers.wake(counters);
        announce::cancelled(task);
    }
    Ok(handle.with_below(count))
}

/// Cancels a task whose deadline is over.
pub(crate) fn meet_deadline(task: TaskRef) {
    let _ = cancel_task(task, &CancelRequest::new("deadline").by("deadline"));
}

/// Checks that the task, whose lock is held, is as the request expects.
fn expect(task: TaskRef, request: &CancelRequest<'_>) -> Result<(), CancelError> {
    if request.min_age.is_none() && request.status.is_none() {
        return Ok(());
    }
    let serial = Serial::new(task.serial);
    let row = Row::copy(task.slot(), Wanted::Live, Detail::Newest).ok_or(CancelError::NotFound)?;
    let view = row.view();
    // As it would have been recorded, but in full: the request expects the status that the list shows.
    let expected = request.status.map(|status| recorded::recorded(task.store(), status, usize::MAX).text);
    match (request.min_age, expected) {
        (Some(min_age), _) if view.age() < min_age => Err(CancelError::TooYoung { serial, age: view.age(), min_age }),
        (_, Some(expected)) if view.status().to_string() != *expected => {
            let (status, expected) = (view.status().to_string(), expected.into_owned());
            Err(CancelError::OtherStatus { serial, status, expected })
        }
        _ => Ok(()),
    }
}
