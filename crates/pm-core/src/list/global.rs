//! The default list of the process, and functions that start tasks in it.

use std::fmt;
use std::sync::OnceLock;

use super::environment::Settings;
use super::process_list::ProcessList;
use crate::base::options::Options;
use crate::cancel::cancelled::Cancelled;
use crate::task::builder::TaskBuilder;
use crate::task::future::TaskFuture;
use crate::task::live::Task;

/// Begins to describe a task of the [`global`] list; [`TaskBuilder::start`] starts it.
pub fn task(id: &str) -> TaskBuilder<'static> {
    TaskBuilder::new(global().shared(), Some(id))
}

/// Begins to describe a task of the [`global`] list whose id is made from its kind and serial: `import-131`, or
/// `task-131` without a kind.
pub fn unnamed() -> TaskBuilder<'static> {
    TaskBuilder::new(global().shared(), None)
}

/// Starts a task of the [`global`] list that is no more than its id.
#[must_use = "the task ends when this is dropped"]
pub fn start(id: &str) -> Task {
    task(id).start()
}

/// Runs `f` as a task of the [`global`] list. See [`ProcessList::run_sync`](crate::ProcessList::run_sync).
///
/// # Errors
///
/// [`Cancelled`] when `f` returned it, or was unwound by
/// [`checkpoint_or_unwind`](crate::TaskHandle::checkpoint_or_unwind).
///
/// # Panics
///
/// A panic of `f` continues; the task ends as aborted.
///
/// ```
/// let result = pm_core::run_sync("import-42", |task| {
///     task.status("reading")?;
///     pm_core::global().cancel("import-42", "too slow").unwrap();
///     task.status("writing")?;
///     Ok(())
/// });
/// assert_eq!(result.unwrap_err().reason(), "too slow");
/// ```
pub fn run_sync<T>(id: &str, f: impl FnOnce(&Task) -> Result<T, Cancelled>) -> Result<T, Cancelled> {
    task(id).run_sync(f)
}

/// Runs a future as a task of the [`global`] list. See [`TaskBuilder::run`].
pub fn run<F: Future>(id: &str, future: F) -> TaskFuture<F> {
    task(id).run(future)
}

static GLOBAL: OnceLock<ProcessList> = OnceLock::new();

/// The default list of the process, with the options of [`init`], and the [variables](init#variables) that its operator
/// set.
#[must_use]
pub fn global() -> &'static ProcessList {
    GLOBAL.get_or_init(|| make(Options::new()))
}

/// Sets the options of the [`global`] list, before it is used for the first time: by a task, a layer, a server, or a
/// library that names its tasks. Call it first in `main`.
///
/// ```
/// use pm_core::{CancelPolicy, Options};
/// use std::time::Duration;
///
/// let policy = CancelPolicy::AskThenDrop(Duration::from_secs(5));
/// pm_core::init(Options::new().on_cancel(policy).redact_also(["tenant_key"]))?;
/// let task = pm_core::start("import-42");
/// assert!(pm_core::init(Options::new()).is_err());
/// # Ok::<(), pm_core::AlreadyStarted>(())
/// ```
///
/// # Variables
///
/// The operator of a program sets some of that without a build. These are read once, when the list is made, come after
/// the options, and concern the global list only. A value that can't be read is ignored:
/// [`ProcessList::ignored_settings`] and `/v1/info` report it.
///
/// | variable | |
/// |---|---|
/// | `PM_LIST=off` | [Switches the list off](ProcessList::set_enabled): tasks run as usual, but are not shown |
/// | `PM_LIST=look-only` | No request to cancel is accepted: [`Options::look_only`] |
/// | `PM_ON_CANCEL=ask` | [`Options::on_cancel`]: `ask`, `drop`, `refuse`, or a time to ask before the drop: `10s` |
/// | `PM_MAX_BYTES=256MiB` | [`Options::max_bytes`] |
/// | `PM_KEEP_ENDED=1000` | [`Options::keep_ended`] |
/// | `PM_KEEP_ENDED_BYTES=16MiB` | [`Options::keep_ended_bytes`] |
/// | `PM_KEEP_ENDED_FOR=15m` | [`Options::keep_ended_for`] |
/// | `PM_MAX_KINDS=256` | [`Options::max_kinds`] |
/// | `PM_REDACT_ALSO=tenant_key,pin` | [`Options::redact_also`] |
///
/// # Errors
///
/// [`AlreadyStarted`], if the list is in use. It keeps its options.
pub fn init(options: Options) -> Result<(), AlreadyStarted> {
    let mut options = Some(options);
    GLOBAL.get_or_init(|| make(options.take().unwrap_or_default()));
    match options {
        None => Ok(()),
        Some(_) => Err(AlreadyStarted),
    }
}

fn make(options: Options) -> ProcessList {
    let settings = Settings::of(options, |name| std::env::var_os(name));
    let list = ProcessList::with_settings(&settings.options, settings.ignored);
    list.set_enabled(settings.enabled);
    list
}

/// The error of [`init`]: the global list is in use already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlreadyStarted;

impl fmt::Display for AlreadyStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the global list is in use already; call `init` before the first task, layer or server is made")
    }
}

impl std::error::Error for AlreadyStarted {}
