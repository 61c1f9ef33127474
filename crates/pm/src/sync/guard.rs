//! The guard that all locks give, and how a task is shown while it waits for one.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::task::Poll;

use pm_core::{HoldGuard, Resource};

/// A guard of tokio's, and word of who holds it.
#[must_use = "what it guards is given back at once"]
pub struct Guard<G> {
    // In this order: nobody holds it any more before the next one takes it.
    pub(super) held: HoldGuard,
    pub(super) inner: G,
}

impl<G> Guard<G> {
    pub(super) fn new(resource: &Resource, units: u64, inner: G) -> Self {
        Self { held: resource.hold(units), inner }
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

/// Awaits what tokio gives, and says so if that takes longer than one poll.
pub(super) async fn waited<F: Future>(resource: &Resource, units: u64, future: F) -> F::Output {
    let mut future = pin!(future);
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return output;
    }
    let _waiting = resource.wait(units);
    future.await
}

/// The same for what is then held.
pub(super) async fn guarded<F: Future>(resource: &Resource, units: u64, future: F) -> Guard<F::Output> {
    let mut future = pin!(future);
    if let Poll::Ready(inner) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return Guard::new(resource, units, inner);
    }
    let waiting = resource.wait(units);
    let inner = future.await;
    Guard { held: waiting.acquired(), inner }
}
