//! A drain in progress: looks through the list, waits, asks tasks to stop, looks again.

use super::report;
use crate::view::brief::TaskBrief;
use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::options::Drain;
use super::report::{DrainProgress, DrainReport, DrainedTask};
use super::target::{Asking, Found};
use crate::base::clock::Moment;
use crate::cancel::ask;
use crate::cancel::request::{CancelError, CancelRequest};
use crate::cancel::timer::{attend, block_on, set_timeout};
use crate::cancel::verdict::Verdict;
use crate::layout::chunk::mark;
use crate::layout::words::{STARTED, acquire};
use crate::list::process_list::ProcessList;
use crate::shared::state::TaskRef;
use crate::slot::gate::Slot;
use crate::store::cell::EndWait;
use crate::task::current::current;

/// Tasks that progress names.
const NAMED: usize = 10;

/// Tasks that the report and the assertion list.
const LISTED: usize = 100;

/// Looks in quick succession; then the drain rests.
const QUICK_LOOKS: u32 = 64;

/// How long it rests, and what is quick.
const REST: Duration = Duration::from_millis(10);

impl ProcessList {
    /// Waits until no task is left, then cancels those that are, and reports the result: a future for any runtime,
    /// and [`DrainFuture::blocking`] for a thread.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pm_core::{Drain, ProcessList};
    ///
    /// let list = ProcessList::new();
    /// let task = list.start("import-42");
    /// let worker = std::thread::spawn(move || {
    ///     while task.checkpoint().is_ok() {
    ///         std::thread::yield_now();
    ///     }
    /// });
    /// let report = list.drain(Drain::new().wait(Duration::from_millis(1)).reason("deploy")).blocking();
    /// assert_eq!((report.finished, report.stopped, report.running), (0, 1, 0));
    /// println!("{report}");
    /// # worker.join().unwrap();
    /// ```
    ///
    /// A list refuses no task, so see to it first that nothing new comes in: what starts during the drain is waited for
    /// like all else ([`Drain::ignore_new`] leaves it alone), and a stream of new tasks holds the drain until its time
    /// is up. When it returns, all that still run have been asked, but for those whose policy
    /// [refuses](crate::CancelPolicy::Refuse) it.
    ///
    /// A drain does not wait for itself: the task that is current where it begins, and those above it, are neither
    /// waited for nor cancelled; nor are those in which another drain of this list runs. Tasks that are [not
    /// shown](crate::Counters::not_shown) are not waited for, as the list does not have them.
    ///
    /// Times are those of the list's clock. Dropped early, the drain has done what it did so far.
    pub fn drain(&self, drain: impl Into<Drain>) -> DrainFuture {
        DrainFuture { list: self.clone(), drain: drain.into(), state: State::New }
    }

    /// Panics if a task is live: for tests, which should leave none behind.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// drop(list.start("import-42"));
    /// list.assert_no_tasks();
    /// ```
    ///
    /// # Panics
    ///
    /// With the tasks that are left: their ids, serials, kinds, ages and statuses, the oldest first, at most 100.
    ///
    /// ```should_panic
    /// let list = pm_core::ProcessList::new();
    /// let forgotten = list.start("import-42");
    /// list.assert_no_tasks(); // 1 task left in the list: import-42 (task 1, 0.0 s): init
    /// ```
    #[track_caller]
    pub fn assert_no_tasks(&self) {
        let snapshot = self.snapshot();
        if !snapshot.is_empty() {
            let oldest: Vec<_> = snapshot.iter().take(LISTED).map(|task| TaskBrief::of(&task)).collect();
            panic!("{}", report::left(snapshot.len() as u64, &oldest));
        }
    }
}

/// The task that is current, and those above it, as far as they are in the list.
fn own_tasks(list: &ProcessList) -> Vec<u64> {
    let mut own = Vec::new();
    let mut next = current().serial();
    while let Some(serial) = next.filter(|serial| !own.contains(&serial.get())) {
        own.push(serial.get());
        next = list.view(serial, |task| task.parent()).flatten();
    }
    own
}

/// A drain in progress; made by [`ProcessList::drain`].
///
/// It begins when it is first polled. Polled again after it is done, it stays pending.
#[must_use = "it drains when it is polled, or by `blocking`"]
pub struct DrainFuture {
    list: ProcessList,
    drain: Drain,
    state: State,
}

enum State {
    New,
    Going(Box<Going>),
    Done,
}

struct Going {
    began: Moment,
    /// It was polled before.
    begun: bool,
    /// When tasks were asked to stop.
    asked_at: Option<Moment>,
    /// Woken by the end of the task that is waited for, and when another drain begins.
    nudge: Arc<EndWait>,
    /// When patience is over, or the grace.
    limit: Arc<EndWait>,
    /// When the next report is due; `None` without a callback.
    tick: Option<Arc<EndWait>>,
    /// When there may be another look.
    rest: Option<Arc<EndWait>>,
    quick_looks: u32,
    looked_at: u64,
    watched: Option<Found>,
    /// The tasks that the last look found; the oldest comes last.
    pending: Vec<Found>,
    asking: Vec<Asking>,
    /// Of `asking`, those before this have ended.
    over: usize,
    report: DrainReport,
}

impl DrainFuture {
    /// Drains the list on this thread, which blocks until it is done.
    ///
    /// A cancel of the task that is current does not end it.
    pub fn blocking(self) -> DrainReport {
        block_on(self)
    }

    fn begin(&mut self, waker: &Waker) -> Box<Going> {
        let shared = self.list.shared();
        let going = Going {
            began: self.list.moment(),
            begun: false,
            asked_at: None,
            nudge: Arc::default(),
            limit: Arc::default(),
            tick: self.drain.progress.is_some().then(Arc::default),
            rest: None,
            quick_looks: 0,
            looked_at: 0,
            watched: None,
            pending: Vec::new(),
            asking: Vec::new(),
            over: 0,
            report: DrainReport { reason: self.drain.reason.clone(), ..DrainReport::default() },
        };
        shared.drains.add(&shared.store.counters, own_tasks(&self.list), &going.nudge);
        going.nudge.listen(waker);
        set_timeout(&shared.store, &going.limit, self.drain.wait);
        Box::new(going)
    }

    /// All tasks that matter, the oldest last.
    fn look(&self, going: &Going) -> Vec<Found> {
        let shared = self.list.shared();
        let exempt = shared.drains.exempt();
        let known: HashSet<u64> = going.asking.iter().map(|asking| asking.found.task.serial).collect();
        let mut found = Vec::new();
        shared.store.slab.chunks.each_live(|index| {
            let slot = Slot::at(&shared.store, index);
            let gate = acquire(slot.chunk.gate());
            let (serial, started) = (mark::serial(gate), acquire(slot.chunk.word(STARTED)));
            let is_new = self.drain.ignore_new && started > going.began.ticks();
            if mark::is_live(gate) && !is_new && !exempt.contains(&serial) && !known.contains(&serial) {
                found.push(Found { started, task: TaskRef::new(shared, slot, serial) });
            }
        });
        found.sort_unstable_by_key(|found| std::cmp::Reverse((found.started, found.task.serial)));
        found
    }

    /// Returns `true` if there may be a look now; if not, there will be a wake.
    fn may_look(&self, going: &mut Going, waker: &Waker) -> bool {
        let now = self.list.moment();
        if let Some(rest) = &going.rest {
            if !rest.listen(waker).1 {
                return false;
            }
            going.rest = None;
            going.quick_looks = 0;
        }
        if now.between(going.looked_at, now.ticks()) >= REST {
            going.quick_looks = 0;
        }
        if going.quick_looks == QUICK_LOOKS {
            let rest: Arc<EndWait> = Arc::default();
            rest.listen(waker);
            set_timeout(&self.list.shared().store, &rest, REST);
            going.rest = Some(rest);
            return false;
        }
        going.quick_looks += 1;
        going.looked_at = now.ticks();
        true
    }

    /// Waits for the end of one task. False if it has ended.
    fn watch(going: &mut Going, found: Found) -> bool {
        if going.watched.is_some_and(|watched| watched.task.serial == found.task.serial) {
            return found.is_live();
        }
        Self::unwatch(going);
        if !found.task.slot().add_end_wait(found.task.serial, &going.nudge) {
            return false;
        }
        going.watched = Some(found);
        true
    }

    fn unwatch(going: &mut Going) {
        if let Some(watched) = going.watched.take() {
            watched.task.slot().remove_end_wait(watched.task.serial, &going.nudge);
        }
    }

    /// Returns `true` if all that were found have ended; if not, there will be a wake.
    fn all_ended(&self, going: &mut Going) -> bool {
        let mut exempt = None;
        while let Some(&found) = going.pending.last() {
            let exempt = exempt.get_or_insert_with(|| self.list.shared().drains.exempt());
            if exempt.contains(&found.task.serial) {
                going.pending.pop();
            } else if Self::watch(going, found) {
                return false;
            } else {
                going.report.finished += 1;
                going.pending.pop();
            }
        }
        Self::unwatch(going);
        true
    }

    /// Returns `true` if all that were cancelled have ended; if not, there will be a wake.
    fn all_over(&self, going: &mut Going, waker: &Waker) -> bool {
        let exempt = self.list.shared().drains.exempt();
        while let Some(asking) = going.asking.get(going.over) {
            let found = asking.found;
            if !exempt.contains(&found.task.serial)
                && !asking.is_over(waker)
                && (asking.asked.is_ok() || Self::watch(going, found))
            {
                return false;
            }
            going.over += 1;
        }
        Self::unwatch(going);
        true
    }

    /// Asks them to stop, the oldest first.
    fn ask(&self, going: &mut Going, found: Vec<Found>) {
        let request = CancelRequest::new(&self.drain.reason).by("drain");
        for found in found.into_iter().rev() {
            let brief = if going.asking.len() < LISTED { found.brief() } else { None };
            match ask::cancel_task(found.task, &request) {
                Err(CancelError::NotFound) => going.report.finished += 1,
                asked => going.asking.push(Asking { found, brief, asked }),
            }
        }
    }

    fn give_up_waiting(&self, going: &mut Going) {
        Self::unwatch(going);
        going.report.finished += going.pending.iter().filter(|found| !found.is_live()).count() as u64;
        going.pending = Vec::new();
        let found = self.look(going);
        if !found.is_empty() {
            let now = self.list.moment();
            going.asked_at = Some(now);
            going.report.waited = Some(now.between(going.began.ticks(), now.ticks()));
            going.limit = Arc::default();
            self.ask(going, found);
            set_timeout(&self.list.shared().store, &going.limit, self.drain.grace);
        }
    }

    fn report_progress(&mut self, going: &Going) {
        let Some(progress) = &mut self.drain.progress else { return };
        let (shared, now) = (self.list.shared(), self.list.moment());
        let since = |moment: Moment| now.between(moment.ticks(), now.ticks());
        let (mut remaining, mut oldest) = (0, Vec::new());
        let asked = going.asking[going.over..].iter().map(|asking| asking.found);
        let pending = going.pending.iter().rev().copied();
        for found in asked.chain(pending).filter(Found::is_live) {
            remaining += 1;
            if oldest.len() < NAMED {
                oldest.extend(found.brief());
            }
        }
        let left = match going.asked_at {
            Some(asked_at) => self.drain.grace.saturating_sub(since(asked_at)),
            None => self.drain.wait.saturating_sub(since(going.began)),
        };
        let cancelling = going.asked_at.is_some();
        let seen = DrainProgress { remaining, oldest, cancelling, elapsed: since(going.began), left };
        shared.store.counters.catch_panic(|| progress(&seen));
    }

    fn finish(&self, mut going: Box<Going>) -> DrainReport {
        let now = self.list.moment();
        let mut report = std::mem::take(&mut going.report);
        let exempt = self.list.shared().drains.exempt();
        let mut ended = Vec::new();
        for asking in going.asking.drain(..) {
            let verdict = asking.verdict(&self.list);
            let is_left = match &verdict {
                Verdict::Finished { .. } => {
                    report.stopped += 1;
                    false
                }
                Verdict::Dropped { .. } => {
                    report.dropped += 1;
                    false
                }
                Verdict::NotFound => {
                    report.finished += 1;
                    continue;
                }
                // It drains itself by now.
                _ if exempt.contains(&asking.found.task.serial) => continue,
                Verdict::Cancelling { .. } | Verdict::Refused(_) => {
                    report.running += 1;
                    true
                }
            };
            if let Some(task) = asking.brief {
                let drained = DrainedTask { task, verdict };
                if is_left { report.asked.push(drained) } else { ended.push(drained) }
            }
        }
        report.asked.append(&mut ended);
        report.took = now.between(going.began.ticks(), now.ticks());
        self.leave(&mut going);
        report
    }

    fn leave(&self, going: &mut Going) {
        Self::unwatch(going);
        self.list.shared().drains.remove(&going.nudge);
    }

    /// Continues the drain. Returns `true` if it is done; if not, there will be a wake.
    fn advance(&mut self, going: &mut Going, waker: &Waker) -> bool {
        going.nudge.listen(waker);
        let is_first = !std::mem::replace(&mut going.begun, true);
        let mut must_report = is_first;
        let done = loop {
            let is_up = going.limit.listen(waker).1;
            if going.asked_at.is_none() {
                if is_up {
                    self.give_up_waiting(going);
                    if going.asked_at.is_none() {
                        return true;
                    }
                    must_report = true;
                    continue;
                }
                if !self.all_ended(going) || !self.may_look(going, waker) {
                    break false;
                }
                going.pending = self.look(going);
                if going.pending.is_empty() {
                    return true;
                }
            } else {
                if is_up {
                    // Those that started last have not been asked yet.
                    let found = self.look(going);
                    self.ask(going, found);
                    return true;
                }
                if !self.all_over(going, waker) || !self.may_look(going, waker) {
                    break false;
                }
                let found = self.look(going);
                if found.is_empty() {
                    return true;
                }
                self.ask(going, found);
            }
        };
        if let Some(tick) = &going.tick {
            let due = tick.listen(waker).1;
            if due || is_first {
                let next: Arc<EndWait> = Arc::default();
                next.listen(waker);
                going.tick = set_timeout(&self.list.shared().store, &next, self.drain.every).then_some(next);
            }
            if due || must_report {
                self.report_progress(going);
            }
        }
        done
    }
}

impl Future for DrainFuture {
    type Output = DrainReport;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<DrainReport> {
        let this = &mut *self;
        let waker = context.waker();
        let mut going = match std::mem::replace(&mut this.state, State::Done) {
            State::New => this.begin(waker),
            State::Going(going) => going,
            State::Done => return Poll::Pending,
        };
        if this.advance(&mut going, waker) {
            return Poll::Ready(this.finish(going));
        }
        this.state = State::Going(going);
        attend(waker);
        Poll::Pending
    }
}

impl Drop for DrainFuture {
    fn drop(&mut self) {
        if let State::Going(mut going) = std::mem::replace(&mut self.state, State::Done) {
            self.leave(&mut going);
        }
    }
}

impl fmt::Debug for DrainFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainFuture").field("list", &self.list).field("drain", &self.drain).finish_non_exhaustive()
    }
}
