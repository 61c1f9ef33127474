//! Words for what became of a task that was to be cancelled, from its verdict or from its last row. They say what
//! happened: a task that a cancel stopped is never counted with one that ended otherwise.

use std::collections::BTreeMap;

use pm_client::{Outcome, Row, TaskVerdict, Verdict};

use crate::out::{Style, clean, format};

/// The end that a task came to, or its state. The order is that of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It observed the cancel and stopped.
    Cancelled,
    /// Its future was dropped because of the cancel.
    Dropped,
    /// Its owner dropped it, as a server does when its client is gone.
    DroppedByOwner,
    Finished,
    Failed,
    Aborted,
    /// It has ended, and how is unknown.
    Ended,
    /// It had ended before the cancel.
    EndedBefore,
    /// It was cancelled; whether it still runs is unknown.
    Requested,
    StillRunning,
    Refused,
    /// The cancel failed.
    Failure,
}

impl Fate {
    /// `None` for a server that accepts cancels without reporting verdicts.
    pub(crate) fn of_verdict(verdict: Option<&TaskVerdict>) -> Fate {
        let Some(verdict) = verdict else { return Fate::Requested };
        match &verdict.verdict {
            _ if verdict.already_ended => Fate::EndedBefore,
            Some(Verdict::Dropped) => Fate::Dropped,
            Some(Verdict::Finished) => verdict.outcome.as_ref().map_or(Fate::Cancelled, Fate::of_outcome),
            Some(Verdict::Cancelling) if verdict.took.is_some() => Fate::StillRunning,
            Some(Verdict::Refused) => Fate::Refused,
            Some(Verdict::NotFound) => Fate::EndedBefore,
            Some(_) | None => Fate::Requested,
        }
    }

    /// The fate of a task that has ended.
    pub(crate) fn of_ended(row: &Row) -> Fate {
        match &row.cancel {
            Some(cancel) if cancel.forced => Fate::Dropped,
            _ => row.outcome.as_ref().map_or(Fate::Ended, Fate::of_outcome),
        }
    }

    fn of_outcome(outcome: &Outcome) -> Fate {
        match outcome {
            Outcome::Cancelled => Fate::Cancelled,
            Outcome::Dropped => Fate::DroppedByOwner,
            Outcome::Finished => Fate::Finished,
            Outcome::Failed => Fate::Failed,
            Outcome::Aborted => Fate::Aborted,
            _ => Fate::Ended,
        }
    }

    /// The words, as in `2 finished on their own`.
    pub(crate) fn words(self, tasks: u64) -> &'static str {
        match (self, tasks) {
            (Fate::Cancelled, _) => "cancelled",
            (Fate::Dropped, _) => "dropped by the cancel",
            (Fate::DroppedByOwner, 1) => "dropped by its owner",
            (Fate::DroppedByOwner, _) => "dropped by their owners",
            (Fate::Finished, 1) => "finished on its own",
            (Fate::Finished, _) => "finished on their own",
            (Fate::Failed, _) => "failed",
            (Fate::Aborted, _) => "aborted",
            (Fate::Ended, _) => "ended",
            (Fate::EndedBefore, _) => "already ended",
            (Fate::Requested, _) => "cancel requested",
            (Fate::StillRunning, _) => "still running",
            (Fate::Refused, _) => "refused",
            (Fate::Failure, _) => "not cancelled because of an error",
        }
    }

    /// Green is only for tasks that the cancel has stopped.
    pub(crate) fn style(self) -> Style {
        match self {
            Fate::Cancelled | Fate::Dropped => Style::Good,
            Fate::Failed | Fate::Aborted | Fate::Refused | Fate::Failure => Style::Bad,
            Fate::StillRunning => Style::Warning,
            Fate::DroppedByOwner | Fate::Finished | Fate::Ended | Fate::EndedBefore | Fate::Requested => Style::Plain,
        }
    }
}

/// Counts fates, as in `3 cancelled, 1 finished on its own, 1 still running`.
pub(crate) fn summary(fates: impl IntoIterator<Item = Fate>) -> String {
    let mut counts: BTreeMap<Fate, u64> = BTreeMap::new();
    for fate in fates {
        *counts.entry(fate).or_default() += 1;
    }
    let part = |(fate, count): (&Fate, &u64)| match fate {
        Fate::Requested => format!("{count} cancelled without waiting"),
        fate => format!("{count} {}", fate.words(*count)),
    };
    counts.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// Describes the reason, as in `with the reason "too slow"`.
pub(super) fn reason_words(reason: &str) -> String {
    match reason {
        "" => "without a reason".to_owned(),
        reason => format!("with the reason \"{}\"", clean::line(reason)),
    }
}

/// Returns the verdict of a cancel that did not wait: without a time, as whether the task still runs is unknown.
pub(crate) fn without_wait(mut verdict: TaskVerdict) -> TaskVerdict {
    if verdict.verdict == Some(Verdict::Cancelling) {
        verdict.took = None;
    }
    verdict
}

/// Describes a verdict.
pub(crate) fn verdict_text(verdict: Option<&TaskVerdict>) -> (String, Style) {
    let fate = Fate::of_verdict(verdict);
    let took = format::duration(verdict.and_then(|verdict| verdict.took));
    let after = if took.is_empty() { String::new() } else { format!(" after {took}") };
    let below = match verdict.map_or(0, |verdict| verdict.below) {
        0 => String::new(),
        several => format!(", with {}", format::count(several, "descendant", "descendants")),
    };
    let not_shown = verdict.and_then(|verdict| verdict.missing.as_ref()).map_or(0, |missing| missing.tasks_not_shown);
    let below = match not_shown {
        0 => below,
        some => format!(
            "{below} ({} did not fit into the list: those below it continue)",
            format::count(some, "task", "tasks")
        ),
    };
    let text = match (fate, verdict.and_then(|verdict| verdict.verdict.as_ref())) {
        (Fate::EndedBefore, _) => "already ended".to_owned(),
        (Fate::Requested, Some(Verdict::Unknown(word))) => format!("{word}{after}{below}"),
        (Fate::Requested, _) => format!("cancel requested{below}"),
        (fate, _) => format!("{}{after}{below}", fate.words(1)),
    };
    (text, fate.style())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn described(json: Value) -> (String, Style) {
        verdict_text(Some(&serde_json::from_value(json).unwrap()))
    }

    #[test]
    fn every_verdict_has_words_and_only_a_stopped_task_is_green() {
        for (json, expected, style) in [
            (json!({ "verdict": "dropped", "tookMs": 0.3 }), "dropped by the cancel after 300 us", Style::Good),
            (
                json!({ "verdict": "finished", "outcome": "cancelled", "tookMs": 12.0, "below": 1 }),
                "cancelled after 12 ms, with 1 descendant",
                Style::Good,
            ),
            (
                json!({ "verdict": "finished", "outcome": "finished", "tookMs": 5e3 }),
                "finished on its own after 5.0 s",
                Style::Plain,
            ),
            (json!({ "verdict": "finished", "outcome": "failed", "tookMs": 2e3 }), "failed after 2.0 s", Style::Bad),
            (
                json!({ "verdict": "finished", "outcome": "dropped", "tookMs": 2e3 }),
                "dropped by its owner after 2.0 s",
                Style::Plain,
            ),
            (json!({ "verdict": "cancelling", "tookMs": 1e4 }), "still running after 10.0 s", Style::Warning),
            (json!({ "verdict": "cancelling" }), "cancel requested", Style::Plain),
            (
                json!({ "verdict": "cancelling", "missing": { "tasksNotShown": 1200 } }),
                "cancel requested (1200 tasks did not fit into the list: those below it continue)",
                Style::Plain,
            ),
            (json!({ "verdict": "finished", "alreadyEnded": true }), "already ended", Style::Plain),
        ] {
            assert_eq!(described(json), (expected.to_owned(), style));
        }
        assert_eq!(verdict_text(None).0, "cancel requested");
        let verdict = serde_json::from_value(json!({ "verdict": "cancelling", "tookMs": 7 })).unwrap();
        assert_eq!(verdict_text(Some(&without_wait(verdict))).0, "cancel requested");
    }

    #[test]
    fn a_summary_counts_by_what_happened() {
        let fates = [Fate::StillRunning, Fate::Cancelled, Fate::Finished, Fate::Finished, Fate::Cancelled];
        assert_eq!(summary(fates), "2 cancelled, 2 finished on their own, 1 still running");
    }
}
