//! Waits until the list is empty, and cancels what does not end in time: for a graceful shutdown.
//!
//! A drain looks through the list, waits for the end of each task that it found, and looks again. It cancels each task
//! at most once, holds no lock while it waits, and limits its looks while many tasks start and end. It waits neither
//! for the task in which it runs, nor for those above that, nor for tasks that drain the list themselves.

pub(crate) mod future;
pub(crate) mod options;
pub(crate) mod report;
pub(crate) mod target;
