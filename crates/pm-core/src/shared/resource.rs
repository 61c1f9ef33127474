//! A resource that tasks hold and wait for, and the book of its holders.
//!
//! Its lock is held for a copy or one change, never together with that of the list's waits nor while other code runs.

use std::fmt;
use std::sync::Arc;

use super::state::TaskRef;
use crate::base::sync::PlainMutex;
use crate::base::text;

/// Bytes of a resource's name.
pub(crate) const MAX_NAME: usize = 128;

/// Holds of a resource that are told one by one.
pub(crate) const MAX_HOLDS: usize = 4_096;

/// The token of what was not recorded.
pub(crate) const NOT_RECORDED: u64 = 0;

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
    /// Units there are in all, if that is known.
    pub(crate) capacity: Option<u64>,
    pub(crate) last_token: u64,
    pub(crate) list: Vec<Hold>,
    /// Holds that are not among them.
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
        let holds = PlainMutex::new(Holds { capacity, ..Holds::default() });
        Self { state: Arc::new(ResourceState { name: text::cut(name, MAX_NAME).into(), kind, fair, holds }) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// What sort of thing it is.
    #[must_use]
    pub fn kind(&self) -> ResourceKind {
        self.state.kind
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
    /// A resource by itself, of which only the name is known.
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
