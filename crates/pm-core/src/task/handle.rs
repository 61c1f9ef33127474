//! A handle of a task, through which a program reports on it and observes a cancellation.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering as StdOrdering;
use std::task::Waker;

use super::current::is_caught;
use super::value::{Name, Value, is_plain, set, with_changed};
use crate::base::serial::Serial;
use crate::base::text;
use crate::cancel::ask;
use crate::cancel::cancelled::{Cancelled, CancelledFuture, Unwind};
use crate::cancel::handle::CancelHandle;
use crate::cancel::request::{CancelError, CancelRequest};
use crate::cancel::timer;
use crate::layout::words::{acquire, cancel};
use crate::shared::state::{Shared, TaskRef};
use crate::slot::copy::Detail;
use crate::slot::gate::{NoSpace, Writer};
use crate::store::{Store, recorded};
use crate::view::row::Row;
use crate::view::task_view::TaskView;

/// A handle of a task, which may have ended: any number of them, on any thread.
///
/// Calls after the task has ended do nothing, and are counted; they never affect another task.
#[derive(Clone, Copy)]
pub struct TaskHandle {
    pub(super) task: Option<TaskRef>,
}

impl TaskHandle {
    pub(crate) const INERT: Self = Self { task: None };

    /// Returns a handle of no task: its methods do nothing, and as a parent it makes a task without one.
    #[must_use]
    pub const fn none() -> Self {
        Self::INERT
    }

    /// Returns the serial of the task; `None` if the task is not in a list, or if this is the handle of no task.
    #[inline]
    #[must_use]
    pub fn serial(&self) -> Option<Serial> {
        Serial::from_u64(self.raw_serial())
    }

    /// The task, unless there is none.
    #[inline(always)]
    pub(crate) fn task(&self) -> Option<TaskRef> {
        self.task
    }

    /// The serial; 0 when there is no task.
    #[inline(always)]
    pub(crate) fn raw_serial(&self) -> u64 {
        self.task.map_or(0, |task| task.serial)
    }

    /// The serial, and where a child finds it: its slot and 1, or 0 if the child is in another list.
    #[inline]
    pub(super) fn as_parent(&self, list_of_child: &'static Shared) -> (u64, u32) {
        let Some(task) = self.task else { return (0, 0) };
        let same_list = std::ptr::eq(task.shared, list_of_child);
        (task.serial, if same_list { task.slot().index() + 1 } else { 0 })
    }

    /// Cancels the task and all below it. See [`ProcessList::cancel`](crate::ProcessList::cancel).
    ///
    /// # Errors
    ///
    /// - [`CancelError::NotFound`]: the task has ended, or is not in a list.
    /// - [`CancelError::NotCancellable`]: the task was started so.
    /// - [`CancelError::TooYoung`], [`CancelError::OtherStatus`]: the task is not as the request expects.
    pub fn cancel<'r>(&self, request: impl Into<CancelRequest<'r>>) -> Result<CancelHandle, CancelError> {
        ask::cancel_task(self.task.ok_or(CancelError::NotFound)?, &request.into())
    }

    /// Returns a future that waits for a cancel request, and resolves to it: for `select!`. Counts as observing it.
    ///
    /// For a task that ends without one, or that is not in a list, it stays pending.
    pub fn cancelled(&self) -> CancelledFuture {
        CancelledFuture::new(self.task)
    }

    /// Wakes `waker` once when the task is cancelled; at once if it was already. For code that passes a cancellation on
    /// to something else; code of the task wants [`cancelled`](Self::cancelled).
    ///
    /// It is woken when no lock is held, and dropped unused when the task ends without having been asked. Waking it
    /// does not count as observing the request.
    pub fn wake_on_cancel(&self, waker: &Waker) {
        let Some(task) = self.task else { return };
        if !task.slot().add_cancel_waker(task.serial, waker.clone()) {
            waker.wake_by_ref();
        }
    }

    /// Returns `true` if the task is still running.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.task.is_some_and(TaskRef::is_live)
    }

    #[inline]
    fn write(&self, f: impl FnOnce(&Writer, &'static Store)) {
        let Some(task) = self.task else { return };
        match task.lock() {
            Some(writer) => f(&writer, task.store()),
            None => late(task.store()),
        }
    }

    /// Sets the status of the task; then returns an error if the task was cancelled.
    ///
    /// The text is copied; [secrets](crate::Options::redact) are masked, and beyond the list's limit (1,024 bytes) it
    /// is cut. Statuses of several threads are kept in the order of their times.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], after the status was recorded.
    #[inline]
    pub fn status(&self, status: &str) -> Result<(), Cancelled> {
        if let Some(task) = self.task {
            if !recorded::is_plain(status, task.store().limits.status) {
                return self.changed_status(status);
            }
            record_status(task, status);
        }
        self.checkpoint()
    }

    #[cold]
    #[inline(never)]
    fn changed_status(&self, status: &str) -> Result<(), Cancelled> {
        self.note(status);
        self.checkpoint()
    }

    /// Sets the status of the task, for code that reports on its behalf and can't react to a cancellation: a
    /// middleware, or what turns spans into statuses. Unlike [`status`](Self::status) it does not count as observing
    /// one.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("import-42");
    /// list.cancel("import-42", "too slow").unwrap();
    /// task.handle().note("reading");
    /// drop(task);
    /// assert_eq!(list.counters().finished, 1); // and not cancelled: it never observed that
    /// ```
    pub fn note(&self, status: &str) {
        let Some(task) = self.task else { return };
        let store = task.store();
        recorded::with_recorded(store, status, store.limits.status, |status| record_status(task, status));
    }

    /// Calls `look` with the task as readers see it; `None` when it has ended or is not in a list.
    ///
    /// Finds it at once, however long the list is, and copies it, as all readers do.
    ///
    /// ```
    /// let task = pm_core::start("import-42");
    /// task.status("reading")?;
    /// let status = task.handle().view(|task| task.status().to_string());
    /// assert_eq!(status.as_deref(), Some("reading"));
    /// # Ok::<(), pm_core::Cancelled>(())
    /// ```
    pub fn view<R>(&self, look: impl FnOnce(&TaskView<'_>) -> R) -> Option<R> {
        let task = self.task?;
        Row::live(task.slot(), task.serial, Detail::Newest).map(|row| look(&row.view()))
    }

    /// Sets the status from format arguments, as [`status!`](crate::status!) does. Allocates nothing after a thread's
    /// first.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], after the status was recorded.
    ///
    /// # Panics
    ///
    /// If a value's `Display` does; the task stays as it was.
    pub fn status_fmt(&self, status: fmt::Arguments<'_>) -> Result<(), Cancelled> {
        if self.task.is_none() {
            return Ok(());
        }
        text::format(status, |status| self.status(status))
    }

    /// Returns an error if the task was cancelled. One atomic load.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if so. A task that has ended, or is not in a list, was not.
    #[inline]
    pub fn checkpoint(&self) -> Result<(), Cancelled> {
        match self.task {
            Some(task) if is_asked(task) => observe(task, cancel::OBSERVED),
            _ => Ok(()),
        }
    }

    /// Unwinds to the `run_sync` of this task, or to the poll of the future that runs as it, if the task was cancelled:
    /// for code deep below that can't return an error. Destructors run, no panic hook is called, and the task ends as
    /// cancelled.
    ///
    /// Unwinds only where it is caught: the `run_sync` or the poll is on the stack of this thread, and is what made the
    /// task current, or there are only further `run_sync`s in between. **Elsewhere it returns**, and
    /// [`Counters::not_unwound`](crate::Counters::not_unwound) counts that:
    ///
    /// - on a thread, or in a job of a pool, that was given the task by [`enter`](Self::enter) or
    ///   [`carry`](crate::carry);
    /// - in a program that is built with `panic = "abort"`;
    /// - in a destructor that runs because of a panic.
    ///
    /// So code that calls this in a loop needs another way out there: [`checkpoint`](Self::checkpoint). A function of
    /// another language between the call and the `run_sync` ends the process, as with any panic; so does a job of a
    /// pool that catches no panics, if it runs within the `run_sync` of this task and was not wrapped by `carry`.
    #[inline]
    pub fn checkpoint_or_unwind(&self) {
        if let Some(task) = self.task
            && is_asked(task)
        {
            unwind(task);
        }
    }

    /// Sets an attribute; the value is copied. A number that replaces one of its type is written in place.
    #[inline]
    pub fn set<'v>(&self, name: &str, value: impl Into<Value<'v>>) {
        // Here, as the name is a constant nearly always: then so is this.
        self.set_value(Name::of(name), value.into());
    }

    /// Once for all types of values, and not at each place where one is set.
    fn set_value(&self, name: Name<'_>, value: Value<'_>) {
        let Some(task) = self.task else { return };
        if is_plain(task.store(), name, value) {
            self.write(|writer, store| set(writer, store, name.text, value));
        } else {
            with_changed(task.store(), name.text, value, &mut |name, value| {
                self.write(|writer, store| set(writer, store, name, value));
            });
        }
    }

    /// Sets an attribute from format arguments.
    ///
    /// # Panics
    ///
    /// If a value's `Display` does; the task stays as it was.
    pub fn set_fmt(&self, name: &str, value: fmt::Arguments<'_>) {
        if self.task.is_some() {
            text::format(value, |value| self.set(name, value));
        }
    }

    /// Removes an attribute.
    pub fn unset(&self, name: &str) {
        self.write(|writer, store| {
            // Not counted as cut: it was when the attribute was set.
            let name = text::cut(name, store.limits.name);
            if let Err(NoSpace) = writer.unset(&name) {
                store.counters.attrs_dropped.fetch_add(1, StdOrdering::Relaxed);
            }
        });
    }

    /// Reports the progress of the task: `done` of `total` (0: unknown) of a unit, such as `bytes`.
    ///
    /// Only the newest counts. Readers compute rate and time left.
    pub fn progress(&self, done: u64, total: u64, unit: &str) {
        self.write(|writer, store| {
            let result = recorded::with_cut(store, unit, store.limits.name, |unit| writer.progress(done, total, unit));
            if let Err(NoSpace) = result {
                store.counters.attrs_dropped.fetch_add(1, StdOrdering::Relaxed);
            }
        });
    }

    /// Returns `true` if the task was cancelled. Does not count as observing it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.task.is_some_and(|task| is_asked(task) && task.is_live())
    }
}

#[inline(always)]
fn is_asked(task: TaskRef) -> bool {
    !cancel::is_undisturbed(acquire(task.slot().cancel())) && is_asked_by_now(task)
}

#[cold]
fn is_asked_by_now(task: TaskRef) -> bool {
    // There may be a deadline to meet.
    timer::help();
    cancel::is_asked(acquire(task.slot().cancel()))
}

#[cold]
fn unwind(task: TaskRef) {
    if !is_caught(task.serial) {
        if task.is_live() {
            task.store().counters.not_unwound.fetch_add(1, StdOrdering::Relaxed);
        }
        return;
    }
    if let Err(cancelled) = observe(task, cancel::OBSERVED | cancel::UNWOUND) {
        resume_unwind(Box::new(Unwind::new(cancelled)));
    }
}

#[cold]
fn observe(task: TaskRef, mark: u64) -> Result<(), Cancelled> {
    let Some(writer) = task.lock() else { return Ok(()) };
    match writer.observe_cancel(mark) {
        Some(cancelled) => Err(cancelled),
        None => Ok(()),
    }
}

#[inline(always)]
fn record_status(task: TaskRef, status: &str) {
    match task.lock() {
        Some(writer) => {
            if let Err(NoSpace) = writer.status(status) {
                task.store().counters.statuses_dropped.fetch_add(1, StdOrdering::Relaxed);
            }
        }
        None => late(task.store()),
    }
}

/// Counts a call on a handle whose task has ended.
#[cold]
pub(super) fn late(store: &Store) {
    store.counters.late_calls.fetch_add(1, StdOrdering::Relaxed);
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("serial", &self.raw_serial()).finish_non_exhaustive()
    }
}

/// Sets the status of a task, formatted as by [`format!`]; allocates nothing.
///
/// ```
/// let task = pm_core::start("import-42");
/// for block in 0..3 {
///     pm_core::status!(task, "reading block {block}")?;
/// }
/// # Ok::<(), pm_core::Cancelled>(())
/// ```
#[macro_export]
macro_rules! status {
    ($task:expr, $($format:tt)+) => {
        $task.status_fmt(::core::format_args!($($format)+))
    };
}
