//! Tasks that tokio runs: `tokio::spawn` and its kin, on a task that was described.

use std::future::Future;

use pm_core::{Cancelled, Task, TaskBuilder};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle, JoinSet, LocalSet};

use super::sealed::Sealed;

/// Spawns what a [`TaskBuilder`] describes: feature `tokio`.
///
/// ```
/// use pm::SpawnExt as _;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let list = pm::ProcessList::new();
/// let import = list.task("import-42").kind("import").spawn(async {
///     std::future::pending::<()>().await; // waits for what never comes
/// });
/// list.cancel("import-42", "too slow").unwrap();
/// assert_eq!(import.await.unwrap().unwrap_err().reason(), "too slow");
/// # });
/// ```
///
/// The task starts at once and is shown while it waits for its first turn; tasks that are current where it is spawned
/// are its parents. It ends
///
/// - with the future: see [`TaskBuilder::run`], of which this is tokio's form;
/// - as dropped, when it is aborted through tokio's handle or set, or when the runtime shuts down;
/// - as cancelled, when it is killed: the future is dropped and the output is [`Cancelled`];
/// - as aborted, when it panics: the handle gives tokio's `JoinError`, as ever.
///
/// A task that is killed before its first turn is never run.
///
/// Like tokio's own functions, those that name no runtime panic where there is none.
pub trait SpawnExt: Sealed + Sized {
    /// Spawns a future: [`tokio::spawn`].
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    fn spawn<F>(self, future: F) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future<Output: Send> + Send + 'static;

    /// Spawns a future on a runtime: [`Handle::spawn`].
    fn spawn_on<F>(self, future: F, runtime: &Handle) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future<Output: Send> + Send + 'static;

    /// Spawns a future that stays on this thread: [`tokio::task::spawn_local`].
    ///
    /// # Panics
    ///
    /// Outside of a [`LocalSet`].
    fn spawn_local<F>(self, future: F) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future + 'static;

    /// Spawns a future in a set of such: [`LocalSet::spawn_local`].
    fn spawn_local_on<F>(self, future: F, set: &LocalSet) -> JoinHandle<Result<F::Output, Cancelled>>
    where
        F: Future + 'static;

    /// Runs a function where it may block: [`tokio::task::spawn_blocking`]. It hears a cancel where it asks for it; a task
    /// that is cancelled while it waits for a thread is never run.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    fn spawn_blocking<F, T>(self, f: F) -> JoinHandle<Result<T, Cancelled>>
    where
        F: FnOnce(&Task) -> Result<T, Cancelled> + Send + 'static,
        T: Send + 'static;

    /// The same on a runtime: [`Handle::spawn_blocking`].
    fn spawn_blocking_on<F, T>(self, f: F, runtime: &Handle) -> JoinHandle<Result<T, Cancelled>>
    where
        F: FnOnce(&Task) -> Result<T, Cancelled> + Send + 'static,
        T: Send + 'static;

    /// Spawns a future as one of a set: [`JoinSet::spawn`].
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    fn spawn_in<F>(self, future: F, set: &mut JoinSet<Result<F::Output, Cancelled>>) -> AbortHandle
    where
        F: Future<Output: Send> + Send + 'static;

    /// Spawns a future that stays on this thread as one of a set: [`JoinSet::spawn_local`].
    ///
    /// # Panics
    ///
    /// Outside of a [`LocalSet`].
    fn spawn_local_in<F>(self, future: F, set: &mut JoinSet<Result<F::Output, Cancelled>>) -> AbortHandle
    where
        F: Future + 'static;

    /// Runs a function where it may block as one of a set: [`JoinSet::spawn_blocking`].
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

/// Starts the task, which waits for a thread then.
fn blocking<F, T>(builder: TaskBuilder<'_>, f: F) -> impl FnOnce() -> Result<T, Cancelled> + use<F, T>
where
    F: FnOnce(&Task) -> Result<T, Cancelled>,
{
    let waiting = Waiting(Some(builder.start()));
    move || {
        waiting.into_task().run_sync(|task| {
            task.checkpoint()?;
            f(task)
        })
    }
}

/// A task that waits for a thread. If it never gets one, it is dropped.
struct Waiting(Option<Task>);

impl Waiting {
    fn into_task(mut self) -> Task {
        self.0.take().expect("a task waits until it is taken, once")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abandon();
        }
    }
}
