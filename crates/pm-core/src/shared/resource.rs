//! A resource that tasks hold and wait for, and its holders.
//!
//! Its lock is held for a copy or one change, never together with that of the list's waits nor while other code runs.

use std::fmt;
use std::sync::Arc;

use super::state::TaskRef;
use crate::base::sync::PlainMutex;
use crate::base::text;

/// The bytes of a resource's name.
pub(crate) const MAX_NAME: usize = 128;

/// The holds of a resource that are recorded one by one.
pub(crate) const MAX_HOLDS: usize = 4_096;

/// The token of a hold or wait that was not recorded.
pub(crate) const NOT_RECORDED: u64 = 0;

/// The kind of a [`Resource`], for readers only: it changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResourceKind {
    /// Held by one task at a time.
    Mutex,
    /// Held by many readers, or one writer.
    RwLock,
    /// Held in parts.
    Semaphore,
    /// The messages in a channel, or its capacity.
    Channel,
    /// Anything else: a pool, a machine, a person.
    #[default]
    Other,
}

impl ResourceKind {
    /// Returns `mutex`, `rwLock`, `semaphore`, `channel` or `other`.
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

/// Something that tasks hold and wait for. Clones are the same resource.
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
/// Two resources with the same name are two resources. The locks and channels of `pm::sync` have their own.
#[derive(Clone)]
pub struct Resource {
    pub(crate) state: Arc<ResourceState>,
}

pub(crate) struct ResourceState {
    name: Box<str>,
    kind: ResourceKind,
    pub(crate) fair: bool,
    pub(crate) holds: PlainMutex<Holds>,
}

#[derive(Clone, Default)]
pub(crate) struct Holds {
    /// The units in total, if known.
    pub(crate) capacity: Option<u64>,
    pub(crate) last_token: u64,
    pub(crate) list: Vec<Hold>,
    /// The number of holds beyond those in the list.
    pub(crate) unlisted: usize,
    /// Grows whenever a hold begins or ends, or the capacity changes.
    pub(crate) version: u64,
}

#[derive(Clone, Copy)]
pub(crate) struct Hold {
    pub(crate) token: u64,
    /// `None` if the holder is not a task.
    pub(crate) task: Option<TaskRef>,
    pub(crate) since: u64,
    pub(crate) units: u64,
}

impl Resource {
    /// Makes a resource with this name, of which at most 128 bytes are kept.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::build(name, ResourceKind::Other, None, false)
    }

    /// Makes a resource with a number of units: one for a mutex, eight for a pool of eight connections. With a
    /// capacity, a cycle of tasks is found even where several tasks hold the resource.
    #[must_use]
    pub fn with_capacity(name: &str, units: u64) -> Self {
        Self::build(name, ResourceKind::Other, Some(units), false)
    }

    /// Makes a resource that serves waiting tasks in the order of their arrival: for wrappers of locks that do.
    #[must_use]
    pub fn fair(name: &str, kind: ResourceKind, units: Option<u64>) -> Self {
        Self::build(name, kind, units, true)
    }

    fn build(name: &str, kind: ResourceKind, capacity: Option<u64>, fair: bool) -> Self {
        let holds = PlainMutex::new(Holds { capacity, ..Holds::default() });
        Self { state: Arc::new(ResourceState { name: text::cut(name, MAX_NAME).into(), kind, fair, holds }) }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> ResourceKind {
        self.state.kind
    }

    /// Adds units to its capacity. Call this before they are available.
    pub fn grow(&self, units: u64) {
        self.change(|capacity| capacity.saturating_add(units));
    }

    /// Removes units from its capacity. Call this after they are gone.
    pub fn shrink(&self, units: u64) {
        self.change(|capacity| capacity.saturating_sub(units));
    }

    fn change(&self, change: impl FnOnce(u64) -> u64) {
        let mut holds = self.state.holds.lock();
        holds.capacity = holds.capacity.map(change);
        holds.version += 1;
    }
}

impl From<&Resource> for Resource {
    fn from(resource: &Resource) -> Self {
        resource.clone()
    }
}

impl From<&str> for Resource {
    /// Makes a new resource of which only the name is known.
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }
}

impl Eq for Resource {}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("name", &self.name()).field("kind", &self.kind()).finish_non_exhaustive()
    }
}
