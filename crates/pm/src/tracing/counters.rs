//! Counters of a layer; they may outlive it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a [`SpansLayer`](super::SpansLayer): tasks, statuses left out, and panics caught.
///
/// Returned by [`SpansLayer::counters`](super::SpansLayer::counters).
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

    /// Returns how many spans became tasks.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.0.tasks.load(Ordering::Relaxed)
    }

    /// Returns how many statuses were left out because a task had too many per second.
    #[must_use]
    pub fn statuses_left_out(&self) -> u64 {
        self.0.left_out.load(Ordering::Relaxed)
    }

    /// Returns how many panics of field formatting and of [`SpansLayer::when`](super::SpansLayer::when) were caught.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.0.panics.load(Ordering::Relaxed)
    }
}
