//! The atomics and locks of this crate, in one place.

#[cfg(loom)]
use loom::sync as imp;
use std::sync::{LockResult, PoisonError};
use std::time::Duration;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
use std::sync as imp;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};

/// A mutex that goes on after a panic: what it guards here is valid at every step.
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

/// A mutex that the model checker does not see, for what races with nothing that it is to try: nothing of this module
/// may be used while it is held.
#[derive(Default)]
pub(crate) struct PlainMutex<T>(std::sync::Mutex<T>);

impl<T> PlainMutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, T> {
        recover(self.0.lock())
    }
}

/// Waits until the condition changes, or for so long. Returns the lock, and whether the time is up.
pub(crate) fn wait_timeout<'m, T>(
    changed: &std::sync::Condvar,
    locked: std::sync::MutexGuard<'m, T>,
    at_most: Duration,
) -> (std::sync::MutexGuard<'m, T>, bool) {
    let (locked, waited) = recover(changed.wait_timeout(locked, at_most));
    (locked, waited.timed_out())
}

/// Takes a lock although another thread panicked while it held it: what is locked here is valid at every step.
fn recover<G>(locked: LockResult<G>) -> G {
    locked.unwrap_or_else(PoisonError::into_inner)
}

/// Loads a word that nobody else writes meanwhile.
///
/// The model checker takes only the last access of a word for a rival of a store: a writer's own load right before its
/// store would hide a reader's load from it. A read-modify-write does not.
#[inline(always)]
pub(crate) fn own(word: &AtomicU64) -> u64 {
    if cfg!(loom) { word.fetch_add(0, Ordering::Relaxed) } else { word.load(Ordering::Relaxed) }
}

/// Stores 0 in a word that others may change by a read-modify-write meanwhile.
///
/// What such a change made of the value before lies before the 0 for ever: nothing comes between what it read and what it
/// wrote. The model checker does not know that, unless this is a read-modify-write, too.
#[inline(always)]
pub(crate) fn reset(word: &AtomicU64) {
    if cfg!(loom) {
        word.swap(0, Ordering::Relaxed);
    } else {
        word.store(0, Ordering::Relaxed);
    }
}

/// Waits a moment for another thread: first on the processor, later by giving the processor away.
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
