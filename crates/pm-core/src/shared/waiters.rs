//! The waits of a list: which task waits for which resource.

use std::collections::BTreeMap;

use super::resource::{NOT_RECORDED, Resource};
use super::state::TaskRef;
use crate::base::sync::PlainMutex;

/// Waits that are recorded in a list; further ones are counted.
const MAX_WAITS: usize = 10_000;

/// A task that waits.
#[derive(Clone)]
pub(crate) struct Waiter {
    pub(crate) task: TaskRef,
    pub(crate) resource: Resource,
    /// Ticks of the list's clock.
    pub(crate) since: u64,
    pub(crate) units: u64,
}

/// The waits of a list. Tokens grow and are never used again, so that their order is that in which tasks came.
#[derive(Default)]
pub(crate) struct Waiters(PlainMutex<Entries>);

#[derive(Default)]
struct Entries {
    last_token: u64,
    waits: BTreeMap<u64, Waiter>,
    not_shown: u64,
}

impl Waiters {
    /// Returns a token by which the wait is taken back.
    pub(crate) fn add(&self, waiter: Waiter) -> u64 {
        let mut entries = self.0.lock();
        if entries.waits.len() >= MAX_WAITS {
            entries.not_shown += 1;
            return NOT_RECORDED;
        }
        entries.last_token += 1;
        let token = entries.last_token;
        entries.waits.insert(token, waiter);
        token
    }

    pub(crate) fn remove(&self, token: u64) {
        let waiter = self.0.lock().waits.remove(&token);
        // After the lock: it may be the last of its resource.
        drop(waiter);
    }

    /// Returns all waits, the first ones first, and how many were never recorded.
    pub(crate) fn copy(&self) -> (Vec<(u64, Waiter)>, u64) {
        let entries = self.0.lock();
        (entries.waits.iter().map(|(&token, waiter)| (token, waiter.clone())).collect(), entries.not_shown)
    }

    /// For a list that takes over the memory of another.
    pub(crate) fn clear(&self) {
        let mut entries = self.0.lock();
        let waits = std::mem::take(&mut entries.waits);
        entries.not_shown = 0;
        drop(entries);
        drop(waits);
    }
}
