//! What a list and its tasks share, and how the next list takes it over.

use std::sync::atomic::{AtomicBool, AtomicU64 as StdAtomicU64, Ordering as StdOrdering};

use super::banned::Banned;
use super::blocked::Registry;
use super::drains::Drains;
use super::hooks::Hooks;
use crate::base::clock::{Clock, Timer};
use crate::base::limits::Limits;
use crate::base::options::Options;
use crate::base::redact::Also;
use crate::base::sync::Mutex;
use crate::store::counters::Lost;
use crate::store::slab::{Slab, Tally};

/// What a list and its tasks share. It lives as long as the process, so that handles need no count of references; when
/// a list is dropped and its tasks have ended, the next list of the same options takes it over.
pub(crate) struct Inner {
    pub(crate) slab: &'static Slab,
    /// What the slab had counted when this list took it over.
    pub(crate) before: Mutex<Tally>,
    pub(crate) timer: Timer,
    clock: Clock,
    pub(crate) limits: Limits,
    /// What is taken for secret besides the usual.
    pub(crate) also: Also,
    pub(crate) cancellable: AtomicBool,
    pub(crate) enabled: AtomicBool,
    pub(crate) lost: Lost,
    pub(crate) hooks: Hooks,
    /// Cancelled tasks that have ended.
    pub(crate) banned: Mutex<Banned>,
    /// Those who wait until the list is empty.
    pub(crate) drains: Drains,
    /// Who waits for what.
    pub(crate) waits: Registry,
    /// Tasks with smaller serials are those of a list that had the memory before.
    first_serial: StdAtomicU64,
}

/// What dropped lists leave behind.
struct LeftBehind {
    /// To be taken over once their last tasks have ended.
    lists: Vec<&'static Inner>,
    /// Those whose memory went to a list of other options. A late handle may still come, so they stay.
    husks: Vec<&'static Inner>,
}

static LEFT_BEHIND: std::sync::Mutex<LeftBehind> =
    std::sync::Mutex::new(LeftBehind { lists: Vec::new(), husks: Vec::new() });

impl Inner {
    /// One for a new list: taken over if there is one that fits, in its memory if there is one as large, else new.
    pub(crate) fn obtain(options: &Options) -> &'static Self {
        let segments = Slab::segments_for(options.max_bytes);
        let mut left = LEFT_BEHIND.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let free = (0..left.lists.len())
            .filter(|&at| left.lists[at].slab.max_segments() == segments && left.lists[at].slab.tally().live() == 0)
            // Of two that fit alike the smaller one: all that it ever held is looked through for tasks.
            .min_by_key(|&at| (!left.lists[at].fits(options), left.lists[at].slab.bytes()));
        let Some(at) = free else { return Self::allocate(Slab::allocate(segments, &options.limits), options) };
        let found = left.lists.swap_remove(at);
        if !found.fits(options) {
            left.husks.push(found);
            return Self::allocate(found.slab, options).renewed();
        }
        *found.before.lock() = found.slab.tally();
        found.lost.forget();
        found.hooks.forget();
        *found.banned.lock() = Banned::default();
        found.waits.forget();
        found.renewed();
        found.cancellable.store(options.cancellable, StdOrdering::Relaxed);
        found.enabled.store(true, StdOrdering::Relaxed);
        found
    }

    fn allocate(slab: &'static Slab, options: &Options) -> &'static Self {
        Box::leak(Box::new(Self {
            slab,
            before: Mutex::new(slab.tally()),
            timer: Timer::new(&options.clock),
            clock: options.clock.clone(),
            limits: options.limits,
            also: options.also.clone(),
            cancellable: AtomicBool::new(options.cancellable),
            enabled: AtomicBool::new(true),
            lost: Lost::default(),
            hooks: Hooks::new(),
            banned: Mutex::default(),
            drains: Drains::default(),
            waits: Registry::default(),
            first_serial: StdAtomicU64::new(0),
        }))
    }

    /// Made from what another list left.
    fn renewed(&'static self) -> &'static Self {
        self.first_serial.store(self.slab.renew(self), StdOrdering::Relaxed);
        self
    }

    pub(crate) fn first_serial(&self) -> u64 {
        self.first_serial.load(StdOrdering::Relaxed)
    }

    fn fits(&self, options: &Options) -> bool {
        let same_clock = match (&self.clock, &options.clock) {
            (Clock::Tsc, Clock::Tsc) | (Clock::System, Clock::System) => true,
            // Each has a hand of its own.
            _ => false,
        };
        same_clock && self.limits == options.limits && self.also == options.also
    }

    pub(crate) fn retire(&'static self) {
        self.enabled.store(false, StdOrdering::Relaxed);
        // Nothing outlives a model.
        if !cfg!(loom) {
            LEFT_BEHIND.lock().unwrap_or_else(std::sync::PoisonError::into_inner).lists.push(self);
        }
    }
}
