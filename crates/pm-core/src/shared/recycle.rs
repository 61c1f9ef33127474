//! Reuses the memory of dropped lists, so that lists that come and go take no more memory than those that exist.

use std::sync::atomic::Ordering as StdOrdering;

use super::banned::Banned;
use super::state::Shared;
use crate::base::options::Options;
use crate::base::policy::Packed;
use crate::base::sync::PlainMutex;
use crate::store::slab::Slab;

/// The memory of dropped lists.
struct Dropped {
    /// Free for the next list once their last tasks have ended.
    free: Vec<&'static Shared>,
    /// Those whose slab went to a list with other options. A late handle may still refer to them, so they stay.
    retired: Vec<&'static Shared>,
}

static DROPPED: PlainMutex<Dropped> = PlainMutex::new(Dropped { free: Vec::new(), retired: Vec::new() });

impl Shared {
    /// Returns the state for a new list: that of a dropped list with the same options, else a new one, in the slab of a
    /// dropped list if one is as large.
    pub(crate) fn obtain(options: &Options) -> &'static Self {
        let segments = Slab::segments_for(options.max_bytes);
        let mut dropped = DROPPED.lock();
        let free = (0..dropped.free.len())
            .filter(|&at| {
                let slab = dropped.free[at].store.slab;
                slab.max_segments() == segments && slab.tally().live() == 0
            })
            // Of two that fit equally the smaller one: readers look through all chunks that were ever used.
            .min_by_key(|&at| (!dropped.free[at].fits(options), dropped.free[at].store.slab.bytes()));
        let Some(at) = free else { return Self::allocate(Slab::allocate(segments, &options.limits), options) };
        let found = dropped.free.swap_remove(at);
        if !found.fits(options) {
            dropped.retired.push(found);
            return Self::allocate(found.store.slab, options).renewed();
        }
        *found.before.lock() = found.store.slab.tally();
        found.store.counters.reset();
        found.hooks.clear();
        *found.banned.lock() = Banned::default();
        found.waits.clear();
        found.renewed();
        found.on_cancel.store(Packed::from(options.on_cancel).0, StdOrdering::Relaxed);
        found.enabled.store(true, StdOrdering::Relaxed);
        found
    }

    /// Begins a list in the memory of another one.
    fn renewed(&'static self) -> &'static Self {
        self.first_serial.store(self.store.slab.renew(&self.store.limits), StdOrdering::Relaxed);
        self
    }

    fn fits(&self, options: &Options) -> bool {
        let store = &self.store;
        store.clock.reads_as(&options.clock)
            && store.limits == options.limits
            && store.secrets == options.secrets
            && store.policies == options.policies
    }

    /// Leaves the memory of a dropped list to the next one.
    pub(crate) fn retire(&'static self) {
        self.enabled.store(false, StdOrdering::Relaxed);
        // Nothing outlives a model.
        if !cfg!(loom) {
            DROPPED.lock().free.push(self);
        }
    }
}
