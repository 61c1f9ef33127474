//! What was told while nothing is to move: for each task only the last word, so that it takes no more room than the list.

use std::collections::{BTreeSet, HashMap};

use pm_client::Row;

use super::{Changed, Key, News, Store};

/// What is held back.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The task as it is since then, or none if it has gone.
    tasks: HashMap<Key, (f64, Option<Row>)>,
    /// Endpoints of which a snapshot ended.
    ended: BTreeSet<u32>,
}

impl Held {
    /// Takes news. How endpoints fare is known at once.
    pub(crate) fn take(&mut self, store: &mut Store, endpoint: u32, now: f64, news: News) -> Changed {
        match news {
            News::Snapshot { rows, begins, ends } => {
                if begins {
                    store.begin(endpoint);
                    self.tasks.retain(|key, _| key.endpoint != endpoint);
                    self.ended.remove(&endpoint);
                }
                self.tasks.extend(rows.into_iter().map(|row| (Key::of(endpoint, &row), (now, Some(row)))));
                if ends {
                    self.ended.insert(endpoint);
                }
            }
            News::Task { row, .. } => drop(self.tasks.insert(Key::of(endpoint, &row), (now, Some(row)))),
            News::Ended { row } => {
                let key = Key::of(endpoint, &row);
                self.gone(store, key, now);
                store.keep_ended(key, row, now);
            }
            News::Left { serial } => {
                let mut row = Row::default();
                row.serial = serial;
                self.gone(store, Key::of(endpoint, &row), now);
            }
            news => return store.apply(endpoint, now, news),
        }
        Changed::default()
    }

    fn gone(&mut self, store: &Store, key: Key, now: f64) {
        // What the store never heard of needs no word that it is gone.
        match store.find(key) {
            Some(_) => drop(self.tasks.insert(key, (now, None))),
            None => drop(self.tasks.remove(&key)),
        }
    }

    /// How many tasks changed meanwhile.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Lets the store know.
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

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;

    fn row(serial: u64) -> Row {
        serde_json::from_value(serde_json::json!({ "serial": serial.to_string(), "id": "a", "ageMs": 0 })).unwrap()
    }

    #[test]
    fn nothing_moves_while_it_is_held_and_all_is_there_afterwards() {
        let mut store = Store::new(["a".to_owned()]);
        store.apply(0, 0.0, News::Snapshot { rows: vec![row(1), row(2)], begins: true, ends: true });
        let mut held = Held::default();
        held.take(&mut store, 0, 1.0, News::Ended { row: row(1) });
        held.take(&mut store, 0, 1.0, News::Task { what: What::Started, row: row(3) });
        held.take(&mut store, 0, 2.0, News::Ended { row: row(3) });
        held.take(&mut store, 0, 2.0, News::Task { what: What::Started, row: row(4) });
        assert_eq!((store.len(), held.len()), (2, 2));
        held.release(&mut store);
        let mut left: Vec<_> = store.iter().map(|(_, task)| task.key.number).collect();
        left.sort_unstable();
        assert_eq!(left, [2, 4]);
    }

    #[test]
    fn a_snapshot_meanwhile_takes_the_place_of_all() {
        let mut store = Store::new(["a".to_owned()]);
        store.apply(0, 0.0, News::Snapshot { rows: vec![row(1), row(2)], begins: true, ends: true });
        let mut held = Held::default();
        held.take(&mut store, 0, 1.0, News::Snapshot { rows: vec![row(2)], begins: true, ends: false });
        held.take(&mut store, 0, 1.0, News::Snapshot { rows: vec![row(5)], begins: false, ends: true });
        held.release(&mut store);
        assert_eq!(store.len(), 2);
        assert!(store.find(Key { endpoint: 0, number: 1 }).is_none());
    }
}
