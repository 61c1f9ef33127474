//! A terminal progress bar that is also the progress of a task.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use pm_core::{Cancelled, Meter, TaskHandle};

/// A progress bar and a task, updated together.
///
/// ```
/// use indicatif::ProgressBar;
///
/// let list = pm::ProcessList::new();
/// let task = list.start("import-42");
/// let bar = pm::Bar::new(&task, ProgressBar::hidden(), "files");
/// bar.set_length(3);
/// for file in ["a", "b", "c"] {
///     pm::status!(bar, "reading {file}")?; // sets the bar's message and the task's status; observes a cancellation
///     bar.inc(1);
/// }
/// bar.finish();
/// list.view(task.serial(), |task| {
///     assert_eq!(task.progress().unwrap().done, 3);
///     assert_eq!(task.status().to_string(), "reading c");
/// });
/// # Ok::<(), pm::Cancelled>(())
/// ```
///
/// Updates go one way: a change made to the inner bar directly reaches the task with the next call here. Threads share
/// it by reference. As with a [`Meter`], the task may lag slightly until a status, `finish` or the drop of this value.
/// The bar's own style decides whether it stays on the screen.
pub struct Bar {
    bar: ProgressBar,
    task: TaskHandle,
    meter: Mutex<Meter>,
}

impl Bar {
    /// Reports the progress of `bar` as the progress of a task. The unit names the things counted, such as `files`.
    pub fn new(task: impl Into<TaskHandle>, bar: ProgressBar, unit: impl Into<Cow<'static, str>>) -> Self {
        let task = task.into();
        let mut meter = task.meter(bar.length().unwrap_or(0), unit);
        meter.set(bar.position());
        Self { bar, task, meter: Mutex::new(meter) }
    }

    /// Adds units to those that are done.
    pub fn inc(&self, units: u64) {
        self.bar.inc(units);
        self.catch_up();
    }

    /// Sets how many units are done.
    pub fn set_position(&self, done: u64) {
        self.bar.set_position(done);
        self.catch_up();
    }

    /// Sets how many units there are in total.
    pub fn set_length(&self, total: u64) {
        self.bar.set_length(total);
        self.with(|meter| meter.set_total(total));
    }

    /// Sets the status of the task and the message of the bar, then checks whether the task was asked to stop.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], after the status was recorded.
    pub fn status(&self, status: &str) -> Result<(), Cancelled> {
        self.bar.set_message(status.to_owned());
        self.settle();
        self.task.status(status)
    }

    /// Sets a formatted status: `pm::status!(bar, "reading {file}")?`.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], after the status was recorded.
    pub fn status_fmt(&self, status: fmt::Arguments<'_>) -> Result<(), Cancelled> {
        self.status(&status.to_string())
    }

    /// Finishes the bar, and sets the task's progress to its total.
    pub fn finish(&self) {
        self.bar.finish();
        self.with(|meter| {
            meter.set(self.bar.position());
            meter.finish();
        });
    }

    /// Returns the inner bar.
    #[must_use]
    pub fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Returns a handle of the task.
    #[must_use]
    pub fn task(&self) -> TaskHandle {
        self.task
    }

    fn with(&self, update: impl FnOnce(&mut Meter)) {
        update(&mut self.meter.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Updates the task, unless another thread is doing so right now.
    fn catch_up(&self) {
        if let Ok(mut meter) = self.meter.try_lock() {
            // Read under the lock, so that progress never goes back.
            meter.set(self.bar.position());
        }
    }

    fn settle(&self) {
        self.with(|meter| {
            meter.set(self.bar.position());
            meter.flush();
        });
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.settle();
    }
}

impl fmt::Debug for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bar").field("task", &self.task).field("position", &self.bar.position()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pm_core::ProcessList;

    fn shown(list: &ProcessList) -> (u64, u64) {
        let snapshot = list.snapshot();
        let task = snapshot.get(0).unwrap();
        task.progress().map_or((0, 0), |progress| (progress.done, progress.total))
    }

    #[test]
    fn a_bar_and_a_task_show_the_same_progress_for_any_number_of_threads() {
        let list = ProcessList::new();
        let task = list.start("job");
        let bar = Bar::new(&task, ProgressBar::hidden(), "files");
        bar.set_length(40_000);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| (0..10_000).for_each(|_| bar.inc(1)));
            }
        });
        bar.status("done").unwrap();
        assert_eq!((bar.bar().position(), bar.bar().message().as_str()), (40_000, "done"));
        assert_eq!(shown(&list), (40_000, 40_000));
        bar.set_position(7);
        assert_eq!(shown(&list), (7, 40_000));
        bar.bar().inc(1);
        drop(bar);
        assert_eq!(shown(&list), (8, 40_000));
    }

    #[test]
    fn a_bar_observes_a_cancellation() {
        let list = ProcessList::new();
        let task = list.start("job");
        let bar = Bar::new(&task, ProgressBar::hidden(), "files");
        list.cancel("job", "why").unwrap();
        assert_eq!(bar.status("reading").unwrap_err().reason(), "why");
    }
}
