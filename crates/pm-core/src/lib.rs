//! The process list of a program: names its pieces of work, shows them while they run, and cancels them.
//!
//! ```
//! let task = pm_core::task("req-1").kind("GET /hosts/{id}").attr("host", "db1").start();
//! task.status("reading")?; // `Err(Cancelled)` once the task is cancelled
//! for block in 0..3 {
//!     pm_core::status!(task, "reading block {block}")?; // does not allocate
//! }
//! assert_eq!(pm_core::global().snapshot().len(), 1);
//! drop(task); // the task ends here, also on a panic
//! # Ok::<(), pm_core::Cancelled>(())
//! ```
//!
//! A task costs about a clock read for each status. It never waits for a reader. The memory of a list has a limit: what
//! exceeds it is truncated or dropped, and counted.
//!
//! # Getting started
//!
//! ```toml
//! [dependencies]
//! pm-core = "0.1"
//! ```
//!
//! The minimum supported Rust version is 1.88. There are no features and no dependencies: no HTTP, JSON, async runtime
//! or logging. All crates of a program share the [`global`] list, so a library names its tasks with this crate alone,
//! and the program serves them with `pm`, which re-exports all of it.
//!
//! Two versions of this crate in one program would be two lists that do not see each other's tasks. So cargo refuses
//! them (`package links to native library pm-core, but it conflicts with a previous package`, although nothing native
//! is linked): update the library that asks for the older one.
//!
//! # When to use something else
//!
//! This crate is not a tracer or a profiler: it shows what runs now and what has just ended, in the words that the
//! program chose.
//!
//! - To see how an async runtime schedules: tokio-console.
//! - To record what happened, across services: `tracing` with OpenTelemetry. The feature `tracing` of `pm` shows spans
//!   as tasks.
//! - To see at which await each future is suspended: await-tree.
//!
//! # Map
//!
//! | to | see |
//! |---|---|
//! | name a piece of work | [`task`], [`start`], [`TaskBuilder`] |
//! | run a future, or a closure, as a task | [`TaskBuilder::run`], [`run_sync`] |
//! | report its status and attributes | [`TaskHandle::status`], [`status!`], [`TaskHandle::set`] |
//! | set a status for the duration of a block | [`TaskHandle::scope`], [`scope!`] |
//! | report progress | [`TaskHandle::progress`], [`TaskIteratorExt`], [`TaskHandle::meter`], [`TaskHandle::metered`] |
//! | report waits and locks, and find deadlocks | [`TaskHandle::waiting_on`], [`Resource`], [`ProcessList::waits`] |
//! | observe a cancellation | [`TaskHandle::checkpoint`], [`TaskHandle::cancelled`], [`Cancelled`] |
//! | protect code from it | [`protect`], [`CancelPolicy`], [`TaskBuilder::on_cancel`] |
//! | report from deep in the call stack | [`current`] |
//! | pass the current task on to threads, pools and spawned futures | [`carry`], [`TaskFutureExt`], [`TaskHandle`] |
//! | read the list | [`ProcessList::snapshot`], [`ProcessList::scan`], [`ProcessList::for_each`] |
//! | read one task | [`ProcessList::find`], [`ProcessList::view`], [`ProcessList::history`] |
//! | read what has ended | [`ProcessList::ended`], [`ProcessList::kinds`], [`ProcessList::on_end`] |
//! | cancel a task, and wait for the outcome | [`ProcessList::cancel`], [`CancelHandle`], [`Verdict`] |
//! | shut down gracefully, or assert that no task is left | [`ProcessList::drain`], [`ProcessList::assert_no_tasks`] |
//! | set limits and clocks, or make a separate list | [`init`], [`Options`], [`ProcessList`], [`Counters`] |
//! | keep secrets out | [`Options::redact`], [`Options::redact_also`] |
//!
//! # Threads, signals and forks
//!
//! Deadlines, graces and timeouts have one thread, `pm-timer`, which the first of them starts and which ends when there
//! has been none for 10 s. It takes no signal of the program: they are blocked in it. If the system has no thread,
//! events still happen, and never early: threads and futures that wait for one do its work, tasks with a deadline at
//! their checkpoints, and readers. [`Counters::planned_without_thread`] counts that.
//!
//! The child of a fork has a copy of the list and a timer of its own, which takes over the planned events with the
//! first that the child plans. The tasks of threads that it does not have never end there. A lock that another thread
//! held at the moment of the fork stays locked in the child, as with any lock: a child that uses the list may then wait
//! forever. Fork before there are threads, or let the child call `exec` without using the list.
//!
//! # Secrets
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
pub use base::policy::CancelPolicy;
pub use base::serial::Serial;
#[doc(hidden)]
pub use base::threads::spawn as spawn_thread;
pub use base::timestamp::Timestamp;
pub use cancel::cancelled::{Cancelled, CancelledFuture};
pub use cancel::handle::{CancelHandle, VerdictFuture};
pub use cancel::request::{CancelError, CancelRequest, Target};
pub use cancel::verdict::Verdict;
pub use drain::future::DrainFuture;
pub use drain::options::Drain;
pub use drain::report::{DrainProgress, DrainReport, DrainedTask};
pub use list::counters::Counters;
pub use list::global::{AlreadyStarted, global, init, run, run_sync, start, task, unnamed};
pub use list::process_list::ProcessList;
pub use list::scan::Scan;
pub use list::snapshot::{Snapshot, SnapshotIter};
pub use shared::hooks::Subscription;
pub use shared::resource::{Resource, ResourceKind};
pub use store::kind_stats::{KindStats, StatusTime};
pub use task::builder::TaskBuilder;
pub use task::carry::{TaskFutureExt, carry};
pub use task::current::{Entered, current};
pub use task::drop_signal::DropSignal;
pub use task::future::{InTask, Protected, TaskFuture, TryTaskFuture, protect};
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
