//! The history of a task.

use super::records::RecordView;
use super::task_view::TaskView;
use super::values::StatusText;
use crate::base::outcome::Outcome;
use crate::base::timestamp::Timestamp;

impl<'a> TaskView<'a> {
    pub(crate) fn history(&self, newest_entries: u64) -> History {
        let entry = |record: Option<RecordView<'a>>| {
            let at = self.moment.timestamp_of(self.ticks_of(record));
            HistoryEntry { at, status: self.status_of(record).to_string() }
        };
        let mut entries = vec![entry(None)];
        entries.extend(self.log().filter(|record| record.head.is_entry()).map(|record| entry(Some(record))));
        let first = entries.len();
        entries.extend(self.ring().filter(|record| record.head.is_entry()).map(|record| entry(Some(record))));
        let newest = (entries.len() - first) as u64;
        let surplus = newest.saturating_sub(newest_entries) as usize;
        entries.drain(first..first + surplus);
        let dropped = self.history_len().saturating_sub(entries.len() as u64);
        let outcome = self.outcome();
        if let Some((outcome, at)) = outcome.zip(self.ended_at()) {
            entries.extend(self.last_entry(outcome).map(|status| HistoryEntry { at, status }));
        }
        History { entries, dropped, dropped_after: first, at: self.moment.timestamp(), outcome }
    }

    /// The entry that the end makes, unless the task made it itself.
    fn last_entry(&self, outcome: Outcome) -> Option<String> {
        Some(match outcome {
            Outcome::Finished => "ended".to_owned(),
            Outcome::Cancelled => match self.reason() {
                Some(reason) => format!("killed: {reason}"),
                None => "killed".to_owned(),
            },
            Outcome::Aborted => "aborted".to_owned(),
            Outcome::Dropped => "dropped".to_owned(),
            Outcome::Failed if matches!(self.status(), StatusText::Set(text) if text.0.starts_with(b"failed")) => {
                return None;
            }
            Outcome::Failed => "failed".to_owned(),
        })
    }
}

/// The timed statuses of one task, oldest first.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct History {
    /// The entries that are kept: the first ones and the newest ones.
    pub entries: Vec<HistoryEntry>,
    /// Entries that were dropped between the first and the newest.
    pub dropped: u64,
    /// The index in `entries` before which the dropped ones stood.
    pub dropped_after: usize,
    /// When the history was read.
    pub at: Timestamp,
    /// The outcome of the task, which the last entry names, too; `None` while it is live.
    pub outcome: Option<Outcome>,
}

/// One entry of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When it was made; never earlier than the entry before.
    pub at: Timestamp,
    /// The status that the task set, or what the list recorded: a cancel request, the end.
    pub status: String,
}
