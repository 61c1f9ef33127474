//! The default list of the process, and functions that start tasks in it.

use std::sync::OnceLock;

use super::process_list::ProcessList;
use crate::cancel::cancelled::Cancelled;
use crate::task::builder::TaskBuilder;
use crate::task::future::TaskFuture;
use crate::task::live::Task;

/// Begins to describe a task of the [`global`] list; [`TaskBuilder::start`] starts it.
pub fn task(id: &str) -> TaskBuilder<'static> {
    TaskBuilder::new(global().shared(), Some(id))
}

/// Begins to describe a task of the [`global`] list whose id is made from its serial.
pub fn unnamed() -> TaskBuilder<'static> {
    TaskBuilder::new(global().shared(), None)
}

/// Starts a task of the [`global`] list that is no more than its id.
#[must_use = "the task ends when this is dropped"]
pub fn start(id: &str) -> Task {
    task(id).start()
}

/// Runs `f` as a task of the [`global`] list. See [`ProcessList::run_sync`](crate::ProcessList::run_sync).
///
/// # Errors
///
/// [`Cancelled`] when `f` returned it, or was unwound by
/// [`checkpoint_or_unwind`](crate::TaskHandle::checkpoint_or_unwind).
///
/// # Panics
///
/// A panic of `f` continues; the task ends as aborted.
///
/// ```
/// let result = pm_core::run_sync("import-42", |task| {
///     task.status("reading")?;
///     pm_core::global().cancel("import-42", "too slow").unwrap();
///     task.status("writing")?;
///     Ok(())
/// });
/// assert_eq!(result.unwrap_err().reason(), "too slow");
/// ```
pub fn run_sync<T>(id: &str, f: impl FnOnce(&Task) -> Result<T, Cancelled>) -> Result<T, Cancelled> {
    task(id).run_sync(f)
}

/// Runs a future as a task of the [`global`] list. See [`TaskBuilder::run`].
pub fn run<F: Future>(id: &str, future: F) -> TaskFuture<F> {
    task(id).run(future)
}

/// The default list of the process.
#[must_use]
pub fn global() -> &'static ProcessList {
    static GLOBAL: OnceLock<ProcessList> = OnceLock::new();
    GLOBAL.get_or_init(ProcessList::new)
}
