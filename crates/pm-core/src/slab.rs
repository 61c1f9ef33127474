//! The chunks of one list: where they come from and where they go.
//!
//! Each thread keeps a magazine of free chunks and a block of serials for each list it uses, so that starting and
//! ending a task touches nothing that another thread writes. A mutex is taken only to refill, to spill, and when a
//! thread exits. A chunk that is freed on another thread goes to that thread's magazine.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64 as StdAtomicU64;

use crate::chunk::{Chunk, SEGMENT, SEGMENT_BYTES, Segment};
use crate::sync::{AtomicU64, Mutex, Ordering, own};

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
    /// Described, but never started.
    Discarded,
}
const COUNTS: usize = 6;

// By itself in its cache lines, or threads would slow each other down.
#[repr(align(128))]
pub(crate) struct Shard {
    counts: [AtomicU64; COUNTS],
}

impl Shard {
    fn new() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Adds one; for the shard's own thread, which is the only one that writes it.
    #[inline]
    pub(crate) fn bump(&self, count: Count) {
        let cell = &self.counts[count as usize];
        cell.store(own(cell) + 1, Ordering::Relaxed);
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
}

struct Central {
    free: Vec<u32>,
    shards: Vec<&'static Shard>,
    /// Shards of threads that exited, for the next threads.
    idle: Vec<&'static Shard>,
}

impl Slab {
    /// How many segments a list may have that takes no more than this.
    pub(crate) fn segments_for(max_bytes: usize) -> usize {
        (max_bytes / SEGMENT_BYTES).clamp(1, (u32::MAX as usize - 1) / SEGMENT)
    }

    pub(crate) fn max_segments(&self) -> usize {
        self.segments.len()
    }

    /// A slab that grows to so many segments. It lives as long as the process.
    pub(crate) fn allocate(segments: usize) -> &'static Self {
        Box::leak(Box::new(Self::new(segments)))
    }

    fn new(segments: usize) -> Self {
        Self {
            segments: (0..segments).map(|_| OnceLock::new()).collect(),
            high: AtomicU64::new(0),
            central: Mutex::new(Central { free: Vec::new(), shards: Vec::new(), idle: Vec::new() }),
            homeless: Shard::new(),
        }
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

    /// Calls `visit` with the index and tag of each slot that holds a task, until it says no.
    pub(crate) fn each_tag(&self, mut visit: impl FnMut(u32, u64) -> bool) {
        let high = self.high.load(Ordering::Acquire) as usize;
        for (number, segment) in self.segments.iter().enumerate().take(high.div_ceil(SEGMENT)) {
            let Some(segment) = segment.get() else { return };
            let first = number * SEGMENT;
            for (offset, tag) in segment.tags[..SEGMENT.min(high - first)].iter().enumerate() {
                // Acquire: pairs with the Release of `publish_tag`, so that the gate behind it is that task's or later.
                let tag = tag.load(Ordering::Acquire);
                if tag != 0 && !visit((first + offset) as u32, tag) {
                    return;
                }
            }
        }
    }

    /// Bytes of the segments in use.
    pub(crate) fn bytes(&self) -> u64 {
        let high = self.high.load(Ordering::Acquire) as usize;
        (high.div_ceil(SEGMENT) * SEGMENT_BYTES) as u64
    }

    /// Moves up to `wanted` free chunks into `into`; none when the list is full.
    fn refill(&self, into: &mut Vec<u32>, wanted: usize) {
        let mut central = self.central.lock();
        let kept = central.free.len().saturating_sub(wanted);
        into.extend(central.free.drain(kept..));
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
        self.central.lock().free.extend(chunks);
    }

    /// The sums over all threads.
    pub(crate) fn tally(&self) -> Tally {
        let central = self.central.lock();
        let mut tally = Tally([0; COUNTS]);
        // Ends before starts: a task that ends meanwhile must not make more ends than starts.
        for count in (0..COUNTS).rev() {
            let shards = central.shards.iter().copied().chain([&self.homeless]);
            tally.0[count] = shards.map(|shard| shard.counts[count].load(Ordering::Relaxed)).sum();
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
    slab: &'static Slab,
    shard: &'static Shard,
    free: Vec<u32>,
    serial: u64,
    serial_end: u64,
}

impl Magazine {
    fn new(slab: &'static Slab) -> Self {
        let mut central = slab.central.lock();
        let shard = central.idle.pop().unwrap_or_else(|| {
            let shard = &*Box::leak(Box::new(Shard::new()));
            central.shards.push(shard);
            shard
        });
        drop(central);
        Self { slab, shard, free: Vec::with_capacity(MAGAZINE + 1), serial: 0, serial_end: 0 }
    }

    #[inline]
    fn take(&mut self) -> Option<u32> {
        if self.free.is_empty() {
            self.slab.refill(&mut self.free, BATCH);
        }
        self.free.pop()
    }

    #[inline]
    fn put(&mut self, index: u32) {
        if self.free.len() >= MAGAZINE {
            // The coldest chunks go, the newest stay in the cache.
            self.slab.give_back(self.free.drain(..BATCH));
        }
        self.free.push(index);
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
        let mut central = self.slab.central.lock();
        central.free.append(&mut self.free);
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
fn with_magazine<R>(slab: &'static Slab, f: impl FnOnce(&mut Magazine) -> R) -> Option<R> {
    MAGAZINES
        .try_with(|magazines| {
            let mut magazines = magazines.try_borrow_mut().ok()?;
            if magazines.first().is_none_or(|magazine| !std::ptr::eq(magazine.slab, slab)) {
                bring_to_front(&mut magazines, slab);
            }
            Some(f(&mut magazines[0]))
        })
        .ok()
        .flatten()
}

#[cold]
fn bring_to_front(magazines: &mut Vec<Magazine>, slab: &'static Slab) {
    let found = magazines.iter().position(|magazine| std::ptr::eq(magazine.slab, slab));
    let at = found.unwrap_or_else(|| {
        magazines.push(Magazine::new(slab));
        magazines.len() - 1
    });
    magazines.swap(0, at);
}

/// Takes a chunk and a serial for a new task, and counts its start; `None` when the list is full.
#[inline]
pub(crate) fn take_slot(slab: &'static Slab) -> Option<(u32, u64)> {
    with_magazine(slab, |magazine| {
        let index = magazine.take()?;
        magazine.shard.bump(Count::Started);
        Some((index, magazine.serial()))
    })
    .unwrap_or_else(|| {
        let index = take_homeless(slab)?;
        slab.homeless.counts[Count::Started as usize].fetch_add(1, Ordering::Relaxed);
        Some((index, NEXT_SERIAL.fetch_add(1, Ordering::Relaxed)))
    })
}

/// Takes a chunk for a chain; `None` when the list is full.
pub(crate) fn take_chunk(slab: &'static Slab) -> Option<u32> {
    with_magazine(slab, Magazine::take).unwrap_or_else(|| take_homeless(slab))
}

fn take_homeless(slab: &'static Slab) -> Option<u32> {
    let mut one = Vec::with_capacity(1);
    slab.refill(&mut one, 1);
    one.pop()
}

/// Gives a chunk back.
#[inline]
pub(crate) fn give_chunk(slab: &'static Slab, index: u32) {
    if with_magazine(slab, |magazine| magazine.put(index)).is_none() {
        slab.give_back([index]);
    }
}

/// Gives the slot of a task back and counts its end.
#[inline]
pub(crate) fn give_slot(slab: &'static Slab, index: u32, outcome: Count) {
    let done = with_magazine(slab, |magazine| {
        magazine.put(index);
        magazine.shard.bump(outcome);
    });
    if done.is_none() {
        slab.give_back([index]);
        slab.homeless.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }
}
