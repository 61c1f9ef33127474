//! Reads a task without locking: copies its words into a row, then validates the copy against the gate.
//!
//! Readers never wait; a copy during which the task was changed is made again. They write nothing but a bit for a task
//! that overwrites its values all the time.

use super::gate::Slot;
use crate::base::sync::{Ordering, fence, relax};
use crate::layout::chunk::{WORDS, mark};
use crate::layout::record;
use crate::layout::row::{FACTS, PARENT_ENDED};
use crate::layout::table::ChunkTable;
use crate::layout::words::*;

/// The attempts before a part that keeps changing is left out.
const TRIES: u32 = if cfg!(loom) { 3 } else { 256 };

/// The attempts before the task's writers are asked for a moment in which they overwrite nothing.
const PATIENCE: u32 = if cfg!(loom) { 1 } else { 8 };

/// How much of the history a row includes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Newest,
    History,
}

/// The state of the task to copy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Live.
    Live,
    /// Ended and retained.
    Ended,
    /// Ending now, for the thread that holds its lock.
    Ending,
}

/// The payload of a chunk, copied.
struct Block {
    words: [u64; WORDS - PAYLOAD],
    first: usize,
    used: usize,
}

/// Memory for copies, reused from row to row.
#[derive(Default)]
pub(crate) struct Scratch {
    blocks: Vec<Block>,
}

fn push(out: &mut Vec<u8>, words: &[u64]) {
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

/// Appends a row of the slot to `out`. Returns `false`, with `out` as before, when there is no such task in it.
pub(crate) fn copy_row(slot: Slot, wanted: Wanted, detail: Detail, scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    for round in 0..TRIES {
        match try_copy(slot, wanted, detail, scratch, out, round + 1 == TRIES) {
            Copied::Row => return true,
            Copied::Nothing => {
                out.truncate(start);
                return false;
            }
            Copied::Torn => {
                out.truncate(start);
                if round == PATIENCE && wanted == Wanted::Live {
                    // If there is another task by now, it only does a little more work for a while.
                    slot.cancel().fetch_or(cancel::READ, Ordering::Relaxed);
                }
                relax(round);
            }
        }
    }
    false
}

enum Copied {
    Row,
    Nothing,
    Torn,
}

fn try_copy(
    slot: Slot,
    wanted: Wanted,
    detail: Detail,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    last: bool,
) -> Copied {
    let (chunk, chunks) = (slot.chunk, &slot.store.slab.chunks);
    let gate = acquire(chunk.gate());
    let (gate, lock) = match wanted {
        Wanted::Live | Wanted::Ending if mark::is_live(gate) => (gate | 1, 1),
        Wanted::Ended if gate & 0b111 == mark::ENDED => (gate, 0),
        _ => return Copied::Nothing,
    };
    let serial = mark::serial(gate);
    let start = out.len();
    let cancel = acquire(chunk.word(CANCEL));
    let cursor = Cursor(acquire(chunk.word(CURSOR)));
    let kept = Tail(acquire(chunk.word(KEPT)));
    if kept.version() % 2 == 1 && !last {
        return Copied::Torn;
    }
    let ring = Tail(acquire(chunk.word(RING)));
    let used = cursor.used().min(WORDS - LOG);

    let whole = start + (FACTS + used) * 8;
    out.resize(whole, 0);
    let log = chunk.range(LOG, LOG + used);
    for (to, word) in out[start + FACTS * 8..].chunks_exact_mut(8).zip(log) {
        to.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    if kept.index().is_some() {
        scratch.blocks.clear();
        let complete = copy_chain(chunks, serial, kept, &mut scratch.blocks, |_| false);
        if complete {
            for block in scratch.blocks.iter().rev() {
                push(out, &block.words[..block.used]);
            }
        } else if !last {
            return Copied::Torn;
        }
    }
    let log_words = (out.len() - start) / 8 - FACTS;
    if ring.index().is_some() {
        scratch.blocks.clear();
        copy_chain(chunks, serial, ring, &mut scratch.blocks, |block| {
            detail == Detail::Newest && block.first < block.used
        });
        let mut begun = false;
        for block in scratch.blocks.iter().rev() {
            let from = if begun { 0 } else { block.first };
            if from < block.used {
                begun = true;
                push(out, &block.words[from..block.used]);
            }
        }
        if !begun && !last {
            return Copied::Torn;
        }
    }
    let ring_words = (out.len() - start) / 8 - FACTS - log_words;
    if let Some(first) = cancel_chain(cancel) {
        let mut next = Some(first);
        while let Some(index) = next {
            let Some(part) = chunks.try_get(index) else { return Copied::Torn };
            if part.gate().load(Ordering::Relaxed) != mark::of(serial, mark::CHAIN) {
                return Copied::Torn;
            }
            for at in PAYLOAD..WORDS {
                push(out, &[part.peek(at)]);
            }
            next = next_in(part.peek(LINKS));
            if out.len() - start > (1 << 20) {
                return Copied::Torn;
            }
        }
    }
    let parent = chunk.peek(PARENT);
    let mut kind = u64::from(ring.kind());
    if parent != 0
        && let Some(at) = (chunk.peek(SELF) >> 32).checked_sub(1)
    {
        let is_live = chunks
            .try_get(at as u32)
            .is_some_and(|parent_chunk| acquire(parent_chunk.gate()) | 1 == mark::of(parent, mark::LOCKED));
        kind |= if is_live { 0 } else { PARENT_ENDED };
    }
    let facts = [
        serial,
        chunk.peek(STARTED),
        parent,
        if wanted == Wanted::Live { cursor.live().0 } else { cursor.0 },
        log_words as u64 | (ring_words as u64) << 32,
        cancel,
        if wanted == Wanted::Live { 0 } else { chunk.peek(NEWEST) },
        kind,
    ];
    for (to, word) in out[start..].chunks_exact_mut(8).zip(facts) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    // Acquire: pairs with the Release fence of the next owner of this slot or of these chunks. If a word above is from
    // that owner, the loads below see that the slot has changed hands.
    fence(Ordering::Acquire);
    if chunk.gate().load(Ordering::Relaxed) | lock != gate {
        // Another task may be here by now: the next attempt copies that.
        return Copied::Torn;
    }
    if kept.version() % 2 == 1 || Tail(chunk.peek(KEPT)).version() != kept.version() {
        if !last {
            return Copied::Torn;
        }
        let log = start + FACTS * 8;
        record::hide_overwritten(&mut out[log..log + log_words * 8]);
    }
    if detail == Detail::History && chunk.peek(CURSOR) != cursor.0 && !last {
        return Copied::Torn;
    }
    Copied::Row
}

/// Copies a chain from its newest chunk backwards until `enough`, or until it ends. Returns `false` when the first
/// chunk was not reached because older ones were reused.
fn copy_chain(
    chunks: &ChunkTable,
    serial: u64,
    tail: Tail,
    out: &mut Vec<Block>,
    mut enough: impl FnMut(&Block) -> bool,
) -> bool {
    let owner = mark::of(serial, mark::CHAIN);
    let mut next = tail.index();
    let mut used = tail.used();
    let mut expected = None;
    while let Some(index) = next {
        let Some(chunk) = chunks.try_get(index) else { return false };
        if acquire(chunk.gate()) != owner {
            return false;
        }
        let place = Place(acquire(chunk.word(PLACE)));
        if expected.is_some_and(|expected| place.ordinal() != expected) {
            return false;
        }
        let mut words = [0; WORDS - PAYLOAD];
        for (to, word) in words.iter_mut().zip(chunk.range(PAYLOAD, WORDS)) {
            *to = word.load(Ordering::Relaxed);
        }
        let prev = prev_in(chunk.peek(LINKS));
        // Acquire: pairs with the Release fence before a chunk is reused.
        fence(Ordering::Acquire);
        if chunk.peek(PLACE) != place.0 || chunk.gate().load(Ordering::Relaxed) != owner {
            return false;
        }
        let block = Block { words, first: place.first() - PAYLOAD, used: used.max(PAYLOAD) - PAYLOAD };
        let stop = enough(&block);
        out.push(block);
        if stop || place.ordinal() == 0 {
            return true;
        }
        expected = Some(place.ordinal() - 1);
        next = prev;
        used = WORDS;
    }
    false
}
