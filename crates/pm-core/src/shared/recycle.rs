//! Takes over what dropped lists left, so that lists that come and go need no more memory than those that are there.

use std::sync::atomic::Ordering as StdOrdering;

use super::banned::Banned;
use super::state::Shared;
use crate::base::options::Options;
use crate::base::sync::PlainMutex;
use crate::store::slab::Slab;

/// What dropped lists leave behind.
struct Dropped {
    /// To be taken over once their last tasks have ended.
    free: Vec<&'static Shared>,
    /// Those whose memory went to a list of other options. A late handle may still come, so they stay.
    retired: Vec<&'static Shared>,
}

static DROPPED: PlainMutex<Dropped> = PlainMutex::new(Dropped { free: Vec::new(), retired: Vec::new() });

impl Shared {
    /// One for a new list: taken over if there is one that fits, in its memory if there is one as large, else new.
    pub(crate) fn obtain(options: &Options) -> &'static Self {
        let segments = Slab::segments_for(options.max_bytes);
        let mut dropped = DROPPED.lock();
        let free = (0..dropped.free.len())
            .filter(|&at| {
                let slab = dropped.free[at].store.slab;
                slab.max_segments() == segments && slab.tally().live() == 0
            })
            // Of two that fit alike the smaller one: all that it ever held is looked through for tasks.
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
        found.cancellable.store(options.cancellable, StdOrdering::Relaxed);
        found.enabled.store(true, StdOrdering::Relaxed);
        found
    }

    /// Begins a list in memory that another one left.
    fn renewed(&'static self) -> &'static Self {
        self.first_serial.store(self.store.slab.renew(&self.store.limits), StdOrdering::Relaxed);
        self
    }

    fn fits(&self, options: &Options) -> bool {
        let store = &self.store;
        store.clock.reads_as(&options.clock) && store.limits == options.limits && store.secrets == options.secrets
    }

    /// Leaves the memory of a list that was dropped to the next one.
    pub(crate) fn retire(&'static self) {
        self.enabled.store(false, StdOrdering::Relaxed);
        // Nothing outlives a model.
        if !cfg!(loom) {
            DROPPED.lock().free.push(self);
        }
    }
}
