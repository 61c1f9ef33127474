//! The chunks of a list by their index, and the tags beside them.

use std::sync::OnceLock;

use super::chunk::{Chunk, SEGMENT, Segment, tag};
use crate::base::sync::{AtomicU32, AtomicU64, Ordering, own};

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

    /// How many chunks were ever handed out: the indices of all are lower.
    pub(crate) fn used(&self) -> u32 {
        self.high.load(Ordering::Acquire) as u32
    }

    /// How many segments have chunks that were handed out.
    pub(crate) fn used_segments(&self) -> usize {
        (self.used() as usize).div_ceil(SEGMENT)
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

    /// The slot of the parent of the task in a slot and 1, if it has one in this list.
    #[inline]
    pub(crate) fn parent(&self, index: u32) -> &'static AtomicU32 {
        &self.segment(index).parents[index as usize % SEGMENT]
    }

    /// Calls `visit` with each slot whose task has, or whose earlier task had, a parent, and the slot of that.
    pub(crate) fn each_parent(&self, mut visit: impl FnMut(u32, u32)) {
        let high = self.used() as usize;
        for number in 0..high.div_ceil(SEGMENT) {
            let Some(segment) = self.segments[number].get() else { return };
            let first = number * SEGMENT;
            for (offset, parent) in segment.parents[..SEGMENT.min(high - first)].iter().enumerate() {
                if let Some(parent) = parent.load(Ordering::Relaxed).checked_sub(1) {
                    visit((first + offset) as u32, parent);
                }
            }
        }
    }

    /// Calls `visit` with the index of each slot that holds a live task.
    pub(crate) fn each_live(&self, mut visit: impl FnMut(u32)) {
        self.each_tag(|index, tag| {
            if tag::is_live(tag) {
                visit(index);
            }
            true
        });
    }

    /// Calls `visit` with the index of each slot that holds a task that ended and is retained.
    pub(crate) fn each_ended(&self, mut visit: impl FnMut(u32)) {
        self.each_tag(|index, tag| {
            if !tag::is_live(tag) {
                visit(index);
            }
            true
        });
    }

    /// Calls `visit` with the index and tag of each slot that holds a task, live or ended, until it returns `false`.
    pub(crate) fn each_tag(&self, visit: impl FnMut(u32, u64) -> bool) {
        self.each_tag_from(0, visit);
    }

    /// Calls `visit` like [`each_tag`](Self::each_tag), beginning at an index.
    pub(crate) fn each_tag_from(&self, begin: u32, mut visit: impl FnMut(u32, u64) -> bool) {
        let (begin, high) = (begin as usize, self.used() as usize);
        for number in begin / SEGMENT..high.div_ceil(SEGMENT) {
            let Some(segment) = self.segments[number].get() else { return };
            let first = number * SEGMENT;
            let (from, to) = (begin.saturating_sub(first), SEGMENT.min(high - first));
            for (offset, tag) in (from..).zip(segment.tags.get(from..to).unwrap_or_default()) {
                // Acquire: pairs with the Release of `publish`, so that the gate behind it is that task's or later.
                let tag = tag.load(Ordering::Acquire);
                if tag::is_task(tag) && !visit((first + offset) as u32, tag) {
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
