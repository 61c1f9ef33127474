//! A cancel goes down the tree, and no child escapes it.
//!
//! A child tells its parent that it is there, and looks whether the parent was asked to stop; a cancel marks the parent,
//! and looks for its children. Each writes before it looks, with a fence in between, so that one of them sees the other:
//!
//! - the child publishes itself and sets the bit `cancel::PARENT` in the parent's cancel word; fence; reads that word;
//! - the canceller stores the request in the parent's cancel word; fence; looks for children, if the bit was set.
//!
//! A child that finds its parent cancelled asks itself to stop before anybody can have a child of it. The slot of a parent
//! that was cancelled and has ended may be another task's by then, so such parents are remembered for a while.

use std::collections::HashSet;
use std::sync::atomic::Ordering as StdOrdering;

use super::cancelled::Cancelled;
use crate::base::sync::{Ordering, fence};
use crate::layout::words::{PARENT, acquire, cancel};
use crate::shared::state::Inner;
use crate::slot::copy::{Detail, Wanted};
use crate::slot::gate::Slot;
use crate::slot::request::Request;
use crate::store::cell::Wakers;
use crate::view::row::Row;

/// What the parent of a new task was asked, if it was.
enum Inherited {
    Nothing,
    From(Slot),
    Unknown,
}

/// Ends the start of a child: it is asked to stop if its parent was.
#[inline(never)]
pub(crate) fn born(child: Slot, serial: u64) {
    let inner = child.inner;
    let (parent, Some(at)) = child.parent() else { return };
    let word = at.cancel();
    if acquire(word) & cancel::PARENT == 0 {
        // AcqRel: pairs with the canceller's, which either sees this bit or is seen below.
        word.fetch_or(cancel::PARENT, Ordering::AcqRel);
    }
    // Pairs with the fence in `cancel_below`.
    fence(Ordering::SeqCst);
    let asked = cancel::is_asked(acquire(word));
    // Pairs with the Release fence of whoever takes the slot next: if the word was that task's, the gate is seen to be.
    fence(Ordering::Acquire);
    let inherited = match (at.is_of(parent), asked) {
        (true, false) => Inherited::Nothing,
        (true, true) => Inherited::From(at),
        (false, _) if inner.banned.lock().contains(parent) => Inherited::Unknown,
        (false, _) => Inherited::Nothing,
    };
    let cancelled = match inherited {
        Inherited::Nothing => return,
        Inherited::From(at) => request_of(at, parent),
        Inherited::Unknown => None,
    };
    let (reason, by, origin) = match &cancelled {
        Some(cancelled) => (cancelled.reason.as_str(), cancelled.by.as_str(), cancelled.origin.get()),
        None => ("its parent was cancelled", "", parent),
    };
    let request = Request { reason, by, origin: Some(origin) };
    let _ = ask(child, serial, &request);
}

/// What a task was asked that is live, or has ended and is kept.
fn request_of(slot: Slot, serial: u64) -> Option<Cancelled> {
    if let Some(writer) = slot.lock(serial) {
        return writer.request();
    }
    let row = Row::copy(slot, Wanted::Ended, Detail::Newest)?;
    let task = row.view();
    (task.serial().get() == serial)
        .then(|| task.cancel_request())
        .flatten()
        .map(|asked| asked.to_cancelled(task.serial()))
}

/// Asks one task, unless it can't be or was asked before. Returns who is to know, and whether it has children.
fn ask(slot: Slot, serial: u64, request: &Request<'_>) -> Option<(Wakers, bool)> {
    let writer = slot.lock(serial)?;
    if !writer.is_cancellable() {
        return None;
    }
    let word = writer.request_cancel(request)?;
    slot.inner.lost.cancels.fetch_add(1, StdOrdering::Relaxed);
    Some((writer.take_hearers(), word & cancel::PARENT != 0))
}

/// Asks all that are below a task that was just asked and has children. Returns who they are; nobody is woken yet.
pub(crate) fn cancel_below(inner: &'static Inner, root: u64, request: &Request<'_>) -> Vec<(Slot, u64, Wakers)> {
    let mut asked = Vec::new();
    let mut parents = HashSet::from([root]);
    while !parents.is_empty() {
        // Pairs with the fence in `born`.
        fence(Ordering::SeqCst);
        let mut next = HashSet::new();
        inner.slab.each_live(|index| {
            let slot = Slot::at(inner, index);
            if !parents.contains(&acquire(slot.chunk.word(PARENT))) {
                return;
            }
            let serial = slot.serial();
            // The word may have been another task's: what counts is who is its parent when it is locked.
            let is_child = slot.lock(serial).is_some_and(|writer| parents.contains(&writer.parent()));
            if is_child && let Some((wakers, has_children)) = ask(slot, serial, request) {
                asked.push((slot, serial, wakers));
                if has_children {
                    next.insert(serial);
                }
            }
        });
        parents = next;
    }
    asked
}
