//! The spans of tasks that this thread is in, innermost last, whatever layer they belong to.
//!
//! Each keeps its task current. One that is left out of order hands what was current before it to the next one above, so
//! that the last one to be left restores what was there at first.

use std::cell::RefCell;
use std::sync::Arc;

use pm_core::{Entered, current};

use super::node::Shared;

struct Entry {
    layer: u64,
    span: u64,
    shared: Arc<Shared>,
    guard: Entered,
}

#[derive(Default)]
struct Stack(Vec<Entry>);

std::thread_local! {
    static STACK: RefCell<Stack> = const { RefCell::new(Stack(Vec::new())) };
}

impl Stack {
    fn remove(&mut self, at: usize) {
        let Entry { shared, guard, .. } = self.0.remove(at);
        if let Some(above) = self.0.get_mut(at) {
            // It is still current, and leaves behind what this one would have.
            std::mem::forget(std::mem::replace(&mut above.guard, guard));
        } else if current().serial() == shared.handle.serial() {
            drop(guard);
        } else {
            // Something that is no span was entered since and is current still; it will restore what it found.
            std::mem::forget(guard);
        }
    }

    /// Forgets spans that have closed and were never left, as when a guard was forgotten.
    fn tidy(&mut self) {
        while let Some(last) = self.0.last()
            && last.shared.has_ended()
        {
            self.remove(self.0.len() - 1);
        }
    }
}

pub(super) fn push(layer: u64, span: u64, shared: Arc<Shared>) {
    // Without a place to note it, the task is not made current: nobody would undo it.
    let _ = STACK.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        stack.tidy();
        let guard = shared.handle.enter();
        stack.0.push(Entry { layer, span, shared, guard });
    });
}

/// Leaves the span where it was entered last, if it was.
#[inline]
pub(super) fn pop(layer: u64, span: u64) {
    let _ = STACK.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        if let Some(at) = stack.0.iter().rposition(|entry| entry.span == span && entry.layer == layer) {
            stack.remove(at);
        }
    });
}

/// The nearest task of the layer, unless a task that is no span's is current within it.
#[inline]
pub(super) fn nearest(layer: u64) -> Option<Arc<Shared>> {
    let nearest = |stack: &RefCell<Stack>| {
        let mut stack = stack.borrow_mut();
        if stack.0.is_empty() { None } else { stack.nearest(layer) }
    };
    STACK.try_with(nearest).ok().flatten()
}

impl Stack {
    #[cold]
    #[inline(never)]
    fn nearest(&mut self, layer: u64) -> Option<Arc<Shared>> {
        self.tidy();
        let innermost = self.0.last()?;
        if innermost.shared.handle.serial() != current().serial() {
            return None;
        }
        self.0.iter().rev().find(|entry| entry.layer == layer).map(|entry| entry.shared.clone())
    }
}
