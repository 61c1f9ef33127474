//! Memory and counters of one list. Knows chunks, not tasks.

pub(crate) mod cell;
pub(crate) mod counters;
pub(crate) mod ended;
pub(crate) mod kind_stats;
pub(crate) mod kinds;
pub(crate) mod magazine;
pub(crate) mod recorded;
pub(crate) mod scopes;
pub(crate) mod slab;

use crate::base::clock::ClockReader;
use crate::base::limits::Limits;
use crate::base::redact::names::SecretWords;
use counters::AtomicCounters;
use slab::Slab;

/// What a task needs of its list: memory, the clock, limits and counters.
pub(crate) struct Store {
    pub(crate) slab: &'static Slab,
    pub(crate) clock: ClockReader,
    pub(crate) limits: Limits,
    /// Words that are taken for secret besides the usual.
    pub(crate) secrets: SecretWords,
    pub(crate) counters: AtomicCounters,
}
