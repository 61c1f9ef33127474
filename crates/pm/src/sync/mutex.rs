//! A named mutex.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use pm_core::{Resource, ResourceKind};
use tokio::sync::{self, TryLockError};

use super::guard::{Guard, guarded};

/// The guard returned by [`Mutex::lock`].
pub type MutexGuard<'a, T> = Guard<sync::MutexGuard<'a, T>>;
/// The guard returned by [`Mutex::lock_owned`].
pub type OwnedMutexGuard<T> = Guard<sync::OwnedMutexGuard<T>>;

/// A [`tokio::sync::Mutex`] with a name. See the [module](super).
pub struct Mutex<T> {
    resource: Resource,
    inner: Arc<sync::Mutex<T>>,
}

impl<T> Mutex<T> {
    /// Creates an unlocked mutex.
    #[must_use]
    pub fn new(name: &str, value: T) -> Self {
        Self { resource: Resource::fair(name, ResourceKind::Mutex, Some(1)), inner: Arc::new(sync::Mutex::new(value)) }
    }

    /// Returns the resource that waiting tasks are shown to wait for.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Locks the mutex, in the order of arrival.
    ///
    /// Cancel safe: dropping the future gives up its place in the queue.
    pub async fn lock(&self) -> MutexGuard<'_, T> {
        guarded(&self.resource, 1, self.inner.lock()).await
    }

    /// Locks the mutex, with a guard that does not borrow it.
    pub fn lock_owned(&self) -> impl Future<Output = OwnedMutexGuard<T>> + use<T> {
        let (resource, inner) = (self.resource.clone(), Arc::clone(&self.inner));
        async move { guarded(&resource, 1, inner.lock_owned()).await }
    }

    /// Locks the mutex if it is free.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] if it is locked.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        Ok(Guard::new(&self.resource, 1, self.inner.try_lock()?))
    }

    /// Locks the mutex, blocking the thread.
    ///
    /// # Panics
    ///
    /// In an asynchronous context, like tokio's.
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        if let Ok(guard) = self.try_lock() {
            return guard;
        }
        let waiting = self.resource.wait(1);
        let inner = self.inner.blocking_lock();
        Guard { hold: waiting.acquired(), inner }
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("name", &self.resource.name()).field("inner", &self.inner).finish()
    }
}
