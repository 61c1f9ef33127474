//! Chunks: the only kind of memory block that a list consists of.
//!
//! A chunk is 32 atomic words and never becomes anything else. A *slot* is a chunk that holds a task; a chunk of a
//! *chain* holds what does not fit into a slot. Chunks live in segments that are never freed while the process runs (a
//! list that is dropped leaves its segments to the next list), so a reader may always read one: word 0 shows whether
//! the words it read belong together.
//!
//! Contains `unsafe`: segments come zeroed from the allocator, so that only pages in use cost memory, and no start of a
//! task waits for two megabytes to be written.
#![allow(unsafe_code)]

use crate::base::sync::{AtomicU32, AtomicU64, Ordering, own};

/// Words in a chunk: 256 bytes. The model checker tries all orders of fewer.
pub(crate) const WORDS: usize = if cfg!(loom) { 14 } else { 32 };

/// Chunks in a segment: 2 MiB.
pub(crate) const SEGMENT: usize = if cfg!(loom) {
    4
} else if cfg!(miri) {
    64
} else {
    8192
};

/// Marks of word 0, in its three lowest bits; the serial of the owner lies above them.
pub(crate) mod mark {
    /// Owned by no task.
    pub(crate) const FREE: u64 = 0b000;
    /// Part of a task's chain.
    pub(crate) const CHAIN: u64 = 0b001;
    /// The slot of a live task.
    pub(crate) const LIVE: u64 = 0b010;
    /// The slot of a live task that a writer has locked.
    pub(crate) const LOCKED: u64 = 0b011;
    /// The slot of a task that ended and is retained for a while. No thread writes to it.
    pub(crate) const ENDED: u64 = 0b100;

    #[inline(always)]
    pub(crate) const fn of(serial: u64, mark: u64) -> u64 {
        serial << 3 | mark
    }

    #[inline(always)]
    pub(crate) const fn serial(gate: u64) -> u64 {
        gate >> 3
    }

    /// Returns `true` if the gate is that of a live task.
    #[inline(always)]
    pub(crate) const fn is_live(gate: u64) -> bool {
        gate & 0b110 == LIVE
    }
}

/// The bits of a tag, which is 0 where there is no task.
pub(crate) mod tag {
    /// The task is live, or being described if `TASK` is not set; without this bit, it ended and is retained for a
    /// while.
    const LIVE: u64 = 1 << 32;
    /// The task has started.
    const TASK: u64 = 1 << 33;

    /// The tag of a task that is being described: it has a serial, but is not shown yet.
    #[inline(always)]
    pub(crate) const fn described(serial: u64) -> u64 {
        LIVE | (serial & 0xffff_ffff)
    }

    #[inline(always)]
    pub(crate) const fn of(hash: u32, serial: u64) -> u64 {
        (hash as u64) << 32 | LIVE | TASK | (serial & 0xffff_ffff)
    }

    /// Returns the tag of the task once it has ended.
    #[inline(always)]
    pub(crate) const fn ended(tag: u64) -> u64 {
        tag & !LIVE
    }

    #[inline(always)]
    pub(crate) const fn is_live(tag: u64) -> bool {
        tag & (LIVE | TASK) == LIVE | TASK
    }

    /// Returns `true` if the task is live, or ended and retained.
    #[inline(always)]
    pub(crate) const fn is_task(tag: u64) -> bool {
        tag & TASK != 0
    }

    /// Returns the low half of the serial.
    #[inline(always)]
    pub(crate) const fn low_serial(tag: u64) -> u64 {
        tag & 0xffff_ffff
    }

    /// Returns `true` if the id of the task may have this hash.
    #[inline(always)]
    pub(crate) const fn has_hash(tag: u64, hash: u32) -> bool {
        (tag >> 32) as u32 | 3 == hash | 3
    }

    #[inline(always)]
    pub(crate) const fn has_serial(tag: u64, serial: u64) -> bool {
        tag as u32 == serial as u32
    }
}

#[repr(C, align(64))]
pub(crate) struct Chunk {
    words: [AtomicU64; WORDS],
}

impl Chunk {
    /// Loads a word with relaxed ordering: the caller checks whether it belongs to the other words it read.
    #[inline]
    pub(crate) fn peek(&self, at: usize) -> u64 {
        self.words[at].load(Ordering::Relaxed)
    }

    /// Loads a word that no other thread writes concurrently, as the caller may store it next.
    #[inline(always)]
    pub(crate) fn get(&self, at: usize) -> u64 {
        own(&self.words[at])
    }

    /// Stores a word with relaxed ordering: the caller publishes it later with a release store elsewhere.
    #[inline]
    pub(crate) fn put(&self, at: usize, word: u64) {
        self.words[at].store(word, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn word(&self, at: usize) -> &AtomicU64 {
        &self.words[at]
    }

    /// Word 0: the owner of the chunk, and its use.
    #[inline]
    pub(crate) fn gate(&self) -> &AtomicU64 {
        &self.words[0]
    }

    /// Returns the words from `from` up to `to`, for bulk copies.
    #[inline]
    pub(crate) fn range(&self, from: usize, to: usize) -> &[AtomicU64] {
        &self.words[from..to]
    }
}

/// The slots of the tasks of a block of serials: index and 1, or 0 where there never was one.
#[repr(align(64))]
pub(crate) struct Places(pub(crate) [AtomicU32; Self::COUNT]);

impl Places {
    pub(crate) const COUNT: usize = if cfg!(loom) { 2 } else { 64 };

    /// Allocates so many blocks, all zero; `None` when the allocator has no memory.
    pub(crate) fn allocate(blocks: usize) -> Option<&'static [Self]> {
        zeroed(blocks, || Self(std::array::from_fn(|_| AtomicU32::new(0))))
    }
}

/// Chunks and, for each, two words for readers that look through all of them.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    /// 0, or for the slot of a task the hash of its id (upper half) and the low half of its serial: see [`tag`].
    pub(crate) tags: &'static [AtomicU64; SEGMENT],
    /// For the slot of a task with a parent the slot of that and 1; in other slots that of an earlier task.
    pub(crate) parents: &'static [AtomicU32; SEGMENT],
    pub(crate) chunks: &'static [Chunk; SEGMENT],
}

impl Segment {
    /// The bytes of a chunk and its words.
    pub(crate) const BYTES_OF_ONE: usize = size_of::<Chunk>() + size_of::<AtomicU64>() + size_of::<AtomicU32>();

    /// Allocates a segment, all words zero; `None` when the allocator has no memory.
    pub(crate) fn allocate() -> Option<Self> {
        Some(Self {
            tags: zeroed(SEGMENT, || AtomicU64::new(0))?.first_chunk()?,
            parents: zeroed(SEGMENT, || AtomicU32::new(0))?.first_chunk()?,
            chunks: zeroed(SEGMENT, new_chunk)?.first_chunk()?,
        })
    }
}

fn new_chunk() -> Chunk {
    Chunk { words: std::array::from_fn(|_| AtomicU64::new(0)) }
}

/// Allocates `count` values as `make` makes them, which must be the value whose bytes are all zero.
#[cfg(loom)]
fn zeroed<T>(count: usize, make: impl Fn() -> T) -> Option<&'static [T]> {
    Some(Vec::leak((0..count).map(|_| make()).collect()))
}

#[cfg(not(loom))]
fn zeroed<T: Zeroable>(count: usize, _make: impl Fn() -> T) -> Option<&'static [T]> {
    use std::alloc::{Layout, alloc_zeroed};

    // Memory that is requested with a small alignment comes from the system, which has zeroed it; with a large one, the
    // allocator would write all the zeroes at once. So the alignment is made here, within a larger block.
    let wanted = Layout::array::<T>(count).ok()?;
    let block = Layout::from_size_align(wanted.size() + wanted.align(), 8).ok()?;
    assert!(count > 0);
    // SAFETY: the size of the block is not zero. The slice begins at most one alignment after the start of the block,
    // so that it lies within it; it is aligned for `T`, never freed, and `T: Zeroable` says that zero bytes are a valid
    // `T`.
    unsafe {
        let start = alloc_zeroed(block);
        if start.is_null() {
            return None;
        }
        let values = start.add(start.align_offset(wanted.align())).cast::<T>();
        Some(std::slice::from_raw_parts(values, count))
    }
}

/// Types for which zero bytes are a valid value.
///
/// # Safety
///
/// Zero bytes must be a valid value of the type.
#[cfg(not(loom))]
unsafe trait Zeroable {}

// SAFETY: an atomic integer has the representation of the integer, for which zero bytes are 0.
#[cfg(not(loom))]
unsafe impl Zeroable for AtomicU64 {}

// SAFETY: as above.
#[cfg(not(loom))]
unsafe impl Zeroable for AtomicU32 {}

// SAFETY: a chunk is an array of atomic integers.
#[cfg(not(loom))]
unsafe impl Zeroable for Chunk {}

// SAFETY: places are an array of atomic integers.
#[cfg(not(loom))]
unsafe impl Zeroable for Places {}
