//! A counting filter of the spans that belong to tasks: one load rules out nearly all others.
//!
//! A span's id falls into one of many buckets, each with a count of the spans in it that belong to a task. If the
//! bucket is empty, the span does not; otherwise the span itself is looked up.

use std::sync::atomic::{AtomicU16, Ordering};

use tracing::span::Id;

/// 8 KiB. A count could only overflow with some hundred million spans at once.
const BUCKETS: usize = 4096;

pub(super) struct Marks(Box<[AtomicU16; BUCKETS]>);

impl Marks {
    pub(super) fn new() -> Self {
        Self(Box::new([const { AtomicU16::new(0) }; BUCKETS]))
    }

    /// Returns the bucket of a span.
    ///
    /// The registry composes ids of the slot of a span, the thread that created it, and a generation of the slot.
    /// Without the generation, concurrent spans rarely collide, and successive ones find the bucket in the cache.
    #[inline]
    fn bucket(&self, id: &Id) -> &AtomicU16 {
        let id = id.into_u64();
        let (place, thread) = (id & ((1 << 38) - 1), id >> 38 & 0x1fff);
        &self.0[(place + 97 * thread) as usize % BUCKETS]
    }

    // All relaxed: a user of a span has received its id from the creator, which synchronizes.

    #[inline]
    pub(super) fn may_have(&self, id: &Id) -> bool {
        self.bucket(id).load(Ordering::Relaxed) != 0
    }

    pub(super) fn add(&self, id: &Id) {
        self.bucket(id).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove(&self, id: &Id) {
        self.bucket(id).fetch_sub(1, Ordering::Relaxed);
    }
}
