//! Statistics of the tasks of each kind: outcomes, durations, the time by status.
//!
//! Each thread counts the tasks that end on it; readers add up the counts of all threads. When a thread exits, its
//! counts are added to those of all threads that are gone.
//!
//! **Everything has an upper bound, for all threads together.** Kinds beyond the limit are counted together, and so are
//! statuses of one kind. The counts of threads take at most an eighth of the memory of the list, or 1 MiB; beyond that
//! a task is counted where those of all gone threads are, under a lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::ended::End;
use crate::base::histogram::{Histogram, Sums};
use crate::base::limits::Limits;
use crate::base::sync::PlainMutex;
use crate::base::text;
use crate::layout::record;
use crate::layout::record::Head;
use crate::layout::walk::{EntryAt, TaskRecords};

/// The number of tasks without a kind.
pub(crate) const NONE: u32 = 0;

/// The number of all kinds beyond the limit.
pub(crate) const OTHER: u32 = 1;

const FIRST: u32 = 2;

/// The bytes of a status that distinguish it from others.
const STATUS_BYTES: usize = 64;

const STATUS_WORDS: usize = STATUS_BYTES / 8;

/// The kinds of one list, and their counts in each thread.
pub(crate) struct Kinds {
    names: Box<[OnceLock<Box<str>>]>,
    numbers: PlainMutex<HashMap<Box<str>, u32>>,
    pub(super) shards: PlainMutex<KindShards>,
    pub(super) max_statuses: usize,
    /// The bytes of the shards, and the most that they may be.
    bytes: AtomicU64,
    max_bytes: u64,
}

#[derive(Default)]
pub(super) struct KindShards {
    /// Those of threads that run.
    pub(super) active: Vec<Arc<KindShard>>,
    /// The counts of threads that are gone, and of tasks that found no memory for those of their own, by the number of
    /// their kind.
    pub(super) common: HashMap<u32, KindTotals>,
}

impl KindShards {
    fn add_to_common(&mut self, kinds: &Kinds, number: u32, counts: &Counts) {
        let before = self.common.get(&number).map_or(0, KindTotals::bytes);
        let totals = self.common.entry(number).or_default();
        totals.add(counts, kinds.max_statuses);
        // They only grow.
        kinds.bytes.fetch_add(totals.bytes() - before, Ordering::Relaxed);
    }
}

impl Kinds {
    /// Makes statistics for a list of so many bytes.
    pub(crate) fn new(limits: &Limits, list_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            names: (0..limits.kinds).map(|_| OnceLock::new()).collect(),
            numbers: PlainMutex::new(HashMap::new()),
            shards: PlainMutex::default(),
            max_statuses: limits.statuses,
            bytes: AtomicU64::new(0),
            max_bytes: (list_bytes / 8).max(1 << 20),
        })
    }

    /// Numbers below this are counted.
    pub(super) fn counted(&self) -> u32 {
        if self.names.is_empty() { 0 } else { self.names.len() as u32 + FIRST }
    }

    pub(crate) fn name(&self, number: u32) -> Option<&str> {
        self.names.get(number.checked_sub(FIRST)? as usize)?.get().map(|name| &**name)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    #[cold]
    pub(super) fn number(&self, name: &str) -> u32 {
        let mut numbers = self.numbers.lock();
        if let Some(&number) = numbers.get(name) {
            return number;
        }
        let Some(free) = self.names.get(numbers.len()) else { return OTHER };
        let number = FIRST + numbers.len() as u32;
        let _ = free.set(name.into());
        numbers.insert(name.into(), number);
        number
    }

    fn new_shard(&self) -> Arc<KindShard> {
        let bytes = u64::from(self.counted()) * SHARD_BYTES;
        let has_space = self.take_bytes(bytes);
        let shard = Arc::new(KindShard::new(if has_space { self.counted() as usize } else { 0 }));
        self.shards.lock().active.push(Arc::clone(&shard));
        shard
    }

    /// Returns `true` if so many bytes may be allocated, and counts them.
    fn take_bytes(&self, bytes: u64) -> bool {
        let has_space = self.bytes().saturating_add(bytes) <= self.max_bytes;
        if has_space {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        has_space
    }

    /// Adds the counts of a thread that exits to the common ones, and gives their memory back.
    fn retire(&self, shard: &Arc<KindShard>) {
        let mut bytes = shard.kinds.len() as u64 * SHARD_BYTES;
        let mut shards = self.shards.lock();
        // Under the lock, as readers are: they find the counts here or there.
        shards.active.retain(|other| !Arc::ptr_eq(other, shard));
        for (number, counts) in (0..).zip(&shard.kinds) {
            if let Some(counts) = counts.get() {
                shards.add_to_common(self, number, counts);
                bytes += counts.bytes();
            }
        }
        drop(shards);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts a task of a thread that has no counts of its own for its kind.
    #[cold]
    #[inline(never)]
    pub(super) fn count(&self, records: TaskRecords<'_>, end: &End) {
        if cfg!(loom) || end.kind >= self.counted() {
            return;
        }
        let counts = Counts::new(self.max_statuses);
        counts.count(records, end);
        self.shards.lock().add_to_common(self, end.kind, &counts);
    }

    /// Returns how many tasks ended whose kind was beyond the limit.
    pub(crate) fn ended_as_other(&self) -> u64 {
        let shards = self.shards.lock();
        let others = shards.active.iter().filter_map(|shard| shard.kinds.get(OTHER as usize)?.get());
        let counted: u64 = others.flat_map(|counts| &counts.outcomes).map(|count| count.load(Ordering::Relaxed)).sum();
        counted + shards.common.get(&OTHER).map_or(0, KindTotals::ended)
    }
}

/// The bytes of the place of a kind in a shard.
const SHARD_BYTES: u64 = size_of::<OnceLock<Box<Counts>>>() as u64;

/// The counting state of one thread.
pub(crate) struct Counter {
    kinds: Arc<Kinds>,
    shard: Arc<KindShard>,
    /// The numbers of kinds that this thread has seen, by a hash of their name.
    cache: [u32; 32],
}

impl Counter {
    pub(crate) fn new(kinds: Arc<Kinds>) -> Self {
        Self { shard: kinds.new_shard(), kinds, cache: [NONE; 32] }
    }

    #[inline]
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        let place = text::hash(name) as usize % self.cache.len();
        let known = self.cache[place];
        if self.kinds.name(known) == Some(name) {
            return known;
        }
        let number = self.kinds.number(name);
        self.cache[place] = number;
        number
    }

    /// Counts a task that ended and is still in its slot.
    #[inline]
    pub(crate) fn count(&self, records: TaskRecords<'_>, end: &End) {
        if cfg!(loom) {
            // Reads words that other threads write, but only to count: not for the model checker.
            return;
        }
        let Some(counts) = self.counts(end.kind) else {
            return self.kinds.count(records, end);
        };
        let taken = counts.count(records, end);
        if taken > 0 {
            self.kinds.bytes.fetch_add(taken as u64, Ordering::Relaxed);
        }
    }

    /// Returns the counts of this thread for a kind, if there is memory for them.
    #[inline]
    fn counts(&self, kind: u32) -> Option<&Counts> {
        let counts = self.shard.kinds.get(kind as usize)?;
        match counts.get() {
            Some(counts) => Some(counts),
            None => self.new_counts(counts),
        }
    }

    #[cold]
    fn new_counts<'c>(&self, counts: &'c OnceLock<Box<Counts>>) -> Option<&'c Counts> {
        let new = Counts::new(self.kinds.max_statuses);
        // With what its statuses and durations are likely to take.
        let has_space =
            self.kinds.bytes() + 2 * new.bytes() <= self.kinds.max_bytes && self.kinds.take_bytes(new.bytes());
        has_space.then(|| &**counts.get_or_init(|| Box::new(new)))
    }

    /// Returns `true` if the task took longer than all tasks of its kind that ended recently on this thread.
    #[inline]
    pub(crate) fn is_slowest(&self, end: &End, keep_for: u64) -> bool {
        let Some(counts) = self.shard.kinds.get(end.kind as usize).and_then(OnceLock::get) else { return false };
        let slowest = counts.slowest.load(Ordering::Relaxed);
        let since = end.ended.wrapping_sub(counts.slowest_ended.load(Ordering::Relaxed));
        if end.ticks <= slowest && since <= keep_for {
            return false;
        }
        counts.slowest.store(end.ticks, Ordering::Relaxed);
        counts.slowest_ended.store(end.ended, Ordering::Relaxed);
        true
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.kinds.retire(&self.shard);
    }
}

pub(super) struct KindShard {
    pub(super) kinds: Box<[OnceLock<Box<Counts>>]>,
}

impl KindShard {
    fn new(kinds: usize) -> Self {
        Self { kinds: (0..kinds).map(|_| OnceLock::new()).collect() }
    }
}

/// The counts of one thread for one kind. Written by that thread only.
pub(super) struct Counts {
    /// By outcome.
    pub(super) outcomes: [AtomicU64; 8],
    pub(super) ticks: AtomicU64,
    pub(super) max: AtomicU64,
    pub(super) latency: Histogram,
    /// The slowest recent task, for which tasks are retained longer, and when it ended.
    slowest: AtomicU64,
    slowest_ended: AtomicU64,
    pub(super) init: Time,
    /// The statuses seen so far; `path` has their indices.
    pub(super) statuses: Box<[OnceLock<Box<StatusCount>>]>,
    pub(super) other: Time,
    /// The indices in `statuses` of the last task's statuses, a byte each: those of the next task are likely the same.
    path: AtomicU64,
}

/// A status that was seen, and its counts.
pub(super) struct StatusCount {
    /// The low bits of the header of its records.
    head: u64,
    /// The status, in whole words; zero after its end.
    words: [u64; STATUS_WORDS],
    pub(super) time: Time,
}

/// How often a status was entered, and the ticks until the next one.
pub(super) struct Time {
    pub(super) entered: AtomicU64,
    pub(super) ticks: AtomicU64,
}

impl Time {
    const fn new() -> Self {
        Self { entered: AtomicU64::new(0), ticks: AtomicU64::new(0) }
    }

    #[inline(always)]
    fn add(&self, ticks: u64) {
        add(&self.entered, 1);
        add(&self.ticks, ticks);
    }
}

impl StatusCount {
    fn len(&self) -> usize {
        Head(self.head).text_len()
    }

    /// The words of the status.
    #[inline(always)]
    fn words(&self) -> &[u64] {
        &self.words[..self.len().div_ceil(8).min(STATUS_WORDS)]
    }

    pub(super) fn name(&self) -> String {
        let bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).take(self.len()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Adds to a counter that only this thread writes.
#[inline]
fn add(cell: &AtomicU64, more: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl Counts {
    fn new(max_statuses: usize) -> Self {
        Self {
            outcomes: [const { AtomicU64::new(0) }; 8],
            ticks: AtomicU64::new(0),
            max: AtomicU64::new(0),
            latency: Histogram::new(),
            slowest: AtomicU64::new(0),
            slowest_ended: AtomicU64::new(0),
            init: Time::new(),
            statuses: (0..max_statuses).map(|_| OnceLock::new()).collect(),
            other: Time::new(),
            path: AtomicU64::new(0),
        }
    }

    /// Returns the bytes of all that was allocated so far.
    fn bytes(&self) -> u64 {
        let known = self.statuses.iter().map_while(OnceLock::get).count();
        let own = size_of::<Self>() + size_of_val(&*self.statuses) + known * size_of::<StatusCount>();
        own as u64 + self.latency.bytes()
    }

    /// Counts a task. Returns the bytes that were newly allocated.
    #[inline]
    fn count(&self, records: TaskRecords<'_>, end: &End) -> usize {
        add(&self.outcomes[end.outcome as usize], 1);
        add(&self.ticks, end.ticks);
        if end.ticks > self.max.load(Ordering::Relaxed) {
            self.max.store(end.ticks, Ordering::Relaxed);
        }
        let taken = self.latency.count(end.ticks);
        if end.is_over_step {
            self.other.add(end.ticks);
            return taken;
        }

        // Tasks of a kind mostly report the same statuses in the same order. As long as this one does, the next address
        // does not depend on what was read of its slot, so that none of these reads waits for another.
        let path = self.path.load(Ordering::Relaxed);
        let mut walk = Walk { time: &self.init, since: 0, path, step: 0, walked: 0, taken };
        let (mut at, log_end) = (records.entries_from(), records.log_end());
        while at < log_end {
            let head = records.slot.peek(at);
            if let Some(status) = self.statuses.get(walk.guess()).and_then(OnceLock::get)
                && head & record::STATUS_HEAD == status.head
                && status.words().iter().enumerate().all(|(word, &text)| records.slot.peek(at + 1 + word) == text)
            {
                walk.enter(walk.guess(), &status.time, Head(head).delta());
                at += 1 + status.words().len();
            } else if Head(head).is_attr() {
                // An attribute that was set in between.
                at += Head(head).words();
            } else {
                break;
            }
        }
        if at < log_end || end.chained > 0 {
            self.walk_on(&mut walk, records, at);
        }
        walk.time.add(end.ticks.saturating_sub(walk.since));
        if walk.walked != path {
            self.path.store(walk.walked, Ordering::Relaxed);
        }
        walk.taken
    }

    #[cold]
    #[inline(never)]
    fn walk_on<'c>(&'c self, walk: &mut Walk<'c>, records: TaskRecords<'_>, from: usize) {
        records.each_entry(from, |entry| {
            if let Some(entry) = entry {
                let place = self.find(&entry, walk);
                let status = self.statuses.get(place).and_then(OnceLock::get);
                walk.enter(place, status.map_or(&self.other, |status| &status.time), entry.delta());
            } else {
                // Entries are missing here: the end of the status before the gap is unknown.
                walk.time = &self.other;
            }
        });
    }

    /// Returns the index of a status, which may be new.
    fn find(&self, entry: &EntryAt<'_>, walk: &mut Walk<'_>) -> usize {
        let mut name = Name::new();
        if entry.is_cancel_request() {
            name.put(b"[cancel request]".iter().copied());
        } else {
            let words = (0..entry.len().div_ceil(8)).flat_map(|at| entry.word(at).to_le_bytes());
            name.put(words.take(entry.len()));
        }
        let (head, words) = (record::status_head(name.len, 0), name.words());
        let is_it = |status: &StatusCount| status.head == head && status.words == words;
        let guess = walk.guess();
        if self.statuses.get(guess).and_then(OnceLock::get).is_some_and(|status| is_it(status)) {
            return guess;
        }
        for (place, status) in self.statuses.iter().enumerate() {
            match status.get() {
                Some(known) if is_it(known) => return place,
                Some(_) => {}
                None => {
                    walk.taken += size_of::<StatusCount>();
                    let _ = status.set(Box::new(StatusCount { head, words, time: Time::new() }));
                    return place;
                }
            }
        }
        self.statuses.len()
    }
}

/// Counts of one kind, added up.
#[derive(Clone, Default)]
pub(super) struct KindTotals {
    /// By outcome.
    pub(super) outcomes: [u64; 8],
    pub(super) ticks: u64,
    pub(super) max: u64,
    pub(super) latency: Sums,
    /// How often a status was entered, and its ticks.
    pub(super) statuses: HashMap<String, (u64, u64)>,
    pub(super) other: (u64, u64),
}

impl KindTotals {
    /// Adds the counts of a thread. Statuses beyond the limit are added up together, as in one thread.
    pub(super) fn add(&mut self, counts: &Counts, max_statuses: usize) {
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        for (total, count) in self.outcomes.iter_mut().zip(&counts.outcomes) {
            *total += get(count);
        }
        self.ticks = self.ticks.wrapping_add(get(&counts.ticks));
        self.max = self.max.max(get(&counts.max));
        counts.latency.add_to(&mut self.latency);
        let named = counts.statuses.iter().map_while(OnceLock::get).map(|status| (Some(status.name()), &status.time));
        let first = [(Some(INIT.to_owned()), &counts.init), (None, &counts.other)];
        for (name, time) in first.into_iter().chain(named) {
            let (entered, ticks) = (get(&time.entered), get(&time.ticks));
            if entered == 0 {
                continue;
            }
            let is_full = self.statuses.len() > max_statuses;
            let total = match name {
                Some(name) if name == INIT || !is_full || self.statuses.contains_key(&name) => {
                    self.statuses.entry(name).or_default()
                }
                _ => &mut self.other,
            };
            *total = (total.0 + entered, total.1.wrapping_add(ticks));
        }
    }

    /// Returns the bytes that they take, but for what the allocator adds.
    pub(super) fn bytes(&self) -> u64 {
        let names: usize = self.statuses.keys().map(String::capacity).sum();
        let statuses = self.statuses.capacity() * size_of::<(String, (u64, u64))>() + names;
        (size_of::<Self>() + statuses) as u64 + self.latency.bytes()
    }

    /// Returns how many tasks ended.
    pub(super) fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}

/// The status of a task before it sets one.
const INIT: &str = "init";

/// The walk of one task through its statuses.
struct Walk<'c> {
    /// The counts of its status, which it entered at `since`.
    time: &'c Time,
    since: u64,
    /// The expected indices of its statuses, a byte each: those of the last task.
    path: u64,
    /// The indices of its statuses so far.
    walked: u64,
    step: u32,
    /// The bytes that were newly allocated.
    taken: usize,
}

impl<'c> Walk<'c> {
    /// Returns the likely index of the next status.
    #[inline(always)]
    fn guess(&self) -> usize {
        (self.path >> (8 * (self.step % 8)) & 0xff) as usize
    }

    #[inline(always)]
    fn enter(&mut self, place: usize, time: &'c Time, at: u64) {
        self.time.add(at.saturating_sub(self.since));
        self.time = time;
        self.since = at;
        if self.step < 8 {
            self.walked |= (place as u64 & 0xff) << (8 * self.step);
        }
        self.step += 1;
    }
}

/// The common form of statuses that differ in numbers only: `#` stands for each number.
struct Name {
    bytes: [u8; STATUS_BYTES],
    len: usize,
}

impl Name {
    fn new() -> Self {
        Self { bytes: [0; STATUS_BYTES], len: 0 }
    }

    fn put(&mut self, text: impl Iterator<Item = u8>) {
        let mut in_number = false;
        for byte in text {
            let digit = byte.is_ascii_digit();
            if digit && in_number {
                continue;
            }
            in_number = digit;
            if self.len == STATUS_BYTES {
                return self.mark_cut();
            }
            self.bytes[self.len] = if digit { b'#' } else { byte };
            self.len += 1;
        }
    }

    #[cold]
    fn mark_cut(&mut self) {
        let mark = "…".as_bytes();
        self.len -= mark.len();
        while std::str::from_utf8(&self.bytes[..self.len]).is_err() {
            self.len -= 1;
        }
        self.bytes[self.len..self.len + mark.len()].copy_from_slice(mark);
        self.len += mark.len();
        self.bytes[self.len..].fill(0);
    }

    fn words(&self) -> [u64; STATUS_WORDS] {
        let (words, _) = self.bytes.as_chunks::<8>();
        std::array::from_fn(|at| u64::from_le_bytes(words[at]))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    #[test]
    fn statuses_that_differ_in_numbers_are_one() {
        let general = |text: &str| {
            let mut name = super::Name::new();
            name.put(text.bytes());
            assert!(name.bytes[name.len..].iter().all(|&byte| byte == 0));
            String::from_utf8(name.bytes[..name.len].to_vec()).unwrap()
        };
        assert_eq!(general("reading block 17 of 2048"), "reading block # of #");
        assert_eq!(general(&"9".repeat(500)), "#");
        assert_eq!(general(&"é".repeat(40)), format!("{}…", "é".repeat(30)));
        assert_eq!(general(&"x".repeat(64)).len(), 64);
    }
}
