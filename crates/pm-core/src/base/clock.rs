//! Clocks: how a list reads the time, and how ticks become ages and dates.
//!
//! A list reads one clock, in *ticks*, once per entry; ticks become nanoseconds and dates only for a reader, in a
//! [`Moment`]. The default clock is the processor's time stamp counter where it is invariant, and the system's
//! monotonic clock elsewhere.
//!
//! Contains `unsafe`: reading the time stamp counter is an unsafe intrinsic.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::agenda::{Agenda, Event};
use super::sync::{Mutex, PlainMutex};
use super::timestamp::Timestamp;

/// A clock for a list to read.
///
/// ```
/// use pm_core::{Clock, Options, ProcessList};
/// use std::time::Duration;
///
/// let (clock, hand) = Clock::manual();
/// let list = ProcessList::with_options(Options::new().clock(clock));
/// let _task = list.start("import-42");
/// hand.advance(Duration::from_secs(3));
/// assert_eq!(list.snapshot().get(0).unwrap().age(), Duration::from_secs(3));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Clock {
    /// The processor's time stamp counter where it is invariant (about 11 ns a read), else [`Clock::System`].
    #[default]
    Tsc,
    /// The system's monotonic clock (about 30 ns a read).
    System,
    /// A clock that stands still until it is moved: for tests.
    Manual(ManualClock),
}

impl Clock {
    /// Makes a clock for tests, and the handle that moves it.
    #[must_use]
    pub fn manual() -> (Self, ManualClock) {
        let hand = ManualClock::default();
        (Self::Manual(hand.clone()), hand)
    }
}

/// The handle that moves a [`Clock::manual`]. Clones move the same clock.
#[derive(Clone, Default)]
pub struct ManualClock {
    hand: Arc<Hand>,
}

#[derive(Default)]
struct Hand {
    nanos: AtomicU64,
    agenda: PlainMutex<Agenda<Box<dyn Event>>>,
}

impl ManualClock {
    /// Moves the clock forward. Events that are due by then, such as deadlines and the end of graces, happen before
    /// this returns.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX / 2);
        let now = self.hand.nanos.fetch_add(nanos, Ordering::Relaxed).saturating_add(nanos);
        loop {
            let event = self.hand.agenda.lock().due(now);
            let Some(event) = event else { return };
            event.happen();
        }
    }

    /// Lets an event happen once the clock has been moved by so many nanoseconds.
    pub(crate) fn schedule(&self, after: u64, event: Box<dyn Event>) {
        self.hand.agenda.lock().add(self.now().saturating_add(after), event);
    }

    fn now(&self) -> u64 {
        self.hand.nanos.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManualClock").field("nanos", &self.now()).finish_non_exhaustive()
    }
}

/// The time of a manual clock before it is first moved: 2026-01-01T00:00:00Z.
const MANUAL_EPOCH: u64 = 1_767_225_600_000_000_000;

/// How far the anchor may be from the system's wall clock before it is set again.
const MAX_DRIFT: u64 = 100_000_000;

enum Source {
    #[cfg(target_arch = "x86_64")]
    Tsc,
    System,
    Manual(ManualClock),
}

impl Source {
    fn of(clock: &Clock) -> Self {
        match clock {
            #[cfg(target_arch = "x86_64")]
            Clock::Tsc if counter_is_invariant() => Self::Tsc,
            Clock::Tsc | Clock::System => Self::System,
            Clock::Manual(clock) => Self::Manual(clock.clone()),
        }
    }
}

/// Reads the clock of one list, and anchors it to dates.
pub(crate) struct ClockReader {
    source: Source,
    /// Wall-clock nanoseconds at monotonic zero. Locked for a copy only.
    wall_at_zero: Mutex<u64>,
}

impl ClockReader {
    pub(crate) fn new(clock: &Clock) -> Self {
        base();
        // Any other start is corrected by the first moment.
        Self { source: Source::of(clock), wall_at_zero: Mutex::new(MANUAL_EPOCH) }
    }

    /// Reads the clock once.
    #[inline]
    pub(crate) fn ticks(&self) -> u64 {
        match &self.source {
            #[cfg(target_arch = "x86_64")]
            Source::Tsc => counter(),
            Source::System => system_nanos(),
            Source::Manual(hand) => hand.now(),
        }
    }

    /// Converts nanoseconds to ticks.
    pub(crate) fn ticks_in(&self, nanos: u64) -> u64 {
        let (_, rate) = self.rate();
        let ticks = (u128::from(nanos) << SCALE_BITS) / u128::from(rate.scale.max(1));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Returns the clock if it is a manual one.
    pub(crate) fn manual(&self) -> Option<&ManualClock> {
        match &self.source {
            Source::Manual(clock) => Some(clock),
            _ => None,
        }
    }

    /// Returns `true` if another reader of that clock would read the same; never for a manual clock, each of which is
    /// separate.
    pub(crate) fn reads_as(&self, clock: &Clock) -> bool {
        match (&self.source, Source::of(clock)) {
            #[cfg(target_arch = "x86_64")]
            (Source::Tsc, Source::Tsc) => true,
            (Source::System, Source::System) => true,
            _ => false,
        }
    }

    /// Reads the clock, and the rate of its ticks.
    fn rate(&self) -> (u64, Rate) {
        match &self.source {
            #[cfg(target_arch = "x86_64")]
            Source::Tsc => Rate::of_the_counter(),
            _ => (self.ticks(), Rate::NANOSECONDS),
        }
    }

    /// Returns the current moment, with all that is needed to convert earlier ticks to ages and dates.
    pub(crate) fn moment(&self) -> Moment {
        let (ticks, rate) = self.rate();
        let mut wall_at_zero = self.wall_at_zero.lock();
        if !matches!(self.source, Source::Manual(_)) {
            let (nanos, wall) = (rate.nanos(ticks), unix_now());
            if wall_at_zero.saturating_add(nanos).abs_diff(wall) > MAX_DRIFT {
                *wall_at_zero = wall.saturating_sub(nanos);
            }
        }
        Moment { ticks, rate, wall_at_zero: *wall_at_zero }
    }
}

/// The rate that converts ticks to nanoseconds since the process first had a list.
#[derive(Clone, Copy, Debug)]
struct Rate {
    zero: u64,
    /// Nanoseconds a tick, times 2^48: exact to less than a microsecond in a year.
    scale: u64,
}

const SCALE_BITS: u32 = 48;

/// How far ticks may drift from the system's monotonic clock before their rate is computed again. Until then the same
/// ticks give the same date to every reader.
#[cfg(target_arch = "x86_64")]
const MAX_ERROR: u64 = 2_000;

impl Rate {
    const NANOSECONDS: Self = Self { zero: 0, scale: 1 << SCALE_BITS };

    #[inline]
    fn nanos(self, ticks: u64) -> u64 {
        let since = u128::from(ticks.saturating_sub(self.zero));
        u64::try_from((since * u128::from(self.scale)) >> SCALE_BITS).unwrap_or(u64::MAX)
    }

    /// Reads the counter, and its rate over the time since the process first had a list: ages lie within that span, so
    /// even right after the start they are off by no more than the two reads were.
    #[cfg(target_arch = "x86_64")]
    fn of_the_counter() -> (u64, Self) {
        static SCALE: AtomicU64 = AtomicU64::new(0);
        let zero = base().ticks;
        // The read in the middle belongs to both, and the less lies around it, the better.
        let (_, ticks, nanos) = std::array::from_fn::<_, 3, _>(|_| {
            let (before, nanos, after) = (counter(), system_nanos(), counter());
            (after.saturating_sub(before), before.midpoint(after), nanos)
        })
        .into_iter()
        .min()
        .unwrap_or_default();
        let rate = Self { zero, scale: SCALE.load(Ordering::Relaxed) };
        if rate.nanos(ticks).abs_diff(nanos) <= MAX_ERROR {
            return (ticks, rate);
        }
        let elapsed = u128::from(ticks.saturating_sub(zero).max(1));
        let scale = u64::try_from((u128::from(nanos) << SCALE_BITS) / elapsed).unwrap_or(1 << SCALE_BITS);
        SCALE.store(scale, Ordering::Relaxed);
        (ticks, Self { zero, scale })
    }
}

/// One reading of a list's clock, which ages and dates of a snapshot are relative to.
///
/// All times of one snapshot or history are converted by one moment, so a step of the system's clock can't make an age
/// negative or put entries out of order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    ticks: u64,
    rate: Rate,
    wall_at_zero: u64,
}

impl Moment {
    /// For readers that use no times: reading the clocks costs more than all else.
    pub(crate) const NONE: Self = Self { ticks: 0, rate: Rate::NANOSECONDS, wall_at_zero: 0 };

    pub(crate) fn timestamp(&self) -> Timestamp {
        self.timestamp_of(self.ticks)
    }

    pub(crate) fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Converts a number of ticks to nanoseconds.
    pub(crate) fn nanos_in(&self, ticks: u64) -> u64 {
        Rate { zero: 0, ..self.rate }.nanos(ticks)
    }

    /// Returns the time from one tick to a later one.
    pub(crate) fn between(&self, from: u64, to: u64) -> Duration {
        Duration::from_nanos(self.nanos_in(to.saturating_sub(from)))
    }

    /// Returns the nanoseconds from `ticks` to this moment; 0 for later ticks.
    #[inline]
    pub(crate) fn age_nanos(&self, ticks: u64) -> u64 {
        self.rate.nanos(self.ticks).saturating_sub(self.rate.nanos(ticks))
    }

    /// The date of `ticks`; no later than this moment.
    #[inline]
    pub(crate) fn timestamp_of(&self, ticks: u64) -> Timestamp {
        Timestamp::from_unix_nanos(self.wall_at_zero.saturating_add(self.rate.nanos(ticks.min(self.ticks))))
    }
}

struct Base {
    #[cfg(target_arch = "x86_64")]
    ticks: u64,
    instant: Instant,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| Base {
        #[cfg(target_arch = "x86_64")]
        ticks: counter(),
        instant: Instant::now(),
    })
}

pub(crate) fn system_nanos() -> u64 {
    u64::try_from(base().instant.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    if cfg!(miri) {
        return 0;
    }
    // SAFETY: every x86-64 processor has this instruction, and Linux, macOS and Windows allow programs to use it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Returns `true` if the counter runs at one rate in all states and on all cores, as far as the system knows.
#[cfg(target_arch = "x86_64")]
fn counter_is_invariant() -> bool {
    static INVARIANT: OnceLock<bool> = OnceLock::new();
    *INVARIANT.get_or_init(|| {
        if cfg!(miri) {
            return false;
        }
        #[allow(unused_unsafe, reason = "safe in newer compilers")]
        // SAFETY: every x86-64 processor has `cpuid`; leaf 0x8000_0000 returns the highest leaf that exists.
        let invariant = unsafe {
            use core::arch::x86_64::__cpuid;
            __cpuid(0x8000_0000).eax >= 0x8000_0007 && __cpuid(0x8000_0007).edx & (1 << 8) != 0
        };
        invariant && kernel_trusts_the_counter()
    })
}

/// Returns `false` if Linux found the counter unstable, and so uses another clock source.
#[cfg(target_arch = "x86_64")]
fn kernel_trusts_the_counter() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    match std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        Ok(name) => matches!(name.trim(), "tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page"),
        Err(_) => false,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_moment_turns_ticks_into_ages_that_grow_and_never_go_negative() {
        for clock in [Clock::Tsc, Clock::System] {
            let clock_reader = ClockReader::new(&clock);
            let first = clock_reader.ticks();
            let second = clock_reader.ticks();
            let moment = clock_reader.moment();
            assert!(second >= first);
            assert!(moment.age_nanos(first) >= moment.age_nanos(second));
            assert_eq!(moment.age_nanos(u64::MAX), 0);
            assert!(moment.timestamp_of(first) <= moment.timestamp());
        }
    }

    #[test]
    fn the_counter_agrees_with_the_system_clock() {
        let clock_reader = ClockReader::new(&Clock::Tsc);
        let start = Instant::now();
        let ticks = clock_reader.ticks();
        while start.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let moment = clock_reader.moment();
        let real = u64::try_from(start.elapsed().as_nanos()).unwrap();
        let age = moment.age_nanos(ticks);
        assert!(age > real / 2 && age < real * 2, "{age} against {real}");
    }
}
