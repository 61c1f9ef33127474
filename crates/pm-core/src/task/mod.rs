//! A task from the inside: how a program starts it, reports on it, and observes a cancellation.

pub(crate) mod builder;
pub(crate) mod carry;
pub(crate) mod current;
pub(crate) mod drop_signal;
pub(crate) mod end;
pub(crate) mod future;
pub(crate) mod handle;
pub(crate) mod live;
pub(crate) mod progress;
pub(crate) mod scope;
pub(crate) mod supervisor;
pub(crate) mod value;
