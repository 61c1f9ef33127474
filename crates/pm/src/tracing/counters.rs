//! Counters of a layer, which outlive it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What went wrong or was left out in a [`TasksLayer`](super::TasksLayer); from
/// [`TasksLayer::counters`](super::TasksLayer::counters).
#[derive(Clone, Debug)]
pub struct TracingCounters(Arc<Counts>);

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) tasks: AtomicU64,
    pub(super) left_out: AtomicU64,
    pub(super) panics: AtomicU64,
}

impl TracingCounters {
    pub(super) fn of(counts: Arc<Counts>) -> Self {
        Self(counts)
    }

    /// Spans that became tasks.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.0.tasks.load(Ordering::Relaxed)
    }

    /// Statuses that were left out, as a task had too many of them.
    #[must_use]
    pub fn statuses_left_out(&self) -> u64 {
        self.0.left_out.load(Ordering::Relaxed)
    }

    /// Panics of fields that were formatted, and of what was given to [`TasksLayer::when`](super::TasksLayer::when).
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.0.panics.load(Ordering::Relaxed)
    }
}
