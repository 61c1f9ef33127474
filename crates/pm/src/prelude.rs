//! The names that most programs need, and the extension traits.
//!
//! ```
//! use pm::prelude::*;
//!
//! fn import(task: &Task, files: &[&str]) -> Result<(), Cancelled> {
//!     for file in files.iter().with_progress(task, "files").checked(task) {
//!         status!(task, "reading {}", file?)?;
//!     }
//!     Ok(())
//! }
//! # let list = ProcessList::new();
//! # import(&list.start("import-42"), &["a", "b"]).unwrap();
//! ```
//!
//! Traits are imported without their names, so that those stay free. Functions are left out, since
//! `pm::task("import-42")` reads better than `task("import-42")`.

pub use pm_core::{Cancelled, ProcessList, Task, TaskFutureExt as _, TaskHandle, TaskIteratorExt as _, scope, status};

#[cfg(feature = "http-body")]
pub use crate::adapters::body::RunBodyExt as _;
#[cfg(feature = "tokio")]
pub use crate::adapters::spawn::SpawnExt as _;
#[cfg(feature = "stream")]
pub use crate::adapters::stream::RunStreamExt as _;
#[cfg(feature = "stream")]
pub use crate::adapters::stream_progress::TaskStreamExt as _;
#[cfg(feature = "tokio-util")]
pub use crate::adapters::token::TaskTokenExt as _;
