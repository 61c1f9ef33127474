//! The tasks of all endpoints as last reported.
//!
//! Times are milliseconds of one local monotonic clock, which the caller reads; in a replay it is the clock of the
//! recording. Only durations are taken from a server (`ageMs`), never its dates, so its clock may be wrong.
//!
//! An endpoint has at most [`ceiling::MAX_TASKS`] tasks within [`ceiling::MAX_MEMORY`]. Reports of further tasks are
//! dropped, and the endpoint is marked as [full](EndpointState::full) until its next snapshot.
//!
//! A task that is gone keeps its slot, though not its row, until [`Store::sweep`], so lines that refer to slots stay
//! valid until they are rebuilt.

use std::time::Duration;

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash as _, Hasher};

use pm_client::{Ceiling, Row, Serial};

use super::update::Update;
use crate::fleet::ceiling::{self, Amount};
use crate::out::format::{to_duration, to_millis};

/// How many ended tasks are retained.
const MAX_ENDED: usize = 1_000;
/// The most memory of ended tasks that are retained, in bytes.
const MAX_ENDED_MEMORY: usize = 16 << 20;
/// The index is shrunk when it is larger than this and mostly empty, as passes over it take as long as it is large.
const MAX_EMPTY_INDEX: usize = 4_096;

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
        self.aged(Row::clone(&self.row), now)
    }

    fn aged(&self, mut row: Row, now: f64) -> Row {
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
    /// The ceiling that is met, if it has more tasks than are held.
    pub(crate) full: Option<Ceiling>,
    held: Amount,
    epoch: u32,
    /// The number of tasks that were reported since the current snapshot began.
    fresh: usize,
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

    /// Says that it has more tasks than are held, if so.
    pub(crate) fn notice(&self) -> Option<String> {
        let most = ceiling::in_words(self.full?);
        Some(format!("more than {most}, and the others are not shown; `pm ls` with filters shows them"))
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
    ended_memory: usize,
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
            full: None,
            held: Amount::default(),
            epoch: 0,
            fresh: 0,
        };
        Store {
            endpoints: names.into_iter().map(endpoint).collect(),
            tasks: Vec::new(),
            index: HashMap::default(),
            gone: Vec::new(),
            free: Vec::new(),
            ended: VecDeque::new(),
            ended_memory: 0,
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

    /// The endpoints, and the rows of all tasks as of `now`, each with the index of its endpoint.
    pub(crate) fn into_rows(self, now: f64) -> (Vec<EndpointState>, Vec<(u32, Row)>) {
        let row = |mut task: Task| {
            let row = std::mem::take(&mut *task.row);
            (task.key.endpoint, task.aged(row, now))
        };
        (self.endpoints, self.tasks.into_iter().filter(|task| !task.gone).map(row).collect())
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
        state.fresh = 0;
        state.full = None;
    }

    /// Ends the snapshot and removes the tasks that were not in it.
    pub(crate) fn end(&mut self, endpoint: u32) -> Changed {
        let state = &mut self.endpoints[endpoint as usize];
        state.is_known = true;
        self.remove_old(endpoint).and(Changed { endpoint: true, ..Changed::NOTHING })
    }

    /// Removes the tasks of this endpoint that were not reported since its snapshot began.
    fn remove_old(&mut self, endpoint: u32) -> Changed {
        let EndpointState { epoch, fresh, tasks, .. } = self.endpoints[endpoint as usize];
        if fresh == tasks {
            return Changed::NOTHING;
        }
        let is_old = |slot: u32| self.task(slot).epoch != epoch;
        let old = self.index.iter().filter(|&(key, &slot)| key.endpoint == endpoint && is_old(slot));
        let old: Vec<Key> = old.map(|(key, _)| *key).collect();
        old.into_iter().map(|key| self.remove(key)).fold(Changed::NOTHING, Changed::and)
    }

    /// Counts a task of this endpoint, and makes space for it if that is taken by tasks of an earlier snapshot.
    fn hold(&mut self, endpoint: u32, row: &Row) -> Result<(), Ceiling> {
        let held = &mut self.endpoints[endpoint as usize].held;
        held.add(row).or_else(|_| {
            self.remove_old(endpoint);
            self.endpoints[endpoint as usize].held.add(row)
        })
    }

    /// Inserts or replaces a task as of `now`. Removes or ignores it if the endpoint then had more than it may.
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
            let state = &mut self.endpoints[endpoint as usize];
            if let Err(ceiling) = state.held.replace(&old.row, &task.row) {
                state.full = Some(ceiling);
                return self.remove(key).and(Changed { endpoint: true, ..Changed::NOTHING });
            }
            if old.epoch != epoch {
                state.fresh += 1;
            }
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
        if let Err(ceiling) = self.hold(endpoint, &task.row) {
            self.endpoints[endpoint as usize].full = Some(ceiling);
            return Changed { tasks: true, endpoint: true, text: false };
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
        let state = &mut self.endpoints[endpoint as usize];
        (state.tasks, state.fresh) = (state.tasks + 1, state.fresh + 1);
        Changed { tasks: true, ..Changed::NOTHING }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Changed {
        let Some(slot) = self.index.remove(&key) else { return Changed::NOTHING };
        let (task, state) = (&mut self.tasks[slot as usize], &mut self.endpoints[key.endpoint as usize]);
        task.gone = true;
        state.tasks -= 1;
        state.held.remove(&task.row);
        *task.row = empty();
        if task.epoch == state.epoch {
            state.fresh -= 1;
        }
        self.gone.push(slot);
        if self.index.capacity() > MAX_EMPTY_INDEX.max(8 * self.index.len()) {
            self.index.shrink_to(2 * self.index.len());
        }
        Changed { tasks: true, ..Changed::NOTHING }
    }

    pub(crate) fn retain_ended(&mut self, key: Key, row: Row, now: f64) {
        self.ended_memory += ceiling::memory_of(&row);
        self.ended.push_back((key, row, now));
        while self.ended.len() > MAX_ENDED || self.ended_memory > MAX_ENDED_MEMORY {
            let Some((_, row, _)) = self.ended.pop_front() else { break };
            self.ended_memory -= ceiling::memory_of(&row);
        }
    }

    /// Frees the slots of tasks that are gone. Slots returned earlier may be reused afterwards.
    pub(crate) fn sweep(&mut self) {
        self.free.append(&mut self.gone);
    }

    /// The number of slots of tasks that are gone, until the next [`sweep`](Self::sweep).
    pub(crate) fn gone(&self) -> usize {
        self.gone.len()
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
mod tests;
