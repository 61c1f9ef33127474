//! What tasks wait for, and who holds it.
//!
//! A [`Resource`] is something that tasks hold and wait for: a lock, the connections of a pool, the room in a channel. It
//! knows who holds it; the list knows who waits for what ([`ProcessList::waits`](crate::ProcessList::waits)). Neither is
//! touched by a task that does not say so, and nobody looks for who blocks whom until somebody asks.
//!
//! Invariants:
//!
//! - A wait is in the list as long as its [`WaitGuard`] lives, a hold in its resource as long as its [`HoldGuard`]. Both end when
//!   they are dropped, so a task whose future is dropped waits for nothing and holds nothing.
//! - A hold begins after the lock was taken, and ends before it is given back. In between a resource seems to be free: who
//!   waits for it counts as somebody who can go on. So nobody is called stuck who is not.
//! - The lock of a resource and that of the list's waits are never held together, nor while any other code runs.
//!
//! | room | what |
//! |---|---|
//! | `registry.rs` | who waits, list by list |
//! | `graph.rs` | who can go on, and who waits in a circle |
//! | `report.rs` | what a look shows |

mod graph;
mod registry;
mod report;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::current::current;
use crate::scope::StatusScope;
use crate::sync::PlainMutex;
use crate::task::{Task, TaskHandle};
use crate::text;

pub(crate) use registry::Registry;
pub use report::{BlockedTask, Cycle, CycleStep, ResourceHolder, WaitReport, WaitTreeRow, WaitedResource};

/// Bytes of a resource's name.
const MAX_NAME: usize = 128;
/// Holds of a resource that are told one by one.
const MAX_HOLDS: usize = 4_096;
/// The token of what was not recorded.
const NONE: u64 = 0;

/// What sort of thing a [`Resource`] is: for who reads, it changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResourceKind {
    /// Held by one at a time.
    Mutex,
    /// Held by many who read, or one who writes.
    RwLock,
    /// Held in parts.
    Semaphore,
    /// The messages in a channel, or the room in it.
    Channel,
    /// Anything else: a pool, a machine, a person.
    #[default]
    Other,
}

impl ResourceKind {
    /// `mutex`, `rwLock`, `semaphore`, `channel` or `other`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutex => "mutex",
            Self::RwLock => "rwLock",
            Self::Semaphore => "semaphore",
            Self::Channel => "channel",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that tasks hold and wait for. Clones are the same one.
///
/// ```
/// use pm_core::{ProcessList, Resource};
///
/// let list = ProcessList::new();
/// let (import, report) = (list.start("import"), list.start("report"));
/// let pool = Resource::new("pool:db");
/// let _connection = import.holding(&pool);
/// let _wait = report.waiting_on(&pool);
///
/// let waits = list.waits();
/// assert_eq!(waits.waits[0].task.id, "report");
/// assert_eq!(waits.waits[0].task.status, "waiting on pool:db");
/// assert_eq!(waits.waits[0].resource.holders[0].task.id, "import");
/// ```
///
/// Two resources of one name are two resources. The locks and channels of `pm::sync` bring their own.
#[derive(Clone)]
pub struct Resource {
    shared: Arc<Shared>,
}

struct Shared {
    name: Box<str>,
    kind: ResourceKind,
    fair: bool,
    state: PlainMutex<State>,
}

#[derive(Clone, Default)]
struct State {
    /// Units there are in all, if that is known.
    capacity: Option<u64>,
    last_token: u64,
    holds: Vec<Hold>,
    /// Holds that are not among them.
    unlisted: usize,
    /// Grows whenever a hold begins or ends, or the capacity changes.
    version: u64,
}

#[derive(Clone, Copy)]
struct Hold {
    token: u64,
    /// None if whoever holds it is no task.
    task: TaskHandle,
    since: u64,
    units: u64,
}

impl Resource {
    /// A resource of this name, of which at most 128 bytes are kept.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::build(name, ResourceKind::Other, None, false)
    }

    /// One that is held in parts, of which there are so many: as a mutex with one, or a pool of eight connections. With this
    /// a circle of tasks is found even where many hold the same.
    #[must_use]
    pub fn with_capacity(name: &str, units: u64) -> Self {
        Self::build(name, ResourceKind::Other, Some(units), false)
    }

    /// One of a kind, which serves those who wait in the order in which they came: for wrappers of locks that do.
    #[must_use]
    pub fn fair(name: &str, kind: ResourceKind, units: Option<u64>) -> Self {
        Self::build(name, kind, units, true)
    }

    fn build(name: &str, kind: ResourceKind, capacity: Option<u64>, fair: bool) -> Self {
        let state = PlainMutex::new(State { capacity, ..State::default() });
        Self { shared: Arc::new(Shared { name: text::cut(name, MAX_NAME).into(), kind, fair, state }) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What sort of thing it is.
    #[must_use]
    pub fn kind(&self) -> ResourceKind {
        self.shared.kind
    }

    /// Says that there are so many units more of it. Say so before they can be had.
    pub fn grow(&self, units: u64) {
        self.change(|capacity| capacity.saturating_add(units));
    }

    /// Says that there are so many units fewer of it. Say so after they are gone.
    pub fn shrink(&self, units: u64) {
        self.change(|capacity| capacity.saturating_sub(units));
    }

    fn change(&self, change: impl FnOnce(u64) -> u64) {
        let mut state = self.shared.state.lock();
        state.capacity = state.capacity.map(change);
        state.version += 1;
    }

    /// Says that the current task holds so many units of it; without a current task, that somebody does.
    pub fn hold(&self, units: u64) -> HoldGuard {
        HoldGuard::new(self.clone(), current(), units)
    }

    /// Says that somebody holds so many units of it who is not known yet: see [`HoldGuard::claim`].
    pub fn hold_unclaimed(&self, units: u64) -> HoldGuard {
        HoldGuard::new(self.clone(), TaskHandle::INERT, units)
    }

    /// Says that the current task waits for so many units of it. See [`TaskHandle::waiting_on`].
    pub fn wait(&self, units: u64) -> WaitGuard {
        WaitGuard::new(self.clone(), current(), units)
    }
}

impl From<&Resource> for Resource {
    fn from(resource: &Resource) -> Self {
        resource.clone()
    }
}

impl From<&str> for Resource {
    /// A resource by itself, of which only the name is known.
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Resource {}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("name", &self.name()).field("kind", &self.kind()).finish_non_exhaustive()
    }
}

fn ticks_of(task: TaskHandle) -> u64 {
    task.slot().map_or(0, |slot| slot.inner.timer.ticks())
}

/// Says that a task holds something; made by [`Resource::hold`], [`Task::holding`] and [`WaitGuard::acquired`]. Dropped, it
/// says that the task has given it back: drop it before you do.
///
/// It goes on to name the task that took it when it is moved elsewhere.
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
            let mut state = resource.shared.state.lock();
            state.version += 1;
            if state.holds.len() < MAX_HOLDS {
                state.last_token += 1;
                let token = state.last_token;
                state.holds.push(Hold { token, task, since, units });
                token
            } else {
                state.unlisted += 1;
                NONE
            }
        };
        Self { resource, token, serial: AtomicU64::new(task.raw_serial()) }
    }

    /// What is held.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Says that it is now the current task that holds it. Costs next to nothing if it was before.
    pub fn claim(&self) {
        let task = current();
        // Relaxed: a hint, so that the lock is taken only when the task is another.
        if self.token == NONE || self.serial.swap(task.raw_serial(), Ordering::Relaxed) == task.raw_serial() {
            return;
        }
        let since = ticks_of(task);
        let mut state = self.resource.shared.state.lock();
        state.version += 1;
        if let Some(hold) = state.holds.iter_mut().find(|hold| hold.token == self.token) {
            (hold.task, hold.since) = (task, since);
        }
    }
}

impl Drop for HoldGuard {
    fn drop(&mut self) {
        let mut state = self.resource.shared.state.lock();
        state.version += 1;
        if self.token == NONE {
            state.unlisted -= 1;
        } else if let Some(at) = state.holds.iter().position(|hold| hold.token == self.token) {
            state.holds.swap_remove(at);
        }
    }
}

impl fmt::Debug for HoldGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HoldGuard").field("resource", &self.resource).finish_non_exhaustive()
    }
}

/// Says that a task waits for something; made by [`TaskHandle::waiting_on`]. Dropped, it says that the task does so no more.
#[must_use = "the task waits as long as this lives"]
pub struct WaitGuard {
    task: TaskHandle,
    units: u64,
    // In this order: first nobody waits, then the status goes back.
    entry: Entry,
    _status: StatusScope,
}

struct Entry {
    task: TaskHandle,
    token: u64,
    resource: Resource,
}

impl WaitGuard {
    fn new(resource: Resource, task: TaskHandle, units: u64) -> Self {
        let status = task.scope_fmt(format_args!("waiting on {}", resource.name()));
        let token = match task.slot() {
            Some(slot) => slot.inner.waits.add(registry::Waiter {
                task,
                resource: resource.clone(),
                since: slot.inner.timer.ticks(),
                units,
            }),
            None => NONE,
        };
        Self { task, units, entry: Entry { task, token, resource }, _status: status }
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

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(slot) = self.task.slot().filter(|_| self.token != NONE) {
            slot.inner.waits.remove(self.token);
        }
    }
}

impl fmt::Debug for WaitGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGuard").field("resource", &self.entry.resource).finish_non_exhaustive()
    }
}

impl TaskHandle {
    /// Says what the task waits for, until what this returns is dropped: as its status, `waiting on pool:db`, which goes back
    /// then as that of a [`scope`](Self::scope), and to those who ask [who blocks whom](crate::ProcessList::waits).
    ///
    /// Takes a [`Resource`], or the name of one of which nobody tells who holds it.
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
    /// Costs what a scope costs, and a lock that all who wait share: say it when the task is about to wait, not when it may
    /// have to. At most 10,000 waits of a list are told; further ones are only statuses, and counted.
    pub fn waiting_on(&self, resource: impl Into<Resource>) -> WaitGuard {
        WaitGuard::new(resource.into(), *self, 1)
    }

    /// Says that the task holds a unit of something, until what this returns is dropped.
    pub fn holding(&self, resource: impl Into<Resource>) -> HoldGuard {
        HoldGuard::new(resource.into(), *self, 1)
    }
}

impl Task {
    /// Says what the task waits for. See [`TaskHandle::waiting_on`].
    pub fn waiting_on(&self, resource: impl Into<Resource>) -> WaitGuard {
        self.handle().waiting_on(resource)
    }

    /// Says that the task holds a unit of something. See [`TaskHandle::holding`].
    pub fn holding(&self, resource: impl Into<Resource>) -> HoldGuard {
        self.handle().holding(resource)
    }
}
