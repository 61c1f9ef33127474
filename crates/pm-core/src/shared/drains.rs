//! The drains of a list, and the tasks that each of them exempts.

use std::sync::{Arc, Weak};

use crate::base::sync::PlainMutex;
use crate::store::cell::EndWait;
use crate::store::counters::AtomicCounters;

/// The drains of a list.
#[derive(Default)]
pub(crate) struct Drains(PlainMutex<Vec<ActiveDrain>>);

struct ActiveDrain {
    exempt: Vec<u64>,
    nudge: Weak<EndWait>,
}

impl Drains {
    /// Adds a drain, and wakes the others: they no longer wait for the tasks that it exempts.
    pub(crate) fn add(&self, counters: &AtomicCounters, exempt: Vec<u64>, nudge: &Arc<EndWait>) {
        let others: Vec<Weak<EndWait>> = {
            let mut drains = self.0.lock();
            let others = drains.iter().map(|drain| drain.nudge.clone()).collect();
            drains.push(ActiveDrain { exempt, nudge: Arc::downgrade(nudge) });
            others
        };
        others.iter().filter_map(Weak::upgrade).for_each(|other| other.time_is_up(counters));
    }

    pub(crate) fn remove(&self, nudge: &Arc<EndWait>) {
        self.0.lock().retain(|drain| !std::ptr::eq(drain.nudge.as_ptr(), Arc::as_ptr(nudge)));
    }

    pub(crate) fn exempt(&self) -> Vec<u64> {
        self.0.lock().iter().flat_map(|drain| drain.exempt.iter().copied()).collect()
    }
}
