//! The words of a slot and of a chunk in a chain.

use super::chunk::{Chunk, WORDS};
use crate::base::sync::{AtomicU64, Ordering};

pub(crate) const CANCEL: usize = 1;
pub(crate) const CURSOR: usize = 2;
pub(crate) const STARTED: usize = 3;
pub(crate) const PARENT: usize = 4;
pub(crate) const NEWEST: usize = 5;
pub(crate) const KEPT: usize = 6;
pub(crate) const RING: usize = 7;
pub(crate) const RING_OLD: usize = 8;
pub(crate) const BOOK: usize = 9;
pub(crate) const SELF: usize = 10;
pub(crate) const LOG: usize = 11;

/// Words of the log in the slot itself.
pub(crate) const LOG_WORDS: usize = WORDS - LOG;

/// The words of a chunk in a chain.
pub(crate) const PLACE: usize = 1;

pub(crate) const LINKS: usize = 2;
pub(crate) const STARTS: usize = 3;
pub(crate) const PAYLOAD: usize = 4;
pub(crate) const PAYLOAD_WORDS: usize = WORDS - PAYLOAD;

/// The place of a chunk that is being reused, which no chunk of a chain ever has.
pub(crate) const NO_PLACE: u64 = u64::MAX;

/// The bits of the cancel word.
pub(crate) mod cancel {
    /// The chain of the request: its first chunk and 1; 0 when there is no request.
    pub(crate) const REQUEST: u64 = 0x7fff_ffff;
    /// A request for whose strings there was no memory.
    pub(crate) const NO_CHAIN: u64 = REQUEST;
    /// The task has a deadline for which there was no thread: it looks for the time itself.
    pub(crate) const UNATTENDED: u64 = 1 << 31;
    /// One protected section more.
    pub(crate) const ONE_PROTECTED: u64 = 1 << 32;
    pub(crate) const PROTECTED: u64 = 0xffff << 32;
    /// Readers found no moment in which no value was overwritten: for a while, values are added instead.
    pub(crate) const READ: u64 = 1 << 59;
    /// The task has, or had, a child.
    pub(crate) const PARENT: u64 = 1 << 60;
    /// The future was dropped because of the request.
    pub(crate) const FORCED: u64 = 1 << 61;
    /// The task observed the request.
    pub(crate) const OBSERVED: u64 = 1 << 62;
    /// The task is being unwound because of the request.
    pub(crate) const UNWOUND: u64 = 1 << 63;

    /// Returns `true` if there is nothing to look for at a checkpoint: no request, and no deadline to meet.
    #[inline(always)]
    pub(crate) const fn is_undisturbed(word: u64) -> bool {
        word & (REQUEST | UNATTENDED) == 0
    }

    /// Returns `true` if there is a request.
    #[inline(always)]
    pub(crate) const fn is_asked(word: u64) -> bool {
        word & REQUEST != 0
    }
}

/// Returns the first chunk of the strings of a cancel request.
#[inline(always)]
pub(crate) fn cancel_chain(word: u64) -> Option<u32> {
    match word & cancel::REQUEST {
        0 | cancel::NO_CHAIN => None,
        index => Some((index - 1) as u32),
    }
}

/// The cursor: how far the log is valid, flags, and the number of history entries.
#[derive(Clone, Copy)]
pub(crate) struct Cursor(pub(crate) u64);

impl Cursor {
    pub(crate) const NOT_CANCELLABLE: u64 = 1 << 8;
    /// The log in the slot is closed: it continues in `kept`.
    pub(crate) const SPILLED: u64 = 1 << 9;
    /// The thread was panicking when the task started.
    pub(crate) const STARTED_IN_PANIC: u64 = 1 << 10;
    /// The outcome, once the task ended.
    pub(crate) const OUTCOME: u32 = 11;
    /// The task has a cell with waiters: see `store/cell.rs`.
    pub(crate) const WATCHED: u64 = 1 << 14;
    /// The task ended in a way for which it is retained longer.
    pub(crate) const NOTABLE: u64 = 1 << 15;

    #[inline(always)]
    pub(crate) fn used(self) -> usize {
        (self.0 & 0xff) as usize
    }
    #[inline(always)]
    pub(crate) fn entries(self) -> u64 {
        self.0 >> 16
    }
    #[inline(always)]
    pub(crate) fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }
    /// Removes the outcome, which a task has briefly before it has ended.
    #[inline(always)]
    pub(crate) fn live(self) -> Self {
        Self(self.0 & !(0b111 << Self::OUTCOME))
    }
    /// Returns the outcome as a number: see `Count`.
    #[inline(always)]
    pub(crate) fn outcome(self) -> u64 {
        self.0 >> Self::OUTCOME & 0b111
    }
    #[inline(always)]
    pub(crate) fn add_words(self, words: usize) -> Self {
        Self(self.0 + words as u64)
    }
    #[inline(always)]
    pub(crate) fn add_entry(self) -> Self {
        Self(self.0 + (1 << 16))
    }
}

/// The newest chunk of a chain and the words used in it; for `kept` a version, for `ring` the task's kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail(pub(crate) u64);

impl Tail {
    #[inline(always)]
    pub(crate) fn new(index: u32, used: usize, version: u64) -> Self {
        Self((u64::from(index) + 1) | (used as u64) << 32 | version << 40)
    }
    #[inline(always)]
    pub(crate) fn index(self) -> Option<u32> {
        (self.0 as u32).checked_sub(1)
    }
    #[inline(always)]
    pub(crate) fn used(self) -> usize {
        ((self.0 >> 32) as usize & 0xff).min(WORDS)
    }
    #[inline(always)]
    pub(crate) fn add_words(self, words: usize) -> Self {
        Self(self.0 + ((words as u64) << 32))
    }
    /// In the tail of `kept`: it is odd while a value is overwritten in place, and is another one after that, and after
    /// obsolete values were removed.
    #[inline(always)]
    pub(crate) fn version(self) -> u64 {
        self.0 >> 40
    }
    #[inline(always)]
    pub(crate) fn next_version(self) -> Self {
        Self(self.0.wrapping_add(1 << 40))
    }
    /// In the tail of `ring`: the number of the task's kind.
    #[inline(always)]
    pub(crate) fn kind(self) -> u32 {
        (self.0 >> 40) as u32 & 0xffff
    }
    /// In the tail of `ring`: how many words of the log were there when the task started.
    #[inline(always)]
    pub(super) fn started_with(self) -> usize {
        (self.0 >> 56) as usize
    }
}

/// The place of a chunk in its chain: how many came before, and where its first record begins (`WORDS`: nowhere).
pub(crate) struct Place(pub(crate) u64);

impl Place {
    #[inline(always)]
    pub(crate) fn new(ordinal: u64, first: usize) -> Self {
        Self(ordinal << 8 | first as u64)
    }
    #[inline(always)]
    pub(crate) fn ordinal(&self) -> u64 {
        self.0 >> 8
    }
    pub(crate) fn first(&self) -> usize {
        (self.0 as usize & 0xff).clamp(PAYLOAD, WORDS)
    }
}

#[inline(always)]
pub(crate) fn links(prev: Option<u32>, next: Option<u32>) -> u64 {
    let link = |index: Option<u32>| index.map_or(0, |index| u64::from(index) + 1);
    link(prev) | link(next) << 32
}

#[inline(always)]
pub(crate) fn prev_in(links: u64) -> Option<u32> {
    (links as u32).checked_sub(1)
}

#[inline(always)]
pub(crate) fn next_in(links: u64) -> Option<u32> {
    ((links >> 32) as u32).checked_sub(1)
}

pub(crate) fn prev_of(chunk: &Chunk) -> Option<u32> {
    prev_in(chunk.get(LINKS))
}

pub(crate) fn next_of(chunk: &Chunk) -> Option<u32> {
    next_in(chunk.get(LINKS))
}

/// Loads a word that a writer published: all that was written before it is visible then.
#[inline]
pub(crate) fn acquire(word: &AtomicU64) -> u64 {
    word.load(Ordering::Acquire)
}
