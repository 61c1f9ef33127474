//! A task that a drain waits for, or has asked to stop.

use crate::view::brief::TaskBrief;
use std::task::Waker;

use crate::base::outcome::Outcome;
use crate::base::serial::Serial;
use crate::cancel::handle::CancelHandle;
use crate::cancel::request::CancelError;
use crate::cancel::verdict::Verdict;
use crate::list::process_list::ProcessList;
use crate::shared::state::TaskRef;

/// A task that was found.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) started: u64,
    pub(super) task: TaskRef,
}

impl Found {
    pub(super) fn is_live(&self) -> bool {
        self.task.is_live()
    }

    pub(super) fn brief(&self) -> Option<TaskBrief> {
        TaskBrief::of_live(self.task.slot(), self.task.serial)
    }
}

/// One that was asked to stop.
pub(super) struct Asking {
    pub(super) found: Found,
    /// Of the first ones only.
    pub(super) brief: Option<TaskBrief>,
    pub(super) asked: Result<CancelHandle, CancelError>,
}

impl Asking {
    /// Returns `true` if it has ended; if not, its end wakes this, or `watch` does.
    pub(super) fn is_over(&self, waker: &Waker) -> bool {
        match &self.asked {
            Ok(asked) => asked.is_over(waker),
            Err(_) => !self.found.is_live(),
        }
    }

    pub(super) fn verdict(&self, list: &ProcessList) -> Verdict {
        let verdict = match &self.asked {
            Ok(asked) => asked.verdict(),
            Err(_) if !self.found.is_live() => Verdict::NotFound,
            Err(error) => Verdict::Refused(error.clone()),
        };
        match verdict {
            // It has just ended, and the thread that ended it has not reported that yet.
            Verdict::Cancelling { took } if !self.found.is_live() => {
                let look = |forced: bool, outcome: Option<Outcome>| match (forced, outcome) {
                    (true, _) => Verdict::Dropped { took },
                    (false, outcome) => Verdict::Finished { took, outcome: outcome.unwrap_or(Outcome::Cancelled) },
                };
                list.view(Serial::new(self.found.task.serial), |task| look(task.was_forced(), task.outcome()))
                    .unwrap_or_else(|| look(false, None))
            }
            other => other,
        }
    }
}
