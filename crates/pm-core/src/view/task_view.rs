//! One task as it was when it was copied.

use std::fmt;
use std::time::Duration;

use super::attrs::Attrs;
use super::records::{RecordView, Records};
use super::request::RequestView;
use super::state::TaskState;
use super::values::{Progress, StatusText, Text, ValueView};
use crate::base::clock::Moment;
use crate::base::outcome::Outcome;
use crate::base::serial::Serial;
use crate::base::text;
use crate::base::timestamp::Timestamp;
use crate::layout::record;
use crate::layout::row::{FACTS, PARENT_ENDED, word};
use crate::layout::words::{Cursor, cancel};
use crate::store::kinds::Kinds;

/// One task as it was when it was copied.
///
/// Everything in it was put in by one task, each text in one piece.
#[derive(Clone, Copy)]
pub struct TaskView<'a> {
    row: &'a [u8],
    pub(super) moment: Moment,
    // What one pass over the records found.
    id: Text<'a>,
    kind: Option<Text<'a>>,
    newest: Option<RecordView<'a>>,
    progress: Option<RecordView<'a>>,
    attrs: Attrs<'a>,
}

/// When the task of a row started.
pub(crate) fn started_ticks(row: &[u8]) -> u64 {
    word(row, 1)
}

impl<'a> TaskView<'a> {
    pub(crate) fn new(row: &'a [u8], moment: Moment, kinds: &'a Kinds) -> Self {
        let lengths = word(row, 4);
        let (log, ring) = (lengths as u32 as usize, (lengths >> 32) as usize);
        let mut records = Records { bytes: &row[FACTS * 8..(FACTS + log) * 8] };
        let mut view = Self {
            row,
            moment,
            id: Text(&[]),
            kind: None,
            newest: None,
            progress: None,
            attrs: Attrs { records: Records { bytes: &[] }, left: 0, repeat: false },
        };
        let mut names = 0_u64;
        loop {
            let from_here = records;
            let Some(record) = records.next() else { break };
            match record.head.kind() {
                record::ID => view.id = record.text(),
                record::KIND => view.kind = Some(record.text()),
                record::STATUS | record::FAR_STATUS | record::CANCEL_MARK => view.newest = Some(record),
                record::PROGRESS => view.progress = Some(record),
                _ => {
                    if view.attrs.left == 0 {
                        view.attrs.records = from_here;
                    }
                    view.attrs.left += 1;
                    // The same name leaves the same bit; other names rarely do.
                    let name = record.name().0;
                    let ends = name.first().zip(name.last()).map_or(0, |(first, last)| first ^ last.rotate_left(3));
                    let bit = 1 << ((usize::from(ends) + name.len()) % 64);
                    view.attrs.repeat |= names & bit != 0;
                    names |= bit;
                }
            }
        }
        let ring = Records { bytes: &row[(FACTS + log) * 8..(FACTS + log + ring) * 8] };
        view.newest = ring.last().or(view.newest);
        if let Some(name) = kinds.name(view.kind_number()) {
            view.kind = Some(Text(name.as_bytes()));
        }
        view
    }

    pub(crate) fn kind_number(&self) -> u32 {
        self.word(7) as u32
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        word(self.row, at)
    }

    #[inline]
    fn cursor(&self) -> Cursor {
        Cursor(self.word(3))
    }

    pub(super) fn log(&self) -> Records<'a> {
        let words = self.word(4) as u32 as usize;
        Records { bytes: &self.row[FACTS * 8..(FACTS + words) * 8] }
    }

    pub(super) fn ring(&self) -> Records<'a> {
        let (log, ring) = (self.word(4) as u32 as usize, (self.word(4) >> 32) as usize);
        Records { bytes: &self.row[(FACTS + log) * 8..(FACTS + log + ring) * 8] }
    }

    /// Returns the cancel request of the task; `None` if it was not cancelled.
    #[must_use]
    pub fn cancel_request(&self) -> Option<RequestView<'a>> {
        if !self.is_cancelling() {
            return None;
        }
        let (log, ring) = (self.word(4) as u32 as usize, (self.word(4) >> 32) as usize);
        let unknown = RequestView {
            reason: Text(&[]),
            by: Text(&[]),
            ticks: self.ticks_of(self.newest),
            origin: self.word(0),
            moment: self.moment,
        };
        Some(RequestView::parse(&self.row[(FACTS + log + ring) * 8..], self.moment).unwrap_or(unknown))
    }

    pub(super) fn reason(&self) -> Option<Text<'a>> {
        self.cancel_request().map(|request| request.reason).filter(|reason| !reason.0.is_empty())
    }

    /// Returns the serial of the task.
    #[inline]
    #[must_use]
    pub fn serial(&self) -> Serial {
        Serial::new(self.word(0))
    }

    /// Returns the id that the program chose; other live tasks may have the same.
    #[inline]
    #[must_use]
    pub fn id(&self) -> Text<'a> {
        self.id
    }

    /// Returns `true` if the id was made from the kind and serial, as that of [`unnamed`](crate::unnamed) is.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let (import, export) = (list.unnamed().kind("import").start(), list.start("export-42"));
    /// assert_eq!(import.view(|task| task.is_unnamed()), Some(true));
    /// assert_eq!(import.view(|task| task.id().to_string()), Some(format!("import-{}", import.serial().unwrap())));
    /// assert_eq!(export.view(|task| task.is_unnamed()), Some(false));
    /// ```
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        let kind = self.kind.map_or("", Text::as_str);
        text::numbered(kind, self.word(0), |made| made.as_bytes() == self.id.as_bytes())
    }

    /// Returns the kind, such as `GET /hosts/{id}`, if the program named one.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> Option<Text<'a>> {
        self.kind
    }

    /// Returns the parent: the task that was current when this one started, or that was set. It may have ended since:
    /// see [`parent_has_ended`](Self::parent_has_ended).
    #[inline]
    #[must_use]
    pub fn parent(&self) -> Option<Serial> {
        Serial::from_u64(self.word(2))
    }

    /// Returns `true` if the parent has ended, as far as it is of the same list.
    #[inline]
    #[must_use]
    pub fn parent_has_ended(&self) -> bool {
        self.word(7) & PARENT_ENDED != 0
    }

    /// Returns the outcome of the task; `None` while it is live.
    #[inline]
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::from_count(self.cursor().outcome())
    }

    /// Returns when the task ended; `None` while it is live.
    #[inline]
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.outcome().map(|_| self.moment.timestamp_of(self.word(6)))
    }

    /// Returns `true` if it is retained longer than others: it failed, was killed, or was slow.
    pub(crate) fn is_notable(&self) -> bool {
        self.cursor().has(Cursor::NOTABLE)
    }

    /// Returns `true` if the future that ran as this task was dropped because of a cancel request.
    #[must_use]
    pub fn was_forced(&self) -> bool {
        self.word(5) & cancel::FORCED != 0
    }

    /// Returns `true` if the task observed its cancel request: at a status or a checkpoint, or by
    /// [`cancelled`](crate::TaskHandle::cancelled). One that ended early for it may still have ended as finished, by
    /// its own account.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let batch = list.run_sync("batch", |task| {
    ///     task.cancel("deploy").unwrap();
    ///     Ok((0..10).take_while(|_| task.checkpoint().is_ok()).count())
    /// });
    /// assert_eq!(batch.unwrap(), 0); // finished, with what it has
    /// assert!(list.ended().get(0).unwrap().has_observed_cancel());
    /// ```
    #[must_use]
    pub fn has_observed_cancel(&self) -> bool {
        self.word(5) & cancel::OBSERVED != 0
    }

    /// Returns `true` if the task is in a protected section: see [`protect`](crate::protect).
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.outcome().is_none() && self.word(5) & cancel::PROTECTED != 0
    }

    /// Returns when the task started.
    #[inline]
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.moment.timestamp_of(self.word(1))
    }

    /// Returns when the task started, for comparing tasks of one list, also of different snapshots: a number that grows
    /// with time, in an unspecified unit. Timestamps may differ from one snapshot to the next by what the clock was
    /// corrected in between; this never does.
    #[inline]
    #[must_use]
    pub fn started_ticks(&self) -> u64 {
        started_ticks(self.row)
    }

    /// Returns when the task entered its status, as [`started_ticks`](Self::started_ticks).
    #[inline]
    #[must_use]
    pub fn status_ticks(&self) -> u64 {
        self.ticks_of(self.newest)
    }

    /// Returns when the task ended, as [`started_ticks`](Self::started_ticks); the largest number while it is live.
    #[inline]
    #[must_use]
    pub fn ended_ticks(&self) -> u64 {
        if self.outcome().is_some() { self.word(6) } else { u64::MAX }
    }

    /// Returns how long the task has been running, or ran.
    #[must_use]
    pub fn age(&self) -> Duration {
        if self.outcome().is_some() {
            return self.moment.between(self.word(1), self.word(6));
        }
        Duration::from_nanos(self.moment.age_nanos(self.word(1)))
    }

    #[inline]
    pub(super) fn status_of(&self, record: Option<RecordView<'a>>) -> StatusText<'a> {
        match record {
            None => StatusText::Init,
            Some(record) if record.head.kind() == record::CANCEL_MARK => StatusText::CancelRequest(self.reason()),
            Some(record) => StatusText::Set(record.text()),
        }
    }

    #[inline]
    pub(super) fn ticks_of(&self, record: Option<RecordView<'a>>) -> u64 {
        self.word(1).wrapping_add(record.map_or(0, |record| record.delta()))
    }

    /// Returns the status of the task.
    #[inline]
    #[must_use]
    pub fn status(&self) -> StatusText<'a> {
        self.status_of(self.newest)
    }

    /// Returns the last status that the task itself set, for a row with the history: a cancel request is not one.
    pub(crate) fn said_last(&self) -> StatusText<'a> {
        let is_said = |record: &RecordView<'a>| record.head.is_entry() && record.head.kind() != record::CANCEL_MARK;
        self.status_of(self.ring().filter(is_said).last().or_else(|| self.log().filter(is_said).last()))
    }

    /// Returns when the task entered its status.
    #[inline]
    #[must_use]
    pub fn status_at(&self) -> Timestamp {
        self.moment.timestamp_of(self.ticks_of(self.newest))
    }

    /// Returns how long the task has been in its status, or was in its last.
    #[must_use]
    pub fn status_age(&self) -> Duration {
        if self.outcome().is_some() {
            return self.moment.between(self.ticks_of(self.newest), self.word(6));
        }
        Duration::from_nanos(self.moment.age_nanos(self.ticks_of(self.newest)))
    }

    /// Returns `true` if the task was cancelled.
    #[inline]
    #[must_use]
    pub fn is_cancelling(&self) -> bool {
        cancel::is_asked(self.word(5))
    }

    /// Returns whether the task runs, was asked to stop and still runs, or has ended.
    #[inline]
    #[must_use]
    pub fn state(&self) -> TaskState {
        if self.outcome().is_some() {
            TaskState::Ended
        } else if self.is_cancelling() {
            TaskState::Cancelling
        } else {
            TaskState::Running
        }
    }

    /// Returns `true` if the task can be cancelled.
    #[inline]
    #[must_use]
    pub fn is_cancellable(&self) -> bool {
        !self.cursor().has(Cursor::NOT_CANCELLABLE)
    }

    /// Returns the progress that the task reported, if any.
    #[inline]
    #[must_use]
    pub fn progress(&self) -> Option<Progress<'a>> {
        let record = self.progress?;
        let words = record.head.words();
        Some(Progress { done: record.word(words - 2), total: record.word(words - 1), unit: record.text() })
    }

    /// Returns the attributes, each name once, in no given order.
    #[inline]
    #[must_use]
    pub fn attrs(&self) -> Attrs<'a> {
        self.attrs
    }

    /// Returns the attributes, sorted by the bytes of their names.
    #[must_use]
    pub fn attrs_sorted(&self) -> Vec<(Text<'a>, ValueView<'a>)> {
        let mut all: Vec<_> = self.attrs.records.filter_map(RecordView::attr).collect();
        // Stable, so that of one name the newest comes last; it is the one that counts.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut sorted: Vec<(Text<'a>, ValueView<'a>)> = Vec::with_capacity(all.len());
        for (index, (name, value)) in all.iter().enumerate() {
            let superseded = all.get(index + 1).is_some_and(|next| next.0 == *name);
            if let (false, Some(value)) = (superseded, value) {
                sorted.push((*name, *value));
            }
        }
        sorted
    }

    /// Returns a number that changes whenever anything visible of the task does, except its age: for readers that look
    /// again and again, and want to know what changed. (A hash of 64 bits: that two are the same by chance is not to be
    /// expected.)
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("job-1");
    /// let revision = || list.view(task.serial(), |task| task.revision()).unwrap();
    /// let before = revision();
    /// assert_eq!(revision(), before);
    /// task.progress(1, 10, "files");
    /// assert_ne!(revision(), before);
    /// ```
    #[must_use]
    pub fn revision(&self) -> u64 {
        let (lengths, mut hash) = (self.word(4), 0_u64);
        let words = FACTS + (lengths as u32 as usize) + ((lengths >> 32) as usize);
        for at in 0..words {
            hash = (hash.rotate_left(5) ^ self.word(at)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        hash ^ (hash >> 32)
    }

    /// Returns the number of history entries ever made, including dropped ones; the start is the first.
    #[must_use]
    pub fn history_len(&self) -> u64 {
        self.cursor().entries()
    }
}

impl fmt::Debug for TaskView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskView")
            .field("serial", &self.serial())
            .field("id", &self.id())
            .field("age", &self.age())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
