//! Which spans may be of interest to a layer, told by one load, so that all others cost no more.
//!
//! A span's id falls into one of many buckets, each with a count of the spans in it that belong to a task. An empty bucket
//! says no for certain; one that is not means a look at the span itself.

use std::sync::atomic::{AtomicU16, Ordering};

use tracing::span::Id;

/// 8 KiB. A count could only overflow with some hundred million spans at once.
const BUCKETS: usize = 4096;

pub(super) struct Marks(Box<[AtomicU16; BUCKETS]>);

impl Marks {
    pub(super) fn new() -> Self {
        Self(Box::new([const { AtomicU16::new(0) }; BUCKETS]))
    }

    /// The registry's ids are made of the place of a span, the thread that made it, and how often the place was used. Without
    /// the last, spans that live at once rarely meet, and one that follows another finds the bucket warm. Any other id has
    /// a bucket as well.
    #[inline]
    fn bucket(&self, id: &Id) -> &AtomicU16 {
        let id = id.into_u64();
        let (place, thread) = (id & ((1 << 38) - 1), id >> 38 & 0x1fff);
        &self.0[(place + 97 * thread) as usize % BUCKETS]
    }

    // Relaxed, all of them: who uses a span got its id from who made it, and with it what was done before.

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
