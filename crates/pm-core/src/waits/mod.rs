//! Waits of tasks, and the holders of what they wait for.
//!
//! A [`Resource`] is something that tasks hold and wait for: a lock, the connections of a pool, the room in a channel.
//! It knows who holds it; the list knows who waits for what ([`ProcessList::waits`](crate::ProcessList::waits)).
//! Neither is touched by a task that does not say so, and deadlocks are searched only on request.
//!
//! Invariants:
//!
//! - A wait is in the list as long as its [`WaitGuard`] lives, a hold in its resource as long as its [`HoldGuard`].
//!   Both end when they are dropped, so a task whose future is dropped waits for nothing and holds nothing.
//! - A hold begins after the lock was taken, and ends before it is given back. In between a resource seems to be free:
//!   a task that waits for it counts as one that can proceed. So no task is reported stuck that is not.
//! - The lock of a resource and that of the list's waits are never held together, nor while any other code runs.

pub(crate) mod graph;
pub(crate) mod guard;
pub(crate) mod report;
