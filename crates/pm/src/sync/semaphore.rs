//! A named semaphore.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use pm_core::{Resource, ResourceKind};
use tokio::sync::{self, AcquireError, TryAcquireError};

use super::guard::{Guard, guarded};

/// The permit returned by [`Semaphore::acquire`].
pub type SemaphorePermit<'a> = Guard<sync::SemaphorePermit<'a>>;
/// The permit returned by [`Semaphore::acquire_owned`].
pub type OwnedSemaphorePermit = Guard<sync::OwnedSemaphorePermit>;

/// A [`tokio::sync::Semaphore`] with a name. See the [module](super).
pub struct Semaphore {
    resource: Resource,
    inner: Arc<sync::Semaphore>,
}

/// Moves the error of a closed semaphore out of the guard.
fn transposed<P>(guard: Guard<Result<P, AcquireError>>) -> Result<Guard<P>, AcquireError> {
    let Guard { hold, inner } = guard;
    Ok(Guard { hold, inner: inner? })
}

/// Removes permits from the semaphore, after the hold on them has ended.
fn forget<P>(guard: Guard<P>, permits: usize, forget_permit: impl FnOnce(P)) {
    let Guard { hold, inner } = guard;
    let resource = hold.resource().clone();
    drop(hold);
    forget_permit(inner);
    resource.shrink(permits as u64);
}

impl Semaphore {
    /// Creates a semaphore with this number of permits.
    ///
    /// # Panics
    ///
    /// If there are more than [`tokio::sync::Semaphore::MAX_PERMITS`].
    #[must_use]
    pub fn new(name: &str, permits: usize) -> Self {
        let resource = Resource::fair(name, ResourceKind::Semaphore, Some(permits as u64));
        Self { resource, inner: Arc::new(sync::Semaphore::new(permits)) }
    }

    /// Returns the resource that waiting tasks are shown to wait for.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Returns how many permits are available.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.inner.available_permits()
    }

    /// Acquires one permit. Cancel safe: dropping the future gives up its place in the queue.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed.
    pub async fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_many(1).await
    }

    /// Acquires several permits at once.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed.
    pub async fn acquire_many(&self, permits: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        transposed(guarded(&self.resource, permits.into(), self.inner.acquire_many(permits)).await)
    }

    /// Acquires one permit, with a guard that does not borrow the semaphore.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed.
    pub fn acquire_owned(&self) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + use<> {
        self.acquire_many_owned(1)
    }

    /// Acquires several permits at once, with a guard that does not borrow the semaphore.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed.
    pub fn acquire_many_owned(
        &self,
        permits: u32,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + use<> {
        let (resource, inner) = (self.resource.clone(), Arc::clone(&self.inner));
        async move { transposed(guarded(&resource, permits.into(), inner.acquire_many_owned(permits)).await) }
    }

    /// Acquires one permit if one is available.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError`] if none is available, or the semaphore is closed.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Acquires several permits if all of them are available.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError`] if they are not available, or the semaphore is closed.
    pub fn try_acquire_many(&self, permits: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        Ok(Guard::new(&self.resource, permits.into(), self.inner.try_acquire_many(permits)?))
    }

    /// Adds permits.
    ///
    /// # Panics
    ///
    /// If there would be more than [`tokio::sync::Semaphore::MAX_PERMITS`].
    pub fn add_permits(&self, permits: usize) {
        // First, so that the resource never has fewer units than the semaphore has permits.
        self.resource.grow(permits as u64);
        self.inner.add_permits(permits);
    }

    /// Closes the semaphore: waiting and later acquires fail.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Returns `true` if the semaphore is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

impl SemaphorePermit<'_> {
    /// Removes the permits from the semaphore instead of releasing them.
    pub fn forget(self) {
        let permits = self.inner.num_permits();
        forget(self, permits, sync::SemaphorePermit::forget);
    }
}

impl OwnedSemaphorePermit {
    /// Removes the permits from the semaphore instead of releasing them.
    pub fn forget(self) {
        let permits = self.inner.num_permits();
        forget(self, permits, sync::OwnedSemaphorePermit::forget);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("name", &self.resource.name()).field("inner", &self.inner).finish()
    }
}
