//! The current task of a thread.
//!
//! A task is current because of one of four things on the stack of the thread: a guard ([`TaskHandle::enter`]), work
//! that was given the task ([`carry`](crate::carry)), a poll of a future that runs as the task, or its `run_sync`. The
//! innermost counts. The last two catch a cancel that unwinds; nothing is unwound that has to pass one of the others.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;

use super::handle::TaskHandle;
use crate::layout::chunk::Chunk;
use crate::shared::state::{Shared, TaskRef};

impl TaskHandle {
    /// Makes the task the current one of this thread until the guard is dropped: tasks started until then are its
    /// children, and [`current`] returns it.
    ///
    /// The guard belongs to the thread, not to the code that made it. Two things follow:
    ///
    /// - **Do not hold it over an `await`.** While the future is suspended, the thread runs other futures, and all that
    ///   they start become children of this task and are cancelled with it. Use
    ///   [`in_task`](crate::TaskFutureExt::in_task) for a future. The guard is `!Send`, so that `tokio::spawn` rejects
    ///   most mistakes of this kind; clippy finds the others with `await-holding-invalid-types = ["pm_core::Entered"]`
    ///   in `clippy.toml`.
    /// - **Work that another thread's pool runs within it inherits the task.** A thread of rayon that waits in `join`,
    ///   `scope` or `install` executes queued jobs on the same stack, wherever they were queued. Wrap what you queue
    ///   with [`carry`](crate::carry): it then runs as the task that was current where it was queued, or as none.
    #[inline]
    #[must_use = "the task is current as long as this lives"]
    pub fn enter(&self) -> Entered {
        enter(self.task, 0)
    }

    /// Makes the task current for code that catches a cancel that unwinds.
    #[inline]
    pub(super) fn enter_catching(self) -> Entered {
        enter(self.task, CATCHES)
    }

    /// Makes the task current for its `run_sync`, which catches a cancel of the task that unwinds, and one of a
    /// `run_sync` around it.
    pub(super) fn enter_run(self) -> Run {
        let entered = self.enter_catching();
        let known =
            RUNS.try_with(|runs| runs.borrow_mut().push(Frame { serial: self.raw_serial(), outer: entered.serial }));
        Run { known: known.is_ok(), entered }
    }
}

/// In the word of the current task's serial: what made it current catches a cancel that unwinds.
const CATCHES: u64 = 1 << 63;

/// A `run_sync` on the stack of this thread.
struct Frame {
    serial: u64,
    /// The word of the task that was current before.
    outer: u64,
}

std::thread_local! {
    static RUNS: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a task current as long as its `run_sync` lasts.
pub(super) struct Run {
    known: bool,
    #[expect(dead_code, reason = "dropped after this")]
    entered: Entered,
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.known {
            let _ = RUNS.try_with(|runs| runs.borrow_mut().pop());
        }
    }
}

/// Returns `true` if a cancel of this task that unwinds is caught on this stack, and passes nothing on its way but
/// `run_sync`s.
pub(super) fn is_caught(serial: u64) -> bool {
    let Ok(mut at) = CURRENT.try_with(|current| current.serial.get()) else { return false };
    if cfg!(not(panic = "unwind")) || std::thread::panicking() {
        return false;
    }
    let chain = |runs: &RefCell<Vec<Frame>>| {
        for frame in runs.borrow().iter().rev() {
            if at == serial | CATCHES || at != frame.serial | CATCHES {
                break;
            }
            at = frame.outer;
        }
        at == serial | CATCHES
    };
    RUNS.try_with(chain).unwrap_or(false)
}

/// The current task, word by word: each poll of a future swaps it twice, and a word travels in a register. There is
/// none without a chunk.
struct Current {
    chunk: Cell<Option<&'static Chunk>>,
    /// The serial, and [`CATCHES`].
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
fn enter(task: Option<TaskRef>, catches: u64) -> Entered {
    let enter = |current: &Current| {
        let shared = current.shared.get();
        if let Some(task) = task {
            current.set_shared(Some(task.shared));
        }
        let chunk = current.chunk.replace(task.map(|task| task.chunk));
        let serial = current.serial.replace(task.map_or(0, |task| task.serial | catches));
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
/// It is the task of the innermost `run`, `run_sync` or guard around this call. It does not follow work to other
/// threads or to spawned futures by itself: [`carry`](crate::carry) and
/// [`in_current_task`](crate::TaskFutureExt::in_current_task) pass it on. In a job that a pool runs within a task that
/// waits there, as rayon does, it is that task, unless the job was wrapped: see [`enter`](TaskHandle::enter).
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
        TaskHandle { task: Some(TaskRef { shared, chunk, serial: current.serial.get() & !CATCHES }) }
    };
    CURRENT.try_with(current).unwrap_or(TaskHandle::INERT)
}
