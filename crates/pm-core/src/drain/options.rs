//! How a list is drained.

use super::report::DrainProgress;

use std::fmt;
use std::time::Duration;

/// What an interval of reports is at least.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

type Tell = dyn FnMut(&DrainProgress) + Send;

/// How a list is drained: see [`ProcessList::drain`].
///
/// A `Duration` is a drain that [waits](Self::wait) so long, and has the defaults else.
#[must_use = "it is for `ProcessList::drain`"]
pub struct Drain {
    pub(super) wait: Duration,
    pub(super) grace: Duration,
    pub(super) reason: String,
    pub(super) ignore_new: bool,
    pub(super) every: Duration,
    pub(super) progress: Option<Box<Tell>>,
}

impl Drain {
    /// Waits 30 s for the tasks to end by themselves, then 5 s for those that it asked to stop.
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

    /// How long the tasks may take to end by themselves; those that are left are asked to stop then. Default 30 s; with 0
    /// they are asked at once.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long the drain waits for what comes of that. Default 5 s.
    ///
    /// It is not the [grace of a future](crate::TaskBuilder::grace), which should be shorter than this.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Why the tasks are asked to stop. Default `drain`.
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

    /// Tells whom the drain waits for: at its beginning, in intervals of `every`, and when it asks tasks to stop.
    ///
    /// Called where the drain is polled, when no lock is held; a panic of it is caught and counted.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let drain = pm_core::Drain::new().on_progress(Duration::from_secs(1), |progress| eprintln!("{progress}"));
    /// ```
    pub fn on_progress(mut self, every: Duration, tell: impl FnMut(&DrainProgress) + Send + 'static) -> Self {
        self.every = every.max(LEAST_INTERVAL);
        self.progress = Some(Box::new(tell));
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
