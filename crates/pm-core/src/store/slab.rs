//! The chunks of one list, and the central store that the threads share.

use std::sync::atomic::AtomicU64 as StdAtomicU64;
use std::sync::{Arc, OnceLock};

use super::cell::{CELL_BYTES, Cell};
use super::directory::Directory;
use super::ended::{BATCH, Batch, Gathered, Retained, evict};
use super::ids::Ids;
use super::kinds::Kinds;
use crate::base::limits::Limits;
use crate::base::outcome::{COUNTS, Count};
use crate::base::sync::{Mutex, Ordering, PlainMutex};
use crate::layout::chunk::{Chunk, SEGMENT, Segment};
use crate::layout::table::ChunkTable;
use crate::layout::walk::TaskRecords;

/// The bytes of one segment with its tags and, at most, the cells of its tasks and what finds them.
const SEGMENT_BYTES: usize = SEGMENT * (Segment::BYTES_OF_ONE + CELL_BYTES + Directory::BYTES + Ids::BYTES);

/// As many threads as are asked one by one what they have gathered.
const FEW_THREADS: usize = 64;

// Alone in its cache lines, or threads would slow each other down.
#[repr(align(128))]
pub(crate) struct Shard {
    // Written by one thread and read as numbers only: not for the model checker.
    pub(super) counts: [StdAtomicU64; COUNTS],
    pub(super) gathered: Gathered,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self { counts: [const { StdAtomicU64::new(0) }; COUNTS], gathered: Gathered::new() }
    }

    /// Adds one; for the shard's own thread, which is the only one that writes it.
    #[inline]
    pub(crate) fn bump(&self, count: Count) {
        let cell = &self.counts[count as usize];
        // Release: pairs with the Acquire of `tally`. A reader that sees that all tasks have ended sees all they
        // counted.
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

pub(crate) struct Slab {
    pub(crate) chunks: ChunkTable,
    pub(crate) directory: Directory,
    /// Its lock is for readers only.
    pub(super) ids: PlainMutex<Ids>,
    pub(super) central: Mutex<Central>,
    /// Counts of threads that have no magazine (they are about to exit): added to by several threads.
    pub(super) fallback: Shard,
    /// The cells of tasks, 64 slots at a time.
    cells: Box<[OnceLock<Pages>]>,
    pages: StdAtomicU64,
    /// The statistics by kind of the list that has this slab.
    kinds: PlainMutex<Arc<Kinds>>,
    /// The most bytes of ended tasks that a thread gathers before it hands them on.
    pub(super) most_gathered: StdAtomicU64,
    /// How many chunks a thread takes at a time; it keeps twice as many free ones.
    pub(super) at_a_time: StdAtomicU64,
    /// Grows whenever another list takes over the slab.
    pub(super) epoch: StdAtomicU64,
    /// Ended tasks that were evicted.
    pub(crate) evicted: StdAtomicU64,
    /// The most live tasks that were observed.
    peak: StdAtomicU64,
}

type Page = Box<[Mutex<Cell>]>;
type Pages = Box<[OnceLock<Page>]>;
const PAGE: usize = if cfg!(loom) { 2 } else { 64 };

pub(super) struct Central {
    pub(super) free: Free,
    pub(super) retained: Retained,
    pub(super) shards: Vec<&'static Shard>,
    /// Those of them whose threads run, and those whose threads exited, for the next threads.
    pub(super) active: Vec<&'static Shard>,
    pub(super) idle: Vec<&'static Shard>,
}

/// Free chunks, by segment. Those of the lowest segments are taken first, so that after a burst live tasks gather in
/// few segments again.
#[derive(Default)]
pub(super) struct Free {
    segments: Vec<Vec<u32>>,
    /// No segment below this one has any.
    lowest: usize,
}

impl Free {
    pub(super) fn put(&mut self, chunks: impl IntoIterator<Item = u32>) {
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
    /// Returns how many segments fit into this many bytes.
    pub(crate) fn segments_for(max_bytes: usize) -> usize {
        // The index of a chunk has 31 bits in the cancel word.
        (max_bytes / SEGMENT_BYTES).clamp(1, (i32::MAX as usize - 1) / SEGMENT)
    }

    pub(crate) fn max_segments(&self) -> usize {
        self.chunks.max_segments()
    }

    pub(crate) fn max_bytes(&self) -> u64 {
        (self.max_segments() * SEGMENT_BYTES) as u64
    }

    /// Allocates a slab that grows to so many segments. It lives as long as the process.
    pub(crate) fn allocate(segments: usize, limits: &Limits) -> &'static Self {
        Box::leak(Box::new(Self::new(segments, limits)))
    }

    fn new(segments: usize, limits: &Limits) -> Self {
        Self {
            chunks: ChunkTable::new(segments),
            directory: Directory::new(),
            ids: PlainMutex::default(),
            central: Mutex::new(Central {
                free: Free::default(),
                retained: Retained::default(),
                shards: Vec::new(),
                active: Vec::new(),
                idle: Vec::new(),
            }),
            fallback: Shard::new(),
            cells: (0..segments).map(|_| OnceLock::new()).collect(),
            pages: StdAtomicU64::new(0),
            kinds: PlainMutex::new(Kinds::new(limits, (segments * SEGMENT_BYTES) as u64)),
            most_gathered: StdAtomicU64::new(u64::MAX),
            at_a_time: StdAtomicU64::new(BATCH as u64),
            epoch: StdAtomicU64::new(0),
            evicted: StdAtomicU64::new(0),
            peak: StdAtomicU64::new(0),
        }
    }

    /// Clears the counts and ended tasks of the previous list, none of whose tasks is live. Returns the first serial of
    /// the new list.
    pub(crate) fn renew(&self, limits: &Limits) -> u64 {
        *self.kinds.lock() = Kinds::new(limits, self.max_bytes());
        let mut chunks = Vec::new();
        let retained = {
            let mut central = self.central.lock();
            central.collect(&self.chunks);
            self.share(&central, limits);
            std::mem::take(&mut central.retained)
        };
        retained.into_slots().for_each(|index| evict(&self.chunks, index, |index| chunks.push(index)));
        self.put_back(chunks);
        self.evicted.store(0, Ordering::Relaxed);
        self.peak.store(0, Ordering::Relaxed);
        // Release: pairs with the Acquire of `with_magazine`. A thread that still has ended tasks of the previous list
        // evicts them then, and takes new serials; until then their serials show that they are not this list's.
        self.epoch.fetch_add(1, Ordering::Release);
        self.directory.renew()
    }

    /// Returns the records of the task in a slot.
    #[inline]
    pub(crate) fn records(&self, slot: &'static Chunk) -> TaskRecords<'_> {
        TaskRecords { chunks: &self.chunks, slot }
    }

    /// Returns the statistics by kind.
    pub(crate) fn kinds(&self) -> Arc<Kinds> {
        Arc::clone(&self.kinds.lock())
    }

    /// Returns the cell of the task in this slot.
    pub(crate) fn cell(&self, index: u32) -> &Mutex<Cell> {
        let (segment, offset) = (index as usize / SEGMENT, index as usize % SEGMENT);
        let pages = self.cells[segment].get_or_init(|| (0..SEGMENT.div_ceil(PAGE)).map(|_| OnceLock::new()).collect());
        let page = pages[offset / PAGE].get_or_init(|| {
            self.pages.fetch_add(1, Ordering::Relaxed);
            (0..PAGE).map(|_| Mutex::new(Cell::default())).collect()
        });
        &page[offset % PAGE]
    }

    /// Returns the bytes of all memory in use.
    pub(crate) fn bytes(&self) -> u64 {
        let segments = self.chunks.used_segments() * SEGMENT * Segment::BYTES_OF_ONE;
        let cells = self.pages.load(Ordering::Relaxed) as usize * PAGE * CELL_BYTES;
        (segments + cells) as u64 + self.directory.bytes() + self.ids.lock().bytes() + self.kinds.lock().bytes()
    }

    /// Returns the most live tasks that were ever observed.
    pub(crate) fn peak(&self, live: u64) -> u64 {
        self.peak.fetch_max(live, Ordering::Relaxed).max(live)
    }

    /// Gives a thread that begins to use the list its counters, and all threads their share.
    pub(super) fn enter(&self, limits: &Limits) -> &'static Shard {
        let mut central = self.central.lock();
        let shard = central.idle.pop().unwrap_or_else(|| {
            let shard = &*Box::leak(Box::new(Shard::new()));
            central.shards.push(shard);
            shard
        });
        // With more threads each has a smaller share: those that rest may have more.
        if central.active.iter().map(|shard| shard.gathered.bytes()).sum::<u64>() > limits.ended_bytes / 2 {
            central.collect(&self.chunks);
        }
        central.active.push(shard);
        self.share(&central, limits);
        shard
    }

    /// Sets how much a thread gathers, and how many free chunks it takes, by the number of threads: all of them gather
    /// no more than half of what ended tasks may take, and keep no more than about a quarter of all chunks free.
    pub(super) fn share(&self, central: &Central, limits: &Limits) {
        let threads = central.active.len().max(1);
        self.most_gathered.store(limits.ended_bytes / (2 * threads as u64), Ordering::Relaxed);
        let at_a_time = (self.max_segments() * SEGMENT / (8 * threads)).clamp(1, BATCH);
        self.at_a_time.store(at_a_time as u64, Ordering::Relaxed);
    }

    /// Takes the batch of ended tasks to evict when the list is full, from those of all threads.
    pub(super) fn make_room(&self, limits: &Limits) -> Option<Batch> {
        let mut central = self.central.lock();
        if let Some(batch) = central.retained.pop(limits) {
            return Some(batch);
        }
        central.collect(&self.chunks);
        central.retained.pop(limits)
    }

    /// Moves up to `wanted` free chunks into `into`; none when the list is full.
    pub(super) fn refill(&self, into: &mut Vec<u32>, wanted: usize) {
        let mut central = self.central.lock();
        // There are more tasks only with new chunks: a good time to count them.
        self.peak(central.tally(&self.fallback).live());
        central.free.take(into, wanted);
        if !into.is_empty() {
            return;
        }
        self.chunks.grow(into, wanted);
    }

    pub(super) fn put_back(&self, chunks: impl IntoIterator<Item = u32>) {
        self.central.lock().free.put(chunks);
    }

    /// Returns the sums over all threads.
    pub(crate) fn tally(&self) -> Tally {
        self.central.lock().tally(&self.fallback)
    }
}

impl Central {
    /// Notes that the thread of a shard exits.
    pub(super) fn leave(&mut self, shard: &'static Shard) {
        self.active.retain(|other| !std::ptr::eq(*other, shard));
        self.idle.push(shard);
    }

    /// Collects the ended tasks that threads have gathered.
    fn collect(&mut self, chunks: &ChunkTable) {
        for shard in &self.active {
            self.retained.collect(&shard.gathered, chunks);
        }
        self.retained.sort();
    }

    /// Returns the bytes that threads have gathered; of many threads the most that these may be.
    pub(super) fn gathered(&self, limits: &Limits) -> u64 {
        if self.active.len() > FEW_THREADS {
            return limits.ended_bytes / 2;
        }
        self.active.iter().map(|shard| shard.gathered.bytes()).sum()
    }

    fn tally(&self, fallback: &Shard) -> Tally {
        let mut tally = Tally([0; COUNTS]);
        // Ends before starts: a task that ends concurrently must not make more ends than starts.
        for count in (0..COUNTS).rev() {
            let shards = self.shards.iter().copied().chain([fallback]);
            tally.0[count] = shards.map(|shard| shard.counts[count].load(Ordering::Acquire)).sum();
        }
        tally
    }
}

/// The counters of one list, summed over all threads.
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
