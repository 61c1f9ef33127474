//! Locks and channels of tokio that tell what a task waits for, and who holds it: feature `sync`.
//!
//! ```
//! use pm::sync::Mutex;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! let users = std::sync::Arc::new(Mutex::new("lock:users", vec!["ann"]));
//! let list = pm::ProcessList::new();
//! let import = list.task("import").run(async {
//!     users.lock().await.push("bob");
//! });
//! let held = users.lock().await;
//! let report = list.task("report").run(async {
//!     // Shown: waiting on lock:users
//!     users.lock().await.len()
//! });
//! # drop(import);
//! drop(held);
//! assert_eq!(report.await.unwrap(), 1);
//! # });
//! ```
//!
//! Each is tokio's own with a name before its other arguments, and does the same: order, fairness, cancel safety,
//! cooperation. Besides,
//!
//! - a task that has to wait says so as its status, `waiting on lock:users`, and the list tells
//!   [who blocks whom](pm_core::ProcessList::waits), which names deadlocks;
//! - the task that was current when a lock was taken counts as its holder as long as the guard lives, wherever it is moved. Of a
//!   channel, each end belongs to the task that used it last;
//! - a task that is killed while it waits or holds gives both up when its future is dropped.
//!
//! Taking and giving back what is free costs a lock and a read of the clock more than tokio's; having to wait costs two
//! statuses. Outside of any task they are tokio's.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::task::Poll;

use pm_core::{HoldGuard, Resource};

pub mod mpsc;
mod mutex;
pub mod oneshot;
mod rw_lock;
mod semaphore;

pub use mutex::{Mutex, MutexGuard, OwnedMutexGuard};
pub use rw_lock::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
pub use tokio::sync::{AcquireError, TryAcquireError, TryLockError};

/// A guard of tokio's, and word of who holds it.
#[must_use = "what it guards is given back at once"]
pub struct Guard<G> {
    // In this order: nobody holds it any more before the next one takes it.
    held: HoldGuard,
    inner: G,
}

impl<G> Guard<G> {
    fn new(resource: &Resource, units: u64, inner: G) -> Self {
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
async fn waited<F: Future>(resource: &Resource, units: u64, future: F) -> F::Output {
    let mut future = pin!(future);
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return output;
    }
    let _waiting = resource.wait(units);
    future.await
}

/// The same for what is then held.
async fn guarded<F: Future>(resource: &Resource, units: u64, future: F) -> Guard<F::Output> {
    let mut future = pin!(future);
    if let Poll::Ready(inner) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return Guard::new(resource, units, inner);
    }
    let waiting = resource.wait(units);
    let inner = future.await;
    Guard { held: waiting.acquired(), inner }
}
