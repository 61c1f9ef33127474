//! Threads for work that takes time: cancels, which run hooks and wakers of the program, and readings of long lists.
//!
//! **Nothing that takes time runs on the thread that answers requests**, so health checks and short lists are answered
//! while a hook sleeps, or while a hundred thousand tasks are sorted. There are few threads, only while there is work
//! and for a second after it. At most [`MAX_WAITING`] more pieces of work wait for them; the next one is refused. If
//! the system has no thread, the work runs in place: that a cancel happens matters more than how soon others are
//! answered.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::oneshot;

use crate::response::Failure;
use crate::sync::{lock, wait_timeout};

const MAX_WAITING: usize = 256;
/// How long a thread without work waits for more.
const LINGER: Duration = Duration::from_secs(1);

/// The threads. They end by themselves, also when this is dropped.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    max_threads: usize,
    sort: Sort,
}

/// The sort of work, for the words of refusals.
#[derive(Clone, Copy)]
enum Sort {
    Cancels,
    Readings,
}

impl Sort {
    fn full(self) -> Failure {
        const STATUS: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        let failure = match self {
            Self::Cancels => {
                let detail = "cancels wait for the hooks of others, the limit; no task was cancelled";
                Failure::new(STATUS, "too-many-cancels", format!("{MAX_WAITING} {detail}"))
            }
            Self::Readings => {
                let detail = "readings of the list wait for others, the limit";
                Failure::new(STATUS, "too-many-readings", format!("{MAX_WAITING} {detail}"))
                    .hint("ask again later, or less often; /v1/events sends the changes without asking")
            }
        };
        failure.retry_after(1)
    }

    fn panicked(self) -> Failure {
        let detail = match self {
            Self::Cancels => "code of the program panicked during the cancel, which may have reached its task",
            Self::Readings => "reading the list has panicked",
        };
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "panicked", detail)
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    added: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
}

type Work = Box<dyn FnOnce() + Send>;

impl Workers {
    /// For cancels: as many at a time as hooks may block.
    pub(crate) fn for_cancels() -> Self {
        Self::new(4, Sort::Cancels)
    }

    /// For readings: as many at a time as are of use.
    pub(crate) fn for_readings() -> Self {
        Self::new(2, Sort::Readings)
    }

    /// With at most this many threads; with none, work runs in place.
    fn new(max_threads: usize, sort: Sort) -> Self {
        // Unit tests of others poll once, or move the clock of the runtime: their work runs in place.
        Self { shared: Arc::default(), max_threads: if cfg!(test) { 0 } else { max_threads }, sort }
    }

    /// Runs `work`, and resolves to its result. It is accepted before the future is polled; dropping that stops
    /// nothing.
    ///
    /// # Errors
    ///
    /// 503 if too much work waits: this one never runs. 500 if it panics.
    pub(crate) fn run<T, W>(&self, work: W) -> impl Future<Output = Result<T, Failure>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        // The request may have been dropped.
        let (accepted, sort) = (self.add(Box::new(move || drop(done.send(work())))), self.sort);
        async move {
            accepted?;
            result.await.map_err(|_| sort.panicked())
        }
    }

    fn add(&self, work: Work) -> Result<(), Failure> {
        let mut queue = lock(&self.shared.queue);
        if queue.waiting.len() >= MAX_WAITING {
            return Err(self.sort.full());
        }
        queue.waiting.push_back(work);
        if queue.waiting.len() <= queue.idle {
            drop(queue);
            self.shared.added.notify_one();
            return Ok(());
        }
        if queue.threads < self.max_threads {
            queue.threads += 1;
            drop(queue);
            let shared = Arc::clone(&self.shared);
            if pm_core::spawn_thread("pm-worker", move || shared.work()).is_ok() {
                return Ok(());
            }
            queue = lock(&self.shared.queue);
            queue.threads -= 1;
        }
        let has_thread = queue.threads > 0;
        drop(queue);
        if !has_thread {
            while let Some(work) = self.shared.next() {
                run(work);
            }
        }
        Ok(())
    }
}

impl Shared {
    /// Takes work that waits.
    fn next(&self) -> Option<Work> {
        lock(&self.queue).waiting.pop_front()
    }

    /// Runs a thread, until there was no work for a while.
    fn work(&self) {
        loop {
            while let Some(work) = self.next() {
                run(work);
            }
            let until = Instant::now() + LINGER;
            let mut queue = lock(&self.queue);
            queue.idle += 1;
            while queue.waiting.is_empty() && Instant::now() < until {
                queue = wait_timeout(&self.added, queue, until.saturating_duration_since(Instant::now()));
            }
            queue.idle -= 1;
            if queue.waiting.is_empty() {
                queue.threads -= 1;
                return;
            }
        }
    }
}

/// Runs work; a panic ends that work only.
fn run(work: Work) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn of(max_threads: usize) -> Workers {
        Workers { shared: Arc::default(), max_threads, sort: Sort::Cancels }
    }

    #[tokio::test]
    async fn work_that_blocks_delays_no_other() {
        let workers = of(2);
        let (go, blocked) = mpsc::channel::<()>();
        let blocking = workers.run(move || blocked.recv().is_ok());
        assert_eq!(workers.run(|| 7).await.unwrap(), 7);
        go.send(()).unwrap();
        assert!(blocking.await.unwrap());
    }

    #[tokio::test]
    async fn work_beyond_the_limit_is_refused_and_all_that_was_accepted_runs() {
        let workers = of(2);
        let (started, has_started) = mpsc::channel();
        let blocking = [(); 2].map(|()| {
            let ((go, blocked), started) = (mpsc::channel::<()>(), started.clone());
            let result = workers.run(move || {
                started.send(()).unwrap();
                blocked.recv().is_ok()
            });
            (go, result)
        });
        for _ in 0..2 {
            has_started.recv().unwrap();
        }
        let waiting: Vec<_> = (0..MAX_WAITING).map(|number| workers.run(move || number)).collect();
        let failure = workers.run(|| panic!("it runs")).await.unwrap_err();
        assert_eq!((failure.status(), failure.code()), (StatusCode::SERVICE_UNAVAILABLE, "too-many-cancels"));
        assert_eq!(lock(&workers.shared.queue).threads, 2);
        for (go, result) in blocking {
            go.send(()).unwrap();
            assert!(result.await.unwrap());
        }
        for (number, result) in waiting.into_iter().enumerate() {
            assert_eq!(result.await.unwrap(), number);
        }
    }

    #[tokio::test]
    async fn work_runs_though_its_future_is_dropped_and_though_other_work_panics() {
        let workers = of(1);
        let failure = workers.run(|| panic!("a waker")).await.unwrap_err();
        assert_eq!(failure.code(), "panicked");
        let (done, is_done) = mpsc::channel();
        drop(workers.run(move || done.send(()).unwrap()));
        is_done.recv().unwrap();
        assert_eq!(of(0).run(|| 7).await.unwrap(), 7, "in place, without a thread");
    }
}
