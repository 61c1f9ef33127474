//! What the bits of a list's memory mean, and how to walk through them.

pub(crate) mod chunk;
pub(crate) mod record;
pub(crate) mod row;
pub(crate) mod table;
pub(crate) mod walk;
pub(crate) mod words;
