//! A progress bar in the terminal that is also the progress of a task.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use pm_core::{Cancelled, Meter, TaskHandle};

/// A progress bar and a task, told in one call: feature `indicatif`.
///
/// ```
/// use indicatif::ProgressBar;
///
/// let list = pm::ProcessList::new();
/// let task = list.start("import-42");
/// let bar = pm::Bar::new(&task, ProgressBar::hidden(), "files");
/// bar.set_length(3);
/// for file in ["a", "b", "c"] {
///     pm::status!(bar, "reading {file}")?; // the message of the bar, and the status of the task; hears a cancel
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
/// It goes one way: what is said to the bar itself is told to the task with the next call here. Threads share it by
/// reference; the task may be behind a little, as with a [`Meter`], until a status, `finish` or the end of this. The bar
/// stays on the screen as its own style says.
pub struct Bar {
    bar: ProgressBar,
    task: TaskHandle,
    meter: Mutex<Meter>,
}

impl Bar {
    /// Tells a task of a bar. The unit is what is counted, as `files`.
    pub fn new(task: impl Into<TaskHandle>, bar: ProgressBar, unit: impl Into<Cow<'static, str>>) -> Self {
        let task = task.into();
        let mut meter = task.meter(bar.length().unwrap_or(0), unit);
        meter.set(bar.position());
        Self { bar, task, meter: Mutex::new(meter) }
    }

    /// Units more that are done.
    pub fn inc(&self, units: u64) {
        self.bar.inc(units);
        self.catch_up();
    }

    /// How many units are done.
    pub fn set_position(&self, done: u64) {
        self.bar.set_position(done);
        self.catch_up();
    }

    /// How many units there are in all.
    pub fn set_length(&self, total: u64) {
        self.bar.set_length(total);
        self.with(|meter| meter.set_total(total));
    }

    /// Says what the task is doing: the message of the bar, too. Then tells whether it was asked to stop.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], after the status was recorded.
    pub fn status(&self, status: &str) -> Result<(), Cancelled> {
        self.bar.set_message(status.to_owned());
        self.settle();
        self.task.status(status)
    }

    /// The same with a formatted text: `pm::status!(bar, "reading {file}")?`.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], after the status was recorded.
    pub fn status_fmt(&self, status: fmt::Arguments<'_>) -> Result<(), Cancelled> {
        self.status(&status.to_string())
    }

    /// All is done: the bar is full, and so is the progress of the task.
    pub fn finish(&self) {
        self.bar.finish();
        self.with(|meter| {
            meter.set(self.bar.position());
            meter.finish();
        });
    }

    /// The bar itself.
    #[must_use]
    pub fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> TaskHandle {
        self.task
    }

    fn with(&self, tell: impl FnOnce(&mut Meter)) {
        tell(&mut self.meter.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Unless another thread does so right now.
    fn catch_up(&self) {
        if let Ok(mut meter) = self.meter.try_lock() {
            // Looked at within the lock, so that it never goes back.
            meter.set(self.bar.position());
        }
    }

    fn settle(&self) {
        self.with(|meter| {
            meter.set(self.bar.position());
            meter.settle();
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
    fn a_bar_and_a_task_are_told_the_same_by_any_number_of_threads() {
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
    fn a_bar_hears_a_cancel() {
        let list = ProcessList::new();
        let task = list.start("job");
        let bar = Bar::new(&task, ProgressBar::hidden(), "files");
        list.cancel("job", "why").unwrap();
        assert_eq!(bar.status("reading").unwrap_err().reason(), "why");
    }
}
