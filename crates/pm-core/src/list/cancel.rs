//! Cancels tasks by id or serial.

use super::process_list::ProcessList;
use crate::base::serial::Serial;
use crate::cancel::ask;
use crate::cancel::handle::CancelHandle;
use crate::cancel::request::{CancelError, CancelRequest, Target, TargetKind};
use crate::cancel::timer;
use crate::shared::state::TaskRef;

impl ProcessList {
    /// Cancels a task and all below it: asks them to stop, and returns once the request is recorded.
    ///
    /// The task observes the request at its next status or checkpoint; one that [runs as a
    /// future](crate::TaskBuilder::run) is dropped where it awaits. Cancelling again is harmless: the first reason is
    /// kept.
    ///
    /// The target is an id (`&str`) or a [`Serial`]; the request is a reason, or a [`CancelRequest`], which can also
    /// say who cancels and what is expected of the task. [Wait](CancelHandle::wait) on the handle for the outcome, or
    /// drop it.
    ///
    /// ```
    /// use pm_core::{CancelRequest, ProcessList, Verdict};
    /// use std::time::Duration;
    ///
    /// let list = ProcessList::new();
    /// let task = list.start("import-42");
    /// list.cancel("import-42", "too slow")?;
    /// assert_eq!(task.checkpoint().unwrap_err().reason(), "too slow");
    ///
    /// let cancel = list.cancel("import-42", CancelRequest::new("deploy").by("operator"))?;
    /// drop(task);
    /// assert!(matches!(cancel.wait(Duration::from_secs(5)).blocking(), Verdict::Finished { .. }));
    /// # Ok::<(), pm_core::CancelError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`CancelError::NotFound`]: no live task has the id or serial.
    /// - [`CancelError::Ambiguous`]: several live tasks have the id; pass the serial of one.
    /// - [`CancelError::NotCancellable`]: the task was started so.
    /// - [`CancelError::LookOnly`]: the list allows no requests.
    /// - [`CancelError::TooYoung`], [`CancelError::OtherStatus`]: the task is not as the request expects.
    pub fn cancel<'t, 'r>(
        &self,
        target: impl Into<Target<'t>>,
        request: impl Into<CancelRequest<'r>>,
    ) -> Result<CancelHandle, CancelError> {
        timer::help();
        let task = self.find_target(target.into())?;
        if self.is_look_only() {
            return Err(CancelError::LookOnly { serial: Serial::new(task.serial) });
        }
        ask::cancel_task(task, &request.into())
    }

    fn find_target(&self, target: Target<'_>) -> Result<TaskRef, CancelError> {
        match target.0 {
            TargetKind::Serial(serial) => {
                let serial = serial.ok_or(CancelError::NotFound)?;
                self.find_serial(serial).ok_or(CancelError::NotFound)
            }
            TargetKind::Id(id) => match self.find_tasks(id)[..] {
                [] => Err(CancelError::NotFound),
                [task] => Ok(task),
                ref several => Err(CancelError::Ambiguous {
                    serials: several.iter().map(|task| Serial::new(task.serial)).collect(),
                }),
            },
        }
    }
}
