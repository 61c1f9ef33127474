//! The guard of all locks, and the futures that show a task as waiting.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::task::Poll;

use pm_core::{HoldGuard, Resource};

/// A guard of tokio's, which records the task that holds it.
#[must_use = "the lock is released immediately if the guard is dropped"]
pub struct Guard<G> {
    // First, so that the hold ends before the lock is released and another task can acquire it.
    pub(super) hold: HoldGuard,
    pub(super) inner: G,
}

impl<G> Guard<G> {
    pub(super) fn new(resource: &Resource, units: u64, inner: G) -> Self {
        Self { hold: resource.hold(units), inner }
    }
}

impl<G: Deref> Deref for Guard<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.inner
    }
}

impl<G: DerefMut> DerefMut for Guard<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.inner
    }
}

impl<G: fmt::Debug> fmt::Debug for Guard<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<G: fmt::Display> fmt::Display for Guard<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Awaits a future of tokio's, and shows the task as waiting if that takes more than one poll.
pub(super) async fn waited<F: Future>(resource: &Resource, units: u64, future: F) -> F::Output {
    let mut future = pin!(future);
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return output;
    }
    let _waiting = resource.wait(units);
    future.await
}

/// Awaits a lock of tokio's like [`waited`], and returns it with a record of its holder.
pub(super) async fn guarded<F: Future>(resource: &Resource, units: u64, future: F) -> Guard<F::Output> {
    let mut future = pin!(future);
    if let Poll::Ready(inner) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return Guard::new(resource, units, inner);
    }
    let waiting = resource.wait(units);
    let inner = future.await;
    Guard { hold: waiting.acquired(), inner }
}
