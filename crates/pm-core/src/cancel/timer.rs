//! Events at given times: deadlines, the end of graces, timeouts, calls for tasks that do not stop.
//!
//! One agenda for all lists and one thread behind it, which the first event starts and which ends when there has been
//! none for a while. The events of lists with a manual clock are kept by that clock: they happen in the call that moves
//! it.
//!
//! **No hook of the program delays the events of others.** Before the thread calls one, it leaves the agenda to another
//! thread, and ends after it if that one still has it; of [`MAX_THREADS`] threads, the last one calls it in place.
//!
//! **An event that was planned happens, and never before its time.** When the system has no thread, those that wait do
//! its work: threads that block on a verdict or a drain, futures that wait for one, tasks with a deadline at their
//! checkpoints, and readers. That is counted, and every 10 ms one of them tries again to start the thread. The child of
//! a fork has neither the thread nor a use for a lock that it held: it continues with a timer of its own.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, OnceLock, Weak};
use std::task::Waker;
use std::time::Duration;

pub(crate) use crate::base::agenda::{Agenda, Event};
use crate::base::block_on;
use crate::base::clock::{ClockReader, system_nanos};
use crate::base::sync::{Ordering as ModelOrdering, PlainMutex, wait_timeout};
use crate::base::threads;
use crate::layout::words::cancel;
use crate::shared::hooks::{InHook, StuckHook};
use crate::shared::state::TaskRef;
use crate::slot::copy::Detail;
use crate::store::Store;
use crate::store::cell::EndWait;
use crate::view::row::Row;

/// An event of a list.
pub(crate) enum ListEvent {
    /// Something that is done to a task if it is still live, as at its deadline or at the end of its grace.
    Task(TaskRef, fn(TaskRef)),
    /// A timed wait has expired.
    Timeout(&'static Store, Weak<EndWait>),
    /// A cancelled task still runs when its hook is due.
    Stuck(TaskRef, Weak<StuckHook>),
}

impl ListEvent {
    /// Returns `true` if the event calls a hook, which may take any time.
    fn calls_hook(&self) -> bool {
        match self {
            Self::Task(task, _) => task.shared.hooks.any(),
            Self::Timeout(..) => false,
            Self::Stuck(..) => true,
        }
    }
}

impl Event for ListEvent {
    fn matters(&self) -> bool {
        match self {
            Self::Task(task, _) => task.is_live(),
            Self::Timeout(_, wait) => wait.strong_count() > 0,
            Self::Stuck(task, hook) => hook.strong_count() > 0 && task.is_live(),
        }
    }

    fn happen(&self) {
        match self {
            Self::Task(task, act) => act(*task),
            Self::Timeout(store, wait) => {
                if let Some(wait) = wait.upgrade() {
                    wait.time_is_up(&store.counters);
                }
            }
            Self::Stuck(task, hook) => {
                if let Some(stuck) = hook.upgrade()
                    && let Some(row) = Row::live(task.slot(), task.serial, Detail::History)
                    && let Some(_in_hook) = InHook::enter()
                {
                    stuck.hook.call(&task.store().counters, &row.view());
                }
            }
        }
    }
}

/// The timer of one process.
struct Timer {
    /// The process; 0 until the first event.
    process: AtomicU32,
    schedule: PlainMutex<Schedule>,
    changed: Condvar,
    /// The timer of a child of this process, in the memory of that child.
    of_child: OnceLock<Box<Timer>>,
}

struct Schedule {
    agenda: Agenda<ListEvent>,
    /// True while a thread attends to the agenda.
    running: bool,
    /// The threads: that one, and those that call hooks.
    threads: usize,
    /// When to try again to start it, in nanoseconds of the steady clock.
    retry_at: u64,
}

static TIMER: Timer = Timer::new(Agenda::new());

/// There are events, and no thread for them.
static UNATTENDED: AtomicBool = AtomicBool::new(false);

/// Events that were planned when there was no thread for them.
static PLANNED_WITHOUT_THREAD: AtomicU64 = AtomicU64::new(0);

/// The most threads at a time.
const MAX_THREADS: usize = 4;

/// How long the thread stays without events.
const IDLE: Duration = Duration::from_secs(10);

/// How long to wait before trying again to start the thread, and how long a thread sleeps that does its work.
const RETRY: Duration = Duration::from_millis(10);

/// How long a future keeps its thread when there is no other for its timeout.
const BRIEFLY: Duration = Duration::from_millis(1);

/// Lets an event happen after a while. Returns `false` if there is no thread for it now: then call [`help`] now and
/// then.
pub(crate) fn schedule(clock: &ClockReader, after: Duration, event: ListEvent) -> bool {
    let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
    match clock.manual() {
        Some(clock) => {
            clock.schedule(after, Box::new(event));
            true
        }
        None => Timer::of_this_process().add(system_nanos().saturating_add(after), event),
    }
}

/// Lets the wait expire after this; at once, and returns `false`, if that is zero.
pub(crate) fn set_timeout(store: &'static Store, wait: &Arc<EndWait>, after: Duration) -> bool {
    if after.is_zero() {
        wait.time_is_up(&store.counters);
        return false;
    }
    schedule(&store.clock, after, ListEvent::Timeout(store, Arc::downgrade(wait)));
    true
}

/// Cancels a task at its deadline.
pub(crate) fn set_deadline(task: TaskRef, after: Duration, meet: fn(TaskRef)) {
    if !schedule(&task.store().clock, after, ListEvent::Task(task, meet)) {
        // From now on the task itself looks for the time, at its checkpoints.
        task.slot().cancel().fetch_or(cancel::UNATTENDED, ModelOrdering::Relaxed);
    }
}

/// Does the work of the timer's thread if there is none.
#[inline]
pub(crate) fn help() {
    if UNATTENDED.load(Ordering::Relaxed) {
        Timer::of_this_process().help();
    }
}

/// Blocks this thread until it is unparked, or for a little: see [`block_on`].
pub(crate) fn park() {
    if !UNATTENDED.load(Ordering::Relaxed) {
        return std::thread::park();
    }
    match Timer::of_this_process().help() {
        Some(next) => std::thread::park_timeout(next.min(RETRY)),
        None => std::thread::park_timeout(RETRY),
    }
}

/// Runs a future on this thread, which does the work of the timer's if there is none.
pub(crate) fn block_on<F: Future + Unpin>(future: F) -> F::Output {
    block_on::block_on(future, park)
}

/// Lets a future that waits for an event be polled again soon if there is no thread for that event.
#[inline]
pub(crate) fn attend(waker: &Waker) {
    if UNATTENDED.load(Ordering::Relaxed) {
        Timer::of_this_process().help();
        std::thread::sleep(BRIEFLY);
        waker.wake_by_ref();
    }
}

/// Returns how many events were planned when there was no thread for them.
pub(crate) fn planned_without_thread() -> u64 {
    PLANNED_WITHOUT_THREAD.load(Ordering::Relaxed)
}

std::thread_local! {
    static HELPS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Marks that this thread does the timer's work, so that an event which asks for help does not call the next.
struct Helping;

impl Helping {
    fn begin() -> Option<Self> {
        (!HELPS.try_with(|helps| helps.replace(true)).unwrap_or(true)).then_some(Self)
    }
}

impl Drop for Helping {
    fn drop(&mut self) {
        let _ = HELPS.try_with(|helps| helps.set(false));
    }
}

/// Returns the number of this process; it differs in a child.
fn process() -> u32 {
    if cfg!(unix) { std::process::id() } else { 1 }
}

impl Timer {
    const fn new(agenda: Agenda<ListEvent>) -> Self {
        Self {
            process: AtomicU32::new(0),
            schedule: PlainMutex::new(Schedule { agenda, running: false, threads: 0, retry_at: 0 }),
            changed: Condvar::new(),
            of_child: OnceLock::new(),
        }
    }

    fn of_this_process() -> &'static Self {
        let (this, mut timer) = (process(), &TIMER);
        loop {
            match timer.process.compare_exchange(0, this, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return timer,
                Err(process) if process == this => return timer,
                Err(_) => timer = timer.of_child.get_or_init(|| Box::new(timer.forked())),
            }
        }
    }

    /// Takes over the events of the parent in a child, unless another thread of the parent held the lock: there is none
    /// that would release it.
    #[cold]
    fn forked(&self) -> Self {
        let events = self.schedule.try_lock().map(|mut schedule| std::mem::take(&mut schedule.agenda));
        Self::new(events.unwrap_or_default())
    }

    fn add(&'static self, at: u64, event: ListEvent) -> bool {
        let mut schedule = self.schedule.lock();
        let next = schedule.agenda.next_at();
        schedule.agenda.add(at, event);
        if schedule.running {
            if next.is_none_or(|next| at < next) {
                self.changed.notify_one();
            }
            return true;
        }
        if self.start(&mut schedule) {
            return true;
        }
        drop(schedule);
        PLANNED_WITHOUT_THREAD.fetch_add(1, Ordering::Relaxed);
        self.help();
        false
    }

    /// Returns `true` if the thread is running, after this if the system has one.
    fn start(&'static self, schedule: &mut Schedule) -> bool {
        if !schedule.running && system_nanos() >= schedule.retry_at {
            schedule.running = threads::spawn("pm-timer", move || self.run()).is_ok();
            if schedule.running {
                schedule.threads += 1;
            } else {
                schedule.retry_at = system_nanos().saturating_add(RETRY.as_nanos() as u64);
            }
        }
        UNATTENDED.store(!schedule.running, Ordering::Relaxed);
        schedule.running
    }

    /// Lets all events happen that are due, unless there is a thread for that. Returns the time until the next one.
    #[cold]
    fn help(&'static self) -> Option<Duration> {
        let _helping = Helping::begin()?;
        loop {
            let mut schedule = self.schedule.lock();
            let Some(next) = schedule.agenda.next_at() else {
                UNATTENDED.store(false, Ordering::Relaxed);
                return None;
            };
            if self.start(&mut schedule) {
                return None;
            }
            let now = system_nanos();
            let Some(event) = schedule.agenda.due(now) else { return Some(Duration::from_nanos(next - now)) };
            drop(schedule);
            event.happen();
        }
    }

    /// Leaves the agenda to another thread. Returns `false` if there is none.
    fn hand_over(&'static self, schedule: &mut Schedule) -> bool {
        schedule.running = false;
        let is_left = schedule.threads < MAX_THREADS && self.start(schedule);
        self.attend_again(schedule);
        is_left
    }

    /// Attends to the agenda if no other thread does.
    fn attend_again(&self, schedule: &mut Schedule) -> bool {
        let is_free = !schedule.running;
        schedule.running = true;
        UNATTENDED.store(false, Ordering::Relaxed);
        is_free
    }

    fn run(&'static self) {
        let mut stopped = Stopped { timer: self, attends: true };
        let mut schedule = self.schedule.lock();
        loop {
            let now = system_nanos();
            if let Some(event) = schedule.agenda.due(now) {
                stopped.attends = !(event.calls_hook() && self.hand_over(&mut schedule));
                drop(schedule);
                event.happen();
                schedule = self.schedule.lock();
                stopped.attends = stopped.attends || self.attend_again(&mut schedule);
                if stopped.attends {
                    continue;
                }
                break;
            }
            let next = schedule.agenda.next_at();
            let wait = next.map_or(IDLE, |at| Duration::from_nanos(at - now));
            let (locked, timed_out) = wait_timeout(&self.changed, schedule, wait);
            schedule = locked;
            if timed_out && next.is_none() && schedule.agenda.next_at().is_none() {
                schedule.running = false;
                break;
            }
        }
        schedule.threads -= 1;
    }
}

/// Notes that a thread of the timer is gone, also when a panic ended it: the next event starts another.
struct Stopped {
    timer: &'static Timer,
    attends: bool,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut schedule = self.timer.schedule.lock();
            schedule.threads -= 1;
            schedule.running &= !self.attends;
        }
    }
}
