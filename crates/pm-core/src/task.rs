//! A task from the inside: how a program starts it, tells of it, and hears that it is to stop.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering as StdOrdering;
use std::task::Waker;
use std::time::Duration;

use crate::cancel::{CancelError, CancelRequest, Cancelled, Unwind};
use crate::chunk::Chunk;
use crate::current::{self, Entered, current};
use crate::future::{NEVER, Supervisor, TaskFuture, TryTaskFuture};
use crate::kinds;
use crate::list::{Inner, global};
use crate::options::nanos;
use crate::read::{Detail, Row, TaskView, Wanted};
use crate::record::{self, Head};
use crate::redact;
use crate::serial::Serial;
use crate::slab::{self, Count};
use crate::slot::{NoRoom, Slot, Writer, acquire, cancel};
use crate::text;
use crate::timer::Event;
use crate::tree;
use crate::watch::{CancelHandle, CancelledFuture};

/// The value of an attribute. Made from texts, numbers and `bool` by `into`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A text; copied.
    Text(&'a str),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A floating-point number. Infinities and NaN are kept; JSON shows them as `null`.
    F64(f64),
    /// True or false.
    Bool(bool),
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Value<'_> {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
value_from!(
    i8 => I64, i16 => I64, i32 => I64, i64 => I64, u8 => U64, u16 => U64, u32 => U64, u64 => U64,
    f32 => F64, f64 => F64, bool => Bool,
);

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::U64(value as u64)
    }
}

impl From<isize> for Value<'_> {
    fn from(value: isize) -> Self {
        Self::I64(value as i64)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

#[inline(always)]
fn set(writer: &Writer, inner: &Inner, name: &str, value: Value<'_>) {
    let result = match value {
        Value::Text(value) => writer.set_text(name, value),
        Value::I64(value) => writer.set_number(name, record::I64, value.cast_unsigned()),
        Value::U64(value) => writer.set_number(name, record::U64, value),
        Value::F64(value) => writer.set_number(name, record::F64, value.to_bits()),
        Value::Bool(value) => writer.set_number(name, record::BOOL, u64::from(value)),
    };
    if let Err(NoRoom) = result {
        inner.lost.attrs.fetch_add(1, StdOrdering::Relaxed);
    }
}

/// Whether an attribute is to be recorded as it is; `letters` are those of its name.
#[inline(always)]
fn is_plain(inner: &Inner, name: &str, letters: u32, value: Value<'_>) -> bool {
    let limits = &inner.limits;
    name.len() <= limits.name
        && !redact::may_be_secret(letters)
        && !inner.also.may_have(letters)
        && if let Value::Text(value) = value { text::is_plain(value, limits.value) } else { true }
}

/// Hands over an attribute as it is to be recorded.
#[cold]
#[inline(never)]
fn with_changed(inner: &Inner, name: &str, value: Value<'_>, set: &mut dyn FnMut(&str, Value<'_>)) {
    let number = !matches!(value, Value::Text(_));
    let is_secret = inner.limits.redact && inner.also.is_secret(name, number);
    text::with_cut(inner, name, inner.limits.name, |name| match value {
        _ if is_secret => {
            inner.lost.redacted.fetch_add(1, StdOrdering::Relaxed);
            set(name, Value::Text(redact::MASK));
        }
        Value::Text(value) => {
            text::with_recorded(inner, value, inner.limits.value, |value| set(name, Value::Text(value)));
        }
        number => set(name, number),
    });
}

// Not inlined: a list that is off would pay for its prologue.
#[inline(never)]
fn prepare(inner: &'static Inner, id: Option<&str>) -> Option<&'static Chunk> {
    let Some((index, serial)) = slab::take_slot(inner) else {
        inner.lost.tasks.fetch_add(1, StdOrdering::Relaxed);
        return None;
    };
    let slot = Slot::prepare(inner, index, serial, inner.cancellable.load(StdOrdering::Relaxed));
    match id {
        Some(id) if text::is_plain(id, inner.limits.id) => slot.set_id(id),
        Some(id) => text::with_changed(inner, id, inner.limits.id, |id| slot.set_id(id)),
        None => text::numbered(serial, |id| slot.set_id(id)),
    }
    Some(slot.chunk)
}

/// A task that is being described; [`start`](Self::start) starts it. Dropped before that, it never was.
#[must_use = "the task starts with `start` or `run`"]
pub struct TaskBuilder<'l> {
    // Little: all else is in the slot already, and a builder is moved with every call.
    inner: &'static Inner,
    chunk: Option<&'static Chunk>,
    /// Nanoseconds.
    grace: Option<u64>,
    deadline: Option<Duration>,
    list: PhantomData<&'l ()>,
}

impl TaskBuilder<'_> {
    #[inline]
    pub(crate) fn new(inner: &'static Inner, id: Option<&str>) -> Self {
        let chunk = if inner.enabled.load(StdOrdering::Relaxed) { prepare(inner, id) } else { None };
        Self { inner, chunk, grace: None, deadline: None, list: PhantomData }
    }

    #[inline]
    fn slot(&self) -> Option<Slot> {
        let inner = self.inner;
        self.chunk.map(|chunk| Slot { inner, chunk })
    }

    #[inline(always)]
    fn write(&self, f: impl FnOnce(&Writer)) {
        if let Some(slot) = self.slot() {
            f(&slot.unpublished());
        }
    }

    /// The sort of task, as `GET /hosts/{id}` or `nightly import`: what many tasks share.
    #[inline(always)]
    pub fn kind(self, kind: &str) -> Self {
        text::with_recorded(self.inner, kind, self.inner.limits.name, |kind| {
            if let Some(slot) = self.slot() {
                let number = slab::kind_number(self.inner, kind);
                slot.set_kind(number);
                if number == kinds::OTHER {
                    let _ = slot.unpublished().log_texts(Head::text(record::KIND, kind.len()), kind, "");
                }
            }
        });
        self
    }

    /// Gives the task an attribute; the value is copied.
    #[inline(always)]
    pub fn attr<'v>(self, name: &str, value: impl Into<Value<'v>>) -> Self {
        if let Some(slot) = self.slot() {
            let (inner, value) = (self.inner, value.into());
            if is_plain(inner, name, redact::letters(name), value) {
                set(&slot.unpublished(), inner, name, value);
            } else {
                with_changed(inner, name, value, &mut |name, value| set(&slot.unpublished(), inner, name, value));
            }
        }
        self
    }

    /// Makes the task a child of another, instead of the one that is current. A cancel of the parent is one of the child,
    /// too, as long as both are in the same list; if the parent was cancelled already, the child is from its start.
    pub fn parent(self, parent: &TaskHandle) -> Self {
        if let Some(slot) = self.slot() {
            let (serial, at) = parent.as_parent(self.inner);
            slot.set_parent(serial, at);
        }
        self
    }

    /// Makes the task nobody's child, even where another is current: it is not cancelled with it.
    pub fn detached(self) -> Self {
        if let Some(slot) = self.slot() {
            slot.set_parent(0, 0);
        }
        self
    }

    /// Cancels the task by itself when it has been running so long, for the reason `deadline`.
    ///
    /// Costs a thread for all deadlines of the process. A deadline that is never reached is forgotten.
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

    /// How long a task that [runs as a future](Self::run) may go on after it was asked to stop, before it is dropped.
    /// Default: [that of the list](crate::Options::grace), which is 0 unless set.
    ///
    /// Give one to futures that listen ([`TaskHandle::cancelled`], `status`, `checkpoint`) and have something to tidy up.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(nanos(grace).min(NEVER - 1));
        self
    }

    /// Never drops the future: a request to stop is only told. For futures that must not be cut anywhere; for a part of
    /// one see [`protect`](crate::protect).
    pub fn never_forced(mut self) -> Self {
        self.grace = Some(NEVER);
        self
    }

    /// Refuses to be cancelled.
    pub fn not_cancellable(self) -> Self {
        self.write(|writer| writer.set_cancellable(false));
        self
    }

    /// Allows to be cancelled, even where the list does not.
    pub fn cancellable(self) -> Self {
        self.write(|writer| writer.set_cancellable(true));
        self
    }

    /// Starts the task. It ends when what this returns is dropped.
    ///
    /// Never fails: when the list is full, the task runs but is not shown.
    #[inline(always)]
    #[must_use = "the task ends when this is dropped"]
    pub fn start(self) -> Task {
        self.start_in("")
    }

    /// The same; unless it is empty, `status` is the task's from its start on.
    #[inline(always)]
    fn start_in(self, status: &str) -> Task {
        let builder = ManuallyDrop::new(self);
        let Some(slot) = builder.slot() else { return Task { handle: TaskHandle::INERT } };
        let (serial, has_parent) = slot.publish(|| current().as_parent(builder.inner), status);
        if has_parent {
            tree::born(slot, serial);
        }
        if let Some(after) = builder.deadline {
            builder.inner.timer.schedule(after, Event::Deadline(slot, serial));
        }
        Task { handle: TaskHandle { slot: Some(slot), serial } }
    }

    /// Starts the task, and gives a future that runs `future` as it. Needs no runtime of its own.
    ///
    /// The task is current whenever the future is polled: [`current`] gives it, and tasks started there are its children.
    /// It ends with the future. A kill wakes the future and drops it where it awaits, after its [grace](Self::grace);
    /// destructors run before the task has ended.
    ///
    /// The output is that of `future`, or [`Cancelled`] if it was dropped for a kill. A future that is done is never lost:
    /// if it was asked to stop and ends by itself, its output is given.
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

    /// The same for a future that gives a result: an error ends the task as failed, with the error as its reason, or as
    /// cancelled if it was asked to stop. A kill gives the error that is made from [`Cancelled`].
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

    /// Starts the task, and gives what runs it whatever is polled: for those who write wrappers like
    /// [`run`](Self::run).
    #[must_use = "the task ends when this is dropped"]
    pub fn supervise(self) -> Supervisor {
        let grace = self.grace.unwrap_or(self.inner.limits.grace);
        Supervisor::new(self.start(), grace)
    }

    /// The same, with a status from the start on: in fewer steps than a [`note`](TaskHandle::note) after it.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let supervisor = list.task("import-42").supervise_with_status("connecting");
    /// assert_eq!(supervisor.handle().view(|task| task.status().to_string()).as_deref(), Some("connecting"));
    /// ```
    #[must_use = "the task ends when this is dropped"]
    #[inline(always)]
    pub fn supervise_with_status(self, status: &str) -> Supervisor {
        let (inner, grace) = (self.inner, self.grace.unwrap_or(self.inner.limits.grace));
        let task = text::with_recorded(inner, status, inner.limits.status, |status| self.start_in(status));
        Supervisor::new(task, grace)
    }

    /// Starts the task, and runs `f` as it. See [`ProcessList::run_sync`](crate::ProcessList::run_sync).
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when `f` returned it, or was unwound by [`Task::checkpoint_or_unwind`].
    ///
    /// # Panics
    ///
    /// A panic of `f` goes on; the task ends as aborted.
    pub fn run_sync<T>(self, f: impl FnOnce(&Task) -> Result<T, Cancelled>) -> Result<T, Cancelled> {
        self.start().run_sync(f)
    }

    /// Starts the task, and runs `f` as it, with errors of its own. See [`Task::try_run_sync`].
    ///
    /// # Errors
    ///
    /// That of `f`; or what is made of [`Cancelled`] when it was unwound by [`Task::checkpoint_or_unwind`].
    ///
    /// # Panics
    ///
    /// A panic of `f` goes on; the task ends as aborted.
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

/// A live task: it ends when this is dropped.
///
/// Dropped in a panic, it ends as aborted; dropped after it heard a cancel, as cancelled; else as finished. Share it by
/// reference, or give others a [`TaskHandle`].
///
/// A task can't be ended twice:
///
/// ```compile_fail
/// let task = pm_core::start("import-42");
/// task.finish();
/// task.finish();
/// ```
///
/// One that is forgotten stays in the list as long as the process lives, and costs its slot.
pub struct Task {
    handle: TaskHandle,
}

impl Task {
    /// A handle for other threads and for later: it may outlive the task, and then does nothing.
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        self.handle
    }

    /// The number of this task; the highest possible one if the task is not shown.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.handle.serial()
    }

    /// Runs `f` as this task, which ends with it: for work that starts later than the task, as in a queue of threads.
    ///
    /// ```
    /// let task = pm_core::start("import-42"); // shown while it waits for its turn
    /// let worker = std::thread::spawn(move || {
    ///     task.run_sync(|task| {
    ///         task.status("reading")?;
    ///         Ok(7)
    ///     })
    /// });
    /// assert_eq!(worker.join().unwrap().unwrap(), 7);
    /// ```
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when `f` returned it, or was unwound by [`Task::checkpoint_or_unwind`].
    ///
    /// # Panics
    ///
    /// A panic of `f` goes on; the task ends as aborted.
    pub fn run_sync<T>(self, f: impl FnOnce(&Self) -> Result<T, Cancelled>) -> Result<T, Cancelled> {
        match self.unwound(f) {
            Ok(Ok(value)) => {
                self.finish();
                Ok(value)
            }
            Ok(Err(cancelled)) => {
                self.end(Count::Cancelled);
                Err(cancelled)
            }
            Err(payload) => Err(self.caught(payload)),
        }
    }

    /// Runs work with the task as the current one; `Err` is what it was unwound with.
    #[inline]
    fn unwound<T>(&self, f: impl FnOnce(&Self) -> T) -> std::thread::Result<T> {
        let _current = self.enter();
        // Nothing of ours is left half done by an unwind, and what `f` captured goes on unwinding unless the cause was
        // a cancel, for which `f` asked.
        catch_unwind(AssertUnwindSafe(|| f(self)))
    }

    /// The same for work with an error of its own, which ends the task as failed, with the error as its reason, or as cancelled
    /// if it was asked to stop. The twin of [`TaskBuilder::try_run`] for code that does not await.
    ///
    /// ```
    /// # fn read(file: &str) -> Result<u64, std::num::ParseIntError> { file.parse() }
    /// let list = pm_core::ProcessList::new();
    /// let result = list.task("import-42").try_run_sync(|task| {
    ///     task.status("reading")?;
    ///     Ok::<u64, Box<dyn std::error::Error>>(read("no number")?)
    /// });
    /// assert!(result.is_err());
    /// assert_eq!(list.counters().failed, 1);
    /// ```
    ///
    /// # Errors
    ///
    /// That of `f`; or what is made of [`Cancelled`] when it was unwound by [`Task::checkpoint_or_unwind`].
    ///
    /// # Panics
    ///
    /// A panic of `f` goes on; the task ends as aborted.
    pub fn try_run_sync<T, E>(self, f: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E>
    where
        E: fmt::Display + From<Cancelled>,
    {
        match self.unwound(f) {
            Ok(Ok(value)) => {
                self.finish();
                Ok(value)
            }
            Ok(Err(error)) => {
                // One that was asked to stop may have heard it from a task below, as this error.
                match self.checkpoint() {
                    Err(_) => self.end(Count::Cancelled),
                    Ok(()) => self.fail(&error.to_string()),
                }
                Err(error)
            }
            Err(payload) => Err(E::from(self.caught(payload))),
        }
    }

    /// Ends the task as finished, even if it was asked to stop.
    pub fn finish(self) {
        self.end(Count::Finished);
    }

    /// Ends the task as failed. The reason is its last history entry.
    pub fn fail(self, reason: &str) {
        let _ = match reason {
            "" => self.handle.status("failed"),
            _ => self.handle.status_fmt(format_args!("failed: {reason}")),
        };
        self.end(Count::Failed);
    }

    /// Ends the task as dropped: nobody wants what it was for. As cancelled if it was asked to stop.
    pub fn abandon(mut self) {
        let handle = std::mem::replace(&mut self.handle, TaskHandle::INERT);
        end(handle, |word, _| if cancel::is_asked(word) { Count::Cancelled } else { Count::Dropped });
    }

    pub(crate) fn has_heard(&self) -> bool {
        self.handle.slot.is_some_and(|slot| acquire(slot.cancel()) & cancel::HEARD != 0)
    }

    /// Takes the task out; what is left is nobody's.
    pub(crate) fn take(&mut self) -> Self {
        Self { handle: std::mem::replace(&mut self.handle, TaskHandle::INERT) }
    }

    pub(crate) fn end(mut self, outcome: Count) {
        end(std::mem::replace(&mut self.handle, TaskHandle::INERT), |_, _| outcome);
    }

    /// What an unwind through `run_sync` means.
    fn caught(self, payload: Box<dyn Any + Send>) -> Cancelled {
        match payload.downcast::<Unwind>() {
            Ok(unwind) if unwind.0.serial() == self.serial() => {
                self.end(Count::Cancelled);
                unwind.0
            }
            Ok(outer) => {
                // The cancel of a task further out: this one goes with it.
                self.end(Count::Cancelled);
                resume_unwind(outer)
            }
            Err(panic) => {
                self.end(Count::Aborted);
                resume_unwind(panic)
            }
        }
    }

    /// Makes this the current task of the thread until the guard is dropped. See [`TaskHandle::enter`].
    #[must_use = "the task is current as long as this lives"]
    pub fn enter(&self) -> Entered {
        self.handle.enter()
    }

    /// Says what the task is doing; then tells whether it was asked to stop. See [`TaskHandle::status`].
    ///
    /// # Errors
    ///
    /// [`Cancelled`], after the status was recorded.
    #[inline]
    pub fn status(&self, status: &str) -> Result<(), Cancelled> {
        self.handle.status(status)
    }

    /// The same with a formatted text; [`status!`](crate::status!) is shorter.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], after the status was recorded.
    #[inline]
    pub fn status_fmt(&self, status: fmt::Arguments<'_>) -> Result<(), Cancelled> {
        self.handle.status_fmt(status)
    }

    /// Tells whether the task was asked to stop. One atomic load.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if so.
    #[inline]
    pub fn checkpoint(&self) -> Result<(), Cancelled> {
        self.handle.checkpoint()
    }

    /// Unwinds to the `run_sync` of this task if it was asked to stop. See [`TaskHandle::checkpoint_or_unwind`].
    #[inline]
    pub fn checkpoint_or_unwind(&self) {
        self.handle.checkpoint_or_unwind();
    }

    /// Sets an attribute; the value is copied.
    #[inline]
    pub fn set<'v>(&self, name: &str, value: impl Into<Value<'v>>) {
        self.handle.set(name, value);
    }

    /// Sets an attribute to a formatted text.
    pub fn set_fmt(&self, name: &str, value: fmt::Arguments<'_>) {
        self.handle.set_fmt(name, value);
    }

    /// Removes an attribute.
    pub fn unset(&self, name: &str) {
        self.handle.unset(name);
    }

    /// Says how far the task has come. See [`TaskHandle::progress`].
    pub fn progress(&self, done: u64, total: u64, unit: &str) {
        self.handle.progress(done, total, unit);
    }

    /// Whether the task was asked to stop. Asking so does not count as hearing it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.handle.is_cancelled()
    }

    /// Waits until the task is asked to stop. See [`TaskHandle::cancelled`].
    pub fn cancelled(&self) -> CancelledFuture {
        self.handle.cancelled()
    }
}

impl Drop for Task {
    #[inline]
    fn drop(&mut self) {
        end(self.handle, |word, born_in_panic| {
            let panicked = std::thread::panicking() && !born_in_panic;
            match (panicked, word & cancel::UNWOUND != 0, word & cancel::HEARD != 0) {
                (true, false, _) => Count::Aborted,
                (true, true, _) | (false, _, true) => Count::Cancelled,
                (false, _, false) => Count::Finished,
            }
        });
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("serial", &self.handle.serial).finish_non_exhaustive()
    }
}

#[inline]
fn end(handle: TaskHandle, outcome: impl FnOnce(u64, bool) -> Count) {
    if let Some(slot) = handle.slot
        && let Some(writer) = slot.lock(handle.serial)
    {
        writer.end(outcome);
    }
}

/// A handle of a task that may have ended: any number of them, on any thread.
///
/// What is said through it after the task ended goes nowhere, and is counted; it never touches another task.
#[derive(Clone, Copy)]
pub struct TaskHandle {
    slot: Option<Slot>,
    /// 0 when there is no task.
    serial: u64,
}

impl TaskHandle {
    pub(crate) const INERT: Self = Self { slot: None, serial: 0 };

    #[inline(always)]
    pub(crate) fn new(slot: Option<Slot>, serial: u64) -> Self {
        Self { slot, serial }
    }

    /// The number of the task; the highest possible one if there is none.
    #[must_use]
    pub fn serial(&self) -> Serial {
        Serial::new(self.serial)
    }

    #[inline(always)]
    pub(crate) fn slot(&self) -> Option<Slot> {
        self.slot
    }

    #[inline(always)]
    pub(crate) fn raw_serial(&self) -> u64 {
        self.serial
    }

    /// The serial, and where a child finds it: its slot and 1, or 0 if the child is in another list.
    #[inline]
    fn as_parent(&self, list_of_child: &'static Inner) -> (u64, u32) {
        let slot = self.slot.filter(|slot| std::ptr::eq(slot.inner, list_of_child));
        (self.serial, slot.map_or(0, |slot| slot.index() + 1))
    }

    /// Asks the task and all below it to stop. See [`ProcessList::cancel`](crate::ProcessList::cancel).
    ///
    /// # Errors
    ///
    /// [`CancelError::NotFound`] when it has ended or is not shown, [`CancelError::NotCancellable`].
    pub fn cancel(&self, reason: &str) -> Result<(), CancelError> {
        let slot = self.slot.ok_or(CancelError::NotFound)?;
        slot.ask(self.serial, &CancelRequest::new(reason), |_, _| ()).map(drop)
    }

    /// The same with all that a request can say. See
    /// [`ProcessList::request_cancel`](crate::ProcessList::request_cancel).
    ///
    /// # Errors
    ///
    /// Those of [`cancel`](Self::cancel), and what was found instead of what the request expects.
    pub fn request_cancel(&self, request: &CancelRequest<'_>) -> Result<CancelHandle, CancelError> {
        self.slot.ok_or(CancelError::NotFound)?.request_cancel(self.serial, request)
    }

    /// Waits until the task is asked to stop, and then tells what was asked: for `select!`. Counts as hearing it.
    ///
    /// Of a task that ends without having been asked, or that is not shown, it never tells.
    pub fn cancelled(&self) -> CancelledFuture {
        CancelledFuture::new(self.slot, self.serial)
    }

    /// Wakes `waker` once when the task is asked to stop; at once if it was already. For those who pass a cancel on to
    /// something else; code of the task wants [`cancelled`](Self::cancelled).
    ///
    /// It is woken when no lock is held, and dropped unused when the task ends without having been asked. Waking it does
    /// not count as hearing the request.
    pub fn wake_on_cancel(&self, waker: &Waker) {
        let Some(slot) = self.slot else { return };
        if !slot.add_hearer(self.serial, waker.clone()) {
            waker.wake_by_ref();
        }
    }

    /// Whether the task is still running.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.slot.is_some_and(|slot| slot.is_live(self.serial))
    }

    /// Makes the task the current one of this thread until the guard is dropped: tasks started meanwhile are its
    /// children, and [`current`] returns it.
    #[inline]
    #[must_use = "the task is current as long as this lives"]
    pub fn enter(&self) -> Entered {
        current::enter(self.slot, self.serial)
    }

    #[inline]
    fn write(&self, f: impl FnOnce(&Writer, &'static Inner)) {
        let Some(slot) = self.slot else { return };
        match slot.lock(self.serial) {
            Some(writer) => f(&writer, slot.inner),
            None => late(slot.inner),
        }
    }

    /// Says what the task is doing; then tells whether it was asked to stop.
    ///
    /// The text is copied; [secrets](crate::Options::redact) are masked, and beyond the list's limit (1,024 bytes) it is
    /// cut. Statuses of several threads are kept in
    /// the order of their times.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], after the status was recorded.
    #[inline]
    pub fn status(&self, status: &str) -> Result<(), Cancelled> {
        if let Some(slot) = self.slot {
            if !text::is_plain(status, slot.inner.limits.status) {
                return self.changed_status(status);
            }
            self.record_status(slot, status);
        }
        self.checkpoint()
    }

    #[cold]
    #[inline(never)]
    fn changed_status(&self, status: &str) -> Result<(), Cancelled> {
        self.note(status);
        self.checkpoint()
    }

    /// Says what the task is doing, for code that speaks for it and could do nothing about a cancel: a middleware, or what
    /// turns spans into statuses. Unlike [`status`](Self::status) it does not count as hearing one.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("import-42");
    /// list.cancel("import-42", "too slow").unwrap();
    /// task.handle().note("reading");
    /// drop(task);
    /// assert_eq!(list.counters().finished, 1); // and not cancelled: it never heard of that
    /// ```
    pub fn note(&self, status: &str) {
        let Some(slot) = self.slot else { return };
        text::with_recorded(slot.inner, status, slot.inner.limits.status, |status| self.record_status(slot, status));
    }

    /// Looks at the task as others see it; `None` when it has ended or is not shown.
    ///
    /// Finds it at once, however long the list is, and copies it, as all readers do.
    ///
    /// ```
    /// let task = pm_core::start("import-42");
    /// task.status("reading")?;
    /// let status = task.handle().view(|task| task.status().to_string());
    /// assert_eq!(status.as_deref(), Some("reading"));
    /// # Ok::<(), pm_core::Cancelled>(())
    /// ```
    pub fn view<R>(&self, look: impl FnOnce(&TaskView<'_>) -> R) -> Option<R> {
        let row = Row::copy(self.slot?, Wanted::Live, Detail::Newest)?;
        let task = row.view();
        (task.serial() == self.serial()).then(|| look(&task))
    }

    #[inline(always)]
    fn record_status(&self, slot: Slot, status: &str) {
        match slot.lock(self.serial) {
            Some(writer) => {
                if let Err(NoRoom) = writer.status(status) {
                    slot.inner.lost.statuses.fetch_add(1, StdOrdering::Relaxed);
                }
            }
            None => late(slot.inner),
        }
    }

    /// The same with a formatted text; [`status!`](crate::status!) is shorter. Allocates nothing after a thread's first.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], after the status was recorded.
    ///
    /// # Panics
    ///
    /// If a value's `Display` does; the task stays as it was.
    pub fn status_fmt(&self, status: fmt::Arguments<'_>) -> Result<(), Cancelled> {
        if self.slot.is_none() {
            return Ok(());
        }
        text::format(status, |status| self.status(status))
    }

    /// Tells whether the task was asked to stop.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if so. A task that has ended, or is not shown, was not.
    #[inline]
    pub fn checkpoint(&self) -> Result<(), Cancelled> {
        match self.slot {
            Some(slot) if cancel::is_asked(acquire(slot.cancel())) => self.hear(cancel::HEARD),
            _ => Ok(()),
        }
    }

    #[cold]
    fn hear(&self, mark: u64) -> Result<(), Cancelled> {
        let Some(writer) = self.slot.and_then(|slot| slot.lock(self.serial)) else { return Ok(()) };
        match writer.hear_cancel(mark) {
            Some(cancelled) => Err(cancelled),
            None => Ok(()),
        }
    }

    /// Unwinds to the `run_sync` of this task if it was asked to stop: for code deep below that can't return an error.
    ///
    /// Destructors run. With `panic = "abort"` the process ends instead, as with any panic.
    #[inline]
    pub fn checkpoint_or_unwind(&self) {
        if let Some(slot) = self.slot
            && cancel::is_asked(acquire(slot.cancel()))
            && let Err(cancelled) = self.hear(cancel::HEARD | cancel::UNWOUND)
        {
            resume_unwind(Box::new(Unwind(cancelled)));
        }
    }

    /// Sets an attribute; the value is copied. A number that replaces one of its type is written in place.
    #[inline]
    pub fn set<'v>(&self, name: &str, value: impl Into<Value<'v>>) {
        // Here, as the name is a constant nearly always: then so is this.
        self.set_value(name, redact::letters(name), value.into());
    }

    /// Once for all types of values, and not at each place where one is set.
    fn set_value(&self, name: &str, letters: u32, value: Value<'_>) {
        let Some(slot) = self.slot else { return };
        if is_plain(slot.inner, name, letters, value) {
            self.write(|writer, inner| set(writer, inner, name, value));
        } else {
            with_changed(slot.inner, name, value, &mut |name, value| {
                self.write(|writer, inner| set(writer, inner, name, value));
            });
        }
    }

    /// Sets an attribute to a formatted text.
    ///
    /// # Panics
    ///
    /// If a value's `Display` does; the task stays as it was.
    pub fn set_fmt(&self, name: &str, value: fmt::Arguments<'_>) {
        if self.slot.is_some() {
            text::format(value, |value| self.set(name, value));
        }
    }

    /// Removes an attribute.
    pub fn unset(&self, name: &str) {
        self.write(|writer, inner| {
            // Not counted as cut: it was when the attribute was set.
            let name = text::cut(name, inner.limits.name);
            if let Err(NoRoom) = writer.unset(&name) {
                inner.lost.attrs.fetch_add(1, StdOrdering::Relaxed);
            }
        });
    }

    /// Says how far the task has come: `done` of `total` (0: not known) of a unit, as `bytes`.
    ///
    /// Only the newest counts. Rate and time left are worked out by who looks.
    pub fn progress(&self, done: u64, total: u64, unit: &str) {
        self.write(|writer, inner| {
            let result = text::with_cut(inner, unit, inner.limits.name, |unit| writer.progress(done, total, unit));
            if let Err(NoRoom) = result {
                inner.lost.attrs.fetch_add(1, StdOrdering::Relaxed);
            }
        });
    }

    /// Whether the task was asked to stop. Asking so does not count as hearing it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.slot.is_some_and(|slot| cancel::is_asked(acquire(slot.cancel())) && slot.is_live(self.serial))
    }
}

#[cold]
pub(crate) fn late(inner: &Inner) {
    inner.lost.late.fetch_add(1, StdOrdering::Relaxed);
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("serial", &self.serial).finish_non_exhaustive()
    }
}

/// Begins to describe a task of the [`global`] list; [`TaskBuilder::start`] starts it.
pub fn task(id: &str) -> TaskBuilder<'static> {
    TaskBuilder::new(global().inner(), Some(id))
}

/// Begins to describe a task of the [`global`] list whose id is made from its serial.
pub fn unnamed() -> TaskBuilder<'static> {
    TaskBuilder::new(global().inner(), None)
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
/// [`Cancelled`] when `f` returned it, or was unwound by [`Task::checkpoint_or_unwind`].
///
/// # Panics
///
/// A panic of `f` goes on; the task ends as aborted.
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

/// Says what a task is doing, in the words of [`format!`]; allocates nothing.
///
/// ```
/// let task = pm_core::start("import-42");
/// for block in 0..3 {
///     pm_core::status!(task, "reading block {block}")?;
/// }
/// # Ok::<(), pm_core::Cancelled>(())
/// ```
#[macro_export]
macro_rules! status {
    ($task:expr, $($format:tt)+) => {
        $task.status_fmt(::core::format_args!($($format)+))
    };
}
