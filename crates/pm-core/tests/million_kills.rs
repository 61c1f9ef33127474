//! A million tasks killed in all states, by several threads: each ends exactly once, with an outcome that its state
//! allows, and no waker is lost.
//!
//! `cargo test --release` kills a million, a debug build a twentieth of that. `PM_KILLS` sets another number.
#![cfg(not(any(loom, miri)))]

use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use pm_core::{
    CancelPolicy, CancelRequest, Cancelled, Clock, ManualClock, Options, Outcome, ProcessList, Task, TaskHandle,
    protect,
};

/// Tasks that live at the same time.
const AT_ONCE: usize = 2_000;
/// A wait of this length without any progress means that a waker was lost.
const STALLED: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_millis(10);

fn kills() -> usize {
    let wanted = std::env::var("PM_KILLS").ok().and_then(|count| count.parse().ok());
    wanted.unwrap_or(if cfg!(debug_assertions) { 50_000 } else { 1_000_000 })
}

/// The activity of a task when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NeverPolled,
    Waits,
    PolledElsewhere,
    Protected,
    InGracePeriod,
    ListensOnly,
    ThreadThatChecks,
    SetsStatuses,
    DroppedConcurrently,
    EndsConcurrently,
    PanicsWhenCancelled,
    PanicsWhenDropped,
    WakesItself,
    HasChild,
}

const STATES: [State; 14] = [
    State::NeverPolled,
    State::Waits,
    State::PolledElsewhere,
    State::Protected,
    State::InGracePeriod,
    State::ListensOnly,
    State::ThreadThatChecks,
    State::SetsStatuses,
    State::DroppedConcurrently,
    State::EndsConcurrently,
    State::PanicsWhenCancelled,
    State::PanicsWhenDropped,
    State::WakesItself,
    State::HasChild,
];

impl State {
    fn of(number: usize) -> Self {
        STATES[number % STATES.len()]
    }

    fn allows(self, outcome: Outcome) -> bool {
        match self {
            Self::DroppedConcurrently => matches!(outcome, Outcome::Dropped | Outcome::Cancelled),
            Self::EndsConcurrently => matches!(outcome, Outcome::Finished | Outcome::Cancelled),
            Self::PanicsWhenCancelled | Self::PanicsWhenDropped => outcome == Outcome::Aborted,
            _ => outcome == Outcome::Cancelled,
        }
    }
}

type Work = Pin<Box<dyn Future<Output = Result<(), Cancelled>> + Send>>;

/// A future that the workers poll. Only a killer of `DroppedConcurrently` tasks drops it, too.
struct Job {
    number: usize,
    work: Mutex<Option<Work>>,
    queued: AtomicBool,
    shop: Arc<Shop>,
}

impl Wake for Job {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            let shop = Arc::clone(&self.shop);
            shop.queue.lock().unwrap().push_back(self);
            shop.filled.notify_one();
        }
    }
}

/// The state that all threads share.
struct Shop {
    queue: Mutex<VecDeque<Arc<Job>>>,
    filled: Condvar,
    closed: AtomicBool,
    /// For each task, how often it ended, and its last outcome.
    ends: Vec<(AtomicU8, AtomicU8)>,
    /// The number of tasks whose future has been dropped.
    gone: Mutex<usize>,
    one_gone: Condvar,
}

/// Runs when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Shop {
    fn work(&self) {
        loop {
            let mut queue = self.queue.lock().unwrap();
            while queue.is_empty() && !self.closed.load(Ordering::Acquire) {
                queue = self.filled.wait(queue).unwrap();
            }
            let Some(job) = queue.pop_front() else { return };
            drop(queue);
            self.poll(&job);
        }
    }

    fn poll(&self, job: &Arc<Job>) {
        job.queued.store(false, Ordering::Release);
        let mut work = job.work.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(future) = work.as_mut() else { return };
        let waker = Waker::from(Arc::clone(job));
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        if matches!(polled, Ok(Poll::Pending)) {
            return;
        }
        let done = work.take();
        drop(work);
        drop(done);
        if let Ok(Poll::Ready(result)) = &polled {
            let reason = result.as_ref().err().map(Cancelled::reason);
            assert!(reason.is_none_or(|reason| reason == "test"), "{} got {reason:?}", job.number);
        }
        self.is_gone();
    }

    fn is_gone(&self) {
        *self.gone.lock().unwrap() += 1;
        self.one_gone.notify_all();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        drop(self.queue.lock().unwrap());
        self.filled.notify_all();
    }

    fn note_end(&self, number: usize, outcome: Outcome) {
        self.ends[number].0.fetch_add(1, Ordering::Relaxed);
        self.ends[number].1.store(outcome as u8, Ordering::Relaxed);
    }

    /// Waits until at least this many futures are gone.
    fn wait_until_gone(&self, gone: usize) {
        let mut now = self.gone.lock().unwrap();
        while *now < gone {
            let before = *now;
            let (after, waited) = self.one_gone.wait_timeout(now, STALLED).unwrap();
            now = after;
            if waited.timed_out() && *now == before {
                let left = self.ends.iter().enumerate().filter(|(_, end)| end.0.load(Ordering::Relaxed) == 0);
                let left: Vec<_> = left.map(|(number, _)| (number, State::of(number))).take(20).collect();
                // The workers would wait indefinitely, and this thread for them.
                self.close();
                panic!("{before} of {gone} are gone, nothing happens; not ended: {left:?}");
            }
        }
    }
}

/// A task to be killed, and what else is done to it.
struct Target {
    handle: TaskHandle,
    job: Arc<Job>,
    /// A gate that a protected section or an end waits for.
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    open: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Gate {
    async fn pass(&self) {
        poll_fn(|context| {
            *self.waker.lock().unwrap() = Some(context.waker().clone());
            if self.open.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A task that checks for its cancellation at each turn.
async fn checks(task: Task) {
    poll_fn(|context| {
        context.waker().wake_by_ref();
        if task.checkpoint().is_err() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn wakes_itself() -> impl Future<Output = ()> {
    poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

fn work(list: &ProcessList, number: usize, gate: &Arc<Gate>) -> (TaskHandle, Work) {
    let (state, id) = (State::of(number), number.to_string());
    let (kind, gate) = (format!("{state:?}"), Arc::clone(gate));
    let builder = list.task(&id).kind(&kind);
    match state {
        State::NeverPolled | State::Waits | State::PolledElsewhere | State::DroppedConcurrently => {
            let running = builder.run(pending());
            (running.handle(), Box::pin(running))
        }
        State::Protected => {
            let running = builder.run(async move {
                protect(gate.pass()).await;
                assert!(gate.open.load(Ordering::SeqCst), "the section was cut");
                pending().await
            });
            (running.handle(), Box::pin(running))
        }
        State::InGracePeriod => {
            let running = builder.on_cancel(CancelPolicy::AskThenDrop(GRACE)).run(pending());
            (running.handle(), Box::pin(running))
        }
        State::ListensOnly => {
            let running = builder.on_cancel(CancelPolicy::Ask).run(async {
                let _ = pm_core::current().cancelled().await;
            });
            (running.handle(), Box::pin(running))
        }
        State::ThreadThatChecks => {
            let task = builder.start();
            let handle = task.handle();
            let checks = async {
                checks(task).await;
                Ok(())
            };
            (handle, Box::pin(checks))
        }
        State::SetsStatuses => {
            let running = builder.on_cancel(CancelPolicy::Ask).run(poll_fn(|context| {
                context.waker().wake_by_ref();
                let result = pm_core::current().status("turning");
                if result.is_err() { Poll::Ready(()) } else { Poll::Pending }
            }));
            (running.handle(), Box::pin(running))
        }
        State::EndsConcurrently => {
            let running = builder.run(async move { gate.pass().await });
            (running.handle(), Box::pin(running))
        }
        State::PanicsWhenCancelled => {
            let running = builder.on_cancel(CancelPolicy::Ask).run(async {
                let _ = pm_core::current().cancelled().await;
                panic!("on purpose");
            });
            (running.handle(), Box::pin(running))
        }
        State::PanicsWhenDropped => {
            let bomb = OnDrop(|| panic!("on purpose"));
            let running = builder.run(async move {
                let _bomb = bomb;
                pending().await
            });
            (running.handle(), Box::pin(running))
        }
        State::WakesItself => {
            let running = builder.run(wakes_itself());
            (running.handle(), Box::pin(running))
        }
        State::HasChild => {
            let inner = list.clone();
            let running = builder.run(async move {
                let child = inner.task(&format!("child of {id}")).kind("Child").run(pending::<()>());
                let _ = child.await;
                pending().await
            });
            (running.handle(), Box::pin(running))
        }
    }
}

/// Kills the tasks that it receives, each in one of the possible ways.
fn kill(list: &ProcessList, hand: &ManualClock, targets: &Mutex<mpsc::Receiver<Target>>) {
    loop {
        let target = targets.lock().unwrap().recv();
        let Ok(Target { handle, job, gate }) = target else { return };
        let (number, state) = (job.number, State::of(job.number));
        let request = CancelRequest::new("test");
        match number / STATES.len() % 3 {
            0 => drop(handle.cancel("test")),
            1 => drop(list.cancel(handle.serial(), "test")),
            _ => drop(handle.cancel(request)),
        }
        match state {
            State::Protected => gate.open(),
            State::InGracePeriod => hand.advance(GRACE),
            State::NeverPolled => job.wake(),
            _ => {}
        }
    }
}

#[test]
fn each_of_a_million_killed_tasks_ends_once_with_an_outcome_that_its_state_allows() {
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<&str>() != Some(&"on purpose") {
            default_hook(panic);
        }
    }));
    let count = kills();
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock));
    let shop = Arc::new(Shop {
        queue: Mutex::default(),
        filled: Condvar::new(),
        closed: AtomicBool::new(false),
        ends: (0..count).map(|_| Default::default()).collect(),
        gone: Mutex::new(0),
        one_gone: Condvar::new(),
    });
    let (children, wrong_children) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let _hook = list.on_end({
        let (shop, children, wrong) = (Arc::clone(&shop), Arc::clone(&children), Arc::clone(&wrong_children));
        move |task| {
            let outcome = task.outcome().expect("it has ended");
            match task.id().to_string().parse() {
                Ok(number) => shop.note_end(number, outcome),
                Err(_) => {
                    children.fetch_add(1, Ordering::Relaxed);
                    wrong.fetch_add(usize::from(outcome != Outcome::Cancelled), Ordering::Relaxed);
                }
            }
        }
    });

    let (kill_it, to_kill) = mpsc::channel();
    let to_kill = Mutex::new(to_kill);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(|| shop.work())).collect();
        let killers: Vec<_> = (0..2).map(|_| scope.spawn(|| kill(&list, &hand, &to_kill))).collect();
        let (meddle, to_meddle) = mpsc::channel::<(Arc<Job>, Arc<Gate>)>();
        // Drops, or lets end, tasks that other threads kill at the same time.
        let meddler = scope.spawn(|| {
            for (job, gate) in to_meddle {
                if State::of(job.number) == State::EndsConcurrently {
                    gate.open();
                } else {
                    let taken = job.work.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if taken.is_some() {
                        drop(taken);
                        shop.is_gone();
                    }
                }
            }
        });
        for number in 0..count {
            shop.wait_until_gone(number.saturating_sub(AT_ONCE));
            let (gate, state) = (Arc::new(Gate::default()), State::of(number));
            let (handle, future) = work(&list, number, &gate);
            let job = Arc::new(Job {
                number,
                work: Mutex::new(Some(future)),
                queued: AtomicBool::new(false),
                shop: Arc::clone(&shop),
            });
            match state {
                State::NeverPolled => {}
                // Such a task waits, or has its child, only after its first poll.
                State::HasChild | State::Waits => {
                    shop.poll(&job);
                }
                _ => Arc::clone(&job).wake(),
            }
            if matches!(state, State::DroppedConcurrently | State::EndsConcurrently) {
                meddle.send((Arc::clone(&job), Arc::clone(&gate))).unwrap();
            }
            kill_it.send(Target { handle, job, gate }).unwrap();
        }
        drop((kill_it, meddle));
        shop.wait_until_gone(count);
        killers.into_iter().for_each(|killer| killer.join().unwrap());
        meddler.join().unwrap();
        shop.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    let _ = std::panic::take_hook();
    check(&list, &shop, children.load(Ordering::Relaxed) as u64);
    assert_eq!(wrong_children.load(Ordering::Relaxed), 0);
}

fn outcome(number: u8) -> Outcome {
    let all = [Outcome::Finished, Outcome::Failed, Outcome::Cancelled, Outcome::Aborted, Outcome::Dropped];
    all.into_iter().find(|outcome| *outcome as u8 == number).expect("one of them")
}

fn check(list: &ProcessList, shop: &Shop, children: u64) {
    let mut by_state = [[0_u64; 5]; STATES.len()];
    for (number, (times, how)) in shop.ends.iter().enumerate() {
        let (times, how) = (times.load(Ordering::Relaxed), outcome(how.load(Ordering::Relaxed)));
        let state = State::of(number);
        assert_eq!(times, 1, "{number}, {state:?}, ended {times} times");
        assert!(state.allows(how), "{number}, {state:?}, ended as {how:?}");
        by_state[number % STATES.len()][how as usize] += 1;
    }
    let counters = list.counters();
    assert_eq!((counters.live, counters.cancelling), (0, 0));
    assert_eq!(counters.started, shop.ends.len() as u64 + children);
    let of = |outcome: Outcome| by_state.iter().map(|counts| counts[outcome as usize]).sum::<u64>();
    assert_eq!(counters.finished, of(Outcome::Finished));
    assert_eq!(counters.cancelled, of(Outcome::Cancelled) + children);
    assert_eq!(counters.dropped, of(Outcome::Dropped));
    assert_eq!(counters.aborted, of(Outcome::Aborted));
    assert_eq!(counters.failed, 0);
    let kinds = list.kinds();
    for (state, counts) in STATES.iter().zip(by_state) {
        let kind = format!("{state:?}");
        let stats = kinds.iter().find(|stats| stats.kind.as_deref() == Some(&kind)).expect("it was counted");
        let seen = [stats.finished, stats.failed, stats.cancelled, stats.aborted, stats.dropped];
        let expected = [Outcome::Finished, Outcome::Failed, Outcome::Cancelled, Outcome::Aborted, Outcome::Dropped]
            .map(|outcome| counts[outcome as usize]);
        assert_eq!(seen, expected, "{kind}");
        assert_eq!((stats.running, stats.latency.count()), (0, counts.iter().sum()));
    }
}
