//! The stack of task spans that this thread has entered, of all layers, innermost last.
//!
//! Each entry keeps its task current. An entry that is removed out of order passes its guard, which restores the task
//! that was current before, to the next entry above, so that the last one removed restores the initial state.

use std::cell::RefCell;
use std::sync::Arc;

use pm_core::{Entered, current};

use super::node::SpanTask;

struct Entry {
    layer: u64,
    span: u64,
    shared: Arc<SpanTask>,
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
            // Its task stays current, and it restores later what this entry would have.
            std::mem::forget(std::mem::replace(&mut above.guard, guard));
        } else if current().serial() == shared.handle.serial() {
            drop(guard);
        } else {
            // A task that is not a span was entered since and is still current; it restores what it found.
            std::mem::forget(guard);
        }
    }

    /// Removes spans that have closed without being exited, for example because a guard was forgotten.
    fn remove_closed(&mut self) {
        while let Some(last) = self.0.last()
            && last.shared.has_ended()
        {
            self.remove(self.0.len() - 1);
        }
    }
}

pub(super) fn push(layer: u64, span: u64, shared: Arc<SpanTask>) {
    // While the thread exits there is no stack; the task is then not made current, since nothing would undo it.
    let _ = STACK.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        stack.remove_closed();
        let guard = shared.handle.enter();
        stack.0.push(Entry { layer, span, shared, guard });
    });
}

/// Removes the most recent entry of the span, if there is one.
#[inline]
pub(super) fn pop(layer: u64, span: u64) {
    let _ = STACK.try_with(|stack| {
        let mut stack = stack.borrow_mut();
        if let Some(at) = stack.0.iter().rposition(|entry| entry.span == span && entry.layer == layer) {
            stack.remove(at);
        }
    });
}

/// Returns the nearest task of the layer, unless a task that is not a span is current within it.
#[inline]
pub(super) fn nearest(layer: u64) -> Option<Arc<SpanTask>> {
    let nearest = |stack: &RefCell<Stack>| {
        let mut stack = stack.borrow_mut();
        if stack.0.is_empty() { None } else { stack.nearest(layer) }
    };
    STACK.try_with(nearest).ok().flatten()
}

impl Stack {
    #[cold]
    #[inline(never)]
    fn nearest(&mut self, layer: u64) -> Option<Arc<SpanTask>> {
        self.remove_closed();
        let innermost = self.0.last()?;
        if innermost.shared.handle.serial() != current().serial() {
            return None;
        }
        self.0.iter().rev().find(|entry| entry.layer == layer).map(|entry| entry.shared.clone())
    }
}
