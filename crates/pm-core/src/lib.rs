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
//! | to run a future, or a closure, as a task | [`TaskBuilder::run`], [`run_sync`] |
//! | to say what it does | [`Task::status`], [`status!`], [`Task::set`] |
//! | to say it for the length of a block | [`Task::scope`], [`scope!`] |
//! | to say how far it has come, in a loop or while bytes flow | [`Task::progress`], [`TaskIteratorExt`], [`Task::meter`], [`Task::metered`] |
//! | to say what it waits for or holds, and who blocks whom | [`Task::waiting_on`], [`Resource`], [`ProcessList::waits`] |
//! | to hear that it is to stop | [`Task::checkpoint`], [`Task::cancelled`], [`Cancelled`] |
//! | not to be cut somewhere | [`protect`], [`TaskBuilder::grace`], [`TaskBuilder::never_forced`] |
//! | a handle for other threads | [`TaskHandle`], [`current`] |
//! | to see what runs | [`ProcessList::snapshot`], [`ProcessList::scan`], [`ProcessList::for_each`], [`ProcessList::history`] |
//! | to see what just happened | [`ProcessList::ended`], [`ProcessList::kinds`], [`ProcessList::on_end`] |
//! | to stop a task, and know what came of it | [`ProcessList::cancel`], [`ProcessList::cancel_and_wait`], [`Verdict`] |
//! | to end in order, or to see in a test that no task is left | [`ProcessList::drain`], [`ProcessList::assert_no_tasks`] |
//! | limits, clocks, a list of your own | [`Options`], [`ProcessList`], [`Counters`] |
//! | what is never recorded | [`Options::redact`], [`Options::redact_also`] |
//!
//! It knows no HTTP, JSON, runtime or logging, and depends on no other crate. It never makes a task wait for a reader,
//! and grows no further than its limits; what exceeds them is cut or dropped, and counted.
//!
//! What looks like a secret is masked before it is recorded: the value of `token`, the password in
//! `http://user:password@host`, the key in `/search?api_key=..`.
//!
//! ```
//! let list = pm_core::ProcessList::new();
//! let task = list.task("req-1").attr("authToken", "abc").start();
//! task.status("GET /search?api_key=abc&page=2")?;
//! let snapshot = list.snapshot();
//! assert_eq!(snapshot.get(0).unwrap().status().to_string(), "GET /search?api_key=***&page=2");
//! # Ok::<(), pm_core::Cancelled>(())
//! ```

mod cancel;
mod chunk;
mod clock;
mod current;
mod drain;
mod ended;
mod future;
mod histogram;
mod hooks;
mod kinds;
mod list;
mod options;
mod outcome;
mod progress;
mod read;
mod record;
mod redact;
mod scope;
mod serial;
mod slab;
mod slot;
mod snapshot;
mod state;
mod sync;
mod task;
pub mod terminal;
mod text;
mod timer;
mod tree;
mod waits;
mod watch;

pub use cancel::{CancelError, CancelRequest, Cancelled, Target, Verdict};
pub use clock::{Clock, ManualClock, Moment};
pub use current::{Entered, current};
pub use drain::{Drain, DrainFuture, DrainProgress, DrainReport, DrainedTask, TaskBrief};
pub use future::{Protected, SupervisedPoll, Supervisor, SupervisorGuard, TaskFuture, TryTaskFuture, protect};
pub use histogram::{Bucket, Latency};
pub use hooks::Subscription;
pub use kinds::{KindStats, StatusTime};
pub use list::{Counters, ProcessList, global};
pub use options::{ListLimits, Options};
pub use outcome::Outcome;
pub use progress::{CheckedIter, Meter, Metered, ProgressIter, TaskIteratorExt};
pub use read::{Attrs, History, HistoryEntry, Progress, RequestView, StatusText, TaskView, Text, ValueView};
pub use scope::StatusScope;
pub use serial::Serial;
pub use snapshot::{Scan, Snapshot};
pub use state::TaskState;
pub use task::{Task, TaskBuilder, TaskHandle, Value, run, run_sync, start, task, unnamed};
pub use waits::{
    BlockedTask, Cycle, CycleStep, HoldGuard, Resource, ResourceHolder, ResourceKind, WaitGuard, WaitReport,
    WaitTreeRow, WaitedResource,
};
pub use watch::{CancelHandle, CancelledFuture, VerdictFuture};
