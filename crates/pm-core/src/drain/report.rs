//! The reports of a drain: on single tasks, while it waits, and at its end.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use crate::cancel::verdict::Verdict;
use crate::terminal::escaped;
use crate::view::brief::{For, TaskBrief};

pub(crate) fn tasks(count: u64) -> String {
    if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") }
}

/// The tasks that a drain waits for at one point in time: see [`Drain::on_progress`](crate::Drain::on_progress).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DrainProgress {
    /// The number of tasks it waits for.
    pub remaining: u64,
    /// The oldest of them, at most ten, the oldest first. One that has just ended is left out.
    pub oldest: Vec<TaskBrief>,
    /// `true` if they have been cancelled.
    pub cancelling: bool,
    /// The time since the drain began.
    pub elapsed: Duration,
    /// The time until the tasks are cancelled or, once they were, until the drain gives up.
    pub left: Duration,
}

impl fmt::Display for DrainProgress {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let then = if self.cancelling { "asked to stop; gives up" } else { "asks them to stop" };
        write!(f, "waiting for {} since {}, {then} in {}", tasks(self.remaining), For(self.elapsed), For(self.left))?;
        for (at, task) in self.oldest.iter().enumerate() {
            write!(f, "{}{task}", if at == 0 { ": " } else { "; " })?;
        }
        let more = self.remaining.saturating_sub(self.oldest.len() as u64);
        if more > 0 && !self.oldest.is_empty() { write!(f, "; and {more} more") } else { Ok(()) }
    }
}

/// A task that did not end in time by itself, and the verdict of its cancellation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DrainedTask {
    /// The task, as it was when it was cancelled.
    pub task: TaskBrief,
    /// The verdict: [`Cancelling`](Verdict::Cancelling) or [`Refused`](Verdict::Refused) if it still runs.
    pub verdict: Verdict,
}

impl fmt::Display for DrainedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Finished { took, outcome } => write!(f, "{outcome} after {}: {}", For(*took), self.task),
            Verdict::Dropped { took } => write!(f, "dropped after {}: {}", For(*took), self.task),
            Verdict::Cancelling { took } => write!(f, "still running after {}: {}", For(*took), self.task),
            Verdict::Refused(error) => write!(f, "still running ({error}): {}", self.task),
            Verdict::NotFound => write!(f, "ended: {}", self.task),
        }
    }
}

/// The result of a drain.
///
/// ```
/// let list = pm_core::ProcessList::new();
/// let report = list.drain(pm_core::Drain::new()).blocking();
/// assert!(report.is_empty());
/// assert_eq!(report.to_string(), "drained in 0.0 s: 0 tasks ended unasked");
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// Tasks that ended by themselves before they were cancelled, of those that were seen: a short one that starts
    /// and ends between two looks is not.
    pub finished: u64,
    /// Tasks that were cancelled, and then ended by themselves.
    pub stopped: u64,
    /// Tasks that were cancelled, and whose future was dropped.
    pub dropped: u64,
    /// Tasks that still run.
    pub running: u64,
    /// The tasks that were cancelled, with their verdicts: first those that still run, then the others, each the oldest
    /// first. At most 100; the counts include all.
    pub asked: Vec<DrainedTask>,
    /// The reason that they were cancelled for.
    pub reason: String,
    /// How long the drain waited until it cancelled tasks; `None` if it cancelled none.
    pub waited: Option<Duration>,
    /// The duration of the whole drain.
    pub took: Duration,
}

impl DrainReport {
    /// Returns `true` if no task was left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running == 0
    }
}

impl fmt::Display for DrainReport {
    /// Writes one line, and one for each task that was cancelled and is [listed](Self::asked).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.is_empty() { "drained in" } else { "not drained after" };
        write!(f, "{how} {}: {} ended unasked", For(self.took), tasks(self.finished))?;
        let Some(waited) = self.waited else { return Ok(()) };
        write!(f, "; asked after {} ({})", For(waited), escaped(&self.reason))?;
        write!(f, ": {} stopped, {} dropped, {} still running", self.stopped, self.dropped, self.running)?;
        for task in &self.asked {
            write!(f, "\n  {task}")?;
        }
        let asked = self.stopped + self.dropped + self.running;
        match asked.saturating_sub(self.asked.len() as u64) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Formats the message for tasks that are left where there should be none.
pub(crate) fn left(remaining: u64, oldest: &[TaskBrief]) -> String {
    let mut text = format!("{} left in the list:", tasks(remaining));
    for task in oldest {
        let _ = write!(text, "\n  {task}");
    }
    let more = remaining.saturating_sub(oldest.len() as u64);
    if more > 0 {
        let _ = write!(text, "\n  and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Options, Outcome, ProcessList};

    #[test]
    fn a_line_of_a_task_obeys_nothing() {
        let list = ProcessList::with_options(Options::new().clock(Clock::manual().0));
        let task = list.task("a\u{1b}[2J\n").kind("\u{202e}kind").start();
        let brief = list.view(task.serial(), TaskBrief::of).unwrap();
        let line = brief.to_string();
        assert!(line.starts_with("a\\u{1b}[2J\\u{a} (task "), "{line}");
        assert!(line.contains(", \\u{202e}kind, 0.0 s): init"), "{line}");
    }

    #[test]
    fn a_report_shows_the_verdict_on_each_task() {
        let second = Duration::from_secs(1);
        let task = |id: &str| TaskBrief {
            serial: crate::Serial::new(7),
            id: id.into(),
            kind: None,
            status: "reading".into(),
            age: 3 * second,
            status_age: second,
        };
        let report = DrainReport {
            finished: 1,
            stopped: 1,
            running: 2,
            asked: vec![
                DrainedTask { task: task("unresponsive"), verdict: Verdict::Cancelling { took: second } },
                DrainedTask {
                    task: task("good"),
                    verdict: Verdict::Finished { took: second, outcome: Outcome::Cancelled },
                },
            ],
            reason: "deploy".into(),
            waited: Some(2 * second),
            took: 3 * second,
            ..DrainReport::default()
        };
        assert_eq!(
            report.to_string(),
            "not drained after 3.0 s: 1 task ended unasked; asked after 2.0 s (deploy): 1 stopped, 0 dropped, \
             2 still running\n  \
             still running after 1.0 s: unresponsive (task 7, 3.0 s): reading for 1.0 s\n  \
             cancelled after 1.0 s: good (task 7, 3.0 s): reading for 1.0 s\n  and 1 more"
        );
    }
}
