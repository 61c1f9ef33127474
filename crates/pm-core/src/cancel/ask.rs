//! Asks a task and all below it to stop: first all are marked, then those that are idle are woken.

use std::sync::atomic::Ordering as StdOrdering;

use super::handle::CancelHandle;
use super::request::{CancelError, CancelRequest};
use super::tree;
use crate::base::serial::Serial;
use crate::slot::copy::{Detail, Wanted};
use crate::slot::gate::Slot;
use crate::slot::request::Request;
use crate::store::recorded;
use crate::view::row::Row;

impl Slot {
    /// Cancels a task and all below it: first all are marked, then those that are idle are woken.
    pub(crate) fn cancel_task(self, serial: u64, request: &CancelRequest<'_>) -> Result<CancelHandle, CancelError> {
        let (inner, limits) = (self.inner, &self.inner.limits);
        let reason = recorded::recorded(inner, request.reason, limits.status);
        let by = recorded::recorded(inner, request.by, limits.name);
        let stored = Request { reason: &reason.text, by: &by.text, origin: None };
        let writer = self.lock(serial).ok_or(CancelError::NotFound)?;
        if !writer.is_cancellable() {
            return Err(CancelError::NotCancellable { serial: Serial::new(serial) });
        }
        self.expect(serial, request)?;
        let word = writer.request_cancel(&stored);
        let handle = CancelHandle::new(&writer, word.is_some());
        let Some(word) = word else { return Ok(handle) };
        reason.count(inner);
        by.count(inner);
        inner.lost.cancels.fetch_add(1, StdOrdering::Relaxed);
        let wakers = writer.take_hearers();
        drop(writer);
        let below = if word & crate::layout::words::cancel::PARENT == 0 {
            Vec::new()
        } else {
            tree::cancel_below(inner, serial, &Request { origin: Some(serial), ..stored })
        };
        let count = below.len() as u64;
        wakers.wake(inner);
        inner.hooks.cancelled(self, serial);
        for (slot, serial, wakers) in below {
            wakers.wake(inner);
            inner.hooks.cancelled(slot, serial);
        }
        Ok(handle.with_below(count))
    }

    /// Whether the task, whose lock is held, is as the request expects.
    fn expect(self, serial: u64, request: &CancelRequest<'_>) -> Result<(), CancelError> {
        if request.min_age.is_none() && request.status.is_none() {
            return Ok(());
        }
        let serial = Serial::new(serial);
        let row = Row::copy(self, Wanted::Live, Detail::Newest).ok_or(CancelError::NotFound)?;
        let task = row.view();
        // As it would have been recorded, but whole: what the list shows is expected.
        let expected = request.status.map(|status| recorded::recorded(self.inner, status, usize::MAX).text);
        match (request.min_age, expected) {
            (Some(min_age), _) if task.age() < min_age => {
                Err(CancelError::TooYoung { serial, age: task.age(), min_age })
            }
            (_, Some(expected)) if task.status().to_string() != *expected => {
                let (status, expected) = (task.status().to_string(), expected.into_owned());
                Err(CancelError::OtherStatus { serial, status, expected })
            }
            _ => Ok(()),
        }
    }
}
