//! Where the task with a serial is: an array of slots, in which each serial has its place.
//!
//! A list takes as many serials at a time as the array has places, and its threads take them from there in blocks: so
//! a thread writes to lines of the array that no other thread writes in the meantime. **No two tasks of a list that are
//! live or retained have the same place**: a serial whose place is still taken, from a round before, is never handed
//! out. That is looked up for a whole block at once, when a thread takes one. So a serial is found at its place or
//! nowhere, however long the list is, and the end of a task writes nothing here.
//!
//! When most places are taken, the array doubles. Serials that are handed out from then on have their places in the
//! larger array; for the others it is known how large the array was.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32 as StdAtomicU32, AtomicU64 as StdAtomicU64};

use crate::base::sync::{AtomicU32, AtomicU64, Mutex, Ordering};
use crate::layout::chunk::{Places, tag};
use crate::layout::table::ChunkTable;

/// The next serial that no list has taken: one for the process, so that a serial names one task in all lists.
static NEXT_SERIAL: StdAtomicU64 = StdAtomicU64::new(1);

/// The places of the smallest array.
const FIRST: u64 = if cfg!(loom) { 4 } else { 2048 };
/// The array may double so often.
const DOUBLINGS: usize = if cfg!(loom) { 2 } else { 21 };

/// Serials that a thread takes at a time.
const BLOCK: usize = Places::COUNT;
/// A block with no more free places than these is poor.
const FEW: u32 = BLOCK as u32 / 4;
/// So many poor blocks in a row show that the array is small.
const POOR: u32 = 4;
/// So many blocks without a free place are looked at one after the other. Then more and more are skipped.
const LOOKED_AT: u32 = 4;
/// So many of them show that the array is too small.
const FULL: u32 = 64;

/// A part of the array. For each block of which a thread hands out the serials, the low half of the first one; else 0.
struct Extent {
    places: &'static [Places],
    taken: Box<[AtomicU32]>,
}

/// The array of one list.
pub(crate) struct Directory {
    /// The first has `FIRST` places, and each other one as many as all before it.
    extents: [OnceLock<Extent>; DOUBLINGS + 1],
    /// From which serial on the array has doubled so often.
    since: [AtomicU64; DOUBLINGS + 1],
    next: Mutex<Position>,
    /// Poor blocks in a row.
    poor: StdAtomicU32,
    /// There was no memory for the places of some tasks.
    is_incomplete: AtomicBool,
}

/// The serials that the list has taken and no thread has yet; and, as a position in the array, how far it has come.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The first serial of this round, and that of the round before.
    round: u64,
    before: u64,
    serial: u64,
    end: u64,
    doublings: usize,
}

/// Serials that a thread has taken, and their places.
pub(super) struct Block {
    first: u64,
    /// A bit for each serial that can be handed out.
    free: u64,
    places: &'static [AtomicU32],
    taken: Option<&'static AtomicU32>,
}

type NextBlock = (u64, &'static Places, Option<&'static AtomicU32>);

const fn size(doublings: usize) -> u64 {
    FIRST << doublings
}

impl Directory {
    /// The most bytes for a slot: the array doubles when it has fewer than one and a half places a slot.
    pub(super) const BYTES: usize = 3 * size_of::<AtomicU32>();

    pub(super) fn new() -> Self {
        Self {
            extents: [const { OnceLock::new() }; DOUBLINGS + 1],
            since: std::array::from_fn(|_| AtomicU64::new(u64::MAX)),
            next: Mutex::default(),
            poor: StdAtomicU32::new(0),
            is_incomplete: AtomicBool::new(false),
        }
    }

    /// Begins anew for another list. Returns its first serial.
    pub(super) fn renew(&self) -> u64 {
        let mut next = self.next.lock();
        next.serial = next.end;
        NEXT_SERIAL.load(Ordering::Relaxed)
    }

    /// Returns the bytes of the array.
    pub(super) fn bytes(&self) -> u64 {
        self.extents.iter().filter_map(OnceLock::get).map(|extent| size_of_val(extent.places) as u64).sum()
    }

    /// Returns `true` if a serial may be that of a task although it is not found at its place.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.is_incomplete.load(Ordering::Relaxed)
    }

    /// Returns the slot at the place of a serial, which holds that task or another one.
    pub(crate) fn slot_of(&self, serial: u64) -> Option<u32> {
        let doublings = self.since.iter().rposition(|since| since.load(Ordering::Acquire) <= serial)?;
        let place = (serial - 1) % size(doublings);
        let (places, _) = self.block(place)?;
        // Acquire: pairs with the Release by which the caller learned the serial.
        places.0[place as usize % BLOCK].load(Ordering::Acquire).checked_sub(1)
    }

    /// Returns how far the list has come in the array; `None` if that does not show where all its tasks are.
    pub(super) fn position(&self) -> Option<Position> {
        let position = *self.next.lock();
        (!self.is_incomplete()).then_some(position)
    }

    /// Returns the blocks whose serials are being handed out, and of each the low half of the first.
    pub(super) fn taken_blocks(&self) -> impl Iterator<Item = (usize, u32)> {
        let taken = self.extents.iter().filter_map(OnceLock::get).flat_map(|extent| &extent.taken);
        taken.map(|first| first.load(Ordering::Acquire)).enumerate().filter(|&(_, first)| first != 0)
    }

    /// Calls `visit` with the places of a block that tasks have, their slots, and the low halves of their serials,
    /// except for the places whose bits are set. Returns `true` if there may be more of them later.
    pub(super) fn each_slot(
        &self,
        block: usize,
        except: u64,
        chunks: &ChunkTable,
        visit: impl FnMut(usize, u32, u64),
    ) -> bool {
        let Some((places, taken)) = self.block((block * BLOCK) as u64) else { return false };
        // Acquire: pairs with the Release of `Block::leave`.
        let is_taken = taken.load(Ordering::Acquire) != 0;
        each_task(places, except, chunks, visit);
        is_taken
    }

    /// Returns the places of the block that a place is in, and what shows that it is taken.
    fn block(&self, place: u64) -> Option<(&'static Places, &AtomicU32)> {
        let (extent, at) = split(place);
        let extent = self.extents[extent].get()?;
        Some((&extent.places[at / BLOCK], &extent.taken[at / BLOCK]))
    }

    /// Takes a block with at least one free place.
    #[cold]
    pub(super) fn take(&'static self, chunks: &ChunkTable) -> Block {
        let mut full = 0;
        while let Some((first, places, taken)) = self.next_block(full, chunks) {
            let free = if taken.is_some() { free_places(places, chunks) } else { 0 };
            if free.count_ones() > FEW {
                self.poor.store(0, Ordering::Relaxed);
            } else {
                self.poor.fetch_add(1, Ordering::Relaxed);
            }
            if free != 0 {
                return Block { first, free, places: &places.0, taken };
            }
            if let Some(taken) = taken {
                taken.store(0, Ordering::Release);
            }
            full += 1;
        }
        self.is_incomplete.store(true, Ordering::Relaxed);
        let first = NEXT_SERIAL.fetch_add(BLOCK as u64, Ordering::Relaxed);
        Block { first, free: Block::ALL, places: &[], taken: None }
    }

    /// Takes the next block, after so many blocks without a free place, unless another thread still has it. Returns its
    /// first serial, its places, and what shows that it is taken; `None` when there is no memory for an array that is
    /// large enough.
    fn next_block(&'static self, full: u32, chunks: &ChunkTable) -> Option<NextBlock> {
        let mut next = self.next.lock();
        if full > LOOKED_AT {
            // A run of old tasks, of unknown length: skips ever more of it.
            let skipped = (BLOCK as u64) << (full - LOOKED_AT).min(20);
            next.serial = next.end.min(next.serial + skipped.min(size(next.doublings) / 4));
        }
        let is_poor = self.poor.load(Ordering::Relaxed) >= POOR;
        let is_small = 2 * size(next.doublings) < 3 * u64::from(chunks.used());
        if full > FULL || is_poor && is_small {
            let doubled = self.double(&mut next);
            if !doubled && full > FULL {
                return None;
            }
        }
        if next.end == 0 {
            self.extend(0)?;
            self.since[0].store(1, Ordering::Release);
        }
        if next.serial == next.end {
            let size = size(next.doublings);
            next.begin_round(NEXT_SERIAL.fetch_add(size, Ordering::Relaxed), size);
        }
        let first = next.serial;
        next.serial += BLOCK as u64;
        let (places, taken) = self.block((first - 1) % size(next.doublings))?;
        // Still under the lock: a reader that sees the position behind the block sees that it is taken.
        // Acquire: pairs with the Release of `Block::leave`.
        let is_mine = taken.compare_exchange(0, first as u32, Ordering::Acquire, Ordering::Relaxed).is_ok();
        Some((first, places, is_mine.then_some(taken)))
    }

    /// Doubles the array, and continues in its new half. Returns `false` when there is no memory for that.
    fn double(&self, next: &mut Position) -> bool {
        let doublings = next.doublings + 1;
        if next.end == 0 || doublings > DOUBLINGS || self.extend(doublings).is_none() {
            return false;
        }
        let (old, new) = (size(next.doublings), size(doublings));
        let taken = NEXT_SERIAL.fetch_add(2 * new, Ordering::Relaxed);
        self.since[doublings].store(taken, Ordering::Release);
        // The first serial whose place is where the new half begins.
        let skipped = old.wrapping_sub(taken - 1) % new;
        next.begin_round(taken + skipped, 2 * new - skipped);
        next.doublings = doublings;
        self.poor.store(0, Ordering::Relaxed);
        true
    }

    fn extend(&self, extent: usize) -> Option<()> {
        let places = if extent == 0 { FIRST } else { size(extent - 1) };
        let blocks = places as usize / BLOCK;
        let mut taken = Vec::new();
        taken.try_reserve_exact(blocks).ok()?;
        taken.resize_with(blocks, || AtomicU32::new(0));
        let extended = Extent { places: Places::allocate(blocks)?, taken: taken.into() };
        // No other thread extends it: the lock of `next` is held.
        let _ = self.extents[extent].set(extended);
        Some(())
    }
}

/// Returns the extent of a place, and where it is in there.
fn split(place: u64) -> (usize, usize) {
    match place / FIRST {
        0 => (0, place as usize),
        times => {
            let extent = times.ilog2() as usize + 1;
            (extent, (place - size(extent - 1)) as usize)
        }
    }
}

/// Returns a bit for each place of a block that no task has.
fn free_places(places: &'static Places, chunks: &ChunkTable) -> u64 {
    let mut free = Block::ALL;
    each_task(places, 0, chunks, |at, _, _| free &= !(1 << at));
    free
}

/// Calls `visit` with each place of a block that a task has, the slot, and the low half of the serial. A task that has
/// its place elsewhere may be in a slot by now; it is taken for one of this place in one case of 64.
fn each_task(places: &'static Places, except: u64, chunks: &ChunkTable, mut visit: impl FnMut(usize, u32, u64)) {
    for (at, place) in places.0.iter().enumerate().filter(|(at, _)| except >> at & 1 == 0) {
        if let Some(slot) = place.load(Ordering::Relaxed).checked_sub(1) {
            let tag = chunks.tag(slot).load(Ordering::Acquire);
            let serial = tag::low_serial(tag);
            if tag != 0 && serial.wrapping_sub(1) % BLOCK as u64 == at as u64 {
                visit(at, slot, serial);
            }
        }
    }
}

impl Position {
    fn begin_round(&mut self, first: u64, serials: u64) {
        *self = Self { round: first, before: self.round, serial: first, end: first + serials, ..*self };
    }

    /// Returns `true` if all blocks that were taken from here up to a later position are known.
    pub(super) fn is_near(&self, later: &Self) -> bool {
        self.doublings == later.doublings && [later.round, later.before].contains(&self.round)
    }

    /// Moves on to the next block on the way to a later position, which must be near. Returns the block and the low
    /// half of its first serial; `None` there.
    pub(super) fn advance(&mut self, later: &Self) -> Option<(usize, u32)> {
        if self.serial == self.end && self.round != later.round {
            *self = Self { serial: later.round, ..*later };
        }
        if self == later {
            return None;
        }
        let first = self.serial;
        self.serial += BLOCK as u64;
        Some((((first - 1) % size(self.doublings)) as usize / BLOCK, first as u32))
    }
}

impl Block {
    const ALL: u64 = if BLOCK == 64 { u64::MAX } else { (1 << (BLOCK % 64)) - 1 };

    /// No serials, before the first block is taken.
    pub(super) fn none() -> Self {
        Self { first: 0, free: 0, places: &[], taken: None }
    }

    #[inline]
    pub(super) fn is_used_up(&self) -> bool {
        self.free == 0
    }

    /// Hands out the next serial, for the task in a slot. The block must not be used up.
    #[inline]
    pub(super) fn hand_out(&mut self, slot: u32, chunks: &ChunkTable) -> u64 {
        let at = self.free.trailing_zeros();
        self.free &= self.free.wrapping_sub(1);
        if let Some(place) = self.places.get(at as usize) {
            place.store(slot + 1, Ordering::Relaxed);
        }
        let serial = self.first + u64::from(at);
        // Its place is taken from now on: see `free_places`.
        chunks.tag(slot).store(tag::described(serial), Ordering::Relaxed);
        serial
    }

    /// Leaves the block to others.
    pub(super) fn leave(&mut self) {
        if let Some(taken) = self.taken {
            // Release: pairs with the Acquire of `take`, so that who takes it sees all that was handed out.
            taken.store(0, Ordering::Release);
        }
        *self = Self::none();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_place_lies_in_one_extent() {
        let mut expected = Vec::new();
        for extent in 0..4 {
            let places = if extent == 0 { FIRST } else { size(extent - 1) };
            expected.extend((0..places as usize).map(|at| (extent, at)));
        }
        let found: Vec<_> = (0..size(3)).map(split).collect();
        assert_eq!(found, expected);
    }
}
