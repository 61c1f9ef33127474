//! Cancels tasks by id or serial.

use std::time::Duration;

use super::process_list::ProcessList;
use crate::base::serial::Serial;
use crate::cancel::handle::CancelHandle;
use crate::cancel::request::{CancelError, CancelRequest, Target};
use crate::cancel::verdict::Verdict;
use crate::slot::gate::Slot;

impl ProcessList {
    /// Asks the task with this id to stop, and returns its serial once the request is recorded.
    ///
    /// The task hears it at its next status or checkpoint; one that [runs as a future](TaskBuilder::run) is dropped where
    /// it awaits. So are all tasks below it. Asking again is harmless: the first reason is kept.
    ///
    /// # Errors
    ///
    /// - [`CancelError::NotFound`]: no live task bears the id.
    /// - [`CancelError::NotCancellable`]: the task was started so.
    /// - [`CancelError::Ambiguous`]: several live tasks bear the id; use [`cancel_serial`](Self::cancel_serial).
    pub fn cancel(&self, id: &str, reason: &str) -> Result<Serial, CancelError> {
        let (slot, serial) = self.find_target(id.into())?;
        slot.ask(serial.get(), &CancelRequest::new(reason), |_, _| ())?;
        Ok(serial)
    }

    /// Asks exactly this task to stop. See [`cancel`](Self::cancel).
    ///
    /// # Errors
    ///
    /// [`CancelError::NotFound`] or [`CancelError::NotCancellable`].
    pub fn cancel_serial(&self, serial: Serial, reason: &str) -> Result<(), CancelError> {
        let (slot, serial) = self.find_target(serial.into())?;
        slot.ask(serial.get(), &CancelRequest::new(reason), |_, _| ()).map(drop)
    }

    /// Asks a task to stop if it is as expected; what this returns waits for what comes of it.
    ///
    /// # Errors
    ///
    /// Those of [`cancel`](Self::cancel), and what was found instead of what the request expects.
    pub fn request_cancel<'t>(
        &self,
        target: impl Into<Target<'t>>,
        request: &CancelRequest<'_>,
    ) -> Result<CancelHandle, CancelError> {
        let (slot, serial) = self.find_target(target.into())?;
        slot.request_cancel(serial.get(), request)
    }

    /// Asks a task to stop, and waits for the end of it, but no longer than this. Blocks the thread.
    ///
    /// ```
    /// use pm_core::{CancelRequest, ProcessList, Verdict};
    /// use std::time::Duration;
    ///
    /// let list = ProcessList::new();
    /// let verdict = list.cancel_and_wait("import-42", &CancelRequest::new("too slow"), Duration::from_secs(5));
    /// assert_eq!(verdict, Verdict::NotFound);
    /// ```
    #[must_use]
    pub fn cancel_and_wait<'t>(
        &self,
        target: impl Into<Target<'t>>,
        request: &CancelRequest<'_>,
        at_most: Duration,
    ) -> Verdict {
        match self.request_cancel(target, request) {
            Ok(asked) => asked.wait(at_most),
            Err(error) => error.into(),
        }
    }

    fn find_target(&self, target: Target<'_>) -> Result<(Slot, Serial), CancelError> {
        match target {
            Target::Serial(serial) => Ok((self.find_serial(serial).ok_or(CancelError::NotFound)?, serial)),
            Target::Id(id) => match self.find_slots(id)[..] {
                [] => Err(CancelError::NotFound),
                [(index, serial)] => Ok((Slot::at(self.inner(), index), serial)),
                ref several => {
                    Err(CancelError::Ambiguous { serials: several.iter().map(|&(_, serial)| serial).collect() })
                }
            },
        }
    }
}
