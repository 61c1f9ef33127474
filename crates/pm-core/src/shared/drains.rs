//! The drains of a list: which tasks each of them leaves out.

use std::sync::{Arc, Weak};

use super::state::Inner;
use crate::base::sync::PlainMutex;
use crate::store::cell::{Wait, WeakWait};

/// The drains of a list.
#[derive(Default)]
pub(crate) struct Drains(PlainMutex<Vec<One>>);

struct One {
    exempt: Vec<u64>,
    nudge: WeakWait,
}

impl Drains {
    /// Adds a drain, and tells the others whom they wait for no more.
    pub(crate) fn add(&self, inner: &Inner, exempt: Vec<u64>, nudge: &Arc<Wait>) {
        let others: Vec<WeakWait> = {
            let mut drains = self.0.lock();
            let others = drains.iter().map(|one| one.nudge.clone()).collect();
            drains.push(One { exempt, nudge: Arc::downgrade(nudge) });
            others
        };
        others.iter().filter_map(Weak::upgrade).for_each(|other| other.time_is_up(inner));
    }

    pub(crate) fn remove(&self, nudge: &Arc<Wait>) {
        self.0.lock().retain(|one| !std::ptr::eq(one.nudge.as_ptr(), Arc::as_ptr(nudge)));
    }

    pub(crate) fn exempt(&self) -> Vec<u64> {
        self.0.lock().iter().flat_map(|one| one.exempt.iter().copied()).collect()
    }
}
