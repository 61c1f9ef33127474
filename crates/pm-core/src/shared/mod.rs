//! What a list and its tasks share.

pub(crate) mod banned;
pub(crate) mod drains;
pub(crate) mod hooks;
pub(crate) mod recycle;
pub(crate) mod resource;
pub(crate) mod state;
pub(crate) mod waiters;
