//! Functions that the expansion of `#[pm::task]` calls. Not public API: they change with the macro.

use std::fmt::{self, Display};
use std::future::Future;

use pm_core::{CancelPolicy, Cancelled, TaskBuilder, TryTaskFuture};

/// A return type of a function whose task can be cancelled.
#[diagnostic::on_unimplemented(
    message = "a cancelled task needs an error to return, and `{Self}` has none",
    label = "must be a `Result<_, E>` with `E: From<pm::Cancelled> + Display`",
    note = "a task that is not cancellable may return anything: `#[pm::task(no_cancel)]`"
)]
pub trait Cancellable: Sized {
    type Future<F: Future<Output = Self>>: Future<Output = Self>;

    fn run<F: Future<Output = Self>>(task: TaskBuilder<'_>, body: F) -> Self::Future<F>;
    fn run_sync(task: TaskBuilder<'_>, body: impl FnOnce() -> Self) -> Self;
}

impl<T, E: From<Cancelled> + Display> Cancellable for Result<T, E> {
    type Future<F: Future<Output = Self>> = TryTaskFuture<F>;

    fn run<F: Future<Output = Self>>(task: TaskBuilder<'_>, body: F) -> TryTaskFuture<F> {
        task.try_run(body)
    }

    fn run_sync(task: TaskBuilder<'_>, body: impl FnOnce() -> Self) -> Self {
        task.try_run_sync(|_| body())
    }
}

pub fn run<R: Cancellable, F: Future<Output = R>>(task: TaskBuilder<'_>, body: F) -> R::Future<F> {
    R::run(task, body)
}

pub fn run_sync<R: Cancellable>(task: TaskBuilder<'_>, body: impl FnOnce() -> R) -> R {
    R::run_sync(task, body)
}

/// Lets the compiler infer the return type of a body. Never called.
pub fn type_of_output<R>() -> R {
    unreachable!("only its type counts")
}

pub fn run_uncancellable<F: Future>(task: TaskBuilder<'_>, body: F) -> impl Future<Output = F::Output> + use<F> {
    let running = task.on_cancel(CancelPolicy::Refuse).run(body);
    async { running.await.unwrap_or_else(|_| unreachable!("{WHY}")) }
}

pub fn run_sync_uncancellable<T>(task: TaskBuilder<'_>, body: impl FnOnce() -> T) -> T {
    let task = task.on_cancel(CancelPolicy::Refuse).start();
    let _current = task.enter();
    body()
}

pub fn run_result_uncancellable<F, T, E>(
    task: TaskBuilder<'_>,
    body: F,
) -> impl Future<Output = Result<T, E>> + use<F, T, E>
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    let running = task.on_cancel(CancelPolicy::Refuse).try_run(async { body.await.map_err(Failure::Own) });
    async { running.await.map_err(Failure::own) }
}

pub fn run_result_sync_uncancellable<T, E: Display>(
    task: TaskBuilder<'_>,
    body: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    task.on_cancel(CancelPolicy::Refuse).try_run_sync(|_| body().map_err(Failure::Own)).map_err(Failure::own)
}

/// A return type of a function that does not await: not a future, whose work would be done after the task has ended.
///
/// Both implementations apply to a future, which is an error.
pub trait NotAFutureOrWrittenInFull<Which> {
    const CHECKED: () = ();
}

impl<T: ?Sized> NotAFutureOrWrittenInFull<()> for T {}

pub struct IsAFuture;

impl<T: Future + ?Sized> NotAFutureOrWrittenInFull<IsAFuture> for T {}

const WHY: &str = "a task that is not cancellable is never asked to stop";

/// An error type for bodies whose own error is not `From<Cancelled>`.
enum Failure<E> {
    Own(E),
    Cancelled,
}

impl<E> Failure<E> {
    fn own(self) -> E {
        match self {
            Self::Own(error) => error,
            Self::Cancelled => unreachable!("{WHY}"),
        }
    }
}

impl<E> From<Cancelled> for Failure<E> {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl<E: Display> Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(error) => error.fmt(f),
            Self::Cancelled => f.write_str(WHY),
        }
    }
}
