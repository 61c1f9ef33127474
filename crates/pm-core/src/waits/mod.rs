//! Waits of tasks, and the holders of what they wait for.
//!
//! A [`Resource`](crate::Resource) is something that tasks hold and wait for: a lock, the connections of a pool, the
//! capacity of a channel. A resource records its holders, and the list records its waits, for
//! [`ProcessList::waits`](crate::ProcessList::waits). A task that holds and waits for nothing touches neither, and
//! deadlocks are searched only on request.
//!
//! Invariants:
//!
//! - A wait is in the list as long as its [`WaitGuard`](crate::WaitGuard) lives, a hold in its resource as long as its
//!   [`HoldGuard`](crate::HoldGuard). Both end when they are dropped, so a task whose future is dropped waits for
//!   nothing and holds nothing.
//! - A hold begins after the lock was taken, and ends before it is given back. In between a resource seems to be free:
//!   a task that waits for it counts as one that can proceed. So no task is reported stuck that is not.
//! - The lock of a resource and that of the list's waits are never held together, nor while any other code runs.

pub(crate) mod graph;
pub(crate) mod guard;
pub(crate) mod report;
