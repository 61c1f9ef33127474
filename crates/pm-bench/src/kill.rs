//! From a kill to the end of the future, by the list and by the runtime's own abort.

use std::future::{Future, pending};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use pm::ProcessList;
use pm_bench::work;
use tokio::runtime::{Builder, Runtime};

use crate::harness::Effort;
use crate::ours;
use crate::report::{Goal, Report};

/// Tasks that keep the worker busy, and how long each does before it yields.
const BUSY: (usize, Duration) = (8, Duration::from_micros(50));
/// After so long, a kill has failed.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("kill");
    let list = work::list();
    for (name, busy) in [("idle worker", 0), ("busy worker", BUSY.0)] {
        match kills(effort, &list, busy) {
            Ok(Times { mut ours, mut abort }) => {
                for (rank, rank_name) in [(0.5, "p50"), (0.99, "p99")] {
                    let (ours, abort) = (micros(&mut ours, rank), micros(&mut abort, rank));
                    let yardstick = ("JoinHandle::abort", abort);
                    report.beside(format!("{name}, {rank_name}"), ours, "us", yardstick, Goal::None);
                }
            }
            Err(why) => report.note(format!("kill: {name}: {why}")),
        }
    }
    let note = "kill: from the call that cancels to the drop of what the future holds, by turns, on a runtime with one \
                worker; busy: beside 8 tasks that spin 50 us and yield, indefinitely";
    report.note(note);
}

#[derive(Default)]
struct Times {
    ours: Vec<Duration>,
    abort: Vec<Duration>,
}

fn kills(effort: Effort, list: &ProcessList, busy: usize) -> Result<Times, String> {
    let runtime =
        Builder::new_multi_thread().worker_threads(1).build().map_err(|error| format!("no runtime: {error}"))?;
    for _ in 0..busy {
        runtime.spawn(spins());
    }
    let mut times = Times::default();
    for _ in 0..effort.pick(200, 2000) {
        times.ours.push(ours(&runtime, list)?);
        times.abort.push(abort(&runtime)?);
    }
    // Those that spin end when they yield.
    runtime.shutdown_background();
    Ok(times)
}

async fn spins() {
    loop {
        let begin = Instant::now();
        while begin.elapsed() < BUSY.1 {
            std::hint::spin_loop();
        }
        tokio::task::yield_now().await;
    }
}

fn ours(runtime: &Runtime, list: &ProcessList) -> Result<Duration, String> {
    let (future, waiting) = waits();
    let (future, kill) = ours::tracked_killable(list, future);
    runtime.spawn(future);
    waiting.killed_by(|| kill(list))
}

fn abort(runtime: &Runtime) -> Result<Duration, String> {
    let (future, waiting) = waits();
    let task = runtime.spawn(future);
    waiting.killed_by(|| task.abort())
}

/// Waits indefinitely, and reports when it began and when it was dropped.
fn waits() -> (impl Future<Output = ()> + Send + 'static, Waiting) {
    let ((begins, begun), (drops, dropped)) = (channel(), channel());
    let future = async move {
        let _guard = Guard(drops);
        let _ = begins.send(());
        pending().await
    };
    (future, Waiting { begun, dropped })
}

struct Guard(Sender<Instant>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.send(Instant::now());
    }
}

struct Waiting {
    begun: Receiver<()>,
    dropped: Receiver<Instant>,
}

impl Waiting {
    fn killed_by(self, kill: impl FnOnce()) -> Result<Duration, String> {
        self.begun.recv_timeout(PATIENCE).map_err(|_| "a future did not begin".to_owned())?;
        // An idle worker should be asleep by now.
        std::thread::sleep(Duration::from_micros(100));
        let begin = Instant::now();
        kill();
        let end = self.dropped.recv_timeout(PATIENCE).map_err(|_| "a killed future was not dropped".to_owned())?;
        Ok(end.saturating_duration_since(begin))
    }
}

fn micros(times: &mut [Duration], rank: f64) -> f64 {
    times.sort();
    let place = (times.len() as f64 * rank) as usize;
    times.get(place.min(times.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}
