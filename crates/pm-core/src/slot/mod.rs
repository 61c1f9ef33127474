//! One task in its slot: the protocol between its writers and readers.
//!
//! ```text
//! 0 gate      serial and mark: the owner; live, ended or free; and the lock of its writers
//! 1 cancel    the chain of the request (0: none), protected sections, whether the task observed it or has children
//! 2 cursor    words used in the log, flags, outcome, history entries ever made
//! 3 started   ticks               4 parent   serial            5 newest   ticks of the newest entry, or of the end
//! 6 kept      the chain that continues the log: newest chunk, words used in it, version
//! 7 ring      the chain of the newest history entries: newest chunk, words used in it; the number of the kind; words
//!             that the log had when the task started
//! 8 ring_old  (writers only) its oldest chunk, the entries in it, words in `kept` that are obsolete
//! 9 book      (writers only) first chunk of `kept`, how many attributes, which names they may have, the one found last
//! 10 self      the index of the slot; the hash of the id until the task starts, then the slot of its parent
//! 11..32      the log
//! ```
//!
//! Invariants, and what keeps them:
//!
//! - A slot's words belong to the task that its gate names, while it lives and while it is retained after its end. Its
//!   end (`end.rs`) and its eviction (`store/ended.rs`) store the gate; the next task in the slot begins with a release
//!   fence (`prepare` in `gate.rs`). A reader copies, fences, and reads the gate again (`copy.rs`): if it saw any word
//!   of the next task, it sees that the gate changed, and discards the copy.
//! - Writers of one task (its handles, a canceller) hold the gate's lock bit, taken by a compare-exchange that names
//!   the serial: a stale handle never gets it. No code of the program runs under it.
//! - The log and `kept` only grow as long as the version of `kept` stays the same. Words up to a published cursor never
//!   change, except those of numbers, which change one at a time. A text that is overwritten in place makes the version
//!   odd before and even again after (`log.rs`): a reader that copied some of its words before and some after sees
//!   that. A reader that never finds a moment in between asks for one, with a bit of the cancel word: for a while
//!   values are added then, and not overwritten.
//! - Only the cancel word is also written without the lock, by children that start and by such readers; so all its
//!   writers change it in one step (see `cancel/tree.rs`).
//! - A chunk of a chain has its owner's serial in word 0 and its place in the chain in word 1. Before it is reused,
//!   word 1 is made invalid, then follows a release fence (`chain.rs`): a reader that copied anything newer sees that.
//!
//! | file | contents |
//! |---|---|
//! | `gate.rs` | the gate, and the lock of the writers |
//! | `log.rs` | records, in the slot and behind it |
//! | `history.rs` | the entries among them |
//! | `attrs.rs` | attributes and progress |
//! | `request.rs` | the cancel request |
//! | `chain.rs` | chunks behind the slot |
//! | `cell.rs` | waiters beside the slot |
//! | `end.rs` | the end, and after |
//! | `copy.rs` | how readers copy a task |

pub(crate) mod attrs;
pub(crate) mod cell;
pub(crate) mod chain;
pub(crate) mod copy;
pub(crate) mod end;
pub(crate) mod gate;
pub(crate) mod history;
pub(crate) mod log;
pub(crate) mod request;
