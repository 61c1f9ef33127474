//! Cancellation: how a task is asked to stop, how it observes that, and what comes of it.
//!
//! A request is stored in the slot of the task (`mark.rs`), then all tasks below it are marked (`tree.rs`), then all
//! that are idle are woken (`ask.rs`) and the hooks are called (`announce.rs`). Deadlines, the end of graces and
//! timeouts are events (`timer.rs`).

pub(crate) mod announce;
pub(crate) mod ask;
pub(crate) mod cancelled;
pub(crate) mod handle;
pub(crate) mod mark;
pub(crate) mod observe;
pub(crate) mod request;
pub(crate) mod timer;
pub(crate) mod tree;
pub(crate) mod verdict;
