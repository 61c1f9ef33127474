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
