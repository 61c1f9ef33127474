//! The process list: all live tasks of a program, or of a part of it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering as StdOrdering;

use crate::base::clock::Moment;
use crate::base::options::Options;
use crate::base::policy::{CancelPolicy, Packed};
use crate::base::timestamp::Timestamp;
use crate::cancel::cancelled::Cancelled;
use crate::shared::state::Shared;
use crate::store::recorded;
use crate::task::builder::TaskBuilder;
use crate::task::future::TaskFuture;
use crate::task::live::Task;

/// A list of the tasks that are live.
///
/// Clones are the same list. A list whose last clone is dropped is gone for readers; tasks that still run keep running
/// and end as usual.
///
/// ```
/// use pm_core::ProcessList;
///
/// let list = ProcessList::new();
/// let task = list.task("req-1").kind("GET /hosts/{id}").attr("host", "db1").start();
/// task.status("reading")?;
///
/// let snapshot = list.snapshot();
/// let row = snapshot.get(0).unwrap();
/// assert_eq!(row.id().as_str(), "req-1");
/// assert_eq!(row.status().to_string(), "reading");
/// # Ok::<(), pm_core::Cancelled>(())
/// ```
#[derive(Clone)]
pub struct ProcessList {
    owner: Arc<Owner>,
}

struct Owner {
    shared: &'static Shared,
    look_only: bool,
    ignored_settings: Vec<String>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.retire();
    }
}

impl Default for ProcessList {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ProcessList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessList").field("live", &self.counters().live).finish_non_exhaustive()
    }
}

impl ProcessList {
    /// A list with the default options, separate from all others.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(Options::new())
    }

    /// A list with options of its own.
    #[must_use]
    pub fn with_options(options: Options) -> Self {
        Self::with_settings(&options, Vec::new())
    }

    pub(super) fn with_settings(options: &Options, ignored_settings: Vec<String>) -> Self {
        let shared = Shared::obtain(options);
        Self { owner: Arc::new(Owner { shared, look_only: options.look_only, ignored_settings }) }
    }

    pub(crate) fn shared(&self) -> &'static Shared {
        self.owner.shared
    }

    /// Begins to describe a task; [`TaskBuilder::start`] starts it. Any text is a valid id; live tasks may share one.
    pub fn task(&self, id: &str) -> TaskBuilder<'_> {
        TaskBuilder::new(self.shared(), Some(id))
    }

    /// Begins to describe a task whose id is made from its kind and serial: `import-131`, or `task-131` without a kind.
    pub fn unnamed(&self) -> TaskBuilder<'_> {
        TaskBuilder::new(self.shared(), None)
    }

    /// Starts a task that is no more than its id.
    #[must_use = "the task ends when this is dropped"]
    pub fn start(&self, id: &str) -> Task {
        self.task(id).start()
    }

    /// Runs a future as a task that is no more than its id. See [`TaskBuilder::run`].
    pub fn run<F: Future>(&self, id: &str, future: F) -> TaskFuture<F> {
        self.task(id).run(future)
    }

    /// Runs `f` as a task, which is current on this thread until `f` returns: also in jobs of others that a pool runs
    /// on this thread while `f` waits, unless those were [carried](crate::carry). A cancellation that unwinds stops
    /// here.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when `f` returned it, or was unwound by `checkpoint_or_unwind`.
    ///
    /// # Panics
    ///
    /// A panic of `f` continues; the task ends as aborted.
    pub fn run_sync<T>(&self, id: &str, f: impl FnOnce(&Task) -> Result<T, Cancelled>) -> Result<T, Cancelled> {
        self.task(id).run_sync(f)
    }

    /// Returns the time by the clock of this list.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.moment().timestamp()
    }

    pub(crate) fn moment(&self) -> Moment {
        self.shared().store.clock.moment()
    }

    /// Returns a string as this list would record it, except for its length: without what [looks like a
    /// secret](Options::redact). For programs that record elsewhere what they report to the list, as an audit log does.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// assert_eq!(list.redacted("see http://me:hunter2@host/"), "see http://***@host/");
    /// ```
    #[must_use]
    pub fn redacted<'t>(&self, text: &'t str) -> Cow<'t, str> {
        recorded::recorded(&self.shared().store, text, usize::MAX).text
    }

    /// Sets the effect that a cancel request has on tasks started from now on, unless [they](TaskBuilder::on_cancel) or
    /// [their kind](Options::on_cancel_of) say otherwise.
    pub fn set_on_cancel(&self, policy: CancelPolicy) {
        self.shared().on_cancel.store(Packed::from(policy).0, StdOrdering::Relaxed);
    }

    /// Returns `true` if tasks may only be looked at: see [`Options::look_only`].
    #[must_use]
    pub fn is_look_only(&self) -> bool {
        self.owner.look_only
    }

    /// Returns the [variables](crate::init#variables) that were ignored because their values can't be read, with
    /// advice, a line for each. Only the [global](crate::global) list has any.
    #[must_use]
    pub fn ignored_settings(&self) -> &[String] {
        &self.owner.ignored_settings
    }

    /// Switches the list off or on. Tasks started while it is off run as usual, but are not shown or counted, can't be
    /// cancelled, and cost next to nothing.
    pub fn set_enabled(&self, yes: bool) {
        self.shared().enabled.store(yes, StdOrdering::Relaxed);
    }

    /// Returns `true` if the list is switched on, which is the default.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.shared().enabled.load(StdOrdering::Relaxed)
    }
}
