//! Memory and counters of one list. Knows chunks, not tasks.
//!
//! | file | contents |
//! |---|---|
//! | `slab.rs` | chunks, the central store of free ones, what all threads counted |
//! | `magazine.rs` | what each thread keeps: free chunks, serials, ended tasks |
//! | `directory.rs` | which slot has the task with a serial |
//! | `ids.rs` | which slots have the tasks with an id |
//! | `ended.rs` | which ended tasks are retained, and their eviction |
//! | `cell.rs`, `scopes.rs` | waiters and open status scopes of a task |
//! | `kinds.rs`, `kind_stats.rs` | statistics by kind |
//! | `counters.rs` | counters of the list |
//! | `recorded.rs` | strings on their way into a slot |

pub(crate) mod cell;
pub(crate) mod counters;
pub(crate) mod directory;
pub(crate) mod ended;
mod ids;
pub(crate) mod kind_stats;
pub(crate) mod kinds;
pub(crate) mod magazine;
pub(crate) mod recorded;
pub(crate) mod scopes;
pub(crate) mod slab;

use crate::base::clock::ClockReader;
use crate::base::limits::Limits;
use crate::base::policy::KindPolicies;
use crate::base::redact::names::SecretWords;
use counters::AtomicCounters;
use slab::Slab;

/// The parts of a list that its tasks need: memory, the clock, limits and counters.
pub(crate) struct Store {
    pub(crate) slab: &'static Slab,
    pub(crate) clock: ClockReader,
    pub(crate) limits: Limits,
    /// Words that mark a name as secret in addition to the usual ones.
    pub(crate) secrets: SecretWords,
    pub(crate) policies: KindPolicies,
    pub(crate) counters: AtomicCounters,
}
