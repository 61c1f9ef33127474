//! Everything that a cancellation does.

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
