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
//! | to say what it does | [`TaskHandle::status`], [`status!`], [`TaskHandle::set`] |
//! | to say it for the length of a block | [`TaskHandle::scope`], [`scope!`] |
//! | to say how far it has come, in a loop or while bytes flow | [`TaskHandle::progress`], [`TaskIteratorExt`], [`TaskHandle::meter`], [`TaskHandle::metered`] |
//! | to say what it waits for or holds, and who blocks whom | [`TaskHandle::waiting_on`], [`Resource`], [`ProcessList::waits`] |
//! | to hear that it is to stop | [`TaskHandle::checkpoint`], [`TaskHandle::cancelled`], [`Cancelled`] |
//! | not to be cut somewhere | [`protect`], [`TaskBuilder::grace`], [`TaskBuilder::drop_on_cancel`] |
//! | a handle for other threads | [`TaskHandle`], [`current`] |
//! | to see what runs | [`ProcessList::snapshot`], [`ProcessList::scan`], [`ProcessList::for_each`], [`ProcessList::history`] |
//! | to see what just happened | [`ProcessList::ended`], [`ProcessList::kinds`], [`ProcessList::on_end`] |
//! | to stop a task, and know what came of it | [`ProcessList::cancel`], [`CancelHandle`], [`Verdict`] |
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

mod base;
mod cancel;
mod drain;
mod layout;
mod list;
mod shared;
mod slot;
mod store;
mod task;
pub mod terminal;
mod view;
mod waits;

pub use base::clock::{Clock, ManualClock};
pub use base::histogram::{Bucket, Latency};
pub use base::options::{ListLimits, Options};
pub use base::outcome::Outcome;
pub use base::serial::Serial;
pub use base::timestamp::Timestamp;
pub use cancel::cancelled::{Cancelled, CancelledFuture};
pub use cancel::handle::{CancelHandle, VerdictFuture};
pub use cancel::request::{CancelError, CancelRequest, Target};
pub use cancel::verdict::Verdict;
pub use drain::future::DrainFuture;
pub use drain::options::Drain;
pub use drain::report::{DrainProgress, DrainReport, DrainedTask};
pub use list::counters::Counters;
pub use list::global::{global, run, run_sync, start, task, unnamed};
pub use list::process_list::ProcessList;
pub use list::scan::Scan;
pub use list::snapshot::Snapshot;
pub use shared::hooks::Subscription;
pub use shared::resource::{Resource, ResourceKind};
pub use store::kind_stats::{KindStats, StatusTime};
pub use task::builder::TaskBuilder;
pub use task::current::{Entered, current};
pub use task::future::{Protected, TaskFuture, TryTaskFuture, protect};
pub use task::handle::TaskHandle;
pub use task::live::Task;
pub use task::progress::{CheckedIter, Meter, Metered, ProgressIter, TaskIteratorExt};
pub use task::scope::StatusScope;
pub use task::supervisor::{SupervisedPoll, Supervisor, SupervisorGuard};
pub use task::value::Value;
pub use view::attrs::Attrs;
pub use view::brief::TaskBrief;
pub use view::history::{History, HistoryEntry};
pub use view::request::RequestView;
pub use view::state::TaskState;
pub use view::task_view::TaskView;
pub use view::values::{Progress, StatusText, Text, ValueView};
pub use waits::guard::{HoldGuard, WaitGuard};
pub use waits::report::{BlockedTask, Cycle, CycleStep, ResourceHolder, WaitReport, WaitTreeRow, WaitedResource};
