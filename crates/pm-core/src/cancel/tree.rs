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
use crate::layout::table::ChunkTable;
use crate::layout::words::{acquire, cancel};
use crate::shared::state::TaskRef;
use crate::slot::copy::{Detail, Wanted};
use crate::slot::gate::Slot;
use crate::slot::request::Request;
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
/// One pass over the parents of the list finds all that is below the task, however deep that is. A child that starts
/// during a pass is missed only if its parent was marked during that pass, too; so the next one looks for the children
/// of those, until there are none.
pub(super) fn cancel_below(root: TaskRef, request: &Request<'_>) -> Vec<(TaskRef, Wakers)> {
    let chunks = &root.store().slab.chunks;
    let mut asked = Vec::new();
    let mut parents = vec![root];
    // Mostly none of its children has any.
    let mut collect: fn(&ChunkTable, u32) -> Children = Children::of_one;
    while !parents.is_empty() {
        // Pairs with the fence in `child_started`.
        fence(Ordering::SeqCst);
        let children = collect(chunks, root.slot().index());
        collect = Children::below;
        let mut next = Vec::new();
        while let Some(parent) = parents.pop() {
            for child in children.of(parent.slot().index()) {
                let slot = Slot::at(root.store(), child);
                let task = TaskRef::new(root.shared, slot, slot.serial());
                // What was found may be that of an earlier task: what counts is the parent of the task that is locked.
                let is_child = task.lock().is_some_and(|writer| writer.parent() == parent.serial);
                if is_child && let Some(marked) = ask(task, request) {
                    asked.push((task, marked.wakers));
                    if marked.has_children {
                        parents.push(task);
                        next.push(task);
                    }
                }
            }
        }
        parents = next;
    }
    asked
}

/// Slots of tasks that may be the children of others, each behind the slot of its parent; ordered.
struct Children(Vec<(u32, u32)>);

/// The place of a slot as far as it is known.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    Not,
    Below,
    /// It is elsewhere, or on the way that is being followed: among the parents of earlier tasks there are cycles.
    Elsewhere,
}

impl Children {
    /// Collects the children of one task.
    fn of_one(chunks: &ChunkTable, root: u32) -> Self {
        let mut found = Vec::new();
        chunks.each_parent(|child, parent| {
            if parent == root {
                found.push((parent, child));
            }
        });
        Self(found)
    }

    /// Collects all that is below a task. The way up from each slot is followed to where it is known.
    fn below(chunks: &ChunkTable, root: u32) -> Self {
        let (mut found, mut way) = (Vec::new(), Vec::new());
        let mut known = vec![Known::Not; chunks.used() as usize];
        known[root as usize] = Known::Below;
        chunks.each_parent(|child, parent| {
            let mut at = child;
            // A slot that was handed out since is none of these.
            while known.get(at as usize) == Some(&Known::Not) {
                known[at as usize] = Known::Elsewhere;
                way.push(at);
                match chunks.parent(at).load(Ordering::Relaxed).checked_sub(1) {
                    Some(parent) => at = parent,
                    None => break,
                }
            }
            if known.get(at as usize) == Some(&Known::Below) {
                way.drain(..).for_each(|at| known[at as usize] = Known::Below);
                found.push((parent, child));
            }
            way.clear();
        });
        found.sort_unstable();
        Self(found)
    }

    fn of(&self, parent: u32) -> impl Iterator<Item = u32> {
        let from = self.0.partition_point(|&(of, _)| of < parent);
        self.0[from..].iter().take_while(move |&&(of, _)| of == parent).map(|&(_, child)| child)
    }
}
