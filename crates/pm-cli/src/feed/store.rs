//! The tasks of all endpoints as last reported.
//!
//! Times are milliseconds of one local monotonic clock, which the caller reads; in a replay it is the clock of the
//! recording. Only durations are taken from a server (`ageMs`), never its dates, so its clock may be wrong.
//!
//! A task that is gone keeps its slot until [`Store::sweep`], so lines that refer to slots stay valid until they are
//! rebuilt.

use std::time::Duration;

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash as _, Hasher};

use pm_client::{Row, Serial};

use super::update::Update;
use crate::out::format::{to_duration, to_millis};

/// How many ended tasks are retained.
const MAX_ENDED: usize = 1_000;

/// Identifies a task of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) endpoint: u32,
    /// The serial; without one, a hash of id and start with the highest bit set.
    pub(crate) number: u64,
}

impl Key {
    pub(crate) fn of(endpoint: u32, row: &Row) -> Key {
        Key { endpoint, number: number(row.serial).unwrap_or_else(|| substitute(row)) }
    }
}

fn number(serial: Option<Serial>) -> Option<u64> {
    serial.map(Serial::get).filter(|&number| number < 1 << 63)
}

fn substitute(row: &Row) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&row.serial, &row.id, row.started_at).hash(&mut hasher);
    hasher.finish() | 1 << 63
}

/// Hashes the numbers that keys consist of. A server that could make many of them collide could as well send many
/// tasks.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0.rotate_left(26) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

/// A task, with its times on the local clock.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) key: Key,
    /// Boxed, so that the fields that sorting reads lie close together.
    pub(crate) row: Box<Row>,
    /// The number of its parent at the same endpoint; 0 for none.
    pub(crate) parent: u64,
    pub(crate) started_at: Option<f64>,
    pub(crate) status_at: Option<f64>,
    pub(crate) cancelled_at: Option<f64>,
    /// When its progress was first reported, and how much was done then; to estimate its rate.
    pub(crate) first_progress: Option<(f64, u64)>,
    /// It has ended, or is no longer reported.
    pub(crate) gone: bool,
    epoch: u32,
}

impl Task {
    pub(crate) fn age(&self, now: f64) -> Option<f64> {
        self.started_at.map(|at| (now - at).max(0.0))
    }

    /// The row with its ages as of `now`.
    pub(crate) fn row_at(&self, now: f64) -> Row {
        let mut row = Row::clone(&self.row);
        row.age = self.age(now).map(to_duration);
        row.status_age = self.status_age(now).map(to_duration);
        if let (Some(cancel), Some(at)) = (&mut row.cancel, self.cancelled_at) {
            cancel.age = Some(to_duration(now - at));
        }
        row
    }

    pub(crate) fn status_age(&self, now: f64) -> Option<f64> {
        self.status_at.map(|at| (now - at).max(0.0))
    }
}

/// The connection to an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Connection {
    Connecting,
    Live,
    Polled,
    Lost { why: String, since: f64, retry_at: f64 },
    Refused { why: String, since: f64, retry_at: f64 },
}

/// The state of an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct EndpointState {
    pub(crate) name: String,
    pub(crate) connection: Connection,
    /// Set once a whole snapshot of its tasks has been received.
    pub(crate) is_known: bool,
    pub(crate) tasks: usize,
    pub(crate) unseen: u64,
    pub(crate) gaps: u64,
    epoch: u32,
}

impl EndpointState {
    /// Returns whether its tasks are up to date.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.connection, Connection::Live | Connection::Polled)
    }

    /// An error message without the name of the endpoint, which begins it.
    pub(crate) fn cause<'w>(&self, why: &'w str) -> &'w str {
        why.strip_prefix(&*self.name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(why)
    }

    pub(crate) fn is_original(&self) -> bool {
        self.connection == Connection::Polled
    }
}

/// The parts of the store that an update changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The set of tasks.
    pub(crate) tasks: bool,
    /// The contents of a task.
    pub(crate) text: bool,
    /// The state of an endpoint.
    pub(crate) endpoint: bool,
}

impl Changed {
    const NOTHING: Changed = Changed { tasks: false, text: false, endpoint: false };

    pub(crate) fn and(self, other: Changed) -> Changed {
        Changed {
            tasks: self.tasks | other.tasks,
            text: self.text | other.text,
            endpoint: self.endpoint | other.endpoint,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Store {
    endpoints: Vec<EndpointState>,
    tasks: Vec<Task>,
    index: HashMap<Key, u32, BuildHasherDefault<KeyHasher>>,
    gone: Vec<u32>,
    free: Vec<u32>,
    /// The newest last, each with the time it was reported.
    ended: VecDeque<(Key, Row, f64)>,
}

impl Store {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Store {
        let endpoint = |name| EndpointState {
            name,
            connection: Connection::Connecting,
            is_known: false,
            tasks: 0,
            unseen: 0,
            gaps: 0,
            epoch: 0,
        };
        Store {
            endpoints: names.into_iter().map(endpoint).collect(),
            tasks: Vec::new(),
            index: HashMap::default(),
            gone: Vec::new(),
            free: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    pub(crate) fn endpoints(&self) -> &[EndpointState] {
        &self.endpoints
    }

    pub(crate) fn endpoint(&self, key: Key) -> &EndpointState {
        &self.endpoints[key.endpoint as usize]
    }

    /// The number of tasks.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The task in a slot that was returned since the last [`sweep`](Self::sweep).
    pub(crate) fn task(&self, slot: u32) -> &Task {
        &self.tasks[slot as usize]
    }

    pub(crate) fn find(&self, key: Key) -> Option<&Task> {
        self.index.get(&key).map(|&slot| self.task(slot))
    }

    pub(crate) fn slot(&self, key: Key) -> Option<u32> {
        self.index.get(&key).copied()
    }

    /// The number of slots, a bound above all of them.
    pub(crate) fn slots(&self) -> usize {
        self.tasks.len()
    }

    /// All tasks with their slots, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Task)> {
        (0..).zip(&self.tasks).filter(|(_, task)| !task.gone)
    }

    pub(crate) fn ended(&self) -> impl DoubleEndedIterator<Item = &(Key, Row, f64)> {
        self.ended.iter()
    }

    /// Applies an update that was received at `now`.
    pub(crate) fn apply(&mut self, endpoint: u32, now: f64, update: Update) -> Changed {
        let Some(state) = self.endpoints.get_mut(endpoint as usize) else { return Changed::NOTHING };
        let mut changed = Changed { endpoint: true, ..Changed::NOTHING };
        let later = |wait: std::time::Duration| now + wait.as_secs_f64() * 1e3;
        // The first failure counts, however many attempts have failed since.
        let since = match &state.connection {
            Connection::Lost { since, .. } | Connection::Refused { since, .. } => *since,
            _ => now,
        };
        match update {
            Update::Live => state.connection = Connection::Live,
            Update::Polled => state.connection = Connection::Polled,
            Update::Lost { why, retry_in } => {
                state.connection = Connection::Lost { why, since, retry_at: later(retry_in) };
            }
            Update::Refused { why, retry_in } => {
                state.connection = Connection::Refused { why, since, retry_at: later(retry_in) };
            }
            Update::Snapshot { rows, begins, ends } => {
                if begins {
                    self.begin(endpoint);
                }
                for row in rows {
                    changed = changed.and(self.put(endpoint, now, row));
                }
                if ends {
                    changed = changed.and(self.end(endpoint));
                }
            }
            Update::Task { row, .. } => changed = self.put(endpoint, now, row),
            Update::Ended { row } => {
                let key = Key::of(endpoint, &row);
                changed = self.remove(key);
                self.retain_ended(key, row, now);
            }
            Update::Left { serial } => {
                let mut row = empty();
                row.serial = Some(serial);
                changed = self.remove(Key::of(endpoint, &row));
            }
            Update::Gap { .. } => state.gaps += 1,
            Update::Unseen { count } => state.unseen += count,
            Update::Bye { .. } => {}
        }
        changed
    }

    /// Begins a snapshot of this endpoint: tasks not in it are gone when it ends.
    pub(crate) fn begin(&mut self, endpoint: u32) {
        let state = &mut self.endpoints[endpoint as usize];
        state.epoch = state.epoch.wrapping_add(1);
    }

    /// Ends the snapshot and removes the tasks that were not in it.
    pub(crate) fn end(&mut self, endpoint: u32) -> Changed {
        let state = &mut self.endpoints[endpoint as usize];
        state.is_known = true;
        let epoch = state.epoch;
        let old = |task: &&Task| !task.gone && task.key.endpoint == endpoint && task.epoch != epoch;
        let old: Vec<Key> = self.tasks.iter().filter(old).map(|task| task.key).collect();
        let nothing = Changed { endpoint: true, ..Changed::NOTHING };
        old.into_iter().map(|key| self.remove(key)).fold(nothing, Changed::and)
    }

    /// Inserts or replaces a task as of `now`.
    pub(crate) fn put(&mut self, endpoint: u32, now: f64, row: Row) -> Changed {
        let key = Key::of(endpoint, &row);
        let epoch = self.endpoints[endpoint as usize].epoch;
        let back = |age: Option<Duration>| age.map(|age| now - to_millis(age));
        let mut task = Task {
            key,
            parent: number(row.parent).unwrap_or(0),
            started_at: back(row.age),
            status_at: back(row.status_age),
            cancelled_at: back(row.cancel.as_ref().and_then(|cancel| cancel.age)),
            first_progress: row.progress.as_ref().map(|progress| (now, progress.done)),
            gone: false,
            epoch,
            row: Box::new(row),
        };
        if let Some(&slot) = self.index.get(&key) {
            let old = &mut self.tasks[slot as usize];
            // Reports arrive with a varying delay; the earliest time is nearest to the truth.
            task.started_at = earliest(task.started_at, old.started_at);
            if task.row.status == old.row.status && task.row.status_at == old.row.status_at {
                task.status_at = earliest(task.status_at, old.status_at);
            }
            if let (Some((_, done)), Some(progress)) = (old.first_progress, &task.row.progress)
                && progress.done >= done
            {
                task.first_progress = old.first_progress;
            }
            *old = task;
            return Changed { text: true, ..Changed::NOTHING };
        }
        let slot = match self.free.pop() {
            Some(slot) => {
                self.tasks[slot as usize] = task;
                slot
            }
            None => {
                self.tasks.push(task);
                u32::try_from(self.tasks.len() - 1).expect("memory is exhausted before 2^32 tasks")
            }
        };
        self.index.insert(key, slot);
        self.endpoints[endpoint as usize].tasks += 1;
        Changed { tasks: true, ..Changed::NOTHING }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Changed {
        let Some(slot) = self.index.remove(&key) else { return Changed::NOTHING };
        self.tasks[slot as usize].gone = true;
        self.gone.push(slot);
        self.endpoints[key.endpoint as usize].tasks -= 1;
        Changed { tasks: true, ..Changed::NOTHING }
    }

    pub(crate) fn retain_ended(&mut self, key: Key, row: Row, now: f64) {
        if self.ended.len() == MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back((key, row, now));
    }

    /// Frees the slots of tasks that are gone. Slots returned earlier may be reused afterwards.
    pub(crate) fn sweep(&mut self) {
        for slot in &self.gone {
            *self.tasks[*slot as usize].row = empty();
        }
        self.free.append(&mut self.gone);
    }
}

fn earliest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn empty() -> Row {
    Row::default()
}

#[cfg(test)]
mod tests {
    use super::super::update::Change;
    use super::*;

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
        assert_eq!(
            store.endpoints()[0].connection,
            Connection::Lost { why: "x".into(), since: 100.0, retry_at: 2_000.0 }
        );
    }
}
