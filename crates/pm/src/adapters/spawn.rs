//! Spawns tasks on tokio: `tokio::spawn` and its relatives as methods of a task builder.

use std::future::Future;

use pm_core::{Cancelled, Task, TaskBuilder};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle, JoinSet, LocalSet};

use super::sealed::Sealed;

/// Spawns the task that a [`TaskBuilder`] describes on tokio.
///
/// ```
/// use pm::prelude::*;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let list = pm::ProcessList::new();
/// let import = list.task("import-42").kind("import").spawn(async {
///     std::future::pending::<()>().await; // never completes
/// });
/// list.cancel("import-42", "too slow").unwrap();
/// assert_eq!(import.await.unwrap().unwrap_err().reason(), "too slow");
/// # });
/// ```
///
/// The task starts immediately and is listed while it waits for its first poll; its parent is the task that is current
/// where it is spawned. It ends
///
/// - when the future completes, as with [`TaskBuilder::run`];
/// - as dropped, when it is aborted through tokio's handle or set, or when the runtime shuts down;
/// - as cancelled, on a cancel request: the future is dropped and the output is [`Cancelled`];
/// - as aborted, when it panics: the handle returns tokio's `JoinError`, as usual.
///
/// A task that is cancelled before its first poll never runs.
///
/// Methods without a `runtime` or `set` argument panic outside of a runtime, as tokio's functions do. This trait is
/// sealed.
pub trait SpawnExt: Sealed + Sized {
    /// Spawns a future: [`tokio::spawn`].
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    fn spawn<F>(self, future: F) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future<Output: Send> + Send + 'static;

    /// Spawns a future on the given runtime: [`Handle::spawn`].
    fn spawn_on<F>(self, future: F, runtime: &Handle) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future<Output: Send> + Send + 'static;

    /// Spawns a `!Send` future on the current [`LocalSet`]: [`tokio::task::spawn_local`].
    ///
    /// # Panics
    ///
    /// Outside of a [`LocalSet`].
    fn spawn_local<F>(self, future: F) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future + 'static;

    /// Spawns a `!Send` future on the given set: [`LocalSet::spawn_local`].
    fn spawn_local_on<F>(self, future: F, set: &LocalSet) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future + 'static;

    /// Runs a closure on a thread where it may block: [`tokio::task::spawn_blocking`].
    ///
    /// The closure observes a cancellation at its checkpoints. A task that is cancelled while it waits for a thread
    /// never runs.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    fn spawn_blocking<F, T>(self, f: F) -> JoinHandle<Result<T, Cancelled>>
    where
        F: FnOnce(&Task) -> Result<T, Cancelled> + Send + 'static,
        T: Send + 'static;

    /// Runs a closure on a blocking thread of the given runtime: [`Handle::spawn_blocking`].
    fn spawn_blocking_on<F, T>(self, f: F, runtime: &Handle) -> JoinHandle<Result<T, Cancelled>>
    where
        F: FnOnce(&Task) -> Result<T, Cancelled> + Send + 'static,
        T: Send + 'static;

    /// Spawns a future into a [`JoinSet`]: [`JoinSet::spawn`].
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    fn spawn_in<F>(self, future: F, set: &mut JoinSet<Result<F::Output, Cancelled>>) -> AbortHandle
    where
        F: Future<Output: Send> + Send + 'static;

    /// Spawns a `!Send` future into a [`JoinSet`]: [`JoinSet::spawn_local`].
    ///
    /// # Panics
    ///
    /// Outside of a [`LocalSet`].
    fn spawn_local_in<F>(self, future: F, set: &mut JoinSet<Result<F::Output, Cancelled>>) -> AbortHandle
    where
        F: Future + 'static;

    /// Runs a closure on a blocking thread, as a member of a [`JoinSet`]: [`JoinSet::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    fn spawn_blocking_in<F, T>(self, f: F, set: &mut JoinSet<Result<T, Cancelled>>) -> AbortHandle
    where
        F: FnOnce(&Task) -> Result<T, Cancelled> + Send + 'static,
        T: Send + 'static;
}

impl SpawnExt for TaskBuilder<'_> {
    #[track_caller]
    fn spawn<F>(self, future: F) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(self.run(future))
    }

    #[track_caller]
    fn spawn_on<F>(self, future: F, runtime: &Handle) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        runtime.spawn(self.run(future))
    }

    #[track_caller]
    fn spawn_local<F>(self, future: F) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future + 'static,
    {
        tokio::task::spawn_local(self.run(future))
    }

    #[track_caller]
    fn spawn_local_on<F>(self, future: F, set: &LocalSet) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future + 'static,
    {
        set.spawn_local(self.run(future))
    }

    #[track_caller]
    fn spawn_blocking<F, T>(self, f: F) -> JoinHandle<Result<T, Cancelled>>
    where
        F: FnOnce(&Task) -> Result<T, Cancelled> + Send + 'static,
        T: Send + 'static,
    {
        tokio::task::spawn_blocking(blocking(self, f))
    }

    #[track_caller]
    fn spawn_blocking_on<F, T>(self, f: F, runtime: &Handle) -> JoinHandle<Result<T, Cancelled>>
    where
        F: FnOnce(&Task) -> Result<T, Cancelled> + Send + 'static,
        T: Send + 'static,
    {
        runtime.spawn_blocking(blocking(self, f))
    }

    #[track_caller]
    fn spawn_in<F>(self, future: F, set: &mut JoinSet<Result<F::Output, Cancelled>>) -> AbortHandle
    where
        F: Future<Output: Send> + Send + 'static,
    {
        set.spawn(self.run(future))
    }

    #[track_caller]
    fn spawn_local_in<F>(self, future: F, set: &mut JoinSet<Result<F::Output, Cancelled>>) -> AbortHandle
    where
        F: Future + 'static,
    {
        set.spawn_local(self.run(future))
    }

    #[track_caller]
    fn spawn_blocking_in<F, T>(self, f: F, set: &mut JoinSet<Result<T, Cancelled>>) -> AbortHandle
    where
        F: FnOnce(&Task) -> Result<T, Cancelled> + Send + 'static,
        T: Send + 'static,
    {
        set.spawn_blocking(blocking(self, f))
    }
}

/// Starts the task; the returned closure runs it once it has a thread.
fn blocking<F, T>(builder: TaskBuilder<'_>, f: F) -> impl FnOnce() -> Result<T, Cancelled> + use<F, T>
where
    F: FnOnce(&Task) -> Result<T, Cancelled>,
{
    let queued = Queued(Some(builder.start()));
    move || {
        queued.into_task().run_sync(|task| {
            task.checkpoint()?;
            f(task)
        })
    }
}

/// A task that waits for a thread. Ends as dropped if it never gets one.
struct Queued(Option<Task>);

impl Queued {
    fn into_task(mut self) -> Task {
        self.0.take().expect("taken only here, and `self` is consumed")
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abandon();
        }
    }
}
