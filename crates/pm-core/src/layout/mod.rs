//! The layout of a list's memory: chunks, words, records, and how to walk through them.
//!
//! Plain bits, without any protocol between threads; that is in `slot`.

pub(crate) mod chunk;
pub(crate) mod record;
pub(crate) mod row;
pub(crate) mod table;
pub(crate) mod walk;
pub(crate) mod words;
