//! Tasks that were cancelled and have ended: a child that starts late is cancelled as well.

use std::collections::{HashSet, VecDeque};

/// Tasks that were cancelled and have ended: their late children are cancelled, too.
#[derive(Default)]
pub(crate) struct Banned {
    serials: HashSet<u64>,
    order: VecDeque<u64>,
}

/// How many of them are remembered.
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
