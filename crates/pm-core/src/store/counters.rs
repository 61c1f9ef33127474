//! Counters of what was cut, dropped or came too late.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64 as StdAtomicU64, Ordering as StdOrdering};

/// The counters of a list that are not those of its slab; see [`Counters`](crate::Counters).
#[derive(Default)]
pub(crate) struct AtomicCounters {
    pub(crate) not_shown: StdAtomicU64,
    pub(crate) statuses_dropped: StdAtomicU64,
    pub(crate) attrs_dropped: StdAtomicU64,
    pub(crate) texts_cut: StdAtomicU64,
    pub(crate) redacted: StdAtomicU64,
    pub(crate) late_calls: StdAtomicU64,
    pub(crate) cancel_requests: StdAtomicU64,
    /// Tasks that were asked to stop and have ended, and those of them whose future was dropped.
    pub(crate) cancelled_ends: StdAtomicU64,
    pub(crate) forced: StdAtomicU64,
    pub(crate) panics_caught: StdAtomicU64,
    pub(crate) not_unwound: StdAtomicU64,
}

impl AtomicCounters {
    pub(crate) fn reset(&self) {
        let Self { not_shown, statuses_dropped, attrs_dropped, texts_cut, redacted, late_calls, .. } = self;
        let Self { cancel_requests, cancelled_ends, forced, panics_caught, not_unwound, .. } = self;
        let records = [statuses_dropped, attrs_dropped, texts_cut, redacted];
        let tasks = [not_shown, late_calls, cancel_requests, cancelled_ends, forced, panics_caught, not_unwound];
        for counter in records.into_iter().chain(tasks) {
            counter.store(0, StdOrdering::Relaxed);
        }
    }

    /// Runs code of the program, such as a hook or a waker: a panic of it is counted and caught.
    pub(crate) fn catch_panic(&self, f: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
            self.panics_caught.fetch_add(1, StdOrdering::Relaxed);
            // The payload of a panic may itself panic when it is dropped, and so may that one's.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(payload);
            }
        }
    }
}
