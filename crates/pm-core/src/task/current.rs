//! Which task is the current one of a thread.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use super::handle::TaskHandle;
use crate::layout::chunk::Chunk;
use crate::shared::state::Inner;
use crate::slot::gate::Slot;

impl TaskHandle {
    /// Makes the task the current one of this thread until the guard is dropped: tasks started meanwhile are its
    /// children, and [`current`] returns it.
    #[inline]
    #[must_use = "the task is current as long as this lives"]
    pub fn enter(&self) -> Entered {
        enter(self.slot, self.serial)
    }
}

/// The current task, word by word: each poll of a future swaps it twice, and a word travels in a register. There is none
/// without a chunk.
struct Current {
    chunk: Cell<Option<&'static Chunk>>,
    serial: Cell<u64>,
    /// The list of the task, or of the last one: nearly always the same, so that it is seldom written.
    inner: Cell<Option<&'static Inner>>,
}

impl Current {
    #[inline(always)]
    fn set_inner(&self, inner: Option<&'static Inner>) {
        let at = |inner: Option<&'static Inner>| inner.map(std::ptr::from_ref);
        if at(self.inner.get()) != at(inner) {
            self.inner.set(inner);
        }
    }
}

std::thread_local! {
    static CURRENT: Current =
        const { Current { chunk: Cell::new(None), serial: Cell::new(0), inner: Cell::new(None) } };
}

/// Keeps a task current on this thread; made by [`TaskHandle::enter`](crate::TaskHandle::enter). Dropped, it makes the one before
/// current again.
#[must_use = "the task is current as long as this lives"]
pub struct Entered {
    chunk: Option<&'static Chunk>,
    serial: u64,
    inner: Option<&'static Inner>,
    thread_bound: PhantomData<*const ()>,
}

#[inline]
pub(crate) fn enter(slot: Option<Slot>, serial: u64) -> Entered {
    let enter = |current: &Current| {
        let inner = current.inner.get();
        if let Some(slot) = slot {
            current.set_inner(Some(slot.inner));
        }
        let chunk = current.chunk.replace(slot.map(|slot| slot.chunk));
        Entered { chunk, serial: current.serial.replace(serial), inner, thread_bound: PhantomData }
    };
    let of_none = || Entered { chunk: None, serial: 0, inner: None, thread_bound: PhantomData };
    CURRENT.try_with(enter).unwrap_or_else(|_| of_none())
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| {
            current.chunk.set(self.chunk);
            current.serial.set(self.serial);
            if self.chunk.is_some() {
                current.set_inner(self.inner);
            }
        });
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

/// The current task of this thread; without one, a handle that does nothing.
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
        let (Some(chunk), Some(inner)) = (current.chunk.get(), current.inner.get()) else { return TaskHandle::INERT };
        TaskHandle::new(Some(Slot { inner, chunk }), current.serial.get())
    };
    CURRENT.try_with(current).unwrap_or(TaskHandle::INERT)
}
