//! The state that a list and its tasks share, and a reference to one of the tasks.

use std::sync::atomic::{AtomicBool, AtomicU64 as StdAtomicU64, Ordering as StdOrdering};

use super::banned::Banned;
use super::drains::Drains;
use super::hooks::Hooks;
use super::waiters::Waiters;
use crate::base::clock::ClockReader;
use crate::base::options::Options;
use crate::base::policy::Packed;
use crate::base::sync::Mutex;
use crate::layout::chunk::Chunk;
use crate::slot::gate::{Slot, Writer};
use crate::store::Store;
use crate::store::counters::AtomicCounters;
use crate::store::slab::{Slab, Tally};

/// The state that a list and its tasks share: the store, and what the modules above keep for each list.
///
/// It lives as long as the process, so that handles need no reference count; when a list is dropped and its tasks have
/// ended, the next list of the same options takes it over.
pub(crate) struct Shared {
    pub(crate) store: Store,
    /// The counts of the slab when this list took it over.
    pub(crate) before: Mutex<Tally>,
    /// The policy of tasks without one of their own: see [`Packed`].
    pub(crate) on_cancel: StdAtomicU64,
    pub(crate) enabled: AtomicBool,
    pub(crate) hooks: Hooks,
    /// Cancelled tasks that have ended.
    pub(crate) banned: Mutex<Banned>,
    pub(crate) drains: Drains,
    pub(crate) waits: Waiters,
    /// Tasks with smaller serials are those of a list that had the memory earlier.
    pub(super) first_serial: StdAtomicU64,
}

impl Shared {
    pub(super) fn allocate(slab: &'static Slab, options: &Options) -> &'static Self {
        Box::leak(Box::new(Self {
            store: Store {
                slab,
                clock: ClockReader::new(&options.clock),
                limits: options.limits,
                secrets: options.secrets.clone(),
                policies: options.policies.clone(),
                counters: AtomicCounters::default(),
            },
            before: Mutex::new(slab.tally()),
            on_cancel: StdAtomicU64::new(Packed::from(options.on_cancel).0),
            enabled: AtomicBool::new(true),
            hooks: Hooks::new(),
            banned: Mutex::default(),
            drains: Drains::default(),
            waits: Waiters::default(),
            first_serial: StdAtomicU64::new(0),
        }))
    }

    pub(crate) fn first_serial(&self) -> u64 {
        self.first_serial.load(StdOrdering::Relaxed)
    }
}

/// A task of a list: where it is or was, and its serial, by which a stale reference is recognised.
#[derive(Clone, Copy)]
pub(crate) struct TaskRef {
    pub(crate) shared: &'static Shared,
    pub(crate) chunk: &'static Chunk,
    pub(crate) serial: u64,
}

impl TaskRef {
    pub(crate) fn new(shared: &'static Shared, slot: Slot, serial: u64) -> Self {
        Self { shared, chunk: slot.chunk, serial }
    }

    #[inline(always)]
    pub(crate) fn store(self) -> &'static Store {
        &self.shared.store
    }

    #[inline(always)]
    pub(crate) fn slot(self) -> Slot {
        Slot { store: self.store(), chunk: self.chunk }
    }

    /// Takes the lock of the task's writers; `None` when the task has ended.
    #[inline]
    pub(crate) fn lock(self) -> Option<Writer> {
        self.slot().lock(self.serial)
    }

    #[inline]
    pub(crate) fn is_live(self) -> bool {
        self.slot().is_live(self.serial)
    }
}
