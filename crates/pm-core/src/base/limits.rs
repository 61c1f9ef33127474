//! The limits of a list, and the ceilings that the layout of records sets to them.

use std::time::Duration;

/// The longest strings whose length fits into the header of a record.
pub(crate) const MAX_NAME: usize = 255;

pub(crate) const MAX_VALUE: usize = 8191;
pub(crate) const MAX_TEXT: usize = 4095;

/// The limits of one task. Lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) id: usize,
    pub(crate) name: usize,
    pub(crate) value: usize,
    pub(crate) status: usize,
    pub(crate) attrs: u64,
    pub(crate) first_entries: u64,
    pub(crate) newest_entries: u64,
    /// Ended tasks that are retained, their bytes, and for how many nanoseconds.
    pub(crate) ended: u64,
    pub(crate) ended_bytes: u64,
    pub(crate) ended_for: u64,
    pub(crate) kinds: usize,
    pub(crate) statuses: usize,
    pub(crate) redact: bool,
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
