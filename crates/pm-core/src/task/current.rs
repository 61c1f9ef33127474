//! The current task of a thread.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use super::handle::TaskHandle;
use crate::layout::chunk::Chunk;
use crate::shared::state::{Shared, TaskRef};

impl TaskHandle {
    /// Makes the task the current one of this thread until the guard is dropped: tasks started until then are its
    /// children, and [`current`] returns it.
    #[inline]
    #[must_use = "the task is current as long as this lives"]
    pub fn enter(&self) -> Entered {
        enter(self.task)
    }
}

/// The current task, word by word: each poll of a future swaps it twice, and a word travels in a register. There is
/// none without a chunk.
struct Current {
    chunk: Cell<Option<&'static Chunk>>,
    serial: Cell<u64>,
    /// The list of the task, or of the last one: nearly always the same, so that it is seldom written.
    shared: Cell<Option<&'static Shared>>,
}

impl Current {
    #[inline(always)]
    fn set_shared(&self, shared: Option<&'static Shared>) {
        let at = |shared: Option<&'static Shared>| shared.map(std::ptr::from_ref);
        if at(self.shared.get()) != at(shared) {
            self.shared.set(shared);
        }
    }
}

std::thread_local! {
    static CURRENT: Current =
        const { Current { chunk: Cell::new(None), serial: Cell::new(0), shared: Cell::new(None) } };
}

/// Keeps a task current on this thread; made by [`TaskHandle::enter`](crate::TaskHandle::enter). Dropped, it makes the
/// one before current again.
#[must_use = "the task is current as long as this lives"]
pub struct Entered {
    chunk: Option<&'static Chunk>,
    serial: u64,
    shared: Option<&'static Shared>,
    thread_bound: PhantomData<*const ()>,
}

#[inline]
fn enter(task: Option<TaskRef>) -> Entered {
    let enter = |current: &Current| {
        let shared = current.shared.get();
        if let Some(task) = task {
            current.set_shared(Some(task.shared));
        }
        let chunk = current.chunk.replace(task.map(|task| task.chunk));
        let serial = current.serial.replace(task.map_or(0, |task| task.serial));
        Entered { chunk, serial, shared, thread_bound: PhantomData }
    };
    let of_none = || Entered { chunk: None, serial: 0, shared: None, thread_bound: PhantomData };
    CURRENT.try_with(enter).unwrap_or_else(|_| of_none())
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| {
            current.chunk.set(self.chunk);
            current.serial.set(self.serial);
            if self.chunk.is_some() {
                current.set_shared(self.shared);
            }
        });
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

/// Returns the current task of this thread; without one, a [handle of no task](TaskHandle::none).
///
/// ```
/// fn deep_below() {
///     pm_core::current().set("rows", 42);
/// }
/// pm_core::run_sync("import-42", |_task| Ok(deep_below())).unwrap();
/// ```
#[inline]
#[must_use]
pub fn current() -> TaskHandle {
    let current = |current: &Current| {
        let (Some(chunk), Some(shared)) = (current.chunk.get(), current.shared.get()) else { return TaskHandle::INERT };
        TaskHandle { task: Some(TaskRef { shared, chunk, serial: current.serial.get() }) }
    };
    CURRENT.try_with(current).unwrap_or(TaskHandle::INERT)
}
