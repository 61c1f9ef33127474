//! Passes the current task on to work that runs elsewhere: on other threads, in pools, as spawned futures.
//!
//! Work that is wrapped here runs with exactly the task that it was given, or with none: never with that of the code
//! that happens to be beneath it on the stack. It is not a task of its own: a cancel of its task does not drop it, and
//! it may outlast the task.

use std::future::Future;

use super::current::current;
use super::future::InTask;
use super::handle::TaskHandle;

/// Wraps a closure so that it runs as part of the task that is current here, wherever it is called: on a thread, in
/// `spawn_blocking`, in a job of rayon. Without a current task it runs as part of none, also where another task is
/// current.
///
/// ```
/// let list = pm_core::ProcessList::new();
/// list.run_sync("import-42", |task| {
///     let parse = pm_core::carry(|| {
///         pm_core::current().status("parsing")?;
///         Ok(7)
///     });
///     assert_eq!(std::thread::spawn(parse).join().unwrap()?, 7);
///     assert_eq!(task.view(|task| task.status().to_string()).as_deref(), Some("parsing"));
///     Ok(())
/// })?;
/// # Ok::<(), pm_core::Cancelled>(())
/// ```
///
/// The closure is not a task of its own. To have it shown and cancelled by itself, start a task here and run it there:
/// [`Task::run_sync`](crate::Task::run_sync).
pub fn carry<F: FnOnce() -> T, T>(f: F) -> impl FnOnce() -> T + use<F, T> {
    current().carry(f)
}

impl TaskHandle {
    /// Wraps a closure so that it runs as part of this task: see [`carry`]. That of [no task](Self::none) runs as part
    /// of none.
    ///
    /// ```
    /// let task = pm_core::start("import-42");
    /// let rows: Vec<_> = std::thread::scope(|threads| {
    ///     let parts = [0, 1].map(|part| threads.spawn(task.carry(move || pm_core::current().serial().map(|_| part))));
    ///     parts.map(|part| part.join().unwrap()).into()
    /// });
    /// assert_eq!(rows, [Some(0), Some(1)]);
    /// ```
    pub fn carry<F: FnOnce() -> T, T>(&self, f: F) -> impl FnOnce() -> T + use<F, T> {
        let task = *self;
        move || {
            let _current = task.enter();
            f()
        }
    }
}

/// Passes the current task on to a future. Implemented by all futures.
pub trait TaskFutureExt: Future + Sized {
    /// Runs the future as part of the task that is current here, wherever it is polled: for `tokio::spawn` and its
    /// like. Without a current task it runs as part of none.
    ///
    /// ```
    /// use pm_core::TaskFutureExt as _;
    /// # use std::{pin::pin, task::{Context, Poll, Waker}};
    ///
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("import-42");
    /// let entered = task.enter();
    /// let part = async { pm_core::current().serial() }.in_current_task();
    /// drop(entered);
    /// assert_eq!(pm_core::current().serial(), None);
    /// # let mut context = Context::from_waker(Waker::noop());
    /// // Elsewhere, as in `tokio::spawn(part)`:
    /// assert_eq!(pin!(part).poll(&mut context), Poll::Ready(task.serial()));
    /// ```
    ///
    /// The future is not a task of its own, and a cancel of its task does not drop it. To have it dropped, run it as a
    /// child: `pm::task("part").run(future)`.
    fn in_current_task(self) -> InTask<Self> {
        self.in_task(current())
    }

    /// Runs the future as part of a task, wherever it is polled. Takes a `&Task`, or a handle. See
    /// [`in_current_task`](Self::in_current_task).
    fn in_task(self, task: impl Into<TaskHandle>) -> InTask<Self> {
        InTask::new(task.into(), self)
    }
}

impl<F: Future> TaskFutureExt for F {}
