//! A signal that a task is to be dropped, for code that holds what runs as the task but does not poll it.

use std::fmt;
use std::task::Waker;
use std::time::Duration;

use super::supervisor::Supervisor;
use crate::base::limits::nanos;
use crate::base::policy::NEVER;
use crate::cancel::timer::{ListEvent, schedule};
use crate::layout::words::{acquire, cancel};
use crate::shared::state::TaskRef;
use crate::store::cell::UNKEYED;

/// A signal that a task is to be dropped; made by [`Supervisor::drop_signal`].
///
/// For code that holds what runs as the task and may not be able to poll it, such as a connection whose client does not
/// read: it drops what it holds, and the task ends as cancelled.
pub struct DropSignal {
    task: Option<TaskRef>,
    grace: u64,
    /// `true` if the waker is registered for a request.
    is_registered: bool,
    /// When the grace ends, in nanoseconds of the steady clock: computed once, like that of the [`Supervisor`].
    grace_ends: Option<u64>,
    /// When the waker is woken, in nanoseconds of the steady clock.
    planned: u64,
}

impl Supervisor {
    /// Returns a signal that the task is to be dropped, for code that may not be able to poll it.
    ///
    /// ```
    /// use std::{task::Waker, time::Duration};
    ///
    /// let list = pm_core::ProcessList::new();
    /// let supervisor = list.task("download-42").supervise();
    /// let mut signal = supervisor.drop_signal();
    /// assert!(!signal.is_due(Waker::noop(), Duration::ZERO));
    /// list.cancel("download-42", "too slow").unwrap();
    /// assert!(signal.is_due(Waker::noop(), Duration::ZERO));
    /// ```
    pub fn drop_signal(&self) -> DropSignal {
        DropSignal {
            task: self.task.handle.task(),
            grace: self.grace,
            is_registered: false,
            grace_ends: None,
            planned: 0,
        }
    }
}

impl DropSignal {
    /// Returns `true` if the task has been due to be dropped for at least `late`, according to its
    /// [policy](crate::CancelPolicy): it is then to be dropped by the caller. Otherwise `waker` is woken when that may
    /// have changed.
    ///
    /// The waker should be the same in each call: the one of the first call is kept until a request comes.
    pub fn is_due(&mut self, waker: &Waker, late: Duration) -> bool {
        let Some(task) = self.task else { return false };
        if self.grace == NEVER {
            return false;
        }
        let new = waker.clone();
        let Some(writer) = task.lock() else { return false };
        // Under the lock, which a request takes, too: it finds the waker, or is found here.
        let Some(asked) = writer.asked_ticks() else {
            if !self.is_registered {
                self.is_registered = true;
                writer.with_cell(|cell| cell.rest.get_or_insert_default().cancel_wakers.push((UNKEYED, new)));
            }
            return false;
        };
        if acquire(task.slot().cancel()) & cancel::PROTECTED != 0 {
            return false;
        }
        let clock = &task.store().clock;
        let now = clock.steady_nanos();
        let ends = *self.grace_ends.get_or_insert_with(|| {
            let left = self.grace.saturating_sub(clock.moment().age_nanos(asked));
            now.saturating_add(left)
        });
        let due = ends.saturating_add(nanos(late));
        if now >= due {
            return true;
        }
        if self.planned != due {
            self.planned = due;
            writer.with_cell(|cell| cell.rest.get_or_insert_default().cancel_wakers.push((UNKEYED, new)));
            drop(writer);
            schedule(clock, Duration::from_nanos(due - now), ListEvent::Task(task, wake));
        }
        false
    }
}

/// Wakes all that wait for the cancellation of the task, which has been requested.
fn wake(task: TaskRef) {
    let Some(writer) = task.lock() else { return };
    let wakers = writer.take_cancel_wakers();
    drop(writer);
    wakers.wake(&task.store().counters);
}

impl fmt::Debug for DropSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serial = self.task.map_or(0, |task| task.serial);
        f.debug_struct("DropSignal").field("serial", &serial).finish_non_exhaustive()
    }
}
