//! The tasks of all endpoints, as they were last told.
//!
//! Times are milliseconds of one steady clock of ours, which the caller reads; in a replay it is that of the recording.
//! Only lengths are taken from a server (`ageMs`), never its dates, so that its clock may be wrong.
//!
//! A task that has gone keeps its slot until [`Store::sweep`], so that rows which name slots stay good until they are made
//! anew.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash as _, Hasher};

use pm_client::Row;

use super::News;

/// Ended tasks that are remembered from the stream.
const KEPT_ENDED: usize = 1_000;

/// Which task of which endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) endpoint: u32,
    /// The serial; where there is none, a number made of what the task has instead, with the highest bit set.
    pub(crate) number: u64,
}

impl Key {
    pub(crate) fn of(endpoint: u32, row: &Row) -> Key {
        Key { endpoint, number: number(&row.serial).unwrap_or_else(|| made_up(row)) }
    }
}

fn number(serial: &str) -> Option<u64> {
    serial.parse().ok().filter(|&number| number != 0 && number < 1 << 63)
}

fn made_up(row: &Row) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&row.serial, &row.id, row.started_at).hash(&mut hasher);
    hasher.finish() | 1 << 63
}

/// Spreads numbers that a server chose, which is all that keys are made of. Whoever could make many of them collide could
/// as well send many tasks.
#[derive(Default)]
struct Numbers(u64);

impl Hasher for Numbers {
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

/// A task, and when what happened by our clock.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) key: Key,
    /// Apart, so that what the order is made of lies close together.
    pub(crate) row: Box<Row>,
    /// The number of its parent at the same endpoint; 0 for none.
    pub(crate) parent: u64,
    pub(crate) born: Option<f64>,
    pub(crate) since: Option<f64>,
    pub(crate) cancelled: Option<f64>,
    /// How far it had come when that was first told, to work out how fast it goes.
    pub(crate) first_far: Option<(f64, u64)>,
    /// It has ended, or is no longer told of.
    pub(crate) gone: bool,
    epoch: u32,
}

impl Task {
    pub(crate) fn age(&self, now: f64) -> Option<f64> {
        self.born.map(|born| (now - born).max(0.0))
    }

    /// The row with its lengths as they are at `now`.
    pub(crate) fn row_at(&self, now: f64) -> Row {
        let mut row = Row::clone(&self.row);
        let round = |length: f64| (length * 1e3).round() / 1e3;
        row.age_ms = self.age(now).map(round);
        row.status_age_ms = self.status_age(now).map(round);
        if let (Some(cancel), Some(at)) = (&mut row.cancel, self.cancelled) {
            cancel.age_ms = Some(round((now - at).max(0.0)));
        }
        row
    }

    pub(crate) fn status_age(&self, now: f64) -> Option<f64> {
        self.since.map(|since| (now - since).max(0.0))
    }
}

/// How an endpoint fares.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    Connecting,
    Live,
    /// Asked again and again.
    Polled,
    Lost {
        why: String,
        since: f64,
        retry_at: f64,
    },
    Refused {
        why: String,
        since: f64,
        retry_at: f64,
    },
}

/// An endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) state: State,
    /// Its tasks have been told in full since it was last lost.
    pub(crate) is_known: bool,
    pub(crate) tasks: usize,
    pub(crate) unseen: u64,
    pub(crate) gaps: u64,
    epoch: u32,
}

impl Place {
    /// Whether what is known of its tasks is of now.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, State::Live | State::Polled)
    }

    pub(crate) fn is_original(&self) -> bool {
        self.state == State::Polled
    }
}

/// What a piece of news changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Which tasks there are.
    pub(crate) tasks: bool,
    /// What some of them are doing.
    pub(crate) text: bool,
    /// How an endpoint fares.
    pub(crate) place: bool,
}

impl Changed {
    const NOTHING: Changed = Changed { tasks: false, text: false, place: false };

    pub(crate) fn and(self, other: Changed) -> Changed {
        Changed { tasks: self.tasks | other.tasks, text: self.text | other.text, place: self.place | other.place }
    }
}

#[derive(Debug)]
pub(crate) struct Store {
    places: Vec<Place>,
    tasks: Vec<Task>,
    index: HashMap<Key, u32, BuildHasherDefault<Numbers>>,
    gone: Vec<u32>,
    free: Vec<u32>,
    /// The newest last, each with when it was told.
    ended: VecDeque<(Key, Row, f64)>,
}

impl Store {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Store {
        let place =
            |name| Place { name, state: State::Connecting, is_known: false, tasks: 0, unseen: 0, gaps: 0, epoch: 0 };
        Store {
            places: names.into_iter().map(place).collect(),
            tasks: Vec::new(),
            index: HashMap::default(),
            gone: Vec::new(),
            free: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(crate) fn place(&self, key: Key) -> &Place {
        &self.places[key.endpoint as usize]
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The task in a slot that was given since the last [`sweep`](Self::sweep).
    pub(crate) fn task(&self, slot: u32) -> &Task {
        &self.tasks[slot as usize]
    }

    pub(crate) fn find(&self, key: Key) -> Option<&Task> {
        self.index.get(&key).map(|&slot| self.task(slot))
    }

    pub(crate) fn slot(&self, key: Key) -> Option<u32> {
        self.index.get(&key).copied()
    }

    /// How many slots there are; each is below this.
    pub(super) fn slots(&self) -> usize {
        self.tasks.len()
    }

    /// All tasks with their slots, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Task)> {
        (0..).zip(&self.tasks).filter(|(_, task)| !task.gone)
    }

    pub(crate) fn ended(&self) -> impl DoubleEndedIterator<Item = &(Key, Row, f64)> {
        self.ended.iter()
    }

    /// Takes news of an endpoint that were told at `now`.
    pub(crate) fn apply(&mut self, endpoint: u32, now: f64, news: News) -> Changed {
        let Some(place) = self.places.get_mut(endpoint as usize) else { return Changed::NOTHING };
        let mut changed = Changed { place: true, ..Changed::NOTHING };
        let later = |wait: std::time::Duration| now + wait.as_secs_f64() * 1e3;
        // How long it has been away, however often it was tried since.
        let since = match &place.state {
            State::Lost { since, .. } | State::Refused { since, .. } => *since,
            _ => now,
        };
        match news {
            News::Live => place.state = State::Live,
            News::Polled => place.state = State::Polled,
            News::Lost { why, retry_in } => place.state = State::Lost { why, since, retry_at: later(retry_in) },
            News::Refused { why, retry_in } => place.state = State::Refused { why, since, retry_at: later(retry_in) },
            News::Snapshot { rows, begins, ends } => {
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
            News::Task { row, .. } => changed = self.put(endpoint, now, row),
            News::Ended { row } => {
                let key = Key::of(endpoint, &row);
                changed = self.remove(key);
                self.keep_ended(key, row, now);
            }
            News::Left { serial } => {
                let mut row = empty();
                row.serial = serial;
                changed = self.remove(Key::of(endpoint, &row));
            }
            News::Gap { .. } => place.gaps += 1,
            News::Unseen { count } => place.unseen += count,
            News::Bye { .. } => {}
        }
        changed
    }

    /// A snapshot of this endpoint begins: tasks that are not in it have gone when it ends.
    pub(super) fn begin(&mut self, endpoint: u32) {
        let place = &mut self.places[endpoint as usize];
        place.epoch = place.epoch.wrapping_add(1);
    }

    pub(super) fn end(&mut self, endpoint: u32) -> Changed {
        let place = &mut self.places[endpoint as usize];
        place.is_known = true;
        let epoch = place.epoch;
        let old = |task: &&Task| !task.gone && task.key.endpoint == endpoint && task.epoch != epoch;
        let old: Vec<Key> = self.tasks.iter().filter(old).map(|task| task.key).collect();
        let nothing = Changed { place: true, ..Changed::NOTHING };
        old.into_iter().map(|key| self.remove(key)).fold(nothing, Changed::and)
    }

    /// A task as it is at `now`.
    pub(super) fn put(&mut self, endpoint: u32, now: f64, row: Row) -> Changed {
        let key = Key::of(endpoint, &row);
        let epoch = self.places[endpoint as usize].epoch;
        let back = |age: Option<f64>| age.map(|age| now - age.max(0.0));
        let mut task = Task {
            key,
            parent: row.parent.as_deref().and_then(number).unwrap_or(0),
            born: back(row.age_ms),
            since: back(row.status_age_ms),
            cancelled: back(row.cancel.as_ref().and_then(|cancel| cancel.age_ms)),
            first_far: row.progress.as_ref().map(|far| (now, far.done)),
            gone: false,
            epoch,
            row: Box::new(row),
        };
        if let Some(&slot) = self.index.get(&key) {
            let old = &mut self.tasks[slot as usize];
            // What is told takes time to come, more or less of it. The earliest is nearest to the truth.
            task.born = earliest(task.born, old.born);
            if task.row.status == old.row.status && task.row.status_at == old.row.status_at {
                task.since = earliest(task.since, old.since);
            }
            if let (Some((_, done)), Some(far)) = (old.first_far, &task.row.progress)
                && far.done >= done
            {
                task.first_far = old.first_far;
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
                u32::try_from(self.tasks.len() - 1).expect("memory ends before four thousand million tasks")
            }
        };
        self.index.insert(key, slot);
        self.places[endpoint as usize].tasks += 1;
        Changed { tasks: true, ..Changed::NOTHING }
    }

    pub(super) fn remove(&mut self, key: Key) -> Changed {
        let Some(slot) = self.index.remove(&key) else { return Changed::NOTHING };
        self.tasks[slot as usize].gone = true;
        self.gone.push(slot);
        self.places[key.endpoint as usize].tasks -= 1;
        Changed { tasks: true, ..Changed::NOTHING }
    }

    pub(super) fn keep_ended(&mut self, key: Key, row: Row, now: f64) {
        if self.ended.len() == KEPT_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back((key, row, now));
    }

    /// Frees the slots of what has gone. Slots that were given before may now be of other tasks.
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
    use super::super::What;
    use super::*;

    fn row(serial: u64, age: f64) -> Row {
        serde_json::from_value(serde_json::json!({ "serial": serial.to_string(), "id": "a", "ageMs": age })).unwrap()
    }

    fn told(rows: Vec<Row>) -> News {
        News::Snapshot { rows, begins: true, ends: true }
    }

    #[test]
    fn a_snapshot_takes_the_place_of_all_that_was_told_before_of_the_same_endpoint() {
        let mut store = Store::new(["a".to_owned(), "b".to_owned()]);
        store.apply(0, 0.0, told(vec![row(1, 0.0), row(2, 0.0)]));
        store.apply(1, 0.0, told(vec![row(1, 0.0)]));
        store.apply(0, 5.0, told(vec![row(2, 5.0), row(3, 1.0)]));
        let mut keys: Vec<_> = store.iter().map(|(_, task)| (task.key.endpoint, task.key.number)).collect();
        keys.sort_unstable();
        assert_eq!(keys, [(0, 2), (0, 3), (1, 1)]);
        assert_eq!((store.places()[0].tasks, store.places()[1].tasks, store.len()), (2, 1, 3));
    }

    #[test]
    fn ages_come_from_lengths_and_never_jump_back_because_news_came_late() {
        let mut store = Store::new(["a".to_owned()]);
        store.apply(0, 1_000.0, told(vec![row(1, 600.0)]));
        let key = Key { endpoint: 0, number: 1 };
        assert_eq!(store.find(key).unwrap().age(1_500.0), Some(1_100.0));
        // The same moment, told 300 ms late.
        store.apply(0, 1_800.0, News::Task { what: What::Status, row: row(1, 1_100.0) });
        assert_eq!(store.find(key).unwrap().age(1_800.0), Some(1_400.0));
    }

    #[test]
    fn a_slot_is_not_given_to_another_task_before_the_rows_are_made_anew() {
        let mut store = Store::new(["a".to_owned()]);
        store.apply(0, 0.0, told(vec![row(1, 0.0)]));
        let slot = store.slot(Key { endpoint: 0, number: 1 }).unwrap();
        store.apply(0, 0.0, News::Ended { row: row(1, 0.0) });
        store.apply(0, 0.0, News::Task { what: What::Started, row: row(2, 0.0) });
        assert!(store.task(slot).gone && store.task(slot).key.number == 1);
        store.sweep();
        store.apply(0, 0.0, News::Task { what: What::Started, row: row(3, 0.0) });
        assert_eq!(store.task(slot).key.number, 3);
        assert_eq!(store.ended().count(), 1);
    }

    #[test]
    fn tasks_without_a_serial_are_told_apart_by_id_and_start() {
        let original = |id: &str, at: &str| -> Row {
            serde_json::from_value(serde_json::json!({ "serial": "", "id": id, "startedAt": at })).unwrap()
        };
        let rows = vec![original("a", "2026-01-01T00:00:00Z"), original("b", "2026-01-01T00:00:00Z")];
        let mut store = Store::new(["a".to_owned()]);
        store.apply(0, 0.0, told(rows.clone()));
        store.apply(0, 1.0, told(rows));
        assert_eq!(store.len(), 2);
    }

    #[test]
    fn an_endpoint_is_away_since_the_first_time_that_it_was_not_heard() {
        let mut store = Store::new(["a".to_owned()]);
        let lost = || News::Lost { why: "x".into(), retry_in: std::time::Duration::from_secs(1) };
        store.apply(0, 100.0, lost());
        store.apply(0, 1_000.0, lost());
        assert_eq!(store.places()[0].state, State::Lost { why: "x".into(), since: 100.0, retry_at: 2_000.0 });
    }
}
