//! Names the work a program does, shows it while it runs, and asks it to stop.
//!
//! ```
//! let task = pm_core::task("req-1").kind("GET /hosts/{id}").attr("host", "db1").start();
//! task.status("reading")?;
//! for block in 0..3 {
//!     pm_core::status!(task, "reading block {block}")?; // allocates nothing; hears a cancel
//! }
//! assert_eq!(pm_core::global().snapshot().len(), 1);
//! drop(task); // it ends here, also on a panic
//! # Ok::<(), pm_core::Cancelled>(())
//! ```
//!
//! | you want | look at |
//! |---|---|
//! | to name a piece of work | [`task`], [`start`], [`TaskBuilder`] |
//! | to say what it does | [`Task::status`], [`status!`], [`Task::set`], [`Task::progress`] |
//! | to hear that it is to stop | [`Task::checkpoint`], [`Cancelled`], [`run`] |
//! | a handle for other threads | [`TaskHandle`], [`current`] |
//! | to see what runs | [`ProcessList::snapshot`], [`ProcessList::scan`], [`ProcessList::history`] |
//! | to stop a task | [`ProcessList::cancel`] |
//! | limits, clocks, a list of your own | [`Options`], [`ProcessList`], [`Counters`] |
//!
//! It knows no HTTP, JSON, runtime or logging, and depends on no other crate. It never makes a task wait for a reader,
//! and grows no further than its limits; what exceeds them is cut or dropped, and counted.

mod cancel;
mod chunk;
mod clock;
mod list;
mod options;
mod read;
mod record;
mod serial;
mod slab;
mod slot;
mod snapshot;
mod sync;
mod task;
mod text;

pub use cancel::{CancelError, Cancelled};
pub use clock::{Clock, ManualClock, Moment};
pub use list::{Counters, ProcessList, global};
pub use options::Options;
pub use read::{Attrs, Entry, History, Progress, StatusText, TaskView, Text, ValueView};
pub use serial::Serial;
pub use snapshot::{Scan, Snapshot};
pub use task::{Entered, Task, TaskBuilder, TaskHandle, Value, current, run, start, task, unnamed};
