//! A live task: it ends when it is dropped.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::end::end;
use super::handle::TaskHandle;
use crate::base::outcome::Count;
use crate::cancel::cancelled::{Cancelled, Unwind};
use crate::layout::words::{acquire, cancel};

/// A live task, which ends when this is dropped.
///
/// Dereferences to its [`TaskHandle`], which has the methods that report on the task and observe a cancellation.
///
/// Dropped in a panic, it ends as aborted; dropped after it observed a cancel request, or as a cancel unwinds, as
/// cancelled; else as finished. Share it by reference, or give others a [`TaskHandle`].
///
/// A task can't be ended twice:
///
/// ```compile_fail
/// let task = pm_core::start("import-42");
/// task.finish();
/// task.finish();
/// ```
///
/// One that is forgotten stays in the list as long as the process lives, and costs its slot.
pub struct Task {
    pub(super) handle: TaskHandle,
}

impl Task {
    /// Returns a handle for other threads and for later. It may outlive the task; then its methods do nothing.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        self.handle
    }

    /// Runs `f` as this task, which ends with it: for work that starts later than the task, as in a thread pool.
    ///
    /// ```
    /// let task = pm_core::start("import-42"); // shown while it waits for its turn
    /// let worker = std::thread::spawn(move || {
    ///     task.run_sync(|task| {
    ///         task.status("reading")?;
    ///         Ok(7)
    ///     })
    /// });
    /// assert_eq!(worker.join().unwrap().unwrap(), 7);
    /// ```
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when `f` returned it, or was unwound by [`TaskHandle::checkpoint_or_unwind`].
    ///
    /// # Panics
    ///
    /// A panic of `f` continues; the task ends as aborted.
    pub fn run_sync<T>(self, f: impl FnOnce(&Self) -> Result<T, Cancelled>) -> Result<T, Cancelled> {
        match self.unwound(f) {
            Ok(Ok(value)) => {
                self.finish();
                Ok(value)
            }
            Ok(Err(cancelled)) => {
                self.end(Count::Cancelled);
                Err(cancelled)
            }
            Err(payload) => Err(self.caught(payload)),
        }
    }

    /// Runs work with the task as the current one; `Err` is what it was unwound with.
    #[inline]
    fn unwound<T>(&self, f: impl FnOnce(&Self) -> T) -> std::thread::Result<T> {
        let _current = self.enter_run();
        // An unwind leaves nothing of ours half done. For what `f` captured it resumes, unless its cause was a cancel,
        // which `f` asked for.
        catch_unwind(AssertUnwindSafe(|| f(self)))
    }

    /// Runs fallible work as this task: an error ends the task as failed, with the error as its reason, or as cancelled
    /// if it was cancelled. The counterpart of [`TaskBuilder::try_run`](crate::TaskBuilder::try_run) for code that does
    /// not await.
    ///
    /// ```
    /// # fn read(file: &str) -> Result<u64, std::num::ParseIntError> { file.parse() }
    /// let list = pm_core::ProcessList::new();
    /// let result = list.task("import-42").try_run_sync(|task| {
    ///     task.status("reading")?;
    ///     Ok::<u64, Box<dyn std::error::Error>>(read("no number")?)
    /// });
    /// assert!(result.is_err());
    /// assert_eq!(list.counters().failed, 1);
    /// ```
    ///
    /// # Errors
    ///
    /// That of `f`; or what is made of [`Cancelled`] when it was unwound by [`TaskHandle::checkpoint_or_unwind`].
    ///
    /// # Panics
    ///
    /// A panic of `f` continues; the task ends as aborted.
    pub fn try_run_sync<T, E>(self, f: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E>
    where
        E: fmt::Display + From<Cancelled>,
    {
        match self.unwound(f) {
            Ok(Ok(value)) => {
                self.finish();
                Ok(value)
            }
            Ok(Err(error)) => {
                // A task that was cancelled may have observed that through a task below, as this error.
                match self.checkpoint() {
                    Err(_) => self.end(Count::Cancelled),
                    Ok(()) => self.fail(&error.to_string()),
                }
                Err(error)
            }
            Err(payload) => Err(E::from(self.caught(payload))),
        }
    }

    /// Ends the task as finished, even if it was cancelled.
    pub fn finish(self) {
        self.end(Count::Finished);
    }

    /// Ends the task as failed. The reason is its last history entry.
    pub fn fail(self, reason: &str) {
        let _ = match reason {
            "" => self.handle.status("failed"),
            _ => self.handle.status_fmt(format_args!("failed: {reason}")),
        };
        self.end(Count::Failed);
    }

    /// Ends the task as dropped: its result is no longer wanted. If a cancel was requested, it ends as cancelled.
    pub fn abandon(mut self) {
        let handle = std::mem::replace(&mut self.handle, TaskHandle::INERT);
        end(handle, |word, _| if cancel::is_asked(word) { Count::Cancelled } else { Count::Dropped });
    }

    pub(crate) fn has_observed(&self) -> bool {
        self.handle.task.is_some_and(|task| acquire(task.slot().cancel()) & cancel::OBSERVED != 0)
    }

    /// Takes the task out; what is left is the guard of no task.
    pub(crate) fn take(&mut self) -> Self {
        Self { handle: std::mem::replace(&mut self.handle, TaskHandle::INERT) }
    }

    pub(crate) fn end(mut self, outcome: Count) {
        end(std::mem::replace(&mut self.handle, TaskHandle::INERT), |_, _| outcome);
    }

    /// Ends the task according to an unwind through `run_sync`.
    fn caught(self, payload: Box<dyn Any + Send>) -> Cancelled {
        match payload.downcast::<Unwind>() {
            Ok(unwind) if Some(unwind.cancelled().serial()) == self.serial() => {
                self.end(Count::Cancelled);
                unwind.cancelled().clone()
            }
            Ok(outer) => {
                // The cancel of a task further out: this one goes with it.
                self.end(Count::Cancelled);
                resume_unwind(outer)
            }
            Err(panic) => {
                self.end(Count::Aborted);
                resume_unwind(panic)
            }
        }
    }
}

impl Deref for Task {
    type Target = TaskHandle;

    #[inline(always)]
    fn deref(&self) -> &TaskHandle {
        &self.handle
    }
}

impl Drop for Task {
    #[inline]
    fn drop(&mut self) {
        end(self.handle, |word, born_in_panic| {
            let panicked = std::thread::panicking() && !born_in_panic;
            match (panicked, word & cancel::UNWOUND != 0, word & cancel::OBSERVED != 0) {
                // The cancel of a task further out: this one goes with it, or is dropped if it was not asked.
                (true, false, _) if Unwind::is_underway() && cancel::is_asked(word) => Count::Cancelled,
                (true, false, _) if Unwind::is_underway() => Count::Dropped,
                (true, false, _) => Count::Aborted,
                (true, true, _) | (false, _, true) => Count::Cancelled,
                (false, _, false) => Count::Finished,
            }
        });
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("serial", &self.handle.raw_serial()).finish_non_exhaustive()
    }
}
