//! Threads for work that takes time: cancels, which run hooks and wakers of the program, and readings of long lists.
//!
//! **Nothing that takes time runs on the thread that answers requests**, so health checks and short lists are answered
//! while a hook sleeps, or while a million tasks are sorted. There are few threads, only while there is work and for a
//! second after it. Each [`Sort`] of work has threads of its own: a hook that never returns holds a thread for cancels,
//! and no list waits for it. A bounded number of pieces of work waits; the next one is refused. If the system has no
//! thread, the work runs in place: that a cancel happens matters more than how soon others are answered.
//!
//! | module | content |
//! |---|---|
//! | `mod.rs` | [`Workers`]: the threads |
//! | `queue.rs` | the work that waits: clients take turns |
//! | `sort.rs` | the sorts of work, their limits and refusals |

mod queue;
mod sort;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub(crate) use self::queue::Client;
use self::queue::{Queue, Waiting};
pub(crate) use self::sort::Sort;
use self::sort::{Held, Limits};
use crate::response::Failure;
use crate::sync::{lock, wait_timeout};

/// How long a thread without work waits for more.
const LINGER: Duration = Duration::from_secs(1);

/// Gets `Ok` to run, or why it is refused.
type Work = Box<dyn FnOnce(Result<(), Failure>) + Send>;

/// The threads for one sort of work. They end by themselves, also when this is dropped.
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    sort: Sort,
    limits: Limits,
    queue: Mutex<Queue<Work>>,
    added: Condvar,
    /// The keeper waits for this: work was taken.
    taken: Condvar,
}

impl Workers {
    pub(crate) fn new(sort: Sort) -> Self {
        // Unit tests of others poll once, or move the clock of the runtime: their work runs in place.
        Self::with_limits(sort, if cfg!(test) { Limits::IN_PLACE } else { sort.limits() })
    }

    /// With so many threads, also in unit tests.
    #[cfg(test)]
    pub(crate) fn with_threads(sort: Sort, threads: usize) -> Self {
        Self::with_limits(sort, Limits { threads, waiting: 256, held: None })
    }

    /// Returns how much work waits.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.shared.queue).waiting()
    }

    fn with_limits(sort: Sort, limits: Limits) -> Self {
        let queue = Mutex::new(Queue::new(limits.threads.max(limits.held.map_or(0, |held| held.threads))));
        Self { shared: Arc::new(Shared { sort, limits, queue, added: Condvar::new(), taken: Condvar::new() }) }
    }

    /// Runs `work`, and resolves to its result. It is accepted before the future is polled; dropping that stops
    /// nothing.
    ///
    /// # Errors
    ///
    /// 503 if too much work waits, or all threads are held: this one never runs. 500 if it panics.
    pub(crate) fn run<T, W>(
        &self,
        client: Option<&Client>,
        work: W,
    ) -> impl Future<Output = Result<T, Failure>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let result = match self.shared.is_full(client) {
            Some(failure) => Err(failure),
            None => Ok(self.accept(client, true, work)),
        };
        async move { result?.await }
    }

    /// Runs work that must not be refused any more, however much waits: there is no more of it than there are
    /// responses.
    ///
    /// # Errors
    ///
    /// 500 if it panics.
    pub(crate) fn run_accepted<T, W>(&self, work: W) -> impl Future<Output = Result<T, Failure>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        self.accept(None, false, work)
    }

    fn accept<T, W>(
        &self,
        client: Option<&Client>,
        counts: bool,
        work: W,
    ) -> impl Future<Output = Result<T, Failure>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let sort = self.shared.sort;
        let work: Work = Box::new(move |allowed| {
            let result = allowed.map(|()| work());
            // The request may have been dropped.
            drop(done.send(result));
        });
        self.shared.add(client, counts, work);
        async move { result.await.unwrap_or_else(|_| Err(sort.panicked())) }
    }

    /// Runs a piece of work of a response that has begun, as [`run_accepted`](Self::run_accepted) does.
    pub(crate) fn run_piece(&self, work: impl FnOnce() + Send + 'static) {
        self.shared.add(None, false, Box::new(move |_| work()));
    }
}

impl Shared {
    /// Returns why no more work is accepted.
    fn is_full(&self, client: Option<&Client>) -> Option<Failure> {
        let queue = lock(&self.queue);
        let is_held = |held: &Held| queue.is_held(held.threads, held.refused_after, Instant::now());
        match self.limits.held {
            Some(held) if is_held(&held) => Some(self.sort.held(held.threads)),
            _ if queue.has_too_many(client, self.limits.waiting) => Some(self.sort.full(self.limits.waiting)),
            _ => None,
        }
    }

    fn add(self: &Arc<Self>, client: Option<&Client>, counts: bool, work: Work) {
        let mut queue = lock(&self.queue);
        queue.push(client.cloned(), Instant::now(), counts, work);
        if queue.idle > 0 {
            self.added.notify_one();
        }
        if queue.has_enough_threads() {
            return;
        }
        if queue.threads < self.limits.threads {
            if self.start(queue) {
                return;
            }
            queue = lock(&self.queue);
        }
        if queue.threads == 0 {
            drop(queue);
            while let Some(work) = self.take() {
                self.run(work);
            }
        } else if self.limits.held.is_some() && !std::mem::replace(&mut queue.has_keeper, true) {
            drop(queue);
            let shared = Arc::clone(self);
            if pm_core::spawn_thread("pm-keeper", move || shared.keep()).is_err() {
                // The work waits for the threads that there are.
                lock(&self.queue).has_keeper = false;
            }
        }
    }

    /// Starts one more thread. Returns `false` if the system has none.
    fn start(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue<Work>>) -> bool {
        queue.threads += 1;
        queue.starting += 1;
        drop(queue);
        let shared = Arc::clone(self);
        let is_started = pm_core::spawn_thread("pm-worker", move || shared.work()).is_ok();
        if !is_started {
            let mut queue = lock(&self.queue);
            queue.threads -= 1;
            queue.starting -= 1;
        }
        is_started
    }

    fn take(&self) -> Option<Waiting<Work>> {
        lock(&self.queue).take(Instant::now())
    }

    /// Runs work; a panic ends that work only.
    fn run(&self, Waiting { client, work, .. }: Waiting<Work>) {
        let _ = catch_unwind(AssertUnwindSafe(|| work(Ok(()))));
        lock(&self.queue).done(client);
    }

    /// Runs a thread, until there was no work for a while.
    fn work(&self) {
        let mut queue = lock(&self.queue);
        queue.starting -= 1;
        loop {
            let next = queue.take(Instant::now());
            drop(queue);
            self.taken.notify_one();
            if let Some(work) = next {
                self.run(work);
                queue = lock(&self.queue);
                continue;
            }
            let until = Instant::now() + LINGER;
            queue = lock(&self.queue);
            queue.idle += 1;
            while !queue.has_runnable() && Instant::now() < until {
                queue = wait_timeout(&self.added, queue, until.saturating_duration_since(Instant::now()));
            }
            queue.idle -= 1;
            if !queue.has_runnable() {
                queue.threads -= 1;
                return;
            }
        }
    }

    /// Runs the keeper, while work waits for threads that may be held by hooks: it starts more of them, up to a limit,
    /// and then refuses what waits.
    fn keep(self: &Arc<Self>) {
        let Some(held) = self.limits.held else { return };
        let mut has_more = true;
        let mut queue = lock(&self.queue);
        loop {
            let now = Instant::now();
            let Some(still) = queue.still_for(now) else {
                queue.has_keeper = false;
                return;
            };
            let may_start = has_more && queue.threads < held.threads;
            let patience = if may_start { held.thread_after } else { held.refused_after };
            if queue.starting > 0 {
                queue = wait_timeout(&self.taken, queue, LINGER);
            } else if still < patience {
                queue = wait_timeout(&self.taken, queue, patience - still);
            } else if may_start {
                queue.touch(now);
                has_more = self.start(queue);
                queue = lock(&self.queue);
            } else {
                let refused = queue.clear();
                drop(queue);
                refused.into_iter().for_each(|work| work(Err(self.sort.held(held.threads))));
                queue = lock(&self.queue);
            }
        }
    }
}

#[cfg(test)]
mod tests;
