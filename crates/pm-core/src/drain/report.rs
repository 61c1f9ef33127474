//! What a drain tells: of single tasks, while it waits, and in the end.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use crate::cancel::verdict::Verdict;
use crate::terminal::escaped;
use crate::view::brief::{For, TaskBrief};

pub(crate) fn tasks(count: u64) -> String {
    if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") }
}

/// Whom a drain waits for at this moment: see [`Drain::on_progress`](crate::Drain::on_progress).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DrainProgress {
    /// How many tasks it waits for.
    pub remaining: u64,
    /// The oldest of them, at most ten, the oldest first. One that ended meanwhile is left out.
    pub oldest: Vec<TaskBrief>,
    /// Whether they have been asked to stop.
    pub cancelling: bool,
    /// How long the drain has been going on.
    pub elapsed: Duration,
    /// How long until the tasks are asked to stop; or, once they were, until nobody waits for them any more.
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

/// A task that did not end in time by itself, and what came of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DrainedTask {
    /// The task, as it was when it was asked to stop.
    pub task: TaskBrief,
    /// What came of that: [`Cancelling`](Verdict::Cancelling) or [`Refused`](Verdict::Refused) if it still runs.
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

/// What a drain came to.
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
    /// Tasks that ended by themselves before they were asked to stop, of those that were seen: a short one that starts
    /// and ends meanwhile may not be.
    pub finished: u64,
    /// Tasks that were asked to stop, and ended by themselves then.
    pub stopped: u64,
    /// Tasks that were asked to stop, and whose future was dropped for it.
    pub dropped: u64,
    /// Tasks that still run.
    pub running: u64,
    /// Those that were asked to stop, with what came of it: first those that still run, then the others, each the oldest
    /// first. At most 100; the counts tell of all.
    pub asked: Vec<DrainedTask>,
    /// For what reason they were asked.
    pub reason: String,
    /// How long the drain waited until it asked tasks to stop; `None` if it asked none.
    pub waited: Option<Duration>,
    /// How long the drain took in all.
    pub took: Duration,
}

impl DrainReport {
    /// Whether no task was left in the end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running == 0
    }
}

impl fmt::Display for DrainReport {
    /// One line, and one for each task that was asked to stop and is [told of](Self::asked).
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

/// What is said when tasks are left where there should be none.
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
    use crate::{Outcome, ProcessList};

    #[test]
    fn a_line_of_a_task_obeys_nothing() {
        let list = ProcessList::new();
        let task = list.task("a\u{1b}[2J\n").kind("\u{202e}kind").start();
        let brief = list.view(task.serial(), |task| TaskBrief::of(task)).unwrap();
        let line = brief.to_string();
        assert!(line.starts_with("a\\u{1b}[2J\\u{a} (task "), "{line}");
        assert!(line.contains(", \\u{202e}kind, 0.0 s): init"), "{line}");
    }

    #[test]
    fn a_report_tells_what_came_of_each_task() {
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
                DrainedTask { task: task("deaf"), verdict: Verdict::Cancelling { took: second } },
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
             still running after 1.0 s: deaf (task 7, 3.0 s): reading for 1.0 s\n  \
             cancelled after 1.0 s: good (task 7, 3.0 s): reading for 1.0 s\n  and 1 more"
        );
    }
}
