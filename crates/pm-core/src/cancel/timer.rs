//! What happens later: deadlines, graces, time-outs, warnings of tasks that do not stop.
//!
//! One heap for all lists and one thread behind it, which is started by the first thing to come and leaves when nothing
//! has come for a while. Things that no longer matter (their task has ended) are cleared away whenever the heap has
//! doubled. Lists with a manual clock have a heap of their own, and their things happen in the call that moves the clock.

use std::sync::{Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::request::CancelRequest;
use crate::base::agenda::Agenda;
use crate::shared::hooks::Stuck;
use crate::shared::state::Inner;
use crate::slot::gate::Slot;
use crate::store::cell::WeakWait;

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
    pub(crate) fn matters(&self) -> bool {
        match self {
            Self::Deadline(slot, serial) | Self::Grace(slot, serial) => slot.is_live(*serial),
            Self::Wait(_, wait) => wait.strong_count() > 0,
            Self::Stuck(slot, serial, hook) => hook.strong_count() > 0 && slot.is_live(*serial),
        }
    }

    pub(crate) fn happen(self) {
        match self {
            Self::Deadline(slot, serial) => {
                let _ = slot.cancel_task(serial, &CancelRequest::new("deadline").by("deadline"));
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

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Shared {
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
        let now = crate::base::clock::system_nanos();
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
