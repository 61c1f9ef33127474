//! The chunks of a list by their index, and the tags beside them.

use std::sync::OnceLock;

use super::chunk::{Chunk, SEGMENT, Segment, tag};
use crate::base::sync::{AtomicU64, Ordering, own};

/// The chunks of a list: those that exist, by index.
pub(crate) struct ChunkTable {
    segments: Box<[OnceLock<Segment>]>,
    /// Chunks that were ever handed out: those below lie in segments that exist.
    /// Release on growth pairs with the Acquire of readers.
    high: AtomicU64,
}

impl ChunkTable {
    pub(crate) fn new(segments: usize) -> Self {
        Self { segments: (0..segments).map(|_| OnceLock::new()).collect(), high: AtomicU64::new(0) }
    }

    /// How many segments there may be.
    pub(crate) fn max_segments(&self) -> usize {
        self.segments.len()
    }

    /// How many segments have chunks that were handed out.
    pub(crate) fn used_segments(&self) -> usize {
        (self.high.load(Ordering::Acquire) as usize).div_ceil(SEGMENT)
    }

    #[inline]
    fn segment(&self, index: u32) -> Segment {
        *self.segments[index as usize / SEGMENT]
            .get()
            .expect("an index that was handed out lies in a segment that exists")
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> &'static Chunk {
        &self.segment(index).chunks[index as usize % SEGMENT]
    }

    /// The chunk of an index that may be rubbish, read from memory that changed concurrently.
    pub(crate) fn try_get(&self, index: u32) -> Option<&'static Chunk> {
        let segment = self.segments.get(index as usize / SEGMENT)?.get()?;
        Some(&segment.chunks[index as usize % SEGMENT])
    }

    #[inline]
    pub(crate) fn tag(&self, index: u32) -> &'static AtomicU64 {
        &self.segment(index).tags[index as usize % SEGMENT]
    }

    /// Calls `visit` with the index of each slot that holds a live task.
    pub(crate) fn each_live(&self, mut visit: impl FnMut(u32)) {
        self.each_tag(|index, tag| {
            if tag & tag::LIVE != 0 {
                visit(index);
            }
            true
        });
    }

    /// Calls `visit` with the index of each slot that holds a task that ended and is retained.
    pub(crate) fn each_ended(&self, mut visit: impl FnMut(u32)) {
        self.each_tag(|index, tag| {
            if tag & tag::LIVE == 0 {
                visit(index);
            }
            true
        });
    }

    /// Calls `visit` with the index and tag of each slot that holds a task, live or ended, until it returns `false`.
    pub(crate) fn each_tag(&self, mut visit: impl FnMut(u32, u64) -> bool) {
        let high = self.high.load(Ordering::Acquire) as usize;
        for (number, segment) in self.segments.iter().enumerate().take(high.div_ceil(SEGMENT)) {
            let Some(segment) = segment.get() else { return };
            let first = number * SEGMENT;
            for (offset, tag) in segment.tags[..SEGMENT.min(high - first)].iter().enumerate() {
                // Acquire: pairs with the Release of `publish`, so that the gate behind it is that task's or later.
                let tag = tag.load(Ordering::Acquire);
                if tag != 0 && !visit((first + offset) as u32, tag) {
                    return;
                }
            }
        }
    }

    /// Adds up to `wanted` chunks that were never used to `into`; none when the table is full or the system has no
    /// memory. Only one thread may grow a table at a time.
    pub(crate) fn grow(&self, into: &mut Vec<u32>, wanted: usize) {
        let high = own(&self.high) as usize;
        let segment = high / SEGMENT;
        if segment >= self.segments.len() {
            return;
        }
        if high.is_multiple_of(SEGMENT) && self.segments[segment].get().is_none() {
            let Some(new) = Segment::allocate() else { return };
            let _ = self.segments[segment].set(new);
        }
        let end = (high + wanted).min((segment + 1) * SEGMENT);
        // The lowest index is taken first.
        into.extend((high..end).rev().map(|index| index as u32));
        self.high.store(end as u64, Ordering::Release);
    }
}
