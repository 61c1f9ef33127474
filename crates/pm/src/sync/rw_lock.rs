//! A named reader-writer lock.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use pm_core::{Resource, ResourceKind};
use tokio::sync::{self, TryLockError};

use super::guard::{Guard, guarded};

/// The units of a writer: tokio's limit of concurrent readers, of which each takes one.
const ALL: u64 = u32::MAX as u64 >> 3;

/// The guard returned by [`RwLock::read`].
pub type RwLockReadGuard<'a, T> = Guard<sync::RwLockReadGuard<'a, T>>;
/// The guard returned by [`RwLock::write`].
pub type RwLockWriteGuard<'a, T> = Guard<sync::RwLockWriteGuard<'a, T>>;
/// The guard returned by [`RwLock::read_owned`].
pub type OwnedRwLockReadGuard<T> = Guard<sync::OwnedRwLockReadGuard<T>>;
/// The guard returned by [`RwLock::write_owned`].
pub type OwnedRwLockWriteGuard<T> = Guard<sync::OwnedRwLockWriteGuard<T>>;

/// A [`tokio::sync::RwLock`] with a name. See the [module](super).
///
/// Like tokio's, it is fair: a reader waits behind a waiting writer, even if its task holds a read lock already. That
/// is a deadlock, which the list reports.
pub struct RwLock<T> {
    resource: Resource,
    inner: Arc<sync::RwLock<T>>,
}

impl<T> RwLock<T> {
    /// Creates an unlocked lock.
    #[must_use]
    pub fn new(name: &str, value: T) -> Self {
        let resource = Resource::fair(name, ResourceKind::RwLock, Some(ALL));
        Self { resource, inner: Arc::new(sync::RwLock::new(value)) }
    }

    /// Returns the resource that waiting tasks are shown to wait for.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Locks for reading. Cancel safe: dropping the future gives up its place in the queue.
    pub async fn read(&self) -> RwLockReadGuard<'_, T> {
        guarded(&self.resource, 1, self.inner.read()).await
    }

    /// Locks for writing. Cancel safe: dropping the future gives up its place in the queue.
    pub async fn write(&self) -> RwLockWriteGuard<'_, T> {
        guarded(&self.resource, ALL, self.inner.write()).await
    }

    /// Locks for reading, with a guard that does not borrow the lock.
    pub fn read_owned(&self) -> impl Future<Output = OwnedRwLockReadGuard<T>> + use<T> {
        let (resource, inner) = (self.resource.clone(), Arc::clone(&self.inner));
        async move { guarded(&resource, 1, inner.read_owned()).await }
    }

    /// Locks for writing, with a guard that does not borrow the lock.
    pub fn write_owned(&self) -> impl Future<Output = OwnedRwLockWriteGuard<T>> + use<T> {
        let (resource, inner) = (self.resource.clone(), Arc::clone(&self.inner));
        async move { guarded(&resource, ALL, inner.write_owned()).await }
    }

    /// Locks for reading if there is no writer, neither active nor waiting.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] if there is one.
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        Ok(Guard::new(&self.resource, 1, self.inner.try_read()?))
    }

    /// Locks for writing if the lock is free.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] if it is locked.
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        Ok(Guard::new(&self.resource, ALL, self.inner.try_write()?))
    }

    /// Locks for reading, blocking the thread.
    ///
    /// # Panics
    ///
    /// In an asynchronous context, like tokio's.
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        if let Ok(guard) = self.try_read() {
            return guard;
        }
        let waiting = self.resource.wait(1);
        let inner = self.inner.blocking_read();
        Guard { hold: waiting.acquired(), inner }
    }

    /// Locks for writing, blocking the thread.
    ///
    /// # Panics
    ///
    /// In an asynchronous context, like tokio's.
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        if let Ok(guard) = self.try_write() {
            return guard;
        }
        let waiting = self.resource.wait(ALL);
        let inner = self.inner.blocking_write();
        Guard { hold: waiting.acquired(), inner }
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("name", &self.resource.name()).field("inner", &self.inner).finish()
    }
}
