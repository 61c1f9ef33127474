//! Named locks and channels of tokio that record which task waits for them, and which task holds them.
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
//!     // status: waiting on lock:users
//!     users.lock().await.len()
//! });
//! # drop(import);
//! drop(held);
//! assert_eq!(report.await.unwrap(), 1);
//! # });
//! ```
//!
//! Each wraps tokio's type, takes a name before its other arguments, and has the same ordering, fairness, cancel safety
//! and cooperation. In addition,
//!
//! - a task that has to wait shows it as its status, `waiting on lock:users`, and
//!   [`ProcessList::waits`](crate::ProcessList::waits) reports which tasks block which, and deadlocks;
//! - the task that was current when a lock was acquired counts as its holder while the guard lives, wherever the guard
//!   is moved. Each end of a channel belongs to the task that last used it;
//! - a task that is cancelled while it waits for or holds a lock releases it when its future is dropped.
//!
//! An uncontended acquire and release cost a lock and a clock read more than tokio's; waiting costs two statuses.
//! Outside of any task they behave as tokio's.

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
