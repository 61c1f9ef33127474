//! The state that a list and its tasks share: what the modules above keep for each list.

pub(crate) mod banned;
pub(crate) mod drains;
pub(crate) mod hooks;
pub(crate) mod recycle;
pub(crate) mod resource;
pub(crate) mod state;
pub(crate) mod waiters;
