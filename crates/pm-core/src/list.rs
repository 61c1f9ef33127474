//! The process list: all live tasks of a program, or of a part of it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64 as StdAtomicU64, Ordering as StdOrdering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::cancel::{CancelError, CancelRequest, Cancelled, Request, Target, Verdict};
use crate::chunk::tag;
use crate::clock::{Clock, Moment, Timer};
use crate::drain::Drains;
use crate::future::TaskFuture;
use crate::hooks::{Hooks, Subscription};
use crate::kinds::KindStats;
use crate::options::{Limits, ListLimits, Options};
use crate::read::{Detail, History, Row, Scratch, TaskView, Wanted, copy_row};
use crate::redact::Also;
use crate::serial::Serial;
use crate::slab::{Count, Slab, Tally};
use crate::slot::{Slot, Writer};
use crate::snapshot::{Scan, Snapshot};
use crate::sync::Mutex;
use crate::task::{Task, TaskBuilder};
use crate::text;
use crate::tree::{self, Banned};
use crate::waits::Registry;
use crate::watch::CancelHandle;

/// What a list and its tasks share. It lives as long as the process, so that handles need no count of references; when
/// a list is dropped and its tasks have ended, the next list of the same options takes it over.
pub(crate) struct Inner {
    pub(crate) slab: &'static Slab,
    /// What the slab had counted when this list took it over.
    before: Mutex<Tally>,
    pub(crate) timer: Timer,
    clock: Clock,
    pub(crate) limits: Limits,
    /// What is taken for secret besides the usual.
    pub(crate) also: Also,
    pub(crate) cancellable: AtomicBool,
    pub(crate) enabled: AtomicBool,
    pub(crate) lost: Lost,
    pub(crate) hooks: Hooks,
    /// Cancelled tasks that have ended.
    pub(crate) banned: Mutex<Banned>,
    /// Those who wait until the list is empty.
    pub(crate) drains: Drains,
    /// Who waits for what.
    pub(crate) waits: Registry,
    /// Tasks with smaller serials are those of a list that had the memory before.
    first_serial: StdAtomicU64,
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
        let Some(at) = free else { return Self::allocate(Slab::allocate(segments, &options.limits), options) };
        let found = left.lists.swap_remove(at);
        if !found.fits(options) {
            left.husks.push(found);
            return Self::allocate(found.slab, options).renewed();
        }
        *found.before.lock() = found.slab.tally();
        found.lost.forget();
        found.hooks.forget();
        *found.banned.lock() = Banned::default();
        found.waits.forget();
        found.renewed();
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
            also: options.also.clone(),
            cancellable: AtomicBool::new(options.cancellable),
            enabled: AtomicBool::new(true),
            lost: Lost::default(),
            hooks: Hooks::new(),
            banned: Mutex::default(),
            drains: Drains::default(),
            waits: Registry::default(),
            first_serial: StdAtomicU64::new(0),
        }))
    }

    /// Made from what another list left.
    fn renewed(&'static self) -> &'static Self {
        self.first_serial.store(self.slab.renew(self), StdOrdering::Relaxed);
        self
    }

    pub(crate) fn first_serial(&self) -> u64 {
        self.first_serial.load(StdOrdering::Relaxed)
    }

    fn fits(&self, options: &Options) -> bool {
        let same_clock = match (&self.clock, &options.clock) {
            (Clock::Tsc, Clock::Tsc) | (Clock::System, Clock::System) => true,
            // Each has a hand of its own.
            _ => false,
        };
        same_clock && self.limits == options.limits && self.also == options.also
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
    /// Not lost, but changed: values and texts in which something was masked.
    pub(crate) redacted: StdAtomicU64,
    pub(crate) late: StdAtomicU64,
    pub(crate) cancels: StdAtomicU64,
    /// Tasks that were asked to stop and have ended, and those of them whose future was dropped.
    pub(crate) cancelled_ends: StdAtomicU64,
    pub(crate) forced: StdAtomicU64,
    /// Panics of hooks and wakers.
    pub(crate) panics: StdAtomicU64,
}

impl Lost {
    fn forget(&self) {
        let Self { tasks, statuses, attrs, texts, redacted, late, cancels, cancelled_ends, forced, panics } = self;
        for counter in [tasks, statuses, attrs, texts, redacted, late, cancels, cancelled_ends, forced, panics] {
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
    /// The most tasks that ran at once. Looked at whenever a thread takes 32 slots, and here: it may miss up to 31 tasks
    /// of each thread.
    pub peak: u64,
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
    /// Tasks whose future was dropped by its owner before it was done.
    pub dropped: u64,
    /// Tasks that were asked to stop and are still running.
    pub cancelling: u64,
    /// Cancelled tasks whose future was dropped for it.
    pub forced: u64,
    /// Ended tasks that are no longer kept.
    pub ended_evicted: u64,
    /// Tasks that ended and whose kind came after the [limit](Options::max_kinds) was reached.
    pub kinds_dropped: u64,
    /// Panics of hooks and wakers, which went no further.
    pub panics_caught: u64,
    /// Tasks that ran but were not shown, because the list was full.
    pub not_shown: u64,
    /// Statuses that were not recorded for lack of memory.
    pub statuses_dropped: u64,
    /// Attributes and progress reports that were not recorded: too many of them, or no memory.
    pub attrs_dropped: u64,
    /// Texts that were cut to their limit.
    pub texts_cut: u64,
    /// Values and texts in which something was [masked](Options::redact).
    pub redacted: u64,
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

    /// Runs a future as a task that is no more than its id. See [`TaskBuilder::run`].
    pub fn run<F: Future>(&self, id: &str, future: F) -> TaskFuture<F> {
        self.task(id).run(future)
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
    pub fn run_sync<T>(&self, id: &str, f: impl FnOnce(&Task) -> Result<T, Cancelled>) -> Result<T, Cancelled> {
        self.task(id).run_sync(f)
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

    /// Looks at each live task, in no given order, in one pass and in memory that does not grow with their number: for
    /// those who look for a few among many. All ages are relative to the moment that this returns.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("job-1");
    /// let mut oldest = None;
    /// list.for_each(|task| oldest = oldest.max(Some(task.age())));
    /// assert!(oldest.is_some());
    /// ```
    pub fn for_each(&self, mut look: impl FnMut(&TaskView<'_>)) -> Moment {
        let inner = self.inner();
        let (moment, kinds) = (inner.timer.moment(), inner.slab.kinds());
        let (mut scratch, mut row) = (Scratch::default(), Vec::new());
        inner.slab.each_live(|index| {
            row.clear();
            if copy_row(Slot::at(inner, index), Wanted::Live, Detail::Newest, &mut scratch, &mut row) {
                look(&TaskView::new(&row, moment, &kinds));
            }
        });
        moment
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

    /// The tasks with this id that ended and are kept, in order of their end.
    #[must_use]
    pub fn find_ended(&self, id: &str) -> Snapshot {
        let inner = self.inner();
        let id = text::recorded(inner, id, inner.limits.id).text;
        self.ended_where(|task| task.id().as_bytes() == id.as_bytes())
    }

    /// The tasks that ended and are kept, in order of their end.
    ///
    /// How many are kept, and for how long, is told by [`Options::keep_ended`] and what follows it. Their
    /// [outcome](TaskView::outcome) is known; what [`history`](Self::history) tells of them ends with it.
    ///
    /// ```
    /// use pm_core::{Outcome, ProcessList};
    ///
    /// let list = ProcessList::new();
    /// list.start("import-42").fail("no such file");
    /// let ended = list.ended();
    /// assert_eq!(ended.get(0).unwrap().outcome(), Some(Outcome::Failed));
    /// ```
    #[must_use]
    pub fn ended(&self) -> Snapshot {
        self.ended_where(|_| true)
    }

    /// Those of the tasks that ended and are kept which are wanted, in order of their end. See [`ended`](Self::ended).
    #[must_use]
    pub fn ended_where(&self, wanted: impl FnMut(&TaskView<'_>) -> bool) -> Snapshot {
        Snapshot::take_ended(self.inner(), wanted)
    }

    /// What the tasks of each kind have in common: outcomes, how long they took, where their time went; the kind with the
    /// most tasks first.
    #[must_use]
    pub fn kinds(&self) -> Vec<KindStats> {
        let inner = self.inner();
        let mut running: HashMap<u32, u64> = HashMap::new();
        inner.slab.each_live(|index| *running.entry(Slot::at(inner, index).kind_number()).or_default() += 1);
        inner.slab.kinds().collect(&running, &inner.timer.moment())
    }

    fn find_slots(&self, id: &str) -> Vec<(u32, Serial)> {
        let inner = self.inner();
        // An id that was masked or cut: so is the one that is looked for.
        let id = text::recorded(inner, id, inner.limits.id).text;
        let hash = text::hash(&id);
        let mut scratch = Scratch::default();
        let mut row = Vec::new();
        let mut found = Vec::new();
        let (moment, kinds) = (inner.timer.moment(), inner.slab.kinds());
        inner.slab.each_tag(|index, tag| {
            if tag & tag::LIVE != 0 && tag::has_hash(tag, hash) {
                row.clear();
                if copy_row(Slot::at(inner, index), Wanted::Live, Detail::Newest, &mut scratch, &mut row) {
                    let task = TaskView::new(&row, moment, &kinds);
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

    fn find_serial(&self, serial: Serial) -> Option<Slot> {
        let inner = self.inner();
        let mut found = None;
        inner.slab.each_tag(|index, tag| {
            if tag::has_serial(tag, serial.get()) {
                let slot = Slot::at(inner, index);
                found = slot.is_of(serial.get()).then_some(slot);
            }
            found.is_none()
        });
        found.filter(|_| serial.get() >= inner.first_serial())
    }

    /// The history of a task that is live, or ended and is kept; `None` when there is no such task (any more).
    #[must_use]
    pub fn history(&self, serial: Serial) -> Option<History> {
        self.read(serial, Detail::History, |task| task.history(self.inner().limits.newest_entries))
    }

    /// Looks at one task that is live, or ended and is kept; `None` when there is no such task (any more).
    pub fn view<R>(&self, serial: Serial, look: impl FnOnce(TaskView<'_>) -> R) -> Option<R> {
        self.read(serial, Detail::Newest, look)
    }

    fn read<R>(&self, serial: Serial, detail: Detail, look: impl FnOnce(TaskView<'_>) -> R) -> Option<R> {
        let slot = self.find_serial(serial)?;
        // Live first: it may end in between, but what ended never lives again.
        let row = [Wanted::Live, Wanted::Ended].into_iter().find_map(|wanted| Row::copy(slot, wanted, detail))?;
        let task = row.view();
        (task.serial() == serial).then(|| look(task))
    }

    /// Asks the task with this id to stop, and returns its serial once the request is recorded.
    ///
    /// The task hears it at its next status or checkpoint; one that [runs as a future](TaskBuilder::run) is dropped where
    /// it awaits. So are all tasks below it. Asking again is harmless: the first reason is kept.
    ///
    /// # Errors
    ///
    /// - [`CancelError::NotFound`]: no live task bears the id.
    /// - [`CancelError::NotCancellable`]: the task was started so.
    /// - [`CancelError::Ambiguous`]: several live tasks bear the id; use [`cancel_serial`](Self::cancel_serial).
    pub fn cancel(&self, id: &str, reason: &str) -> Result<Serial, CancelError> {
        let (slot, serial) = self.find_target(id.into())?;
        slot.ask(serial.get(), &CancelRequest::new(reason), |_, _| ())?;
        Ok(serial)
    }

    /// Asks exactly this task to stop. See [`cancel`](Self::cancel).
    ///
    /// # Errors
    ///
    /// [`CancelError::NotFound`] or [`CancelError::NotCancellable`].
    pub fn cancel_serial(&self, serial: Serial, reason: &str) -> Result<(), CancelError> {
        let (slot, serial) = self.find_target(serial.into())?;
        slot.ask(serial.get(), &CancelRequest::new(reason), |_, _| ()).map(drop)
    }

    /// Asks a task to stop if it is as expected; what this returns waits for what comes of it.
    ///
    /// # Errors
    ///
    /// Those of [`cancel`](Self::cancel), and what was found instead of what the request expects.
    pub fn request_cancel<'t>(
        &self,
        target: impl Into<Target<'t>>,
        request: &CancelRequest<'_>,
    ) -> Result<CancelHandle, CancelError> {
        let (slot, serial) = self.find_target(target.into())?;
        slot.request_cancel(serial.get(), request)
    }

    /// Asks a task to stop, and waits for the end of it, but no longer than this. Blocks the thread.
    ///
    /// ```
    /// use pm_core::{CancelRequest, ProcessList, Verdict};
    /// use std::time::Duration;
    ///
    /// let list = ProcessList::new();
    /// let verdict = list.cancel_and_wait("import-42", &CancelRequest::new("too slow"), Duration::from_secs(5));
    /// assert_eq!(verdict, Verdict::NotFound);
    /// ```
    #[must_use]
    pub fn cancel_and_wait<'t>(
        &self,
        target: impl Into<Target<'t>>,
        request: &CancelRequest<'_>,
        at_most: Duration,
    ) -> Verdict {
        match self.request_cancel(target, request) {
            Ok(asked) => asked.wait(at_most),
            Err(error) => error.into(),
        }
    }

    fn find_target(&self, target: Target<'_>) -> Result<(Slot, Serial), CancelError> {
        match target {
            Target::Serial(serial) => Ok((self.find_serial(serial).ok_or(CancelError::NotFound)?, serial)),
            Target::Id(id) => match self.find_slots(id)[..] {
                [] => Err(CancelError::NotFound),
                [(index, serial)] => Ok((Slot::at(self.inner(), index), serial)),
                ref several => {
                    Err(CancelError::Ambiguous { serials: several.iter().map(|&(_, serial)| serial).collect() })
                }
            },
        }
    }

    /// Calls `hook` with each task that ends, right after its end, on the thread where it ended.
    ///
    /// Hooks are called when no lock of the list is held, and may use it. What they do to other tasks is told to no hook.
    /// A panic of a hook is caught and counted. The task that is shown is complete, with its history.
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    ///
    /// let list = pm_core::ProcessList::new();
    /// let slow = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&slow);
    /// let hook = list.on_end(move |task| {
    ///     if task.age().as_secs() >= 10 {
    ///         counter.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// });
    /// drop(list.start("job-1"));
    /// drop(hook); // called no more
    /// assert_eq!(slow.load(Ordering::Relaxed), 0);
    /// ```
    pub fn on_end(&self, hook: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Subscription {
        Subscription::on_end(self.inner(), hook)
    }

    /// Calls `hook` with each task that is asked to stop, for the first time, on the thread that asks. See
    /// [`on_end`](Self::on_end).
    pub fn on_cancel(&self, hook: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Subscription {
        Subscription::on_cancel(self.inner(), hook)
    }

    /// Calls `hook` with each task that still runs so long after it was asked to stop, once, on a thread of its own, which
    /// also meets deadlines: be quick. See [`on_end`](Self::on_end).
    pub fn on_stuck(&self, after: Duration, hook: impl Fn(&TaskView<'_>) + Send + Sync + 'static) -> Subscription {
        Subscription::on_stuck(self.inner(), after, hook)
    }

    /// What the list keeps at most.
    #[must_use]
    pub fn limits(&self) -> ListLimits {
        let inner = self.inner();
        ListLimits::of(&inner.limits, inner.slab.max_bytes())
    }

    /// A text as this list would record it, but for its length: without what [looks like a secret](Options::redact). For
    /// those who keep elsewhere what they tell the list, as an audit log does.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// assert_eq!(list.redacted("see http://me:hunter2@host/"), "see http://***@host/");
    /// ```
    #[must_use]
    pub fn redacted<'t>(&self, text: &'t str) -> Cow<'t, str> {
        text::recorded(self.inner(), text, usize::MAX).text
    }

    /// [`Counters::not_shown`] alone, which costs less to ask for.
    #[must_use]
    pub fn not_shown(&self) -> u64 {
        self.inner().lost.tasks.load(StdOrdering::Relaxed)
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
        let live = counted.live();
        Counters {
            live,
            peak: slab.peak(live),
            started: of(Count::Started).saturating_sub(of(Count::Discarded)),
            finished,
            failed,
            cancelled,
            aborted,
            dropped: of(Count::Dropped),
            // Ends before requests, as a task that ends meanwhile must not make more ends than requests.
            cancelling: {
                let ends = get(&lost.cancelled_ends);
                get(&lost.cancels).saturating_sub(ends)
            },
            forced: get(&lost.forced),
            ended_evicted: slab.let_go.load(StdOrdering::Relaxed),
            kinds_dropped: slab.kinds().ended_as_other(),
            panics_caught: get(&lost.panics),
            not_shown: get(&lost.tasks),
            statuses_dropped: get(&lost.statuses),
            attrs_dropped: get(&lost.attrs),
            texts_cut: get(&lost.texts),
            redacted: get(&lost.redacted),
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

impl Slot {
    /// Asks a task and all below it to stop: first all are marked, then those that are idle are woken. `keep` is called
    /// under the lock, for who wants to wait, and is told whether the request is the first.
    pub(crate) fn ask<R>(
        self,
        serial: u64,
        request: &CancelRequest<'_>,
        keep: impl FnOnce(&Writer, bool) -> R,
    ) -> Result<(R, u64), CancelError> {
        let (inner, limits) = (self.inner, &self.inner.limits);
        let reason = text::recorded(inner, request.reason, limits.status);
        let by = text::recorded(inner, request.by, limits.name);
        let stored = Request { reason: &reason.text, by: &by.text, origin: None };
        let writer = self.lock(serial).ok_or(CancelError::NotFound)?;
        if !writer.is_cancellable() {
            return Err(CancelError::NotCancellable { serial: Serial::new(serial) });
        }
        self.expect(serial, request)?;
        let word = writer.request_cancel(&stored);
        let kept = keep(&writer, word.is_some());
        let Some(word) = word else { return Ok((kept, 0)) };
        reason.count(inner);
        by.count(inner);
        inner.lost.cancels.fetch_add(1, StdOrdering::Relaxed);
        let wakers = writer.take_hearers();
        drop(writer);
        let below = if word & crate::slot::cancel::PARENT == 0 {
            Vec::new()
        } else {
            tree::cancel_below(inner, serial, &Request { origin: Some(serial), ..stored })
        };
        let count = below.len() as u64;
        wakers.wake(inner);
        inner.hooks.cancelled(self, serial);
        for (slot, serial, wakers) in below {
            wakers.wake(inner);
            inner.hooks.cancelled(slot, serial);
        }
        Ok((kept, count))
    }

    pub(crate) fn request_cancel(self, serial: u64, request: &CancelRequest<'_>) -> Result<CancelHandle, CancelError> {
        let (asked, below) = self.ask(serial, request, CancelHandle::new)?;
        Ok(asked.with_below(below))
    }

    /// Whether the task, whose lock is held, is as the request expects.
    fn expect(self, serial: u64, request: &CancelRequest<'_>) -> Result<(), CancelError> {
        if request.min_age.is_none() && request.status.is_none() {
            return Ok(());
        }
        let serial = Serial::new(serial);
        let row = Row::copy(self, Wanted::Live, Detail::Newest).ok_or(CancelError::NotFound)?;
        let task = row.view();
        // As it would have been recorded, but whole: what the list shows is expected.
        let expected = request.status.map(|status| text::recorded(self.inner, status, usize::MAX).text);
        match (request.min_age, expected) {
            (Some(min_age), _) if task.age() < min_age => {
                Err(CancelError::TooYoung { serial, age: task.age(), min_age })
            }
            (_, Some(expected)) if task.status().to_string() != *expected => {
                let (status, expected) = (task.status().to_string(), expected.into_owned());
                Err(CancelError::OtherStatus { serial, status, expected })
            }
            _ => Ok(()),
        }
    }
}

/// The default list of the process.
#[must_use]
pub fn global() -> &'static ProcessList {
    static GLOBAL: OnceLock<ProcessList> = OnceLock::new();
    GLOBAL.get_or_init(ProcessList::new)
}
