//! A lock for many who read or one who writes, with a name.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use pm_core::{Resource, ResourceKind};
use tokio::sync::{self, TryLockError};

use super::guard::{Guard, guarded};

/// Who writes takes all of it; tokio lets no more than that read at once.
const ALL: u64 = u32::MAX as u64 >> 3;

/// What [`RwLock::read`] gives.
pub type RwLockReadGuard<'a, T> = Guard<sync::RwLockReadGuard<'a, T>>;
/// What [`RwLock::write`] gives.
pub type RwLockWriteGuard<'a, T> = Guard<sync::RwLockWriteGuard<'a, T>>;
/// What [`RwLock::read_owned`] gives.
pub type OwnedRwLockReadGuard<T> = Guard<sync::OwnedRwLockReadGuard<T>>;
/// What [`RwLock::write_owned`] gives.
pub type OwnedRwLockWriteGuard<T> = Guard<sync::OwnedRwLockWriteGuard<T>>;

/// A [`tokio::sync::RwLock`] with a name. See the [module](super).
///
/// As tokio's it serves in the order of coming: who reads waits behind one who waits to write, even if it reads already,
/// which is a deadlock that the list names.
pub struct RwLock<T> {
    resource: Resource,
    inner: Arc<sync::RwLock<T>>,
}

impl<T> RwLock<T> {
    /// A free one.
    #[must_use]
    pub fn new(name: &str, value: T) -> Self {
        let resource = Resource::fair(name, ResourceKind::RwLock, Some(ALL));
        Self { resource, inner: Arc::new(sync::RwLock::new(value)) }
    }

    /// What tasks are told to wait for.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Takes it to read. Cancel safe: dropped, one gives up one's place.
    pub async fn read(&self) -> RwLockReadGuard<'_, T> {
        guarded(&self.resource, 1, self.inner.read()).await
    }

    /// Takes it to write. Cancel safe: dropped, one gives up one's place.
    pub async fn write(&self) -> RwLockWriteGuard<'_, T> {
        guarded(&self.resource, ALL, self.inner.write()).await
    }

    /// Takes it to read, with a guard that borrows nothing.
    pub fn read_owned(&self) -> impl Future<Output = OwnedRwLockReadGuard<T>> + use<T> {
        let (resource, inner) = (self.resource.clone(), Arc::clone(&self.inner));
        async move { guarded(&resource, 1, inner.read_owned()).await }
    }

    /// Takes it to write, with a guard that borrows nothing.
    pub fn write_owned(&self) -> impl Future<Output = OwnedRwLockWriteGuard<T>> + use<T> {
        let (resource, inner) = (self.resource.clone(), Arc::clone(&self.inner));
        async move { guarded(&resource, ALL, inner.write_owned()).await }
    }

    /// Takes it to read if nobody writes or waits.
    ///
    /// # Errors
    ///
    /// Somebody does.
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        Ok(Guard::new(&self.resource, 1, self.inner.try_read()?))
    }

    /// Takes it to write if it is free.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        Ok(Guard::new(&self.resource, ALL, self.inner.try_write()?))
    }

    /// Takes it to read, blocking the thread.
    ///
    /// # Panics
    ///
    /// In an asynchronous context, as tokio's does.
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        if let Ok(guard) = self.try_read() {
            return guard;
        }
        let waiting = self.resource.wait(1);
        let inner = self.inner.blocking_read();
        Guard { held: waiting.acquired(), inner }
    }

    /// Takes it to write, blocking the thread.
    ///
    /// # Panics
    ///
    /// In an asynchronous context, as tokio's does.
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        if let Ok(guard) = self.try_write() {
            return guard;
        }
        let waiting = self.resource.wait(ALL);
        let inner = self.inner.blocking_write();
        Guard { held: waiting.acquired(), inner }
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("name", &self.resource.name()).field("inner", &self.inner).finish()
    }
}
