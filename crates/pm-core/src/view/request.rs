//! The cancel request of a task.

use std::time::Duration;

use super::records::{RecordView, Records};
use super::values::Text;
use crate::base::clock::Moment;
use crate::base::serial::Serial;
use crate::base::timestamp::Timestamp;

/// The cancel request of a task.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    pub(super) reason: Text<'a>,
    pub(super) by: Text<'a>,
    pub(super) ticks: u64,
    pub(super) origin: u64,
    pub(super) moment: Moment,
}

impl<'a> RequestView<'a> {
    pub(crate) fn parse(bytes: &'a [u8], moment: Moment) -> Option<Self> {
        let mut records = Records { bytes };
        let (asked, origin, reason) = (records.next()?, records.next()?, records.next()?);
        let number = |record: RecordView<'a>| record.word(record.head.words() - 1);
        let (by, reason) = (asked.name(), reason.text());
        Some(Self { reason, by, ticks: number(asked), origin: number(origin), moment })
    }

    pub(crate) fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Returns the reason; empty when none was given.
    #[must_use]
    pub fn reason(&self) -> Text<'a> {
        self.reason
    }

    /// Returns the name of the caller; empty when none was given.
    #[must_use]
    pub fn by(&self) -> Text<'a> {
        self.by
    }

    /// Returns when the request was made.
    #[inline]
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.moment.timestamp_of(self.ticks)
    }

    /// Returns the time since the request.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_nanos(self.moment.age_nanos(self.ticks))
    }

    /// Returns the target of the request: this task, or an ancestor of it.
    #[must_use]
    pub fn origin(&self) -> Serial {
        Serial::new(self.origin)
    }
}
