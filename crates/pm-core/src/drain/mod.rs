//! Waiting until the list is empty, and helping along: for the end of a program, or of a part of it.
//!
//! A drain looks through the list, waits for the end of each task that it found, and looks again. It never asks a task
//! more often than once, holds no lock while it waits, and does not look oftener than makes sense while tasks come and go
//! in a rush. It waits for whoever must not wait for it: neither for the task that drains, nor for those above it, nor
//! for tasks that drain themselves.

pub(crate) mod future;
pub(crate) mod options;
pub(crate) mod report;
pub(crate) mod target;
