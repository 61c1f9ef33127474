//! Guards that declare what tasks wait for and hold.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shared::resource::{Hold, MAX_HOLDS, NOT_RECORDED, Resource};
use crate::shared::waiters::Waiter;
use crate::task::current::current;
use crate::task::handle::TaskHandle;
use crate::task::scope::StatusScope;

impl Resource {
    /// Declares that the current task holds `units` of it; without a current task, that an unknown holder does.
    pub fn hold(&self, units: u64) -> HoldGuard {
        HoldGuard::new(self.clone(), current(), units)
    }

    /// Declares that a holder that is not known yet holds `units` of it: see [`HoldGuard::claim`].
    pub fn hold_unclaimed(&self, units: u64) -> HoldGuard {
        HoldGuard::new(self.clone(), TaskHandle::INERT, units)
    }

    /// Declares that the current task waits for `units` of it. See [`TaskHandle::waiting_on`].
    pub fn wait(&self, units: u64) -> WaitGuard {
        WaitGuard::new(self.clone(), current(), units)
    }
}

fn ticks_of(task: TaskHandle) -> u64 {
    task.task().map_or(0, |task| task.store().clock.ticks())
}

/// Declares that a task holds something; made by [`Resource::hold`], [`TaskHandle::holding`] and
/// [`WaitGuard::acquired`]. Dropping it declares that the task has released it: drop it before the release.
///
/// When it is moved elsewhere, it still names the task that took it.
#[must_use = "the task holds it as long as this lives"]
pub struct HoldGuard {
    resource: Resource,
    token: u64,
    serial: AtomicU64,
}

impl HoldGuard {
    fn new(resource: Resource, task: TaskHandle, units: u64) -> Self {
        let since = ticks_of(task);
        let token = {
            let mut holds = resource.state.holds.lock();
            holds.version += 1;
            if holds.list.len() < MAX_HOLDS {
                holds.last_token += 1;
                let token = holds.last_token;
                holds.list.push(Hold { token, task: task.task(), since, units });
                token
            } else {
                holds.unlisted += 1;
                NOT_RECORDED
            }
        };
        Self { resource, token, serial: AtomicU64::new(task.raw_serial()) }
    }

    /// Returns the resource that is held.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Declares that the current task holds it now. Costs next to nothing if it did before.
    pub fn claim(&self) {
        let task = current();
        // Relaxed: a hint, so that the lock is taken only when the task is another.
        if self.token == NOT_RECORDED || self.serial.swap(task.raw_serial(), Ordering::Relaxed) == task.raw_serial() {
            return;
        }
        let since = ticks_of(task);
        let mut holds = self.resource.state.holds.lock();
        holds.version += 1;
        if let Some(hold) = holds.list.iter_mut().find(|hold| hold.token == self.token) {
            (hold.task, hold.since) = (task.task(), since);
        }
    }
}

impl Drop for HoldGuard {
    fn drop(&mut self) {
        let mut holds = self.resource.state.holds.lock();
        holds.version += 1;
        if self.token == NOT_RECORDED {
            holds.unlisted -= 1;
        } else if let Some(at) = holds.list.iter().position(|hold| hold.token == self.token) {
            holds.list.swap_remove(at);
        }
    }
}

impl fmt::Debug for HoldGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HoldGuard").field("resource", &self.resource).finish_non_exhaustive()
    }
}

/// Declares that a task waits for something; made by [`TaskHandle::waiting_on`]. Dropping it ends the wait.
#[must_use = "the task waits as long as this lives"]
pub struct WaitGuard {
    task: TaskHandle,
    units: u64,
    // In this order: first the wait ends, then the status is restored.
    entry: WaitEntry,
    _status: StatusScope,
}

struct WaitEntry {
    task: TaskHandle,
    token: u64,
    resource: Resource,
}

impl WaitGuard {
    fn new(resource: Resource, task: TaskHandle, units: u64) -> Self {
        let status = task.scope_fmt(format_args!("waiting on {}", resource.name()));
        let token = match task.task() {
            Some(task) => task.shared.waits.add(Waiter {
                task,
                resource: resource.clone(),
                since: task.store().clock.ticks(),
                units,
            }),
            None => NOT_RECORDED,
        };
        Self { task, units, entry: WaitEntry { task, token, resource }, _status: status }
    }

    /// Ends the wait, as the task now holds what it waited for.
    pub fn acquired(self) -> HoldGuard {
        let Self { task, units, entry, _status } = self;
        let resource = entry.resource.clone();
        // Not both at once, which would be a task that waits for itself.
        drop(entry);
        HoldGuard::new(resource, task, units)
    }
}

impl Drop for WaitEntry {
    fn drop(&mut self) {
        if let Some(task) = self.task.task().filter(|_| self.token != NOT_RECORDED) {
            task.shared.waits.remove(self.token);
        }
    }
}

impl fmt::Debug for WaitGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGuard").field("resource", &self.entry.resource).finish_non_exhaustive()
    }
}

impl TaskHandle {
    /// Declares what the task waits for, until the returned guard is dropped: as its status, `waiting on pool:db`,
    /// which is restored then as that of a [`scope`](Self::scope), and in the [report of
    /// waits](crate::ProcessList::waits).
    ///
    /// Takes a [`Resource`], or the name of one whose holders are unknown.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("import-42");
    /// {
    ///     let _wait = task.waiting_on("pool:db");
    ///     // pool.get().await
    ///     assert_eq!(list.waits().waits[0].resource.name, "pool:db");
    /// }
    /// assert!(list.waits().waits.is_empty());
    /// ```
    ///
    /// Costs what a scope costs, and a lock that all who wait share: say it when the task is about to wait, not when it
    /// may have to. At most 10,000 waits of a list are recorded; further ones are only statuses, and counted.
    pub fn waiting_on(&self, resource: impl Into<Resource>) -> WaitGuard {
        WaitGuard::new(resource.into(), *self, 1)
    }

    /// Declares that the task holds a unit of something, until the returned guard is dropped.
    pub fn holding(&self, resource: impl Into<Resource>) -> HoldGuard {
        HoldGuard::new(resource.into(), *self, 1)
    }
}
