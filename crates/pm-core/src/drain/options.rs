//! Options of a drain.

use super::report::DrainProgress;

use std::fmt;
use std::time::Duration;

/// The shortest interval of reports.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

type ReportProgress = dyn FnMut(&DrainProgress) + Send;

/// Options of a drain: see [`ProcessList::drain`](crate::ProcessList::drain).
///
/// A `Duration` is a drain that [waits](Self::wait) so long, and has the defaults else.
#[must_use = "it is for `ProcessList::drain`"]
pub struct Drain {
    pub(super) wait: Duration,
    pub(super) grace: Duration,
    pub(super) reason: String,
    pub(super) ignore_new: bool,
    pub(super) every: Duration,
    pub(super) progress: Option<Box<ReportProgress>>,
}

impl Drain {
    /// Returns a drain that waits 30 s for the tasks to end by themselves, then 5 s for those that it cancels.
    pub fn new() -> Self {
        Self {
            wait: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            reason: "drain".to_owned(),
            ignore_new: false,
            every: Duration::ZERO,
            progress: None,
        }
    }

    /// Sets how long the tasks may take to end by themselves; those that are left are cancelled then. Default 30 s;
    /// with 0 they are cancelled at once.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sets how long the drain waits for cancelled tasks to end. Default 5 s.
    ///
    /// It is not the time of [`CancelPolicy::AskThenDrop`](crate::CancelPolicy::AskThenDrop), which should be shorter.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the reason that the tasks are cancelled for. Default `drain`.
    pub fn reason(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.reason);
        self
    }

    /// Sets whether tasks that start after the drain began are left alone, unless they are children of those that it
    /// cancels. Default: `false`, so that the list is empty when the drain is done.
    ///
    /// For a part of a program while its other parts continue to work.
    pub fn ignore_new(mut self, yes: bool) -> Self {
        self.ignore_new = yes;
        self
    }

    /// Calls `report` with the tasks that the drain waits for: when it begins, every `every`, and when it cancels
    /// tasks.
    ///
    /// Called where the drain is polled, when no lock is held; a panic of it is caught and counted.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let drain = pm_core::Drain::new().on_progress(Duration::from_secs(1), |progress| eprintln!("{progress}"));
    /// ```
    pub fn on_progress(mut self, every: Duration, report: impl FnMut(&DrainProgress) + Send + 'static) -> Self {
        self.every = every.max(LEAST_INTERVAL);
        self.progress = Some(Box::new(report));
        self
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Duration> for Drain {
    fn from(wait: Duration) -> Self {
        Self::new().wait(wait)
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("wait", &self.wait)
            .field("grace", &self.grace)
            .field("reason", &self.reason)
            .field("ignore_new", &self.ignore_new)
            .finish_non_exhaustive()
    }
}
