//! Runs whatever is polled as a task: current while it is polled, woken and dropped when it is cancelled.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::current::Entered;
use super::handle::TaskHandle;
use super::live::Task;
use crate::base::outcome::Count;
use crate::base::policy::NEVER;
use crate::base::serial::Serial;
use crate::cancel::cancelled::{Cancelled, Unwind};
use crate::cancel::timer::{self, ListEvent, schedule};
use crate::layout::words::{acquire, cancel};
use crate::shared::state::TaskRef;

/// The result of a poll under a [`Supervisor`].
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisedPoll<T> {
    /// The value of the poll. The task runs until [`Supervisor::finish`].
    Ready(T),
    /// Not ready yet. The task will be polled again, also when it is cancelled.
    Pending,
    /// The task is to be dropped: call [`Supervisor::kill`].
    Kill,
}

/// Runs as a task whatever is polled: what futures, streams and bodies that run as tasks have in common.
///
/// For code that writes such a wrapper; other code wants [`TaskBuilder::run`](crate::TaskBuilder::run). Dropped before
/// it was finished or killed, the task ends as dropped.
pub struct Supervisor {
    /// The guard of no task once it has ended.
    pub(super) task: Task,
    /// The waker that is registered, to compare with the next one; zeroes when none is.
    waker: (usize, usize),
    /// Nanoseconds from the request to the kill.
    pub(super) grace: u64,
    /// When the grace of a cancelled task ends, in nanoseconds of the steady clock: computed once, so that the event
    /// that is planned for it and the look at the time can't differ.
    grace_ends: Option<u64>,
}

fn identity(waker: &Waker) -> (usize, usize) {
    (waker.data() as usize, std::ptr::from_ref(waker.vtable()) as usize)
}

/// Wakes the future that runs as the task, so that it is polled when its grace is over.
fn wake(task: TaskRef) {
    task.slot().wake_future(task.serial);
}

/// Ends the task as aborted, unless it is forgotten: for the time in which code that is not ours may panic.
struct EndIfPanics<'s>(&'s mut Task);

impl Drop for EndIfPanics<'_> {
    fn drop(&mut self) {
        self.0.take().end(Count::Aborted);
    }
}

impl Supervisor {
    pub(crate) fn new(task: Task, grace: u64) -> Self {
        Self { task, waker: (0, 0), grace, grace_ends: None }
    }

    /// Returns a handle of the task, which does nothing once the task has ended.
    #[inline]
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        self.task.handle()
    }

    /// Calls `poll` as the current task, unless the task is to be dropped. A panic of `poll` ends the task as aborted,
    /// and continues; where [`checkpoint_or_unwind`](TaskHandle::checkpoint_or_unwind) unwinds, the task is to be
    /// dropped.
    #[inline]
    pub fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> SupervisedPoll<T> {
        // In small steps, since tasks nest, and without optimisation each value here has its own space on the stack.
        if self.should_kill() {
            return SupervisedPoll::Kill;
        }
        let polled = {
            let _current = self.enter_for_poll();
            // Nothing of ours is left half done by an unwind, and what is polled is dropped next if a cancel was the
            // cause.
            match catch_unwind(AssertUnwindSafe(|| poll(context))) {
                Ok(polled) => polled,
                Err(payload) => return self.caught(payload),
            }
        };
        match polled {
            Poll::Ready(value) => SupervisedPoll::Ready(value),
            Poll::Pending if self.wakes(context.waker()) => SupervisedPoll::Pending,
            Poll::Pending => SupervisedPoll::Kill,
        }
    }

    /// Makes the task current, unless there is none: what is polled then runs as part of the task around it.
    #[inline]
    fn enter_for_poll(&self) -> Option<Entered> {
        self.task.handle.task().map(|_| self.task.handle.enter_catching())
    }

    /// Lets a request wake the future. Returns `false` if it is to be killed already.
    #[inline]
    fn wakes(&mut self, waker: &Waker) -> bool {
        // A waker that is registered stays so until a request takes it out, and wakes it: then there is another poll.
        if self.waker == identity(waker) {
            return true;
        }
        match self.task.handle.task() {
            Some(task) => !self.register(task, waker),
            None => true,
        }
    }

    /// Ends the task according to an unwind of what was polled.
    #[cold]
    #[inline(never)]
    fn caught<T>(&mut self, payload: Box<dyn Any + Send>) -> SupervisedPoll<T> {
        match payload.downcast::<Unwind>() {
            Ok(unwind) if Some(unwind.cancelled().serial()) == self.task.serial() => SupervisedPoll::Kill,
            Ok(other) => {
                self.task.take().end(Count::Cancelled);
                resume_unwind(other)
            }
            Err(panic) => {
                self.task.take().end(Count::Aborted);
                resume_unwind(panic)
            }
        }
    }

    /// Returns `true` if the task is to be dropped: then call [`kill`](Self::kill).
    #[inline]
    pub fn should_kill(&mut self) -> bool {
        let handle = self.handle();
        // Acquire: pairs with the request's.
        handle.task().is_some_and(|task| cancel::is_asked(acquire(task.slot().cancel())) && self.is_due(task))
    }

    /// Makes the task current until [`leave`](SupervisorGuard::leave) is called: for code that runs as the task and is
    /// not a poll, such as the call that returns the future.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let mut supervisor = list.task("import-42").supervise();
    /// let task = supervisor.handle();
    /// let underway = supervisor.enter();
    /// assert_eq!(pm_core::current().serial(), task.serial());
    /// underway.leave();
    /// assert_ne!(pm_core::current().serial(), task.serial());
    /// ```
    #[inline]
    pub fn enter(&mut self) -> SupervisorGuard<'_> {
        let entered = self.handle().enter();
        SupervisorGuard { panics: EndIfPanics(&mut self.task), entered }
    }

    /// Lets a request wake the future. True if it is to be killed already.
    #[inline(never)]
    fn register(&mut self, task: TaskRef, waker: &Waker) -> bool {
        let new = waker.clone();
        let Some(writer) = task.lock() else { return false };
        let old = writer.with_cell(|cell| cell.future.replace(new));
        // Under the lock, which a request takes, too: it finds the waker, or is found here.
        let asked = cancel::is_asked(acquire(task.slot().cancel()));
        drop(writer);
        drop(old);
        if asked {
            let is_due = self.is_due(task);
            if !is_due && self.grace_ends.is_some() {
                timer::attend(waker);
            }
            return is_due;
        }
        self.waker = identity(waker);
        false
    }

    /// Returns `true` if a cancelled task is to be dropped now. If not yet, it is woken when its grace is over.
    #[cold]
    #[inline(never)]
    fn is_due(&mut self, task: TaskRef) -> bool {
        // A request takes the waker out that it finds.
        self.waker = (0, 0);
        if self.grace == NEVER || acquire(task.slot().cancel()) & cancel::PROTECTED != 0 {
            return false;
        }
        if self.grace == 0 {
            return true;
        }
        let clock = &task.store().clock;
        let ends = match self.grace_ends {
            Some(ends) => ends,
            None => {
                let Some(asked) = task.lock().and_then(|writer| writer.asked_ticks()) else { return false };
                let left = self.grace.saturating_sub(clock.moment().age_nanos(asked));
                let ends = clock.steady_nanos().saturating_add(left);
                self.grace_ends = Some(ends);
                if left > 0 {
                    schedule(clock, Duration::from_nanos(left), ListEvent::Task(task, wake));
                }
                ends
            }
        };
        clock.steady_nanos() >= ends
    }

    /// Drops what runs as the task, by `drop_it`, and ends the task: as failed for a reason, as cancelled if it
    /// observed a cancellation, else as finished. A panic of `drop_it` ends the task as aborted, and continues.
    #[inline]
    pub fn finish(&mut self, failed: Option<&str>, drop_it: impl FnOnce()) {
        self.drop_within(drop_it);
        let task = self.task.take();
        match failed {
            Some(reason) if !task.has_observed() => task.fail(reason),
            _ => drop(task),
        }
    }

    /// Drops what runs as the task, by `drop_it`, ends the task as cancelled, and returns the request. A panic of
    /// `drop_it` ends the task as aborted, and continues.
    pub fn kill(&mut self, drop_it: impl FnOnce()) -> Cancelled {
        self.drop_within(drop_it);
        let handle = self.handle();
        let cancelled = handle.task().and_then(|task| {
            let was_unwound = acquire(task.slot().cancel()) & cancel::UNWOUND != 0;
            task.lock()?.observe_cancel(if was_unwound { cancel::OBSERVED } else { cancel::FORCED })
        });
        self.task.take().end(Count::Cancelled);
        // It was asked, or it would not be killed.
        cancelled.unwrap_or_else(|| Cancelled::unknown(Serial::new(handle.raw_serial())))
    }

    /// Drops what runs as the task, by `drop_it`, and ends the task as dropped, or as cancelled if it was asked to
    /// stop.
    pub fn abandon(&mut self, drop_it: impl FnOnce()) {
        self.drop_within(drop_it);
        self.task.take().abandon();
    }

    #[inline]
    fn drop_within(&mut self, drop_it: impl FnOnce()) {
        let entered = self.handle().enter();
        let panics = EndIfPanics(&mut self.task);
        drop_it();
        std::mem::forget(panics);
        drop(entered);
    }
}

/// Keeps a task current; made by [`Supervisor::enter`]. Dropped without [`leave`](Self::leave), as by a panic, it ends
/// the task as aborted.
#[must_use = "dropped, it ends the task as aborted"]
pub struct SupervisorGuard<'s> {
    // First: the task ends while it is current.
    panics: EndIfPanics<'s>,
    entered: Entered,
}

impl SupervisorGuard<'_> {
    /// Makes the task current before this one current again.
    #[inline]
    pub fn leave(self) {
        let Self { panics, entered } = self;
        std::mem::forget(panics);
        drop(entered);
    }
}

impl fmt::Debug for SupervisorGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorGuard").finish_non_exhaustive()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.task.take().abandon();
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("task", &self.task).finish_non_exhaustive()
    }
}
