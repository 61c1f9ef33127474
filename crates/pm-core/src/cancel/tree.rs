//! Cancels the tasks below a cancelled task; no child escapes.
//!
//! A child marks its parent as having children, and checks whether the parent was cancelled; a canceller marks the
//! parent as cancelled, and looks for children. Each writes before it reads, with a fence in between, so that one of
//! them sees the other:
//!
//! - the child publishes itself and sets the bit `cancel::PARENT` in the parent's cancel word; fence; reads that word;
//! - the canceller stores the request in the parent's cancel word; fence; looks for children, if the bit was set.
//!
//! A child that finds its parent cancelled cancels itself before it can have children. The slot of a parent that was
//! cancelled and has ended may be another task's by then, so the serials of such parents are remembered for a while.

use super::cancelled::Cancelled;
use super::mark::{Marked, mark};
use crate::base::sync::{Ordering, fence};
use crate::layout::words::{PARENT, acquire, cancel};
use crate::shared::state::TaskRef;
use crate::slot::copy::{Detail, Wanted};
use crate::slot::gate::Slot;
use crate::slot::request::Request;
use crate::store::Store;
use crate::store::cell::Wakers;
use crate::view::row::Row;

/// The cancel request of a new task's parent, if there is one.
enum Inherited {
    Nothing,
    From(Slot),
    Unknown,
}

/// Completes the start of a child: it is cancelled if its parent was.
#[inline(never)]
pub(crate) fn child_started(child: TaskRef) {
    let (parent, Some(at)) = child.slot().parent() else { return };
    let word = at.cancel();
    if acquire(word) & cancel::PARENT == 0 {
        // AcqRel: pairs with the canceller's, which either sees this bit or is seen below.
        word.fetch_or(cancel::PARENT, Ordering::AcqRel);
    }
    // Pairs with the fence in `cancel_below`.
    fence(Ordering::SeqCst);
    let asked = cancel::is_asked(acquire(word));
    // Pairs with the Release fence of the next task in the slot: if the word was that task's, the gate is seen to be,
    // too.
    fence(Ordering::Acquire);
    let inherited = match (at.is_of(parent), asked) {
        (true, false) => Inherited::Nothing,
        (true, true) => Inherited::From(at),
        (false, _) if child.shared.banned.lock().contains(parent) => Inherited::Unknown,
        (false, _) => Inherited::Nothing,
    };
    let cancelled = match inherited {
        Inherited::Nothing => return,
        Inherited::From(at) => request_of(at, parent),
        Inherited::Unknown => None,
    };
    let (reason, by, origin) = match &cancelled {
        Some(cancelled) => (cancelled.reason(), cancelled.by(), cancelled.origin().get()),
        None => ("its parent was cancelled", "", parent),
    };
    let request = Request { reason, by, origin: Some(origin) };
    let _ = ask(child, &request);
}

/// Returns the cancel request of a task that is live, or has ended and is retained.
fn request_of(slot: Slot, serial: u64) -> Option<Cancelled> {
    if let Some(writer) = slot.lock(serial) {
        return writer.request();
    }
    let row = Row::copy(slot, Wanted::Ended, Detail::Newest)?;
    let task = row.view();
    (task.serial().get() == serial)
        .then(|| task.cancel_request())
        .flatten()
        .map(|asked| Cancelled::of(&asked, task.serial()))
}

/// Asks one task, unless it can't be cancelled or was asked before.
fn ask(task: TaskRef, request: &Request<'_>) -> Option<Marked> {
    let writer = task.lock()?;
    if writer.is_cancellable() { mark(&writer, request) } else { None }
}

/// Asks all that are below a task that was just asked and has children. Returns them; none is woken yet.
///
/// One pass over the list finds all children of all tasks, however deep they are. A child that starts during a pass is
/// missed only if its parent was marked during that pass, too; so the next one looks for the children of those, until
/// there are none.
pub(super) fn cancel_below(root: TaskRef, request: &Request<'_>) -> Vec<(TaskRef, Wakers)> {
    let mut asked = Vec::new();
    let mut parents = vec![root.serial];
    // Mostly that is all there are.
    let mut of_one = Some(root.serial);
    while !parents.is_empty() {
        // Pairs with the fence in `child_started`.
        fence(Ordering::SeqCst);
        let children = Children::collect(root, of_one.take());
        let mut next = Vec::new();
        while let Some(parent) = parents.pop() {
            for slot in children.of(parent) {
                let task = TaskRef::new(root.shared, slot, slot.serial());
                // The word may have been another task's: what counts is the parent of the task that is locked.
                let is_child = task.lock().is_some_and(|writer| writer.parent() == parent);
                if is_child && let Some(marked) = ask(task, request) {
                    asked.push((task, marked.wakers));
                    if marked.has_children {
                        parents.push(task.serial);
                        next.push(task.serial);
                    }
                }
            }
        }
        parents = next;
    }
    asked
}

/// The slots of the tasks of a list that have a parent, ordered by that.
struct Children(&'static Store, Vec<(u64, u32)>);

impl Children {
    /// Collects the children of one task, or of all.
    fn collect(root: TaskRef, of_one: Option<u64>) -> Self {
        let store = root.store();
        let mut all = Vec::new();
        store.slab.chunks.each_live(|index| {
            let parent = acquire(Slot::at(store, index).chunk.word(PARENT));
            if of_one.map_or(parent != 0, |one| parent == one) {
                all.push((parent, index));
            }
        });
        all.sort_unstable();
        Self(store, all)
    }

    fn of(&self, parent: u64) -> impl Iterator<Item = Slot> {
        let Self(store, all) = self;
        let from = all.partition_point(|&(of, _)| of < parent);
        let of_parent = all[from..].iter().take_while(move |&&(of, _)| of == parent);
        of_parent.map(|&(_, index)| Slot::at(store, index))
    }
}
