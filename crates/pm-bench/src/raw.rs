//! The clock of a list, read by other means, and the memory of this process.

use std::time::{Duration, Instant};

/// The processor's counter where there is one, as `pm_core::Clock::Tsc` reads it.
#[derive(Clone, Debug, Default)]
pub struct Clock(quanta::Clock);

impl Clock {
    /// Reads it once.
    #[inline]
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.0.raw()
    }

    /// Nanoseconds per tick, measured.
    #[must_use]
    pub fn nanos_per_tick(&self) -> f64 {
        let (instant, before) = (Instant::now(), self.ticks());
        std::thread::sleep(Duration::from_millis(50));
        let (elapsed, after) = (instant.elapsed(), self.ticks());
        elapsed.as_nanos() as f64 / (after - before) as f64
    }
}

/// Bytes of this process that are in memory now, and the most there ever were since [`forget_peak`]. `None` where the
/// system does not report them (Linux does).
#[must_use]
pub fn resident() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

/// From now on, the peak counts anew.
pub fn forget_peak() {
    // Where it can't be, the peak is that of the whole life of the process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Processor time that this process has taken, in seconds. `None` where the system does not report it.
#[must_use]
pub fn processor_seconds() -> Option<f64> {
    processor_seconds_of("self")
}

/// Returns the processor time of another process, by its number.
#[must_use]
pub fn processor_seconds_of(process: &str) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program may hold blanks; it ends with the last parenthesis.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    // A hundredth of a second, on all that runs Linux today.
    Some(ticks as f64 / 100.0)
}
