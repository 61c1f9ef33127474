//! The names that most programs need, and the traits that add methods to types of this and other crates.
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
//! Traits come without their names, so that these stay free. Functions are not here: `pm::task("import-42")` reads
//! better than `task("import-42")`.

#[cfg(feature = "http-body")]
pub use crate::RunBodyExt as _;
#[cfg(feature = "tokio")]
pub use crate::SpawnExt as _;
#[cfg(feature = "tokio-util")]
pub use crate::TaskTokenExt as _;
pub use crate::{Cancelled, ProcessList, Task, TaskHandle, TaskIteratorExt as _, scope, status};
#[cfg(feature = "stream")]
pub use crate::{RunStreamExt as _, TaskStreamExt as _};
