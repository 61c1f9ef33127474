//! Counters of what was cut, dropped or came too late.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64 as StdAtomicU64, Ordering as StdOrdering};

use crate::shared::state::Inner;

/// What was cut, dropped or came too late.
#[derive(Default)]
pub(crate) struct Lost {
    pub(crate) tasks: StdAtomicU64,
    pub(crate) statuses: StdAtomicU64,
    pub(crate) attrs: StdAtomicU64,
    pub(crate) texts: StdAtomicU64,
    /// Not lost, but changed: values and texts in which something was masked.
    pub(crate) redacted: StdAtomicU64,
    pub(crate) late: StdAtomicU64,
    pub(crate) cancels: StdAtomicU64,
    /// Tasks that were asked to stop and have ended, and those of them whose future was dropped.
    pub(crate) cancelled_ends: StdAtomicU64,
    pub(crate) forced: StdAtomicU64,
    /// Panics of hooks and wakers.
    pub(crate) panics: StdAtomicU64,
}

impl Lost {
    pub(crate) fn forget(&self) {
        let Self { tasks, statuses, attrs, texts, redacted, late, cancels, cancelled_ends, forced, panics } = self;
        for counter in [tasks, statuses, attrs, texts, redacted, late, cancels, cancelled_ends, forced, panics] {
            counter.store(0, StdOrdering::Relaxed);
        }
    }
}

/// Runs code that is not ours: a panic of it is counted, and goes no further.
pub(crate) fn guard(inner: &Inner, f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        inner.lost.panics.fetch_add(1, StdOrdering::Relaxed);
        // What a panic carries may itself panic when it is dropped.
        std::mem::forget(payload);
    }
}
