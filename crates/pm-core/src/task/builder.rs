//! Describes and starts a task.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering as StdOrdering;
use std::time::Duration;

use super::current::current;
use super::future::{TaskFuture, TryTaskFuture};
use super::handle::TaskHandle;
use super::live::Task;
use super::supervisor::Supervisor;
use super::value::{Name, Value, is_plain, set, with_changed};
use crate::base::policy::{CancelPolicy, Packed};
use crate::cancel::ask;
use crate::cancel::cancelled::Cancelled;
use crate::cancel::timer::set_deadline;
use crate::cancel::tree;
use crate::layout::chunk::Chunk;
use crate::layout::record;
use crate::layout::record::Head;
use crate::shared::state::{Shared, TaskRef};
use crate::slot::gate::{Slot, Writer};
use crate::store::{Store, kinds, magazine, recorded};

// Not inlined: a list that is off would pay for its prologue.
#[inline(never)]
fn prepare(shared: &'static Shared, id: Option<&str>, policy: Packed) -> Option<&'static Chunk> {
    let store = &shared.store;
    let Some((index, serial)) = magazine::take_slot(store) else {
        store.counters.not_shown.fetch_add(1, StdOrdering::Relaxed);
        return None;
    };
    let slot = Slot::prepare(store, index, serial, !policy.refuses());
    match id {
        Some(id) if recorded::is_plain(id, store.limits.id) => slot.set_id(id),
        Some(id) => recorded::with_changed(store, id, store.limits.id, |id| slot.set_id(id)),
        None => {}
    }
    Some(slot.chunk)
}

// Inlined in release builds only, here and below: in others, all locals of what is inlined take their own space on the
// caller's stack, and tasks nest.

/// A task that is being described; [`start`](Self::start) starts it. Dropped before that, it never was.
#[must_use = "the task starts with `start` or `run`"]
pub struct TaskBuilder<'l> {
    // Little: all else is in the slot already, and a builder is moved with every call.
    shared: &'static Shared,
    chunk: Option<&'static Chunk>,
    /// Set unless the id is still to be made from the kind and the serial.
    has_id: bool,
    policy: Packed,
    /// Set if that is the task's own, and not that of its kind or list.
    has_own_policy: bool,
    deadline: Option<Duration>,
    list: PhantomData<&'l ()>,
}

impl TaskBuilder<'_> {
    #[inline]
    pub(crate) fn new(shared: &'static Shared, id: Option<&str>) -> Self {
        let policy = Packed(shared.on_cancel.load(StdOrdering::Relaxed));
        let chunk = if shared.enabled.load(StdOrdering::Relaxed) { prepare(shared, id, policy) } else { None };
        Self { shared, chunk, has_id: id.is_some(), policy, has_own_policy: false, deadline: None, list: PhantomData }
    }

    #[inline]
    fn store(&self) -> &'static Store {
        &self.shared.store
    }

    #[inline]
    fn slot(&self) -> Option<Slot> {
        let store = self.store();
        self.chunk.map(|chunk| Slot { store, chunk })
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn write(&self, f: impl FnOnce(&Writer)) {
        if let Some(slot) = self.slot() {
            f(&slot.unpublished());
        }
    }

    /// Sets the kind of the task, such as `GET /hosts/{id}` or `nightly import`: the group that statistics are kept
    /// for.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn kind(mut self, kind: &str) -> Self {
        let has_id = std::mem::replace(&mut self.has_id, true);
        recorded::with_recorded(self.store(), kind, self.store().limits.name, |kind| {
            if let Some(slot) = self.slot() {
                if !has_id {
                    slot.make_id(kind);
                }
                let number = magazine::kind_number(self.store(), kind);
                slot.set_kind(number);
                if number == kinds::OTHER {
                    let _ = slot.unpublished().log_strings(Head::text(record::KIND, kind.len()), kind, "");
                }
            }
        });
        if self.store().policies.is_empty() { self } else { self.with_policy_of(kind) }
    }

    #[cold]
    #[inline(never)]
    fn with_policy_of(self, kind: &str) -> Self {
        if self.has_own_policy {
            return self;
        }
        let policy = self.store().policies.of(kind);
        let policy = policy.unwrap_or_else(|| Packed(self.shared.on_cancel.load(StdOrdering::Relaxed)));
        self.with_policy(policy)
    }

    fn with_policy(mut self, policy: Packed) -> Self {
        self.policy = policy;
        self.write(|writer| writer.set_cancellable(!policy.refuses()));
        self
    }

    /// Sets an attribute of the task; the value is copied.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn attr<'v>(self, name: &str, value: impl Into<Value<'v>>) -> Self {
        if let Some(slot) = self.slot() {
            let (store, value) = (self.store(), value.into());
            if is_plain(store, Name::of(name), value) {
                set(&slot.unpublished(), store, name, value);
            } else {
                with_changed(store, name, value, &mut |name, value| set(&slot.unpublished(), store, name, value));
            }
        }
        self
    }

    /// Sets the parent of the task. Default: the [current] task.
    ///
    /// Cancelling the parent cancels the child, too, as long as both are in the same list; if the parent was cancelled
    /// already, so is the child from its start. Takes a `&Task`, or a handle.
    pub fn parent(self, parent: impl Into<TaskHandle>) -> Self {
        if let Some(slot) = self.slot() {
            let (serial, at) = parent.into().as_parent(self.shared);
            slot.set_parent(serial, at);
        }
        self
    }

    /// Starts the task without a parent, even where another task is current: it is not cancelled with that one.
    pub fn detached(self) -> Self {
        self.parent(TaskHandle::none())
    }

    /// Sets a deadline: the list cancels the task after it has run for this time, with the reason `deadline`.
    ///
    /// Costs a thread for all deadlines of the process. A deadline that is never reached is forgotten. If the system
    /// has no thread, the deadline is met at a checkpoint of the task, or when a list is read.
    ///
    /// ```
    /// use pm_core::{Clock, Options, ProcessList};
    /// use std::time::Duration;
    ///
    /// let (clock, hand) = Clock::manual();
    /// let list = ProcessList::with_options(Options::new().clock(clock));
    /// let task = list.task("import-42").deadline(Duration::from_secs(30)).start();
    /// assert!(task.checkpoint().is_ok());
    /// hand.advance(Duration::from_secs(30));
    /// assert_eq!(task.checkpoint().unwrap_err().reason(), "deadline");
    /// ```
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }

    /// Sets the effect that a cancel request has on the task. Default: that [of its
    /// kind](crate::Options::on_cancel_of), else [of the list](crate::Options::on_cancel), which is
    /// [`CancelPolicy::Drop`] unless set.
    ///
    /// For a part of a future see [`protect`](crate::protect).
    ///
    /// ```
    /// use pm_core::{CancelPolicy, ProcessList};
    ///
    /// let list = ProcessList::new();
    /// let task = list.task("migrate-7").on_cancel(CancelPolicy::Refuse).start();
    /// assert_eq!(list.cancel("migrate-7", "").unwrap_err().to_string(), format!(
    ///     "task {} is not cancellable", task.serial().unwrap(),
    /// ));
    /// ```
    pub fn on_cancel(mut self, policy: CancelPolicy) -> Self {
        self.has_own_policy = true;
        self.with_policy(policy.into())
    }

    /// Starts the task, which ends when the returned guard is dropped.
    ///
    /// Never fails: when the list is full, the task runs but is not shown.
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[must_use = "the task ends when this is dropped"]
    pub fn start(self) -> Task {
        self.start_in("")
    }

    /// Starts the task in a status, unless that is empty.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn start_in(self, status: &str) -> Task {
        let builder = ManuallyDrop::new(self);
        let Some(slot) = builder.slot() else { return Task { handle: TaskHandle::INERT } };
        if !builder.has_id {
            slot.make_id("");
        }
        let (serial, has_parent) = slot.publish(|| current().as_parent(builder.shared), status);
        let task = TaskRef { shared: builder.shared, chunk: slot.chunk, serial };
        if has_parent {
            tree::child_started(task);
        }
        if let Some(after) = builder.deadline {
            set_deadline(task, after, ask::meet_deadline);
        }
        Task { handle: TaskHandle { task: Some(task) } }
    }

    /// Starts the task, and returns a future that runs `future` as the task, on any runtime.
    ///
    /// The task is current whenever the future is polled: [`current`] returns it, and tasks started there are its
    /// children. It ends with the future. A cancel request wakes the future and drops it where it awaits, unless its
    /// [policy](Self::on_cancel) is another one; destructors run before the task has ended.
    ///
    /// The waker of the future is woken on the thread that cancels: that of a server, or of the list's timer. With a
    /// runtime whose wakers may not be woken on other threads (monoio without its feature `sync`) that panics; the
    /// panic is caught and counted in [`Counters::panics_caught`](crate::Counters::panics_caught), and the future is
    /// dropped at its next poll instead of at once.
    ///
    /// The output is that of `future`, or [`Cancelled`] if it was dropped. An output is never lost:
    /// if the future was cancelled and is ready by itself, its output is returned.
    ///
    /// ```
    /// # let waker = std::task::Waker::noop();
    /// # let mut context = std::task::Context::from_waker(waker);
    /// use std::{future, pin::pin, task::Poll};
    ///
    /// let list = pm_core::ProcessList::new();
    /// let mut running = pin!(list.task("import-42").run(future::pending::<()>()));
    /// assert!(running.as_mut().poll(&mut context).is_pending());
    /// list.cancel("import-42", "too slow").unwrap();
    /// let Poll::Ready(Err(cancelled)) = running.as_mut().poll(&mut context) else { panic!() };
    /// assert_eq!(cancelled.reason(), "too slow");
    /// ```
    pub fn run<F: Future>(self, future: F) -> TaskFuture<F> {
        TaskFuture::new(self.supervise(), future)
    }

    /// Starts the task, and returns a future that runs a fallible `future`: an error ends the task as failed, with the
    /// error as its reason, or as cancelled if it was cancelled. If the future is dropped, the error is made from
    /// [`Cancelled`].
    ///
    /// ```
    /// # let waker = std::task::Waker::noop();
    /// # let mut context = std::task::Context::from_waker(waker);
    /// use std::pin::pin;
    ///
    /// let list = pm_core::ProcessList::new();
    /// let mut running = pin!(list.task("import-42").try_run(async {
    ///     pm_core::current().checkpoint()?;
    ///     Err::<(), Box<dyn std::error::Error>>("no such file".into())
    /// }));
    /// assert!(running.as_mut().poll(&mut context).is_ready());
    /// assert_eq!(list.counters().failed, 1);
    /// ```
    pub fn try_run<F, T, E>(self, future: F) -> TryTaskFuture<F>
    where
        F: Future<Output = Result<T, E>>,
        E: fmt::Display + From<Cancelled>,
    {
        TryTaskFuture::new(self.run(future))
    }

    /// Starts the task, and returns a supervisor for whatever is polled as the task: for wrappers like
    /// [`run`](Self::run).
    #[must_use = "the task ends when this is dropped"]
    pub fn supervise(self) -> Supervisor {
        let grace = self.policy.grace();
        Supervisor::new(self.start(), grace)
    }

    /// Starts the task in a status, and returns its supervisor: cheaper than a [`note`](TaskHandle::note) after the
    /// start.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let supervisor = list.task("import-42").supervise_with_status("connecting");
    /// assert_eq!(supervisor.handle().view(|task| task.status().to_string()).as_deref(), Some("connecting"));
    /// ```
    #[must_use = "the task ends when this is dropped"]
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn supervise_with_status(self, status: &str) -> Supervisor {
        let (store, grace) = (self.store(), self.policy.grace());
        let task = recorded::with_recorded(store, status, store.limits.status, |status| self.start_in(status));
        Supervisor::new(task, grace)
    }

    /// Starts the task, and runs `f` as it. See [`ProcessList::run_sync`](crate::ProcessList::run_sync).
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when `f` returned it, or was unwound by [`TaskHandle::checkpoint_or_unwind`].
    ///
    /// # Panics
    ///
    /// A panic of `f` continues; the task ends as aborted.
    pub fn run_sync<T>(self, f: impl FnOnce(&Task) -> Result<T, Cancelled>) -> Result<T, Cancelled> {
        self.start().run_sync(f)
    }

    /// Starts the task, and runs `f` as it, with errors of its own. See [`Task::try_run_sync`].
    ///
    /// # Errors
    ///
    /// That of `f`; or what is made of [`Cancelled`] when it was unwound by [`TaskHandle::checkpoint_or_unwind`].
    ///
    /// # Panics
    ///
    /// A panic of `f` continues; the task ends as aborted.
    pub fn try_run_sync<T, E>(self, f: impl FnOnce(&Task) -> Result<T, E>) -> Result<T, E>
    where
        E: fmt::Display + From<Cancelled>,
    {
        self.start().try_run_sync(f)
    }
}

impl Drop for TaskBuilder<'_> {
    fn drop(&mut self) {
        self.write(Writer::discard);
    }
}

impl fmt::Debug for TaskBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder").finish_non_exhaustive()
    }
}
