//! The atomics and locks of this crate, in one place.

#[cfg(loom)]
use loom::sync as imp;
use std::sync::{LockResult, PoisonError, TryLockError};
use std::time::Duration;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
use std::sync as imp;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A mutex that continues after a panic: what it guards here is valid at every step.
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> imp::MutexGuard<'_, T> {
        recover(self.0.lock())
    }
}

/// A mutex that the model checker does not see, for state that takes no part in the races it explores. Nothing of this
/// module may be used while it is held.
#[derive(Debug, Default)]
pub(crate) struct PlainMutex<T>(std::sync::Mutex<T>);

impl<T> PlainMutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, T> {
        recover(self.0.lock())
    }

    /// Takes the lock unless another thread holds it.
    pub(crate) fn try_lock(&self) -> Option<std::sync::MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(locked) => Some(locked),
            Err(TryLockError::Poisoned(locked)) => Some(locked.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Waits for a change, for at most `at_most`. Returns the lock, and whether the wait timed out.
pub(crate) fn wait_timeout<'m, T>(
    changed: &std::sync::Condvar,
    locked: std::sync::MutexGuard<'m, T>,
    at_most: Duration,
) -> (std::sync::MutexGuard<'m, T>, bool) {
    let (locked, waited) = recover(changed.wait_timeout(locked, at_most));
    (locked, waited.timed_out())
}

/// Takes a lock even if another thread panicked while it held it: what is locked here is valid at every step.
fn recover<G>(locked: LockResult<G>) -> G {
    locked.unwrap_or_else(PoisonError::into_inner)
}

/// Loads a word that no other thread writes concurrently.
///
/// The model checker considers only the last access to a word as a rival of a store: a writer's own load right before
/// its store would hide a reader's load from it. A read-modify-write does not.
#[inline(always)]
pub(crate) fn own(word: &AtomicU64) -> u64 {
    if cfg!(loom) { word.fetch_add(0, Ordering::Relaxed) } else { word.load(Ordering::Relaxed) }
}

/// Stores 0 in a word that other threads may change by a read-modify-write concurrently.
///
/// Such a change of the earlier value stays ordered before the 0, as nothing comes between its read and its write. The
/// model checker does not know that unless this is a read-modify-write as well.
#[inline(always)]
pub(crate) fn reset(word: &AtomicU64) {
    if cfg!(loom) {
        word.swap(0, Ordering::Relaxed);
    } else {
        word.store(0, Ordering::Relaxed);
    }
}

/// Waits briefly for another thread: spins at first, yields the processor later.
pub(crate) fn relax(round: u32) {
    #[cfg(loom)]
    {
        let _ = round;
        loom::thread::yield_now();
    }
    #[cfg(not(loom))]
    if round < 64 {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}
