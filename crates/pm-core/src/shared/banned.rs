//! Tasks that were cancelled and have ended, whose late children are cancelled as well.

use std::collections::{HashSet, VecDeque};

/// The serials of cancelled tasks that have ended.
#[derive(Default)]
pub(crate) struct Banned {
    serials: HashSet<u64>,
    order: VecDeque<u64>,
}

/// The most serials that are remembered.
const MAX_BANNED: usize = 65_536;

impl Banned {
    pub(crate) fn add(&mut self, serial: u64) {
        if self.serials.insert(serial) {
            self.order.push_back(serial);
        }
        if self.order.len() > MAX_BANNED
            && let Some(oldest) = self.order.pop_front()
        {
            self.serials.remove(&oldest);
        }
    }

    pub(crate) fn contains(&self, serial: u64) -> bool {
        self.serials.contains(&serial)
    }
}
