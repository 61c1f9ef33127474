//! The process list: the tasks of a program, or of a part of it, as readers see them.

pub(crate) mod cancel;
pub(crate) mod counters;
pub(crate) mod environment;
pub(crate) mod find;
pub(crate) mod global;
pub(crate) mod hooks;
pub(crate) mod process_list;
pub(crate) mod scan;
pub(crate) mod snapshot;
