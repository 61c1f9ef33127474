//! The layout of a row, the copy of a task: eight words of facts, then the log, then the newest entries of the ring,
//! then the cancel request.

pub(crate) const FACTS: usize = 8;

/// In the last fact, above the number of the kind: the parent has ended.
pub(crate) const PARENT_ENDED: u64 = 1 << 32;

#[inline(always)]
pub(crate) fn word(row: &[u8], at: usize) -> u64 {
    row.get(at * 8..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
