//! Marks one task as asked to stop: what all cancellations share.

use std::sync::atomic::Ordering as StdOrdering;

use crate::layout::words::cancel;
use crate::slot::gate::Writer;
use crate::slot::request::Request;
use crate::store::cell::Wakers;

/// A task that was just asked to stop; no future is woken yet.
pub(super) struct Marked {
    pub(super) wakers: Wakers,
    pub(super) has_children: bool,
}

/// Stores the request of a task whose lock is held; `None` if it was asked before.
pub(super) fn mark(writer: &Writer, request: &Request<'_>) -> Option<Marked> {
    let word = writer.request_cancel(request)?;
    writer.slot().store.counters.cancel_requests.fetch_add(1, StdOrdering::Relaxed);
    Some(Marked { wakers: writer.take_cancel_wakers(), has_children: word & cancel::PARENT != 0 })
}
