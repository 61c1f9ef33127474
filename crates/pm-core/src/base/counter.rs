//! The processor's time stamp counter, checked against the system's monotonic clock.
//!
//! **Ages are those of the system's clock, to one part in 500 and a millisecond, whatever the counter does.** It is a
//! third faster to read, and may stop, jump or change its rate when a machine sleeps or a virtual one moves to another
//! host. Each reader of a list, and the end of each task that ran for about a second, compares the two. While they
//! agree the rate of the counter is adapted. Once they do not, the counter is given up for good, as Linux itself does:
//! further ticks are made of the system's clock, in the unit of the counter, so that durations in ticks keep their
//! meaning. Ticks of earlier entries are converted by the rate of their time. Those that were read between the step and
//! the check are known by their value, unless the counter went back to a value that it had while the program ran.
//!
//! Contains `unsafe`: reading the time stamp counter is an unsafe intrinsic.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::time::Instant;

use super::sync::PlainMutex;

/// A counter, and the system's monotonic clock beside it.
#[derive(Debug)]
pub(crate) enum Clocks {
    Machine,
    #[cfg(test)]
    Test(super::clock::tests::TestClocks),
}

/// Ticks and nanoseconds of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    ticks: u64,
    nanos: u64,
    /// How many ticks there were around the read of the other clock.
    gap: u64,
}

/// The least ticks of a task whose duration is checked when it ends: about a second.
pub(crate) const LONG: u64 = 1 << 31;

/// How far ticks may drift from the system's clock before their rate is adapted. Until then the same ticks give the
/// same date to every reader.
const MAX_ERROR: u64 = 2_000;

/// How far the two may differ before the counter is given up: nanoseconds, and one part in this of the time since they
/// agreed. The system's clock may itself run faster or slower by one part in 2,000 while it is adjusted.
const TOLERANCE: u64 = 1_000_000;
const TOLERANCE_PART: u64 = 500;

/// The time over which a drift is looked for: within shorter ones it would be below the tolerance.
const SPAN: u64 = 1_000_000_000;

/// For how long the first rate is measured.
const FIRST_SPAN: u64 = 50_000;

/// The system's clock may count in steps of about so many ticks.
const GRAIN: u64 = 256;

const SCALE_BITS: u32 = 48;

/// Converts ticks to nanoseconds of the system's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    zero_ticks: u64,
    zero_nanos: u64,
    /// Nanoseconds a tick, times 2^48: exact to less than a microsecond in a year.
    scale: u64,
    /// Leaked, at most once for a counter: a rate is copied for each task that is read.
    given_up: Option<&'static GivenUp>,
}

/// Where a counter left the system's clock.
#[derive(Clone, Copy, Debug)]
struct GivenUp {
    /// The last reading at which they agreed.
    agreed: Reading,
    /// The first at which they did not.
    noticed: Reading,
    /// Ticks from this on are made of the system's clock.
    from: u64,
}

impl Rate {
    pub(super) const NANOSECONDS: Self = Self { zero_ticks: 0, zero_nanos: 0, scale: 1 << SCALE_BITS, given_up: None };

    /// Converts a number of ticks.
    #[inline]
    pub(super) fn nanos_in(self, ticks: u64) -> u64 {
        u64::try_from((u128::from(ticks) * u128::from(self.scale)) >> SCALE_BITS).unwrap_or(u64::MAX)
    }

    pub(super) fn ticks_in(self, nanos: u64) -> u64 {
        let ticks = (u128::from(nanos) << SCALE_BITS) / u128::from(self.scale.max(1));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Converts a reading of the counter to the time of the system's clock.
    #[inline]
    pub(super) fn nanos(self, ticks: u64) -> u64 {
        match self.given_up {
            None => self.zero_nanos.saturating_add(self.nanos_in(ticks.saturating_sub(self.zero_ticks))),
            Some(given_up) => self.nanos_around(given_up, ticks),
        }
    }

    #[cold]
    fn nanos_around(self, given_up: &GivenUp, ticks: u64) -> u64 {
        let GivenUp { agreed, noticed, from } = *given_up;
        if ticks >= from {
            return noticed.nanos.saturating_add(self.nanos_in(ticks - from));
        }
        let between = self.ticks_in(noticed.nanos.saturating_sub(agreed.nanos));
        let ahead = noticed.ticks.checked_sub(agreed.ticks);
        // Read after the step.
        let by_the_new = || {
            let nanos = noticed.nanos.saturating_sub(self.nanos_in(noticed.ticks.saturating_sub(ticks)));
            nanos.clamp(agreed.nanos, noticed.nanos)
        };
        if ticks < self.zero_ticks {
            return by_the_new();
        }
        match ticks.checked_sub(agreed.ticks) {
            None | Some(0) => agreed.nanos.saturating_sub(self.nanos_in(agreed.ticks - ticks)).max(self.zero_nanos),
            // It went faster, or made a small step: evenly, as far as is known.
            Some(after) if ahead.is_some_and(|ahead| ahead > 0 && ahead / 2 <= between) => {
                let (ahead, nanos) = (ahead.unwrap_or(1), noticed.nanos.saturating_sub(agreed.nanos));
                let part = u128::from(nanos) * u128::from(after.min(ahead)) / u128::from(ahead);
                agreed.nanos.saturating_add(u64::try_from(part).unwrap_or(nanos))
            }
            Some(after) if after <= between => agreed.nanos.saturating_add(self.nanos_in(after)).min(noticed.nanos),
            Some(_) => by_the_new(),
        }
    }

    /// Returns `true` if the counter was given up, and these ticks were read before.
    fn is_before(self, ticks: u64) -> bool {
        self.given_up.is_some_and(|given_up| ticks < given_up.from)
    }
}

/// The rate of a counter as it is known so far.
#[derive(Debug)]
struct Known {
    rate: Rate,
    /// The gap of the first reading.
    zero_gap: u64,
    /// How far the rate may be wrong: parts in 2^30.
    doubt: u64,
    /// A reading at which the clocks agreed: about a second ago, unless there was none since.
    checked: Reading,
    /// The last reading at which they agreed.
    agreed: Reading,
}

/// A counter that is read as long as it agrees with the system's clock.
#[derive(Debug)]
pub(crate) struct CheckedCounter {
    pub(super) clocks: Clocks,
    known: PlainMutex<Option<Known>>,
    /// The rate, once the counter was given up.
    given_up: OnceLock<Rate>,
}

impl CheckedCounter {
    pub(super) const fn new(clocks: Clocks) -> Self {
        Self { clocks, known: PlainMutex::new(None), given_up: OnceLock::new() }
    }

    /// Reads the counter.
    #[inline]
    pub(super) fn ticks(&self) -> u64 {
        match self.given_up.get() {
            None => self.clocks.counter(),
            Some(rate) => self.made_ticks(*rate, self.clocks.nanos()),
        }
    }

    /// Makes ticks of the system's clock.
    #[cold]
    fn made_ticks(&self, rate: Rate, nanos: u64) -> u64 {
        let Some(given_up) = rate.given_up else { return 0 };
        given_up.from.saturating_add(rate.ticks_in(nanos.saturating_sub(given_up.noticed.nanos)))
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.get().is_some()
    }

    /// Measures the first rate, unless there is one: takes about 50 us.
    pub(super) fn begin(&self) {
        let mut known = self.known.lock();
        if known.is_some() {
            return;
        }
        let zero = self.read();
        let mut last = zero;
        // A clock that stands still is measured later.
        for _ in 0..FIRST_SPAN {
            if last.nanos.saturating_sub(zero.nanos) >= FIRST_SPAN {
                break;
            }
            last = self.read();
        }
        let rate = Rate { zero_ticks: zero.ticks, zero_nanos: zero.nanos, ..Rate::NANOSECONDS };
        let known =
            known.insert(Known { rate, zero_gap: zero.gap, doubt: u64::MAX >> 20, checked: zero, agreed: zero });
        known.adapt(last);
        known.checked = last;
    }

    /// Reads both clocks. The read in the middle belongs to both, and the less lies around it, the better.
    fn read(&self) -> Reading {
        let read = |_| {
            let (before, nanos, after) = (self.clocks.counter(), self.clocks.nanos(), self.clocks.counter());
            Reading { ticks: before.midpoint(after), nanos, gap: after.abs_diff(before) }
        };
        let readings: [Reading; 3] = std::array::from_fn(read);
        readings.into_iter().min_by_key(|reading| reading.gap).unwrap_or_default()
    }

    /// Reads the counter and its rate, and checks them against the system's clock.
    pub(super) fn check(&self) -> (u64, Rate) {
        if let Some(&rate) = self.given_up.get() {
            return (self.made_ticks(rate, self.clocks.nanos()), rate);
        }
        let now = self.read();
        let mut known = self.known.lock();
        let Some(known) = known.as_mut() else { return (now.ticks, Rate::NANOSECONDS) };
        if let Some(&rate) = self.given_up.get() {
            return (self.made_ticks(rate, now.nanos), rate);
        }
        if known.agrees(now) {
            known.adapt(now);
            return (now.ticks, known.rate);
        }
        let between = known.rate.ticks_in(now.nanos.saturating_sub(known.agreed.nanos));
        let from = now.ticks.max(known.agreed.ticks.saturating_add(between)).saturating_add(LONG);
        let rate = *self.given_up.get_or_init(|| {
            let given_up = Box::leak(Box::new(GivenUp { agreed: known.agreed, noticed: now, from }));
            Rate { given_up: Some(given_up), ..known.rate }
        });
        (self.made_ticks(rate, now.nanos), rate)
    }

    /// Returns the ticks from one reading to a later one.
    pub(super) fn between(&self, from: u64, to: u64) -> u64 {
        match self.given_up.get() {
            Some(rate) if rate.is_before(from) => rate.ticks_in(rate.nanos(to).saturating_sub(rate.nanos(from))),
            _ => to.saturating_sub(from),
        }
    }

    pub(super) fn is_before(&self, ticks: u64) -> bool {
        self.given_up.get().is_some_and(|rate| rate.is_before(ticks))
    }
}

impl Known {
    fn agrees(&self, now: Reading) -> bool {
        let (rate, then) = (self.rate, self.checked);
        let ahead = |ticks: u64| i128::from(rate.nanos_in(ticks));
        let expected = i128::from(then.nanos)
            + if now.ticks >= then.ticks { ahead(now.ticks - then.ticks) } else { -ahead(then.ticks - now.ticks) };
        let error = u64::try_from((expected - i128::from(now.nanos)).unsigned_abs()).unwrap_or(u64::MAX);
        let since = now.nanos.abs_diff(then.nanos);
        let doubt = u64::try_from((u128::from(since) * u128::from(self.doubt)) >> 30).unwrap_or(u64::MAX);
        error <= (TOLERANCE + since / TOLERANCE_PART).saturating_add(rate.nanos_in(now.gap)).saturating_add(doubt)
    }

    /// Takes the rate over the whole time since the start, if it is wrong: ages lie within that span, so they are off
    /// by no more than the readings were.
    fn adapt(&mut self, now: Reading) {
        let elapsed = now.ticks.saturating_sub(self.rate.zero_ticks);
        let span = now.nanos.saturating_sub(self.rate.zero_nanos);
        let error = self.rate.nanos(now.ticks).abs_diff(now.nanos);
        if error > MAX_ERROR && error > self.rate.nanos_in(now.gap) && elapsed > 0 && span > 0 {
            let scale = (u128::from(span) << SCALE_BITS) / u128::from(elapsed);
            self.rate.scale = u64::try_from(scale).unwrap_or(1 << SCALE_BITS);
            let gaps = u128::from(now.gap + self.zero_gap + GRAIN) << 30;
            self.doubt = u64::try_from(gaps / u128::from(elapsed)).unwrap_or(u64::MAX >> 20);
        }
        if now.nanos > self.agreed.nanos {
            self.agreed = now;
        }
        if now.nanos.saturating_sub(self.checked.nanos) >= SPAN {
            self.checked = now;
        }
    }
}

impl Clocks {
    #[inline]
    fn counter(&self) -> u64 {
        match self {
            Self::Machine => machine_counter(),
            #[cfg(test)]
            Self::Test(clocks) => clocks.counter(),
        }
    }

    fn nanos(&self) -> u64 {
        match self {
            Self::Machine => system_nanos(),
            #[cfg(test)]
            Self::Test(clocks) => clocks.nanos(),
        }
    }
}

/// Returns the nanoseconds since the process first had a list, by the system's monotonic clock.
pub(crate) fn system_nanos() -> u64 {
    u64::try_from(base().elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

#[inline]
fn machine_counter() -> u64 {
    #[cfg(target_arch = "x86_64")]
    if !cfg!(miri) {
        // SAFETY: every x86-64 processor has this instruction, and Linux, macOS and Windows allow programs to use it.
        return unsafe { core::arch::x86_64::_rdtsc() };
    }
    0
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn counter_is_invariant() -> bool {
    false
}

/// Returns `true` if the counter runs at one rate in all states and on all cores, as far as the system knows.
#[cfg(target_arch = "x86_64")]
pub(super) fn counter_is_invariant() -> bool {
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
