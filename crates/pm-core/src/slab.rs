//! The chunks of one list: where they come from and where they go.
//!
//! Each thread keeps a magazine of free chunks, of slots whose tasks ended, and a block of serials for each list it
//! uses, so that starting and ending a task touches nothing that another thread writes. A mutex is taken only to
//! refill, to spill, to hand on ended tasks by the batch, and when a thread exits. A chunk that is freed on another
//! thread goes to that thread's magazine.

use std::cell::RefCell;
use std::sync::atomic::AtomicU64 as StdAtomicU64;
use std::sync::{Arc, OnceLock};

use crate::chunk::{Chunk, SEGMENT, SEGMENT_BYTES, Segment, WORDS, tag};
use crate::ended::{Batch, Retained};
use crate::kinds::{Counter, Kinds};
use crate::list::Inner;
use crate::options::Limits;
use crate::slot::{End, Slot};
use crate::sync::{AtomicU64, Mutex, Ordering, PlainMutex, own};
use crate::watch::{CELL_BYTES, Cell};

/// Chunks that move between a magazine and the central store at a time.
const BATCH: usize = if cfg!(loom) { 2 } else { 32 };
/// Free chunks that a magazine holds at most.
const MAGAZINE: usize = 2 * BATCH;
/// Serials that a thread takes at a time.
const SERIALS: u64 = 64;

/// The next serial that no thread has taken: one for the process, so that a serial names one task in all lists.
static NEXT_SERIAL: StdAtomicU64 = StdAtomicU64::new(1);

/// What a thread counts for itself: written by one thread, summed by readers.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    Started,
    Finished,
    Failed,
    Cancelled,
    Aborted,
    /// Its future was dropped by its owner.
    Dropped,
    /// Described, but never started.
    Discarded,
}
const COUNTS: usize = 7;

// By itself in its cache lines, or threads would slow each other down.
#[repr(align(128))]
pub(crate) struct Shard {
    // Written by one thread and read as numbers only: nothing for the model checker.
    counts: [StdAtomicU64; COUNTS],
}

impl Shard {
    fn new() -> Self {
        Self { counts: [const { StdAtomicU64::new(0) }; COUNTS] }
    }

    /// Adds one; for the shard's own thread, which is the only one that writes it.
    #[inline]
    pub(crate) fn bump(&self, count: Count) {
        let cell = &self.counts[count as usize];
        // Release: pairs with the Acquire of `tally`. Who sees that all tasks have ended sees all they counted.
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

pub(crate) struct Slab {
    segments: Box<[OnceLock<Segment>]>,
    /// Chunks that were ever handed out: those below lie in segments that exist.
    /// Release on growth pairs with the Acquire of readers.
    high: AtomicU64,
    central: Mutex<Central>,
    /// Counts of threads that have no magazine (they are about to exit): added to by several threads.
    homeless: Shard,
    /// What waits for tasks, 64 slots at a time: see `watch.rs`.
    cells: Box<[OnceLock<Pages>]>,
    pages: StdAtomicU64,
    /// What the list that has this slab counts of its kinds.
    kinds: PlainMutex<Arc<Kinds>>,
    /// Grows whenever another list takes the slab over.
    epoch: StdAtomicU64,
    /// Ended tasks that were let go.
    pub(crate) let_go: StdAtomicU64,
    /// The most live tasks that were seen.
    peak: StdAtomicU64,
}

type Page = Box<[Mutex<Cell>]>;
type Pages = Box<[OnceLock<Page>]>;
const PAGE: usize = if cfg!(loom) { 2 } else { 64 };

struct Central {
    free: Free,
    retained: Retained,
    shards: Vec<&'static Shard>,
    /// Shards of threads that exited, for the next threads.
    idle: Vec<&'static Shard>,
}

/// Free chunks, by segment. Those of the lowest segments are taken first, so that after a burst what lives gathers in
/// few segments again.
#[derive(Default)]
struct Free {
    segments: Vec<Vec<u32>>,
    /// No segment below this one has any.
    lowest: usize,
}

impl Free {
    fn put(&mut self, chunks: impl IntoIterator<Item = u32>) {
        for index in chunks {
            let segment = index as usize / SEGMENT;
            if segment >= self.segments.len() {
                self.segments.resize_with(segment + 1, Vec::new);
            }
            self.segments[segment].push(index);
            self.lowest = self.lowest.min(segment);
        }
    }

    /// Moves up to `wanted` into `into`.
    fn take(&mut self, into: &mut Vec<u32>, wanted: usize) {
        let full = into.len() + wanted;
        while into.len() < full
            && let Some(free) = self.segments.get_mut(self.lowest)
        {
            into.extend(free.drain(free.len().saturating_sub(full - into.len())..));
            if free.is_empty() {
                self.lowest += 1;
            }
        }
    }
}

impl Slab {
    /// How many segments a list may have that takes no more than this.
    pub(crate) fn segments_for(max_bytes: usize) -> usize {
        (max_bytes / SEGMENT_BYTES).clamp(1, (u32::MAX as usize - 1) / SEGMENT)
    }

    pub(crate) fn max_segments(&self) -> usize {
        self.segments.len()
    }

    pub(crate) fn max_bytes(&self) -> u64 {
        (self.segments.len() * SEGMENT_BYTES) as u64
    }

    /// A slab that grows to so many segments. It lives as long as the process.
    pub(crate) fn allocate(segments: usize, limits: &Limits) -> &'static Self {
        Box::leak(Box::new(Self::new(segments, limits)))
    }

    fn new(segments: usize, limits: &Limits) -> Self {
        Self {
            segments: (0..segments).map(|_| OnceLock::new()).collect(),
            high: AtomicU64::new(0),
            central: Mutex::new(Central {
                free: Free::default(),
                retained: Retained::default(),
                shards: Vec::new(),
                idle: Vec::new(),
            }),
            homeless: Shard::new(),
            cells: (0..segments).map(|_| OnceLock::new()).collect(),
            pages: StdAtomicU64::new(0),
            kinds: PlainMutex::new(Kinds::new(limits)),
            epoch: StdAtomicU64::new(0),
            let_go: StdAtomicU64::new(0),
            peak: StdAtomicU64::new(0),
        }
    }

    /// Forgets what the list before counted and kept; none of its tasks is live. Returns the first serial that is the
    /// new list's.
    pub(crate) fn renew(&'static self, inner: &'static Inner) -> u64 {
        *self.kinds.lock() = Kinds::new(&inner.limits);
        let mut chunks = Vec::new();
        let retained = std::mem::take(&mut self.central.lock().retained);
        retained.into_slots().for_each(|index| Slot::at(inner, index).let_go(|index| chunks.push(index)));
        self.give_back(chunks);
        self.let_go.store(0, Ordering::Relaxed);
        self.peak.store(0, Ordering::Relaxed);
        // Release: pairs with the Acquire of `with_magazine`. A thread that kept ended tasks of the list before lets go
        // of them then, and takes new serials; until then its old ones tell that they are not this list's.
        self.epoch.fetch_add(1, Ordering::Release);
        NEXT_SERIAL.load(Ordering::Relaxed)
    }

    /// What the list counts of its kinds.
    pub(crate) fn kinds(&self) -> Arc<Kinds> {
        Arc::clone(&self.kinds.lock())
    }

    /// What waits for the task in this slot.
    pub(crate) fn cell(&self, index: u32) -> &Mutex<Cell> {
        let (segment, offset) = (index as usize / SEGMENT, index as usize % SEGMENT);
        let pages = self.cells[segment].get_or_init(|| (0..SEGMENT.div_ceil(PAGE)).map(|_| OnceLock::new()).collect());
        let page = pages[offset / PAGE].get_or_init(|| {
            self.pages.fetch_add(1, Ordering::Relaxed);
            (0..PAGE).map(|_| Mutex::new(Cell::default())).collect()
        });
        &page[offset % PAGE]
    }

    #[inline]
    fn segment(&self, index: u32) -> Segment {
        *self.segments[index as usize / SEGMENT]
            .get()
            .expect("an index that was handed out lies in a segment that exists")
    }

    #[inline]
    pub(crate) fn chunk(&self, index: u32) -> &'static Chunk {
        &self.segment(index).chunks[index as usize % SEGMENT]
    }

    /// The chunk of an index that may be rubbish, read from memory that changed meanwhile.
    pub(crate) fn try_chunk(&self, index: u32) -> Option<&'static Chunk> {
        let segment = self.segments.get(index as usize / SEGMENT)?.get()?;
        Some(&segment.chunks[index as usize % SEGMENT])
    }

    #[inline]
    pub(crate) fn tag(&self, index: u32) -> &'static AtomicU64 {
        &self.segment(index).tags[index as usize % SEGMENT]
    }

    /// Calls `visit` with the index of each slot that holds a live task.
    pub(crate) fn each_live(&self, mut visit: impl FnMut(u32)) {
        self.each_tag(|index, tag| {
            if tag & tag::LIVE != 0 {
                visit(index);
            }
            true
        });
    }

    /// Calls `visit` with the index of each slot that holds a task that ended and is kept.
    pub(crate) fn each_ended(&self, mut visit: impl FnMut(u32)) {
        self.each_tag(|index, tag| {
            if tag & tag::LIVE == 0 {
                visit(index);
            }
            true
        });
    }

    /// Calls `visit` with the index and tag of each slot that holds a task, live or ended, until it says no.
    pub(crate) fn each_tag(&self, mut visit: impl FnMut(u32, u64) -> bool) {
        let high = self.high.load(Ordering::Acquire) as usize;
        for (number, segment) in self.segments.iter().enumerate().take(high.div_ceil(SEGMENT)) {
            let Some(segment) = segment.get() else { return };
            let first = number * SEGMENT;
            for (offset, tag) in segment.tags[..SEGMENT.min(high - first)].iter().enumerate() {
                // Acquire: pairs with the Release of `publish`, so that the gate behind it is that task's or later.
                let tag = tag.load(Ordering::Acquire);
                if tag != 0 && !visit((first + offset) as u32, tag) {
                    return;
                }
            }
        }
    }

    /// Bytes of all that is in use.
    pub(crate) fn bytes(&self) -> u64 {
        let high = self.high.load(Ordering::Acquire) as usize;
        let segments = high.div_ceil(SEGMENT) * SEGMENT * (WORDS + 1) * 8;
        let cells = self.pages.load(Ordering::Relaxed) as usize * PAGE * CELL_BYTES;
        (segments + cells) as u64 + self.kinds.lock().bytes()
    }

    /// The most live tasks there ever were, as far as anybody looked.
    pub(crate) fn peak(&self, live: u64) -> u64 {
        self.peak.fetch_max(live, Ordering::Relaxed).max(live)
    }

    /// Moves up to `wanted` free chunks into `into`; none when the list is full.
    fn refill(&self, into: &mut Vec<u32>, wanted: usize) {
        let mut central = self.central.lock();
        // Tasks only ever get more with new chunks: a good time to see how many there are.
        self.peak(central.tally(&self.homeless).live());
        central.free.take(into, wanted);
        if !into.is_empty() {
            return;
        }
        let high = own(&self.high) as usize;
        let segment = high / SEGMENT;
        if segment >= self.segments.len() {
            return;
        }
        if high.is_multiple_of(SEGMENT) && self.segments[segment].get().is_none() {
            let Some(new) = Segment::allocate() else { return };
            let _ = self.segments[segment].set(new);
        }
        let end = (high + wanted).min((segment + 1) * SEGMENT);
        // The lowest index is taken first.
        into.extend((high..end).rev().map(|index| index as u32));
        self.high.store(end as u64, Ordering::Release);
    }

    fn give_back(&self, chunks: impl IntoIterator<Item = u32>) {
        self.central.lock().free.put(chunks);
    }

    /// The sums over all threads.
    pub(crate) fn tally(&self) -> Tally {
        self.central.lock().tally(&self.homeless)
    }
}

impl Central {
    fn tally(&self, homeless: &Shard) -> Tally {
        let mut tally = Tally([0; COUNTS]);
        // Ends before starts: a task that ends meanwhile must not make more ends than starts.
        for count in (0..COUNTS).rev() {
            let shards = self.shards.iter().copied().chain([homeless]);
            tally.0[count] = shards.map(|shard| shard.counts[count].load(Ordering::Acquire)).sum();
        }
        tally
    }
}

/// What all threads counted for one list.
#[derive(Clone, Copy)]
pub(crate) struct Tally(pub(crate) [u64; COUNTS]);

impl Tally {
    pub(crate) fn since(self, before: Self) -> Self {
        Self(std::array::from_fn(|count| self.0[count] - before.0[count]))
    }

    pub(crate) fn live(self) -> u64 {
        let ended: u64 = self.0[Count::Started as usize + 1..].iter().sum();
        self.0[Count::Started as usize].saturating_sub(ended)
    }
}

/// What one thread keeps for one list.
pub(crate) struct Magazine {
    inner: &'static Inner,
    epoch: u64,
    shard: &'static Shard,
    counter: Counter,
    free: Vec<u32>,
    /// Ended tasks, to be handed on when they are a batch.
    ordinary: Batch,
    notable: Batch,
    /// How many ticks ordinary ended tasks are kept for.
    keep_for: u64,
    serial: u64,
    serial_end: u64,
}

impl Magazine {
    fn new(inner: &'static Inner) -> Self {
        let slab = inner.slab;
        let mut central = slab.central.lock();
        let shard = central.idle.pop().unwrap_or_else(|| {
            let shard = &*Box::leak(Box::new(Shard::new()));
            central.shards.push(shard);
            shard
        });
        drop(central);
        Self {
            inner,
            epoch: slab.epoch.load(Ordering::Acquire),
            shard,
            counter: Counter::new(slab.kinds()),
            free: Vec::with_capacity(MAGAZINE + 1),
            ordinary: Batch::default(),
            notable: Batch::default(),
            keep_for: inner.timer.ticks_in(inner.limits.ended_for),
            serial: 0,
            serial_end: 0,
        }
    }

    /// Another list has taken the memory over.
    #[cold]
    fn renew(&mut self, inner: &'static Inner) {
        self.epoch = inner.slab.epoch.load(Ordering::Acquire);
        for batch in [&mut self.ordinary, &mut self.notable] {
            let old = std::mem::take(batch);
            old.slots.into_iter().for_each(|index| Slot::at(inner, index).let_go(|index| self.free.push(index)));
        }
        self.inner = inner;
        self.counter = Counter::new(inner.slab.kinds());
        self.keep_for = inner.timer.ticks_in(inner.limits.ended_for);
        self.serial = self.serial_end;
        self.spill();
    }

    #[inline]
    fn take(&mut self) -> Option<u32> {
        if self.free.is_empty() {
            self.refill();
        }
        self.free.pop()
    }

    #[cold]
    fn refill(&mut self) {
        let inner = self.inner;
        inner.slab.refill(&mut self.free, BATCH);
        if self.free.is_empty() {
            // The list is full: tasks that run are worth more than those that ended.
            let kept = inner.slab.central.lock().retained.pop(&inner.limits);
            let own = [&mut self.ordinary, &mut self.notable].into_iter().find(|batch| !batch.slots.is_empty());
            if let Some(batch) = kept.or_else(|| own.map(std::mem::take)) {
                self.let_go(batch);
            }
        }
    }

    /// Returns the memory for the slots of the next batch.
    fn let_go(&mut self, mut batch: Batch) -> Vec<u32> {
        let inner = self.inner;
        inner.slab.let_go.fetch_add(batch.slots.len() as u64, Ordering::Relaxed);
        batch.slots.drain(..).for_each(|index| Slot::at(inner, index).let_go(|index| self.free.push(index)));
        self.spill();
        batch.slots
    }

    #[inline]
    fn put(&mut self, index: u32) {
        self.free.push(index);
        self.spill();
    }

    #[inline]
    fn spill(&mut self) {
        if self.free.len() > MAGAZINE {
            // The coldest chunks go, the newest stay in the cache.
            let surplus = (self.free.len() - MAGAZINE).next_multiple_of(BATCH);
            self.inner.slab.give_back(self.free.drain(..surplus.min(self.free.len())));
        }
    }

    #[inline]
    fn batch(&mut self, notable: bool) -> &mut Batch {
        if notable { &mut self.notable } else { &mut self.ordinary }
    }

    /// Keeps the slot of a task that ended.
    #[inline]
    fn keep(&mut self, slot: Slot, end: &End) {
        self.counter.count(slot, end);
        self.shard.bump(end.outcome);
        let notable = !matches!(end.outcome, Count::Finished) || self.counter.is_slowest(end, self.keep_for);
        if notable {
            slot.set_notable();
        }
        let batch = self.batch(notable);
        batch.push(slot.index(), end.chained, end.ended);
        if batch.slots.len() >= BATCH {
            self.hand_on(notable, end.ended);
        }
    }

    /// Hands a batch on, and takes over what is beyond the limits by now.
    #[cold]
    fn hand_on(&mut self, notable: bool, now: u64) {
        let inner = self.inner;
        let batch = std::mem::take(self.batch(notable));
        let mut central = inner.slab.central.lock();
        central.retained.push(batch, notable);
        // One for the one that came, and one more as long as there are too many.
        let surplus: [Option<Batch>; 2] =
            std::array::from_fn(|_| central.retained.surplus(&inner.limits, self.keep_for, now));
        drop(central);
        for old in surplus.into_iter().flatten() {
            self.batch(notable).slots = self.let_go(old);
        }
    }

    #[inline]
    fn serial(&mut self) -> u64 {
        if self.serial == self.serial_end {
            self.serial = NEXT_SERIAL.fetch_add(SERIALS, Ordering::Relaxed);
            self.serial_end = self.serial + SERIALS;
        }
        self.serial += 1;
        self.serial - 1
    }
}

impl Drop for Magazine {
    fn drop(&mut self) {
        let slab = self.inner.slab;
        if self.epoch != slab.epoch.load(Ordering::Acquire) {
            self.renew(self.inner);
        }
        let mut central = slab.central.lock();
        for (batch, notable) in [(&mut self.ordinary, false), (&mut self.notable, true)] {
            if !batch.slots.is_empty() {
                central.retained.push(std::mem::take(batch), notable);
            }
        }
        central.free.put(self.free.drain(..));
        central.idle.push(self.shard);
    }
}

#[cfg(not(loom))]
std::thread_local! {
    static MAGAZINES: RefCell<Vec<Magazine>> = const { RefCell::new(Vec::new()) };
}
#[cfg(loom)]
loom::thread_local! {
    static MAGAZINES: RefCell<Vec<Magazine>> = RefCell::new(Vec::new());
}

/// Runs `f` with this thread's magazine for the list; `None` when the thread is about to exit.
#[inline]
fn with_magazine<R>(inner: &'static Inner, f: impl FnOnce(&mut Magazine) -> R) -> Option<R> {
    MAGAZINES
        .try_with(|magazines| {
            let mut magazines = magazines.try_borrow_mut().ok()?;
            if magazines.first().is_none_or(|magazine| !std::ptr::eq(magazine.inner.slab, inner.slab)) {
                bring_to_front(&mut magazines, inner);
            }
            let magazine = &mut magazines[0];
            // Acquire: pairs with the Release of `renew`.
            if magazine.epoch != inner.slab.epoch.load(Ordering::Acquire) {
                magazine.renew(inner);
            }
            Some(f(magazine))
        })
        .ok()
        .flatten()
}

#[cold]
fn bring_to_front(magazines: &mut Vec<Magazine>, inner: &'static Inner) {
    let found = magazines.iter().position(|magazine| std::ptr::eq(magazine.inner.slab, inner.slab));
    let at = found.unwrap_or_else(|| {
        magazines.push(Magazine::new(inner));
        magazines.len() - 1
    });
    magazines.swap(0, at);
}

/// Takes a chunk and a serial for a new task, and counts its start; `None` when the list is full.
#[inline]
pub(crate) fn take_slot(inner: &'static Inner) -> Option<(u32, u64)> {
    with_magazine(inner, |magazine| {
        let index = magazine.take()?;
        magazine.shard.bump(Count::Started);
        Some((index, magazine.serial()))
    })
    .unwrap_or_else(|| {
        let index = take_homeless(inner.slab)?;
        inner.slab.homeless.counts[Count::Started as usize].fetch_add(1, Ordering::Relaxed);
        Some((index, NEXT_SERIAL.fetch_add(1, Ordering::Relaxed)))
    })
}

/// The number of a kind.
#[inline]
pub(crate) fn kind_number(inner: &'static Inner, kind: &str) -> u32 {
    with_magazine(inner, |magazine| magazine.counter.number(kind))
        .unwrap_or_else(|| Counter::new(inner.slab.kinds()).number(kind))
}

/// Takes a chunk for a chain; `None` when the list is full.
pub(crate) fn take_chunk(inner: &'static Inner) -> Option<u32> {
    with_magazine(inner, Magazine::take).unwrap_or_else(|| take_homeless(inner.slab))
}

fn take_homeless(slab: &'static Slab) -> Option<u32> {
    let mut one = Vec::with_capacity(1);
    slab.refill(&mut one, 1);
    one.pop()
}

/// Gives a chunk back.
#[inline]
pub(crate) fn give_chunk(inner: &'static Inner, index: u32) {
    if with_magazine(inner, |magazine| magazine.put(index)).is_none() {
        inner.slab.give_back([index]);
    }
}

/// Gives back the slot of a task that never started.
pub(crate) fn give_unused(inner: &'static Inner, index: u32) {
    let done = with_magazine(inner, |magazine| {
        magazine.put(index);
        magazine.shard.bump(Count::Discarded);
    });
    if done.is_none() {
        inner.slab.give_back([index]);
        inner.slab.homeless.counts[Count::Discarded as usize].fetch_add(1, Ordering::Release);
    }
}

/// Counts the end of a task for its kind, while all of it is still in its slot.
pub(crate) fn count_end(slot: Slot, end: &End) {
    if with_magazine(slot.inner, |magazine| magazine.counter.count(slot, end)).is_none() {
        Counter::new(slot.inner.slab.kinds()).count(slot, end);
    }
}

/// Gives the slot of a task back that is not kept, and counts its end.
#[inline]
pub(crate) fn give_slot(slot: Slot, index: u32, end: &End) {
    let done = with_magazine(slot.inner, |magazine| {
        magazine.put(index);
        magazine.shard.bump(end.outcome);
    });
    if done.is_none() {
        slot.inner.slab.give_back([index]);
        slot.inner.slab.homeless.counts[end.outcome as usize].fetch_add(1, Ordering::Release);
    }
}

/// Keeps the slot of a task that ended for those who ask what just happened, and counts its end.
#[inline]
pub(crate) fn keep_slot(slot: Slot, end: &End) {
    if with_magazine(slot.inner, |magazine| magazine.keep(slot, end)).is_none() {
        keep_homeless(slot, end);
    }
}

#[cold]
fn keep_homeless(slot: Slot, end: &End) {
    Counter::new(slot.inner.slab.kinds()).count(slot, end);
    let mut batch = Batch::default();
    batch.push(slot.index(), end.chained, end.ended);
    slot.inner.slab.central.lock().retained.push(batch, !matches!(end.outcome, Count::Finished));
    slot.inner.slab.homeless.counts[end.outcome as usize].fetch_add(1, Ordering::Release);
}
