//! Output: data on stdout, messages on stderr.
//!
//! | file | contents |
//! |---|---|
//! | `clean.rs` | escapes untrusted text |
//! | `table.rs` | tables |
//! | `style.rs` | colours |
//! | `format.rs` | durations, progress, attributes and statuses as text |
//! | `print.rs` | the format of the output, and printing |
//! | `document.rs` | JSON |
//!
//! Everything printed goes through here. A closed pipe ends the command silently; a full disk is an error.

pub(crate) mod clean;
mod document;
pub(crate) mod format;
mod print;
pub(crate) mod style;
pub(crate) mod table;

pub(crate) use document::{Document, name_of};
pub(crate) use print::{Color, Format, Out, print, say};
pub(crate) use style::Style;
pub(crate) use table::Table;
