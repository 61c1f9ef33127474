//! Events at given times: deadlines, the end of graces, timeouts, calls for tasks that do not stop.
//!
//! One agenda for all lists and one thread behind it, which the first event starts and which ends when there has been
//! none for a while. The events of lists with a manual clock are kept by that clock: they happen in the call that moves
//! it.

use std::sync::{Arc, Condvar, Weak};
use std::time::Duration;

pub(crate) use crate::base::agenda::{Agenda, Event};
use crate::base::clock::{ClockReader, system_nanos};
use crate::base::sync::{PlainMutex, wait_timeout};
use crate::base::threads;
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

struct Schedule {
    agenda: Agenda<ListEvent>,
    /// True while the thread runs.
    running: bool,
}

static SCHEDULE: PlainMutex<Schedule> = PlainMutex::new(Schedule { agenda: Agenda::new(), running: false });
static CHANGED: Condvar = Condvar::new();

/// How long the thread stays without events.
const IDLE: Duration = Duration::from_secs(10);

/// Lets an event happen after a while. Returns `false` when it never will, as the system could not start a thread.
pub(crate) fn schedule(clock: &ClockReader, after: Duration, event: ListEvent) -> bool {
    let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
    match clock.manual() {
        Some(clock) => {
            clock.schedule(after, Box::new(event));
            true
        }
        None => add(system_nanos().saturating_add(after), event),
    }
}

/// Lets the wait expire after this. If that is zero, or there is no thread for it, the wait expires at once; then
/// returns `false`.
pub(crate) fn set_timeout(store: &'static Store, wait: &Arc<EndWait>, after: Duration) -> bool {
    let event = ListEvent::Timeout(store, Arc::downgrade(wait));
    let set = !after.is_zero() && schedule(&store.clock, after, event);
    if !set {
        wait.time_is_up(&store.counters);
    }
    set
}

fn add(at: u64, event: ListEvent) -> bool {
    let mut schedule = SCHEDULE.lock();
    let next = schedule.agenda.next_at();
    schedule.agenda.add(at, event);
    if !schedule.running {
        schedule.running = threads::spawn("pm-timer", run).is_ok();
    } else if next.is_none_or(|next| at < next) {
        CHANGED.notify_one();
    }
    schedule.running
}

fn run() {
    let mut schedule = SCHEDULE.lock();
    loop {
        let now = system_nanos();
        if let Some(event) = schedule.agenda.due(now) {
            drop(schedule);
            event.happen();
            schedule = SCHEDULE.lock();
            continue;
        }
        let next = schedule.agenda.next_at();
        let wait = next.map_or(IDLE, |at| Duration::from_nanos(at - now));
        let (locked, timed_out) = wait_timeout(&CHANGED, schedule, wait);
        schedule = locked;
        if timed_out && next.is_none() && schedule.agenda.next_at().is_none() {
            schedule.running = false;
            return;
        }
    }
}
