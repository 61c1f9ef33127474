//! Medians of many batches; what is to be compared takes turns, so that a noisy neighbour meets all alike.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a batch should last: much longer than reading the clock, much shorter than a scheduler's time slice.
const BATCH: Duration = Duration::from_micros(100);

/// How much time to spend.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) quick: bool,
}

impl Effort {
    /// `quick` or `full`, by what was asked for.
    pub(crate) fn pick<T>(self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    fn per_case(self) -> Duration {
        self.pick(Duration::from_millis(60), Duration::from_millis(500))
    }
}

/// Nanoseconds per operation of each case: medians. A case does as many operations as its argument says.
pub(crate) fn compare(effort: Effort, cases: &mut [&mut dyn FnMut(u64)]) -> Vec<f64> {
    let count = u32::try_from(cases.len()).unwrap_or(1);
    let sizes: Vec<u64> = cases.iter_mut().map(|case| calibrate(case)).collect();
    let mut batches = vec![Vec::new(); cases.len()];
    let begin = Instant::now();
    while begin.elapsed() < effort.per_case() * count || batches[0].len() < 5 {
        for ((case, &size), batches) in cases.iter_mut().zip(&sizes).zip(&mut batches) {
            let start = Instant::now();
            case(size);
            batches.push(start.elapsed().as_nanos() as f64 / size as f64);
        }
    }
    batches.iter_mut().map(|batches| median(batches)).collect()
}

fn calibrate(case: &mut dyn FnMut(u64)) -> u64 {
    // What is only done once is done.
    case(1);
    let mut size = 1;
    loop {
        let start = Instant::now();
        case(size);
        if start.elapsed() >= BATCH {
            return size;
        }
        size *= 2;
    }
}

/// The middle one.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn best(rounds: &[f64]) -> f64 {
    rounds.iter().copied().fold(f64::NAN, f64::min)
}

/// The best quarter ends here. Other users of the machine only ever make a round worse, and some rounds are spared.
pub(crate) fn spared(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 4).copied().unwrap_or(f64::NAN)
}

/// Nanoseconds per operation, all threads together, with one and with two threads: the best rounds of many, by turns.
/// With two threads a neighbour on either processor spoils a round, so the median would measure the neighbours.
pub(crate) fn one_and_two(effort: Effort, work: &[&(dyn Fn(u64) + Sync)]) -> Vec<(f64, f64)> {
    let mut rounds = vec![(Vec::new(), Vec::new()); work.len()];
    for _ in 0..effort.pick(7, 50) {
        for (work, rounds) in work.iter().zip(&mut rounds) {
            rounds.0.push(throughput(1, *work));
            rounds.1.push(throughput(2, *work));
        }
    }
    rounds.iter().map(|(one, two)| (best(one), best(two))).collect()
}

/// Each thread takes its own time: with as many threads as processors, who starts them is late to look at a clock.
fn throughput(threads: usize, work: &(dyn Fn(u64) + Sync)) -> f64 {
    const CHUNK: u64 = 256;
    let (stop, ready) = (AtomicBool::new(false), Barrier::new(threads + 1));
    let rate = || {
        work(CHUNK);
        ready.wait();
        let (begin, mut count) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            work(CHUNK);
            count += CHUNK;
        }
        count as f64 / begin.elapsed().as_nanos() as f64
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(rate)).collect();
        ready.wait();
        std::thread::sleep(Duration::from_millis(12));
        stop.store(true, Ordering::Relaxed);
        1.0 / workers.into_iter().map(|worker| worker.join().unwrap_or(f64::NAN)).sum::<f64>()
    })
}
