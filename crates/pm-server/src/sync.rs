//! Locks that outlive a panic of their holder.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Locks a mutex, also after a thread panicked while it held the lock.
///
/// Only for data that is consistent after each statement that changes it, as all data behind the locks of this crate
/// is.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a notification, at most for `timeout`.
pub(crate) fn wait_timeout<'l, T>(condvar: &Condvar, guard: MutexGuard<'l, T>, timeout: Duration) -> MutexGuard<'l, T> {
    condvar.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0
}
