//! The process list: all live tasks of a program, or of a part of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64 as StdAtomicU64, Ordering as StdOrdering};
use std::sync::{Arc, OnceLock};

use crate::cancel::{CancelError, Cancelled};
use crate::clock::{Clock, Moment, Timer};
use crate::options::{Limits, Options};
use crate::read::{Detail, History, Scratch, TaskView, copy_row};
use crate::serial::Serial;
use crate::slab::{Count, Slab, Tally};
use crate::slot::Slot;
use crate::snapshot::{Scan, Snapshot};
use crate::sync::Mutex;
use crate::task::{Task, TaskBuilder};
use crate::text;

/// What a list and its tasks share. It lives as long as the process, so that handles need no count of references; when
/// a list is dropped and its tasks have ended, the next list of the same options takes it over.
pub(crate) struct Inner {
    pub(crate) slab: &'static Slab,
    /// What the slab had counted when this list took it over.
    before: Mutex<Tally>,
    pub(crate) timer: Timer,
    clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) cancellable: AtomicBool,
    pub(crate) enabled: AtomicBool,
    pub(crate) lost: Lost,
}

/// What dropped lists leave behind.
struct LeftBehind {
    /// To be taken over once their last tasks have ended.
    lists: Vec<&'static Inner>,
    /// Those whose memory went to a list of other options. A late handle may still come, so they stay.
    husks: Vec<&'static Inner>,
}

static LEFT_BEHIND: std::sync::Mutex<LeftBehind> =
    std::sync::Mutex::new(LeftBehind { lists: Vec::new(), husks: Vec::new() });

impl Inner {
    /// One for a new list: taken over if there is one that fits, in its memory if there is one as large, else new.
    fn obtain(options: &Options) -> &'static Self {
        let segments = Slab::segments_for(options.max_bytes);
        let mut left = LEFT_BEHIND.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let free = (0..left.lists.len())
            .filter(|&at| left.lists[at].slab.max_segments() == segments && left.lists[at].slab.tally().live() == 0)
            // Of two that fit alike the smaller one: all that it ever held is looked through for tasks.
            .min_by_key(|&at| (!left.lists[at].fits(options), left.lists[at].slab.bytes()));
        let Some(at) = free else { return Self::allocate(Slab::allocate(segments), options) };
        let found = left.lists.swap_remove(at);
        if !found.fits(options) {
            left.husks.push(found);
            return Self::allocate(found.slab, options);
        }
        *found.before.lock() = found.slab.tally();
        found.lost.forget();
        found.cancellable.store(options.cancellable, StdOrdering::Relaxed);
        found.enabled.store(true, StdOrdering::Relaxed);
        found
    }

    fn allocate(slab: &'static Slab, options: &Options) -> &'static Self {
        Box::leak(Box::new(Self {
            slab,
            before: Mutex::new(slab.tally()),
            timer: Timer::new(&options.clock),
            clock: options.clock.clone(),
            limits: options.limits,
            cancellable: AtomicBool::new(options.cancellable),
            enabled: AtomicBool::new(true),
            lost: Lost::default(),
        }))
    }

    fn fits(&self, options: &Options) -> bool {
        let same_clock = match (&self.clock, &options.clock) {
            (Clock::Counter, Clock::Counter) | (Clock::System, Clock::System) => true,
            // Each has a hand of its own.
            _ => false,
        };
        same_clock && self.limits == options.limits
    }

    fn retire(&'static self) {
        self.enabled.store(false, StdOrdering::Relaxed);
        // Nothing outlives a model.
        if !cfg!(loom) {
            LEFT_BEHIND.lock().unwrap_or_else(std::sync::PoisonError::into_inner).lists.push(self);
        }
    }
}

/// What was cut, dropped or came too late.
#[derive(Default)]
pub(crate) struct Lost {
    pub(crate) tasks: StdAtomicU64,
    pub(crate) statuses: StdAtomicU64,
    pub(crate) attrs: StdAtomicU64,
    pub(crate) texts: StdAtomicU64,
    pub(crate) late: StdAtomicU64,
    pub(crate) cancels: StdAtomicU64,
}

impl Lost {
    fn forget(&self) {
        for counter in [&self.tasks, &self.statuses, &self.attrs, &self.texts, &self.late, &self.cancels] {
            counter.store(0, StdOrdering::Relaxed);
        }
    }
}

/// What a list has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Tasks that are running.
    pub live: u64,
    /// Tasks that were started and shown.
    pub started: u64,
    /// Tasks that ended as finished.
    pub finished: u64,
    /// Tasks that ended by `fail`.
    pub failed: u64,
    /// Tasks that ended because they were cancelled.
    pub cancelled: u64,
    /// Tasks that ended in a panic.
    pub aborted: u64,
    /// Tasks that ran but were not shown, because the list was full.
    pub not_shown: u64,
    /// Statuses that were not recorded for lack of memory.
    pub statuses_dropped: u64,
    /// Attributes and progress reports that were not recorded: too many of them, or no memory.
    pub attrs_dropped: u64,
    /// Texts that were cut to their limit.
    pub texts_cut: u64,
    /// Calls on handles of tasks that had ended, which did nothing.
    pub late_calls: u64,
    /// Cancel requests that reached a task, repeated ones left out.
    pub cancel_requests: u64,
    /// Bytes of memory that the list holds.
    pub bytes_held: u64,
}

/// A list of the tasks that are live.
///
/// Clones are the same list. A list whose last clone is dropped is gone for readers; tasks that still run keep running
/// and end in peace.
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

struct Owner(&'static Inner);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.retire();
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
        Self { owner: Arc::new(Owner(Inner::obtain(&options))) }
    }

    pub(crate) fn inner(&self) -> &'static Inner {
        self.owner.0
    }

    /// Begins to describe a task; [`TaskBuilder::start`] starts it. Any text is a valid id; live tasks may share one.
    pub fn task(&self, id: &str) -> TaskBuilder<'_> {
        TaskBuilder::new(self.inner(), Some(id))
    }

    /// Begins to describe a task whose id is made from its serial.
    pub fn unnamed(&self) -> TaskBuilder<'_> {
        TaskBuilder::new(self.inner(), None)
    }

    /// Starts a task that is no more than its id.
    #[must_use = "the task ends when this is dropped"]
    pub fn start(&self, id: &str) -> Task {
        self.task(id).start()
    }

    /// Runs `f` as a task: it is current on this thread meanwhile, and a cancel that unwinds stops here.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when `f` returned it, or was unwound by `checkpoint_or_unwind`.
    ///
    /// # Panics
    ///
    /// A panic of `f` goes on; the task ends as aborted.
    pub fn run<T>(&self, id: &str, f: impl FnOnce(&Task) -> Result<T, Cancelled>) -> Result<T, Cancelled> {
        self.task(id).run(f)
    }

    /// All live tasks, oldest first.
    ///
    /// Shows every task that was live during the whole call; one that started or ended meanwhile may or may not appear.
    /// No task waits for it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(self.inner())
    }

    /// All live tasks, oldest first, one by one, in memory that does not grow with their number.
    #[must_use]
    pub fn scan(&self) -> Scan {
        Scan::new(self.clone())
    }

    /// Now, by this list's clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.inner().timer.moment()
    }

    /// The live tasks that bear the id, oldest first.
    #[must_use]
    pub fn find(&self, id: &str) -> Vec<Serial> {
        self.find_slots(id).into_iter().map(|(_, serial)| serial).collect()
    }

    fn find_slots(&self, id: &str) -> Vec<(u32, Serial)> {
        let inner = self.inner();
        // An id that was too long was cut: so is the one that is looked for.
        let id = text::cut(id, inner.limits.id);
        let hash = text::hash(&id) | 1;
        let mut scratch = Scratch::default();
        let mut row = Vec::new();
        let mut found = Vec::new();
        let moment = inner.timer.moment();
        inner.slab.each_tag(|index, tag| {
            if (tag >> 32) as u32 == hash {
                row.clear();
                if copy_row(inner.slab, index, Detail::Newest, &mut scratch, &mut row) {
                    let task = TaskView::new(&row, moment);
                    if task.id().as_bytes() == id.as_bytes() {
                        found.push((task.started_ticks(), index, task.serial()));
                    }
                }
            }
            true
        });
        found.sort_unstable();
        found.into_iter().map(|(_, index, serial)| (index, serial)).collect()
    }

    fn find_serial(&self, serial: Serial) -> Option<(Slot, u32)> {
        let inner = self.inner();
        let low = serial.get() as u32;
        let mut found = None;
        inner.slab.each_tag(|index, tag| {
            if tag as u32 == low {
                let slot = Slot { inner, chunk: inner.slab.chunk(index) };
                found = slot.is_live(serial.get()).then_some((slot, index));
            }
            found.is_none()
        });
        found
    }

    /// The history of a live task; `None` when it has ended.
    #[must_use]
    pub fn history(&self, serial: Serial) -> Option<History> {
        self.read(serial, Detail::History, |task| task.history(self.inner().limits.newest_entries))
    }

    /// Looks at one live task; `None` when it has ended.
    pub fn view<R>(&self, serial: Serial, look: impl FnOnce(TaskView<'_>) -> R) -> Option<R> {
        self.read(serial, Detail::Newest, look)
    }

    fn read<R>(&self, serial: Serial, detail: Detail, look: impl FnOnce(TaskView<'_>) -> R) -> Option<R> {
        let (slot, index) = self.find_serial(serial)?;
        let mut row = Vec::new();
        if !copy_row(slot.inner.slab, index, detail, &mut Scratch::default(), &mut row) {
            return None;
        }
        let task = TaskView::new(&row, slot.inner.timer.moment());
        (task.serial() == serial).then(|| look(task))
    }

    /// Asks the task with this id to stop, and returns its serial once the request is recorded.
    ///
    /// The task hears it at its next status or checkpoint. Asking again is harmless: the first reason is kept.
    ///
    /// # Errors
    ///
    /// - [`CancelError::NotFound`]: no live task bears the id.
    /// - [`CancelError::NotCancellable`]: the task was started so.
    /// - [`CancelError::Ambiguous`]: several live tasks bear the id; use [`cancel_serial`](Self::cancel_serial).
    pub fn cancel(&self, id: &str, reason: &str) -> Result<Serial, CancelError> {
        match self.find_slots(id)[..] {
            [] => Err(CancelError::NotFound),
            [(index, serial)] => {
                let inner = self.inner();
                let slot = Slot { inner, chunk: inner.slab.chunk(index) };
                cancel_slot(slot, serial, reason)?;
                Ok(serial)
            }
            ref several => Err(CancelError::Ambiguous { serials: several.iter().map(|&(_, serial)| serial).collect() }),
        }
    }

    /// Asks exactly this task to stop. See [`cancel`](Self::cancel).
    ///
    /// # Errors
    ///
    /// [`CancelError::NotFound`] or [`CancelError::NotCancellable`].
    pub fn cancel_serial(&self, serial: Serial, reason: &str) -> Result<(), CancelError> {
        let (slot, _) = self.find_serial(serial).ok_or(CancelError::NotFound)?;
        cancel_slot(slot, serial, reason)
    }

    /// What the list has counted since it was made.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let Inner { slab, lost, .. } = self.inner();
        let get = |counter: &StdAtomicU64| counter.load(StdOrdering::Relaxed);
        let counted = slab.tally().since(*self.inner().before.lock());
        let of = |count: Count| counted.0[count as usize];
        let (finished, failed) = (of(Count::Finished), of(Count::Failed));
        let (cancelled, aborted) = (of(Count::Cancelled), of(Count::Aborted));
        Counters {
            live: counted.live(),
            started: of(Count::Started).saturating_sub(of(Count::Discarded)),
            finished,
            failed,
            cancelled,
            aborted,
            not_shown: get(&lost.tasks),
            statuses_dropped: get(&lost.statuses),
            attrs_dropped: get(&lost.attrs),
            texts_cut: get(&lost.texts),
            late_calls: get(&lost.late),
            cancel_requests: get(&lost.cancels),
            bytes_held: slab.bytes(),
        }
    }

    /// Whether tasks started from now on can be cancelled unless they say otherwise.
    pub fn set_cancellable(&self, yes: bool) {
        self.inner().cancellable.store(yes, StdOrdering::Relaxed);
    }

    /// Switches the list off or on. Tasks started while it is off run as ever, but are not shown or counted, can't be
    /// cancelled, and cost next to nothing.
    pub fn set_enabled(&self, yes: bool) {
        self.inner().enabled.store(yes, StdOrdering::Relaxed);
    }

    /// Whether the list is switched on, as it is at first.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.inner().enabled.load(StdOrdering::Relaxed)
    }
}

fn cancel_slot(slot: Slot, serial: Serial, reason: &str) -> Result<(), CancelError> {
    text::with_cut(slot.inner, reason, slot.inner.limits.status, |reason| {
        let Some(writer) = slot.lock(serial.get()) else { return Err(CancelError::NotFound) };
        if !writer.is_cancellable() {
            return Err(CancelError::NotCancellable { serial });
        }
        if writer.request_cancel(reason) {
            slot.inner.lost.cancels.fetch_add(1, StdOrdering::Relaxed);
        }
        Ok(())
    })
}

/// The default list of the process.
#[must_use]
pub fn global() -> &'static ProcessList {
    static GLOBAL: OnceLock<ProcessList> = OnceLock::new();
    GLOBAL.get_or_init(ProcessList::new)
}
