//! What happens later: deadlines, graces, time-outs, warnings of tasks that do not stop.
//!
//! One heap for all lists and one thread behind it, which is started by the first thing to come and leaves when nothing
//! has come for a while. Things that no longer matter (their task has ended) are cleared away whenever the heap has
//! doubled. Lists with a manual clock have a heap of their own, and their things happen in the call that moves the clock.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::cancel::CancelRequest;
use crate::hooks::Stuck;
use crate::list::Inner;
use crate::slot::Slot;
use crate::watch::WeakWait;

/// What is to happen.
#[derive(Clone)]
pub(crate) enum Event {
    /// The deadline of a task.
    Deadline(Slot, u64),
    /// The grace of a task that runs as a future is over.
    Grace(Slot, u64),
    /// Somebody waits no longer.
    Wait(&'static Inner, WeakWait),
    /// A task was asked to stop so long ago that somebody wants to know.
    Stuck(Slot, u64, Weak<Stuck>),
}

impl Event {
    fn matters(&self) -> bool {
        match self {
            Self::Deadline(slot, serial) | Self::Grace(slot, serial) => slot.is_live(*serial),
            Self::Wait(_, wait) => wait.strong_count() > 0,
            Self::Stuck(slot, serial, hook) => hook.strong_count() > 0 && slot.is_live(*serial),
        }
    }

    fn happen(self) {
        match self {
            Self::Deadline(slot, serial) => {
                let _ = slot.request_cancel(serial, &CancelRequest::new("deadline").by("deadline"));
            }
            Self::Grace(slot, serial) => slot.wake_future(serial),
            Self::Wait(inner, wait) => {
                if let Some(wait) = wait.upgrade() {
                    wait.time_is_up(inner);
                }
            }
            Self::Stuck(slot, serial, hook) => {
                if let Some(hook) = hook.upgrade() {
                    slot.inner.hooks.stuck(slot, serial, &hook);
                }
            }
        }
    }
}

struct Entry {
    at: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

/// Things to come, the next one first. Times are nanoseconds of one clock.
#[derive(Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    /// What the heap held when it was last cleared.
    cleared: usize,
}

/// Below this, nothing is cleared away.
const FEW: usize = 1024;

impl Agenda {
    pub(crate) fn add(&mut self, at: u64, event: Event) {
        if self.heap.len() >= FEW.max(2 * self.cleared) {
            self.heap.retain(|entry| entry.0.event.matters());
            self.cleared = self.heap.len();
        }
        self.heap.push(Reverse(Entry { at, event }));
    }

    fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.0.at)
    }

    /// Takes the next thing whose time has come.
    pub(crate) fn due(&mut self, now: u64) -> Option<Event> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|entry| entry.0.event)
    }
}

/// Lets all happen whose time has come on a clock that somebody moved.
pub(crate) fn happen_until(agenda: &Mutex<Agenda>, now: u64) {
    loop {
        let event = lock(agenda).due(now);
        let Some(event) = event else { return };
        event.happen();
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Shared {
    agenda: Agenda,
    /// The thread is there.
    running: bool,
}

static SHARED: Mutex<Option<Shared>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

/// How long the thread stays when there is nothing to come.
const IDLE: Duration = Duration::from_secs(10);

/// Lets `event` happen at a time of the system's monotonic clock. False when there is no thread for it.
pub(crate) fn add(at: u64, event: Event) -> bool {
    let mut shared = lock(&SHARED);
    let Shared { agenda, running } = shared.get_or_insert_with(|| Shared { agenda: Agenda::default(), running: false });
    let next = agenda.next_at();
    agenda.add(at, event);
    if !*running {
        *running = std::thread::Builder::new().name("pm-timer".to_owned()).spawn(run).is_ok();
    } else if next.is_none_or(|next| at < next) {
        CHANGED.notify_one();
    }
    *running
}

fn run() {
    let mut shared = lock(&SHARED);
    loop {
        let Some(state) = shared.as_mut() else { return };
        let now = crate::clock::system_nanos();
        if let Some(event) = state.agenda.due(now) {
            drop(shared);
            event.happen();
            shared = lock(&SHARED);
            continue;
        }
        let next = state.agenda.next_at();
        let wait = next.map_or(IDLE, |at| Duration::from_nanos(at - now));
        let (after, timed_out) = CHANGED.wait_timeout(shared, wait).unwrap_or_else(PoisonError::into_inner);
        shared = after;
        let Some(state) = shared.as_mut() else { return };
        if timed_out.timed_out() && next.is_none() && state.agenda.next_at().is_none() {
            state.running = false;
            return;
        }
    }
}
