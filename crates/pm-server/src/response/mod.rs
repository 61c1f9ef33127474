//! Responses: bodies, headers, errors.
//!
//! | module | content |
//! |---|---|
//! | `build.rs` | responses of each kind, with the headers that all of them have |
//! | `body.rs` | bodies: complete, or produced while the client reads |
//! | `parts.rs` | bodies that are written part by part, also on other threads |
//! | `failure.rs` | refusals, as problem JSON or as plain text |
//! | `memory.rs` | the budget for all that is held for clients |
//! | `compress.rs`, `file.rs` | compression; files of the page |
//!
//! No response may be cached or interpreted as another type. None carries a CORS header: no cross-site page can read
//! it.

mod body;
mod build;
pub(crate) mod compress;
mod failure;
#[cfg(feature = "dashboard")]
mod file;
mod memory;
mod parts;

pub use self::body::Body;
pub(crate) use self::body::{Again, Produce};
#[cfg(feature = "dashboard")]
pub(crate) use self::build::file;
pub(crate) use self::build::{
    JSON, TEXT, admitted, compressed, counted, done, events, is_long_to_compress, json, json_parts, methods, moved,
    serialized, to_json, whole, without_body,
};
pub(crate) use self::failure::Failure;
#[cfg(feature = "dashboard")]
pub(crate) use self::file::File;
pub(crate) use self::memory::{Held, Memory, STREAM};
pub(crate) use self::parts::{LONG, Parts, Run, WriteParts};
