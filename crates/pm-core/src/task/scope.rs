//! A status for the duration of a block: set at its beginning, and restored at its end.
//!
//! The open scopes of a task lie beside its slot, each with the status to go back to, and are touched under the lock of
//! the task's writers. Scopes may end in any order, as they do when a task does several things at once: one that ends
//! while a later one is open hands on what it would go back to.

use std::fmt;

use super::handle::{TaskHandle, late};
use crate::base::text;
use crate::slot::copy::{Detail, Wanted};
use crate::slot::gate::{NoSpace, Slot, Writer};
use crate::store::recorded;
use crate::store::scopes::NO_SCOPE;
use crate::view::row::Row;
use crate::view::values::StatusText;

/// Keeps a status for the duration of a block; made by [`TaskHandle::scope`]. Dropping it restores the one before.
#[must_use = "the status is that of the block as long as this lives"]
pub struct StatusScope {
    task: TaskHandle,
    key: u64,
    opened_in_panic: bool,
}

impl TaskHandle {
    /// Sets the status for the duration of a block: when the returned guard is dropped, the status is again what it
    /// was before.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("import-42");
    /// let status = || list.view(task.serial(), |task| task.status().to_string()).unwrap();
    /// {
    ///     let _import = task.scope("importing");
    ///     for file in ["a", "b"] {
    ///         let _file = pm_core::scope!(task, "reading {file}");
    ///         task.checkpoint()?;
    ///     }
    ///     assert_eq!(status(), "importing");
    /// }
    /// assert_eq!(status(), "init");
    /// # Ok::<(), pm_core::Cancelled>(())
    /// ```
    ///
    /// - Each scope is two entries of the history, and costs a copy of the task's facts. In a tight loop say a
    ///   [`status`](Self::status).
    /// - What the block itself said as its status is over with it.
    /// - Scopes may end in any order: the status goes back when the latest one ends, to what was before all that have
    ///   ended.
    /// - In a panic, and when a task is unwound for a cancellation, the status stays: it shows where that was.
    /// - It does not observe a cancellation; `status` and [`checkpoint`](Self::checkpoint) do.
    /// - At most 64 scopes of a task are open; further ones set their status, and restore nothing.
    pub fn scope(&self, status: &str) -> StatusScope {
        let mut key = NO_SCOPE;
        if let Some(task) = self.task {
            let store = task.store();
            recorded::with_recorded(store, status, store.limits.status, |status| match task.lock() {
                Some(writer) => {
                    let before = status_before(task.slot());
                    key = writer.with_cell(|cell| cell.scopes().push(before));
                    say(&writer, status);
                }
                None => late(store),
            });
        }
        StatusScope { task: *self, key, opened_in_panic: std::thread::panicking() }
    }

    /// Sets the status for the duration of a block from format arguments, as [`scope!`](crate::scope!) does.
    ///
    /// # Panics
    ///
    /// If a value's `Display` does; the task stays as it was.
    pub fn scope_fmt(&self, status: fmt::Arguments<'_>) -> StatusScope {
        let mut scope = StatusScope { task: *self, key: NO_SCOPE, opened_in_panic: false };
        if self.task.is_some() {
            text::format(status, |status| scope = self.scope(status));
        }
        scope
    }
}

fn say(writer: &Writer, status: &str) {
    if let Err(NoSpace) = writer.status(status) {
        writer.slot().store.counters.statuses_dropped.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Returns the last status that the task set; its lock is held.
fn status_before(slot: Slot) -> String {
    let row = |detail| Row::timeless(slot, Wanted::Live, detail);
    let before = match row(Detail::Newest) {
        Some(newest) if !matches!(newest.view().status(), StatusText::CancelRequest(_)) => {
            Some(newest.view().status().to_string())
        }
        // It was asked to stop since.
        _ => row(Detail::History).map(|all| all.view().said_last().to_string()),
    };
    before.unwrap_or_else(|| StatusText::Init.to_string())
}

impl Drop for StatusScope {
    fn drop(&mut self) {
        let Some(task) = self.task.task().filter(|_| self.key != NO_SCOPE) else { return };
        let Some(writer) = task.lock() else { return };
        let before = writer.with_cell(|cell| cell.scopes().remove(self.key));
        if let Some(before) = before
            && (self.opened_in_panic || !std::thread::panicking())
        {
            say(&writer, &before);
        }
    }
}

impl fmt::Debug for StatusScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusScope").field("task", &self.task).finish_non_exhaustive()
    }
}

/// Sets the status of a task for the duration of a block, formatted as by [`format!`].
///
/// ```
/// let task = pm_core::start("import-42");
/// for block in 0..3 {
///     let _scope = pm_core::scope!(task, "reading block {block}");
///     task.checkpoint()?;
/// }
/// # Ok::<(), pm_core::Cancelled>(())
/// ```
///
/// See [`TaskHandle::scope`].
#[macro_export]
macro_rules! scope {
    ($task:expr, $($format:tt)+) => {
        $task.scope_fmt(::core::format_args!($($format)+))
    };
}
