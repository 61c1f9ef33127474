//! A semaphore with a name.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use pm_core::{Resource, ResourceKind};
use tokio::sync::{self, AcquireError, TryAcquireError};

use super::guard::{Guard, guarded};

/// What [`Semaphore::acquire`] gives.
pub type SemaphorePermit<'a> = Guard<sync::SemaphorePermit<'a>>;
/// What [`Semaphore::acquire_owned`] gives.
pub type OwnedSemaphorePermit = Guard<sync::OwnedSemaphorePermit>;

/// A [`tokio::sync::Semaphore`] with a name. See the [module](super).
pub struct Semaphore {
    resource: Resource,
    inner: Arc<sync::Semaphore>,
}

/// Takes the permits out of a guard, or the guard away.
fn opened<P>(guard: Guard<Result<P, AcquireError>>) -> Result<Guard<P>, AcquireError> {
    let Guard { held, inner } = guard;
    Ok(Guard { held, inner: inner? })
}

/// Lets there be fewer permits, after nobody holds these any more.
fn forgotten<P>(guard: Guard<P>, permits: usize, forget: impl FnOnce(P)) {
    let Guard { held, inner } = guard;
    let resource = held.resource().clone();
    drop(held);
    forget(inner);
    resource.shrink(permits as u64);
}

impl Semaphore {
    /// One with so many permits.
    ///
    /// # Panics
    ///
    /// With more than tokio allows.
    #[must_use]
    pub fn new(name: &str, permits: usize) -> Self {
        let resource = Resource::fair(name, ResourceKind::Semaphore, Some(permits as u64));
        Self { resource, inner: Arc::new(sync::Semaphore::new(permits)) }
    }

    /// What tasks are told to wait for.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// How many permits are free.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.inner.available_permits()
    }

    /// Takes one permit. Cancel safe: dropped, one gives up one's place.
    ///
    /// # Errors
    ///
    /// The semaphore was closed.
    pub async fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_many(1).await
    }

    /// Takes so many permits at once.
    ///
    /// # Errors
    ///
    /// The semaphore was closed.
    pub async fn acquire_many(&self, permits: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        opened(guarded(&self.resource, permits.into(), self.inner.acquire_many(permits)).await)
    }

    /// Takes one permit, with a guard that borrows nothing.
    ///
    /// # Errors
    ///
    /// The semaphore was closed.
    pub fn acquire_owned(&self) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + use<> {
        self.acquire_many_owned(1)
    }

    /// Takes so many permits at once, with a guard that borrows nothing.
    ///
    /// # Errors
    ///
    /// The semaphore was closed.
    pub fn acquire_many_owned(
        &self,
        permits: u32,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + use<> {
        let (resource, inner) = (self.resource.clone(), Arc::clone(&self.inner));
        async move { opened(guarded(&resource, permits.into(), inner.acquire_many_owned(permits)).await) }
    }

    /// Takes one permit if it is free.
    ///
    /// # Errors
    ///
    /// None is, or the semaphore was closed.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes so many permits if they are free.
    ///
    /// # Errors
    ///
    /// They are not, or the semaphore was closed.
    pub fn try_acquire_many(&self, permits: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        Ok(Guard::new(&self.resource, permits.into(), self.inner.try_acquire_many(permits)?))
    }

    /// Adds permits.
    ///
    /// # Panics
    ///
    /// With more than tokio allows.
    pub fn add_permits(&self, permits: usize) {
        // Before they are there: rather too many than too few are known of.
        self.resource.grow(permits as u64);
        self.inner.add_permits(permits);
    }

    /// Closes it: who waits gets an error, and so does who comes.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

impl SemaphorePermit<'_> {
    /// Gives the permits up for ever, so that the semaphore has fewer.
    pub fn forget(self) {
        let permits = self.inner.num_permits();
        forgotten(self, permits, sync::SemaphorePermit::forget);
    }
}

impl OwnedSemaphorePermit {
    /// Gives the permits up for ever, so that the semaphore has fewer.
    pub fn forget(self) {
        let permits = self.inner.num_permits();
        forgotten(self, permits, sync::OwnedSemaphorePermit::forget);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("name", &self.resource.name()).field("inner", &self.inner).finish()
    }
}
