//! The store: snapshots, times, slots and ceilings.

use super::*;
use crate::feed::Change;

fn row(serial: u64, age: f64) -> Row {
    serde_json::from_value(serde_json::json!({ "serial": serial.to_string(), "id": "a", "ageMs": age })).unwrap()
}

fn snapshot(rows: Vec<Row>) -> Update {
    Update::Snapshot { rows, begins: true, ends: true }
}

#[test]
fn a_snapshot_replaces_all_tasks_of_its_endpoint() {
    let mut store = Store::new(["a".to_owned(), "b".to_owned()]);
    store.apply(0, 0.0, snapshot(vec![row(1, 0.0), row(2, 0.0)]));
    store.apply(1, 0.0, snapshot(vec![row(1, 0.0)]));
    store.apply(0, 5.0, snapshot(vec![row(2, 5.0), row(3, 1.0)]));
    let mut keys: Vec<_> = store.iter().map(|(_, task)| (task.key.endpoint, task.key.number)).collect();
    keys.sort_unstable();
    assert_eq!(keys, [(0, 2), (0, 3), (1, 1)]);
    assert_eq!((store.endpoints()[0].tasks, store.endpoints()[1].tasks, store.len()), (2, 1, 3));
}

#[test]
fn ages_come_from_durations_and_do_not_jump_back_when_an_update_is_late() {
    let mut store = Store::new(["a".to_owned()]);
    store.apply(0, 1_000.0, snapshot(vec![row(1, 600.0)]));
    let key = Key { endpoint: 0, number: 1 };
    assert_eq!(store.find(key).unwrap().age(1_500.0), Some(1_100.0));
    // The same moment, reported 300 ms late.
    store.apply(0, 1_800.0, Update::Task { change: Change::Status, row: row(1, 1_100.0) });
    assert_eq!(store.find(key).unwrap().age(1_800.0), Some(1_400.0));
}

#[test]
fn a_slot_is_not_reused_before_a_sweep() {
    let mut store = Store::new(["a".to_owned()]);
    store.apply(0, 0.0, snapshot(vec![row(1, 0.0)]));
    let slot = store.slot(Key { endpoint: 0, number: 1 }).unwrap();
    store.apply(0, 0.0, Update::Ended { row: row(1, 0.0) });
    store.apply(0, 0.0, Update::Task { change: Change::Started, row: row(2, 0.0) });
    assert!(store.task(slot).gone && store.task(slot).key.number == 1);
    store.sweep();
    store.apply(0, 0.0, Update::Task { change: Change::Started, row: row(3, 0.0) });
    assert_eq!(store.task(slot).key.number, 3);
    assert_eq!(store.ended().count(), 1);
}

fn state(store: &Store) -> (usize, Option<Ceiling>) {
    (store.endpoints()[0].tasks, store.endpoints()[0].full)
}

#[test]
fn an_endpoint_has_no_more_tasks_than_the_ceiling_and_says_so_until_its_next_snapshot() {
    let mut store = Store::new(["a".to_owned(), "b".to_owned()]);
    let rows = |serials: std::ops::RangeInclusive<u64>| serials.map(|serial| row(serial, 0.0)).collect();
    let most = ceiling::MAX_TASKS as u64;
    store.apply(0, 0.0, snapshot(rows(1..=most)));
    assert_eq!((state(&store), store.endpoints()[0].notice()), ((ceiling::MAX_TASKS, None), None));
    for serial in most + 1..=most + 10 {
        store.apply(0, 0.0, Update::Task { change: Change::Started, row: row(serial, 0.0) });
    }
    assert_eq!(state(&store), (ceiling::MAX_TASKS, Some(Ceiling::Tasks)));
    assert!(store.endpoints()[0].notice().unwrap().starts_with("more than 200000 tasks, and the others"));
    store.apply(1, 0.0, Update::Task { change: Change::Started, row: row(1, 0.0) });
    assert_eq!(store.endpoints()[1].tasks, 1, "others are not affected");
    // A snapshot of other tasks needs no more space than they do.
    store.apply(0, 0.0, snapshot(rows(2 * most..=2 * most + 9)));
    assert_eq!(state(&store), (10, None));
    assert!(store.index.capacity() <= 2 * MAX_EMPTY_INDEX, "passes over the index take as long as it is large");
}

#[test]
fn a_snapshot_takes_the_space_of_the_one_before() {
    let mut store = Store::new(["a".to_owned()]);
    let most = ceiling::MAX_TASKS as u64;
    for from in [1, most] {
        for begin in (from..from + most).step_by(1_000) {
            let rows = (begin..begin + 1_000).map(|serial| row(serial, 0.0)).collect();
            let ends = begin + 1_000 == from + most;
            store.apply(0, 0.0, Update::Snapshot { rows, begins: begin == from, ends });
            store.sweep();
        }
        assert_eq!(state(&store), (ceiling::MAX_TASKS, None));
    }
    assert!(store.slots() <= ceiling::MAX_TASKS + 1_000, "slots are reused");
}

#[test]
fn the_memory_of_an_endpoint_has_a_ceiling_also_when_tasks_grow() {
    let large = |serial: u64, status: usize| {
        let mut row = row(serial, 0.0);
        row.status = "x".repeat(status);
        Update::Task { change: Change::Status, row }
    };
    let mut store = Store::new(["a".to_owned()]);
    let third = ceiling::MAX_MEMORY / 9;
    for serial in 1..=3 {
        store.apply(0, 0.0, large(serial, third - 1_000));
    }
    assert_eq!(state(&store), (3, None));
    store.apply(0, 0.0, large(3, 2 * third));
    assert_eq!(state(&store), (2, Some(Ceiling::Memory)));
    assert!(store.find(Key { endpoint: 0, number: 3 }).is_none(), "nothing outdated is shown");
    store.apply(0, 0.0, Update::Left { serial: "1".parse().unwrap() });
    store.apply(0, 0.0, large(3, third));
    assert_eq!(store.len(), 2);
}

#[test]
fn ended_tasks_take_bounded_memory() {
    let mut store = Store::new(["a".to_owned()]);
    for serial in 1..=100 {
        let mut row = row(serial, 0.0);
        row.status = "x".repeat(1 << 20);
        store.apply(0, 0.0, Update::Ended { row });
    }
    let newest: Vec<u64> = store.ended().map(|(key, ..)| key.number).collect();
    assert_eq!(newest, [96, 97, 98, 99, 100]);
}

#[test]
fn tasks_without_a_serial_are_distinguished_by_id_and_start() {
    let original = |id: &str, at: &str| -> Row {
        serde_json::from_value(serde_json::json!({ "serial": "", "id": id, "startedAt": at })).unwrap()
    };
    let rows = vec![original("a", "2026-01-01T00:00:00Z"), original("b", "2026-01-01T00:00:00Z")];
    let mut store = Store::new(["a".to_owned()]);
    store.apply(0, 0.0, snapshot(rows.clone()));
    store.apply(0, 1.0, snapshot(rows));
    assert_eq!(store.len(), 2);
}

#[test]
fn an_endpoint_is_lost_since_its_first_failure() {
    let mut store = Store::new(["a".to_owned()]);
    let lost = || Update::Lost { why: "x".into(), retry_in: std::time::Duration::from_secs(1) };
    store.apply(0, 100.0, lost());
    store.apply(0, 1_000.0, lost());
    assert_eq!(store.endpoints()[0].connection, Connection::Lost { why: "x".into(), since: 100.0, retry_at: 2_000.0 });
}
