//! A mutex with a name.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use pm_core::{Resource, ResourceKind};
use tokio::sync::{self, TryLockError};

use super::guard::{Guard, guarded};

/// What [`Mutex::lock`] gives.
pub type MutexGuard<'a, T> = Guard<sync::MutexGuard<'a, T>>;
/// What [`Mutex::lock_owned`] gives.
pub type OwnedMutexGuard<T> = Guard<sync::OwnedMutexGuard<T>>;

/// A [`tokio::sync::Mutex`] with a name. See the [module](super).
pub struct Mutex<T> {
    resource: Resource,
    inner: Arc<sync::Mutex<T>>,
}

impl<T> Mutex<T> {
    /// A free one.
    #[must_use]
    pub fn new(name: &str, value: T) -> Self {
        Self { resource: Resource::fair(name, ResourceKind::Mutex, Some(1)), inner: Arc::new(sync::Mutex::new(value)) }
    }

    /// What tasks are told to wait for.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Takes it, as soon as those who came before have given it back.
    ///
    /// Cancel safe: dropped, one gives up one's place.
    pub async fn lock(&self) -> MutexGuard<'_, T> {
        guarded(&self.resource, 1, self.inner.lock()).await
    }

    /// The same with a guard that borrows nothing.
    pub fn lock_owned(&self) -> impl Future<Output = OwnedMutexGuard<T>> + use<T> {
        let (resource, inner) = (self.resource.clone(), Arc::clone(&self.inner));
        async move { guarded(&resource, 1, inner.lock_owned()).await }
    }

    /// Takes it if it is free.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        Ok(Guard::new(&self.resource, 1, self.inner.try_lock()?))
    }

    /// Takes it, blocking the thread.
    ///
    /// # Panics
    ///
    /// In an asynchronous context, as tokio's does.
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        if let Ok(guard) = self.try_lock() {
            return guard;
        }
        let waiting = self.resource.wait(1);
        let inner = self.inner.blocking_lock();
        Guard { held: waiting.acquired(), inner }
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("name", &self.resource.name()).field("inner", &self.inner).finish()
    }
}
