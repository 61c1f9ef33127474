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

mod guard;
pub mod mpsc;
mod mutex;
pub mod oneshot;
mod rw_lock;
mod semaphore;

pub use guard::Guard;
pub use mutex::{Mutex, MutexGuard, OwnedMutexGuard};
pub use rw_lock::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
pub use tokio::sync::{AcquireError, TryAcquireError, TryLockError};
