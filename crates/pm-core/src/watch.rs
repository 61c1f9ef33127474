//! Who waits for a task: its own future, those who await its cancel, and those who wait for its end.
//!
//! Beside each slot there may be a cell with wakers. It is touched only by who holds the lock of the task's writers, so
//! that nothing is missed: who registers does it while the task is live, and a cancel or an end then finds it. What is
//! found is taken out under the lock and woken after it, as a waker is code of somebody else.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering as StdOrdering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::cancel::{Cancelled, Verdict};
use crate::chunk::mark;
use crate::list::Inner;
use crate::outcome::Outcome;
use crate::read::{Detail, Row, Wanted};
use crate::scope::Scopes;
use crate::serial::Serial;
use crate::slot::{End, Slot, Writer, acquire, cancel};
use crate::sync::Mutex;
use crate::timer::Event;

/// Bytes of a cell with its lock.
pub(crate) const CELL_BYTES: usize = size_of::<Mutex<Cell>>();

/// What waits for the task of a slot.
#[derive(Default)]
pub(crate) struct Cell {
    /// The task's own future, if it runs as one and is idle.
    pub(crate) future: Option<Waker>,
    rest: Option<Box<Rest>>,
}

/// The key of a waker that nobody replaces or takes back.
const UNKEYED: u64 = 0;

#[derive(Default)]
struct Rest {
    hearers: Vec<(u64, Waker)>,
    next_hearer: u64,
    waiters: Vec<Arc<Wait>>,
    scopes: Scopes,
}

impl Cell {
    pub(crate) fn scopes(&mut self) -> &mut Scopes {
        &mut self.rest.get_or_insert_default().scopes
    }
}

impl Writer {
    /// Opens the cell of the task, and marks that there may be something in it.
    pub(crate) fn with_cell<R>(&self, f: impl FnOnce(&mut Cell) -> R) -> R {
        self.set_watched();
        f(&mut self.slot().inner.slab.cell(self.slot().index()).lock())
    }

    /// All who are to know that the task was cancelled.
    pub(crate) fn take_hearers(&self) -> Wakers {
        if !self.is_watched() {
            return Wakers(Vec::new());
        }
        self.with_cell(|cell| {
            let hearers = cell.rest.iter_mut().flat_map(|rest| rest.hearers.drain(..)).map(|(_, waker)| waker);
            Wakers(cell.future.take().into_iter().chain(hearers).collect())
        })
    }
}

/// Wakers that were taken out, to be woken when no lock is held.
pub(crate) struct Wakers(pub(crate) Vec<Waker>);

impl Wakers {
    pub(crate) fn wake(self, inner: &Inner) {
        for waker in self.0 {
            guard(inner, || waker.wake());
        }
    }
}

/// Runs code that is not ours: a panic of it is counted, and goes no further.
pub(crate) fn guard(inner: &Inner, f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        inner.lost.panics.fetch_add(1, StdOrdering::Relaxed);
        // What a panic carries may itself panic when it is dropped.
        std::mem::forget(payload);
    }
}

/// What is to be told when a task has ended and no lock is held any more.
pub(crate) struct Aside {
    slot: Slot,
    cell: Cell,
    ended: Ended,
    row: Option<Row>,
}

impl Aside {
    #[cold]
    #[inline(never)]
    pub(crate) fn of(writer: &Writer, word: u64, end: &End) -> Self {
        let slot = writer.slot();
        let inner = slot.inner;
        if cancel::is_asked(word) {
            inner.lost.cancelled_ends.fetch_add(1, StdOrdering::Relaxed);
            inner.banned.lock().add(writer.serial());
        }
        if word & cancel::FORCED != 0 {
            inner.lost.forced.fetch_add(1, StdOrdering::Relaxed);
        }
        let cell = if writer.is_watched() { writer.with_cell(std::mem::take) } else { Cell::default() };
        let row = if inner.hooks.wants_ends() { Row::copy(slot, Wanted::Ending, Detail::History) } else { None };
        let outcome = Outcome::from_count(end.outcome as u64).unwrap_or(Outcome::Finished);
        let ended = Ended { outcome, forced: word & cancel::FORCED != 0, ticks: end.ended };
        Self { slot, cell, ended, row }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn tell(self) {
        let Self { slot, cell, ended, row } = self;
        if let Some(rest) = cell.rest {
            rest.waiters.iter().for_each(|waiter| waiter.end(slot.inner, ended));
            // Dropping a waker may run code of somebody else.
            guard(slot.inner, || drop(rest));
        }
        guard(slot.inner, || drop(cell.future));
        if let Some(row) = row {
            slot.inner.hooks.ended(slot.inner, &row.view());
        }
    }
}

/// How a task ended, for who waits for it.
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    outcome: Outcome,
    forced: bool,
    ticks: u64,
}

/// Somebody who waits for the end of a task.
#[derive(Default)]
pub(crate) struct Wait(Mutex<WaitState>);

#[derive(Default)]
struct WaitState {
    ended: Option<Ended>,
    /// The time is up.
    due: bool,
    waker: Option<Waker>,
}

impl Wait {
    fn change(&self, inner: &Inner, change: impl FnOnce(&mut WaitState)) {
        let waker = {
            let mut state = self.0.lock();
            change(&mut state);
            state.waker.take()
        };
        Wakers(waker.into_iter().collect()).wake(inner);
    }

    fn end(&self, inner: &Inner, ended: Ended) {
        self.change(inner, |state| state.ended = Some(ended));
    }

    pub(crate) fn time_is_up(&self, inner: &Inner) {
        self.change(inner, |state| state.due = true);
    }

    /// Lets the time be up after this; at once if there is nobody to tell it, then false.
    pub(crate) fn set_time(self: &Arc<Self>, inner: &'static Inner, after: Duration) -> bool {
        let set = !after.is_zero() && inner.timer.schedule(after, Event::Wait(inner, Arc::downgrade(self)));
        if !set {
            self.time_is_up(inner);
        }
        set
    }

    /// Lets whatever happens next wake this. Says what happened already: whether the task has ended, and whether the time
    /// is up.
    pub(crate) fn listen(&self, waker: &Waker) -> (bool, bool) {
        let new = waker.clone();
        let mut state = self.0.lock();
        let happened = (state.ended.is_some(), state.due);
        let old = state.waker.replace(new);
        drop(state);
        // After the lock: a waker is code of somebody else.
        drop(old);
        happened
    }
}

/// Runs a future on this thread, which sleeps whenever there is nothing to do.
pub(crate) fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// A task that was asked to stop, and who waits for what comes of it.
///
/// ```
/// use pm_core::{CancelRequest, ProcessList, Verdict};
/// use std::time::Duration;
///
/// let list = ProcessList::new();
/// let task = list.start("import-42");
/// let asked = list.request_cancel("import-42", &CancelRequest::new("too slow")).unwrap();
/// assert!(matches!(asked.verdict(), Verdict::Cancelling { .. }));
/// assert!(task.checkpoint().is_err());
/// drop(task);
/// assert!(matches!(asked.wait(Duration::from_secs(5)), Verdict::Finished { .. }));
/// ```
pub struct CancelHandle {
    slot: Slot,
    serial: u64,
    at: u64,
    first: bool,
    below: u64,
    wait: Arc<Wait>,
}

impl CancelHandle {
    pub(crate) fn new(writer: &Writer, first: bool) -> Self {
        let at = writer.asked_ticks().unwrap_or_default();
        let wait = Arc::new(Wait::default());
        writer.with_cell(|cell| cell.rest.get_or_insert_default().waiters.push(Arc::clone(&wait)));
        Self { slot: writer.slot(), serial: writer.serial(), at, first, below: 0, wait }
    }

    pub(crate) fn with_below(mut self, below: u64) -> Self {
        self.below = below;
        self
    }

    /// The task.
    #[must_use]
    pub fn serial(&self) -> Serial {
        Serial::new(self.serial)
    }

    /// Whether this request is the one that counts; else the task had been asked before.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// How many tasks below it were asked with it.
    #[must_use]
    pub fn below(&self) -> u64 {
        self.below
    }

    /// What has come of it so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let ended = self.wait.0.lock().ended;
        let moment = self.slot.inner.timer.moment();
        match ended {
            Some(Ended { forced: true, ticks, .. }) => Verdict::Dropped { took: moment.between(self.at, ticks) },
            Some(Ended { outcome, ticks, .. }) => Verdict::Finished { took: moment.between(self.at, ticks), outcome },
            None => Verdict::Cancelling { took: moment.between(self.at, moment.ticks()) },
        }
    }

    /// Waits until the task has ended, but no longer than this. Blocks the thread.
    #[must_use]
    pub fn wait(self, at_most: Duration) -> Verdict {
        block_on(self.within(at_most))
    }

    /// The same as a future, for any runtime.
    pub fn within(self, at_most: Duration) -> VerdictFuture {
        let inner = self.slot.inner;
        if !inner.timer.schedule(at_most, Event::Wait(inner, Arc::downgrade(&self.wait))) {
            // Nobody will say when the time is up.
            self.wait.time_is_up(inner);
        }
        VerdictFuture { asked: self }
    }
}

impl CancelHandle {
    /// Whether the task has ended; if not, its end wakes this.
    pub(crate) fn is_over(&self, waker: &Waker) -> bool {
        self.wait.listen(waker).0
    }
}

impl Drop for CancelHandle {
    fn drop(&mut self) {
        self.slot.remove_waiter(self.serial, &self.wait);
    }
}

impl std::fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelHandle")
            .field("serial", &self.serial)
            .field("verdict", &self.verdict())
            .finish_non_exhaustive()
    }
}

/// Waits for what comes of a cancel; made by [`CancelHandle::within`].
#[derive(Debug)]
#[must_use = "it waits when it is polled"]
pub struct VerdictFuture {
    asked: CancelHandle,
}

impl Future for VerdictFuture {
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict> {
        let new = context.waker().clone();
        let mut state = self.asked.wait.0.lock();
        let ready = state.ended.is_some() || state.due;
        let unused = if ready { (state.waker.take(), Some(new)) } else { (state.waker.replace(new), None) };
        drop(state);
        // After the lock: a waker is code of somebody else.
        drop(unused);
        if ready { Poll::Ready(self.asked.verdict()) } else { Poll::Pending }
    }
}

/// Waits until a task is asked to stop; made by [`TaskHandle::cancelled`](crate::TaskHandle::cancelled).
#[must_use = "it waits when it is polled"]
pub struct CancelledFuture {
    slot: Option<Slot>,
    serial: u64,
    key: Option<u64>,
}

impl CancelledFuture {
    pub(crate) fn new(slot: Option<Slot>, serial: u64) -> Self {
        Self { slot, serial, key: None }
    }
}

impl Future for CancelledFuture {
    type Output = Cancelled;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Cancelled> {
        // A task that is not shown, or has ended, is never asked.
        let Some(slot) = self.slot else { return Poll::Pending };
        let new = context.waker().clone();
        let Some(writer) = slot.lock(self.serial) else { return Poll::Pending };
        if let Some(cancelled) = writer.hear_cancel(cancel::HEARD) {
            drop(writer);
            return Poll::Ready(cancelled);
        }
        let key = self.key;
        let (key, old) = writer.with_cell(|cell| {
            let rest = cell.rest.get_or_insert_default();
            if let Some(mine) = rest.hearers.iter_mut().find(|(other, _)| Some(*other) == key) {
                return (mine.0, Some(std::mem::replace(&mut mine.1, new)));
            }
            rest.next_hearer += 1;
            rest.hearers.push((rest.next_hearer, new));
            (rest.next_hearer, None)
        });
        drop(writer);
        drop(old);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for CancelledFuture {
    fn drop(&mut self) {
        let (Some(slot), Some(key)) = (self.slot, self.key) else { return };
        let Some(writer) = slot.lock(self.serial) else { return };
        let mine = writer.with_cell(|cell| {
            let rest = cell.rest.as_mut()?;
            let place = rest.hearers.iter().position(|(other, _)| *other == key)?;
            Some(rest.hearers.swap_remove(place))
        });
        drop(writer);
        drop(mine);
    }
}

impl std::fmt::Debug for CancelledFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelledFuture").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl Slot {
    /// Lets a cancel of the task wake this. False if the task was asked already; one that has ended is never asked.
    pub(crate) fn add_hearer(self, serial: u64, waker: Waker) -> bool {
        let Some(writer) = self.lock(serial) else { return true };
        if cancel::is_asked(acquire(self.cancel())) {
            // After the lock: a waker is code of somebody else.
            drop(writer);
            return false;
        }
        writer.with_cell(|cell| cell.rest.get_or_insert_default().hearers.push((UNKEYED, waker)));
        true
    }

    /// Lets the end of the task be told to this. False if it has ended.
    pub(crate) fn add_waiter(self, serial: u64, wait: &Arc<Wait>) -> bool {
        let Some(writer) = self.lock(serial) else { return false };
        writer.with_cell(|cell| cell.rest.get_or_insert_default().waiters.push(Arc::clone(wait)));
        true
    }

    /// Tells the end of the task no more to this.
    pub(crate) fn remove_waiter(self, serial: u64, wait: &Arc<Wait>) {
        if let Some(writer) = self.lock(serial) {
            writer.with_cell(|cell| {
                if let Some(rest) = &mut cell.rest {
                    rest.waiters.retain(|waiter| !Arc::ptr_eq(waiter, wait));
                }
            });
        }
    }

    /// Wakes the future that runs as this task, if it is idle.
    pub(crate) fn wake_future(self, serial: u64) {
        let Some(writer) = self.lock(serial) else { return };
        let waker = if writer.is_watched() { writer.with_cell(|cell| cell.future.take()) } else { None };
        drop(writer);
        Wakers(waker.into_iter().collect()).wake(self.inner);
    }

    /// Whether the slot still holds this task, live or ended.
    pub(crate) fn is_of(self, serial: u64) -> bool {
        let gate = acquire(self.chunk.gate());
        mark::serial(gate) == serial && (mark::is_live(gate) || gate & 0b111 == mark::ENDED)
    }
}

/// A waiter that may be gone.
pub(crate) type WeakWait = Weak<Wait>;
