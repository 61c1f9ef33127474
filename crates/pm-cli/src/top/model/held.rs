//! The updates received while paused: only the latest of each task, and no more than a list may have.

use std::collections::{BTreeSet, HashMap};

use pm_client::Row;

use crate::feed::{Changed, Key, Store, Update};
use crate::fleet::ceiling;

/// The most memory of the updates, in bytes.
const MAX_MEMORY: usize = ceiling::MAX_MEMORY / 2;

/// Updates held back while paused.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The latest report of each changed task; `None` if it is gone.
    tasks: HashMap<Key, (f64, Option<Row>)>,
    /// Endpoints whose snapshot has ended.
    ended: BTreeSet<u32>,
    memory: usize,
}

impl Held {
    /// Holds back updates of tasks; those of endpoints are applied at once.
    pub(crate) fn apply(&mut self, store: &mut Store, endpoint: u32, now: f64, update: Update) -> Changed {
        match update {
            Update::Snapshot { rows, begins, ends } => {
                if begins {
                    store.begin(endpoint);
                    self.tasks.retain(|key, _| key.endpoint != endpoint);
                    self.memory = self.tasks.values().map(memory_of).sum();
                    self.ended.remove(&endpoint);
                }
                for row in rows {
                    self.insert(Key::of(endpoint, &row), now, Some(row));
                }
                if ends {
                    self.ended.insert(endpoint);
                }
            }
            Update::Task { row, .. } => self.insert(Key::of(endpoint, &row), now, Some(row)),
            Update::Ended { row } => {
                let key = Key::of(endpoint, &row);
                self.gone(store, key, now);
                store.retain_ended(key, row, now);
            }
            Update::Left { serial } => {
                let mut row = Row::default();
                row.serial = Some(serial);
                self.gone(store, Key::of(endpoint, &row), now);
            }
            update => return store.apply(endpoint, now, update),
        }
        Changed::default()
    }

    fn gone(&mut self, store: &Store, key: Key, now: f64) {
        // A task unknown to the store need not be removed from it.
        match store.find(key) {
            Some(_) => self.insert(key, now, None),
            None => self.memory -= self.tasks.remove(&key).as_ref().map_or(0, memory_of),
        }
    }

    fn insert(&mut self, key: Key, now: f64, row: Option<Row>) {
        let change = (now, row);
        self.memory += memory_of(&change);
        self.memory -= self.tasks.insert(key, change).as_ref().map_or(0, memory_of);
    }

    /// Returns whether no more updates may be held back.
    pub(crate) fn is_full(&self) -> bool {
        self.memory > MAX_MEMORY
    }

    /// The number of tasks that changed.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Applies the held updates to the store.
    pub(crate) fn release(self, store: &mut Store) -> Changed {
        let mut changed = Changed::default();
        for (key, (at, row)) in self.tasks {
            changed = changed.and(match row {
                Some(row) => store.put(key.endpoint, at, row),
                None => store.remove(key),
            });
        }
        self.ended.into_iter().map(|endpoint| store.end(endpoint)).fold(changed, Changed::and)
    }
}

fn memory_of((_, row): &(f64, Option<Row>)) -> usize {
    size_of::<(Key, f64, Option<Row>)>() + row.as_ref().map_or(0, ceiling::memory_of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Change;

    fn row(serial: u64) -> Row {
        serde_json::from_value(serde_json::json!({ "serial": serial.to_string(), "id": "a", "ageMs": 0 })).unwrap()
    }

    #[test]
    fn the_store_is_unchanged_until_release() {
        let mut store = Store::new(["a".to_owned()]);
        store.apply(0, 0.0, Update::Snapshot { rows: vec![row(1), row(2)], begins: true, ends: true });
        let mut held = Held::default();
        held.apply(&mut store, 0, 1.0, Update::Ended { row: row(1) });
        held.apply(&mut store, 0, 1.0, Update::Task { change: Change::Started, row: row(3) });
        held.apply(&mut store, 0, 2.0, Update::Ended { row: row(3) });
        held.apply(&mut store, 0, 2.0, Update::Task { change: Change::Started, row: row(4) });
        assert_eq!((store.len(), held.len()), (2, 2));
        held.release(&mut store);
        let mut left: Vec<_> = store.iter().map(|(_, task)| task.key.number).collect();
        left.sort_unstable();
        assert_eq!(left, [2, 4]);
    }

    #[test]
    fn held_updates_count_once_for_each_task() {
        let mut store = Store::new(["a".to_owned()]);
        let mut held = Held::default();
        let mut large = |serial: u64| {
            let mut row = row(serial);
            row.status = "x".repeat(MAX_MEMORY / 6);
            held.apply(&mut store, 0, 1.0, Update::Task { change: Change::Status, row });
            held.is_full()
        };
        assert!(!large(1) && !large(1) && !large(1));
        assert!(large(2));
    }

    #[test]
    fn a_held_snapshot_replaces_all_tasks() {
        let mut store = Store::new(["a".to_owned()]);
        store.apply(0, 0.0, Update::Snapshot { rows: vec![row(1), row(2)], begins: true, ends: true });
        let mut held = Held::default();
        held.apply(&mut store, 0, 1.0, Update::Snapshot { rows: vec![row(2)], begins: true, ends: false });
        held.apply(&mut store, 0, 1.0, Update::Snapshot { rows: vec![row(5)], begins: false, ends: true });
        held.release(&mut store);
        assert_eq!(store.len(), 2);
        assert!(store.find(Key { endpoint: 0, number: 1 }).is_none());
    }
}
