//! Clocks: how a list reads the time, and how ticks become ages and dates.
//!
//! A list reads one clock, in *ticks*, once per entry; ticks become nanoseconds and dates only for a reader, in a
//! [`Moment`]. The default clock is the processor's time stamp counter where it is invariant, and the system's
//! monotonic clock elsewhere. Events happen by the *steady* clock: the system's, which the counter is checked against.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::agenda::{Agenda, Event};
use super::counter::{CheckedCounter, Clocks, Rate, counter_is_invariant};
pub(crate) use super::counter::{LONG, system_nanos};
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
    /// The processor's time stamp counter where it is invariant (about 11 ns a read), else [`Clock::System`], as well
    /// as from the time on at which the counter no longer agrees with it ([`Counters::clock_given_up`]).
    ///
    /// [`Counters::clock_given_up`]: crate::Counters::clock_given_up
    #[default]
    Tsc,
    /// The system's monotonic clock (about 30 ns a read).
    System,
    /// A clock that stands still until it is moved: for tests.
    Manual(ManualClock),
    /// A counter and a system's clock that a test moves.
    #[cfg(test)]
    #[allow(private_interfaces, reason = "for the tests of this crate")]
    Test(Arc<CheckedCounter>),
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

/// The counter of all lists.
static MACHINE: CheckedCounter = CheckedCounter::new(Clocks::Machine);

enum Source {
    Tsc,
    System,
    Manual(ManualClock),
    #[cfg(test)]
    Test(Arc<CheckedCounter>),
}

impl Source {
    fn of(clock: &Clock) -> Self {
        match clock {
            Clock::Tsc if counter_is_invariant() => Self::Tsc,
            Clock::Tsc | Clock::System => Self::System,
            Clock::Manual(clock) => Self::Manual(clock.clone()),
            #[cfg(test)]
            Clock::Test(counter) => Self::Test(Arc::clone(counter)),
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
        let source = Source::of(clock);
        // Any other date is corrected by the first moment.
        let clock = Self { source, wall_at_zero: Mutex::new(MANUAL_EPOCH) };
        if let Some(counter) = clock.counter() {
            counter.begin();
        }
        clock
    }

    /// Reads the clock once.
    #[inline]
    pub(crate) fn ticks(&self) -> u64 {
        match &self.source {
            Source::Tsc => MACHINE.ticks(),
            Source::System => system_nanos(),
            Source::Manual(hand) => hand.now(),
            #[cfg(test)]
            Source::Test(counter) => counter.ticks(),
        }
    }

    /// Converts nanoseconds to ticks.
    pub(crate) fn ticks_in(&self, nanos: u64) -> u64 {
        self.check().1.ticks_in(nanos)
    }

    /// Returns the nanoseconds of the steady clock, by which events happen.
    pub(crate) fn steady_nanos(&self) -> u64 {
        self.manual().map_or_else(system_nanos, ManualClock::now)
    }

    /// Returns the counter that is read, if it is one.
    fn counter(&self) -> Option<&CheckedCounter> {
        match &self.source {
            Source::Tsc => Some(&MACHINE),
            #[cfg(test)]
            Source::Test(counter) => Some(counter),
            _ => None,
        }
    }

    /// Returns the ticks from one reading of the clock to a later one.
    pub(crate) fn ticks_between(&self, from: u64, to: u64) -> u64 {
        self.counter().map_or_else(|| to.saturating_sub(from), |counter| counter.between(from, to))
    }

    /// Returns `true` if the counter was given up since these ticks, so that their difference to later ones means
    /// nothing.
    pub(crate) fn is_given_up_since(&self, ticks: u64) -> bool {
        self.counter().is_some_and(|counter| counter.is_before(ticks))
    }

    /// Returns `true` if the counter was given up, and the system's clock is read instead.
    pub(crate) fn is_given_up(&self) -> bool {
        self.counter().is_some_and(CheckedCounter::is_given_up)
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
        matches!((&self.source, Source::of(clock)), (Source::Tsc, Source::Tsc) | (Source::System, Source::System))
    }

    /// Reads the clock and the rate of its ticks, and checks it against the system's.
    pub(crate) fn check(&self) -> (u64, Rate) {
        self.counter().map_or_else(|| (self.ticks(), Rate::NANOSECONDS), CheckedCounter::check)
    }

    /// Returns the current moment, with all that is needed to convert earlier ticks to ages and dates.
    pub(crate) fn moment(&self) -> Moment {
        let (ticks, rate) = self.check();
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
        self.rate.nanos_in(ticks)
    }

    /// Returns the time from one tick to a later one.
    pub(crate) fn between(&self, from: u64, to: u64) -> Duration {
        Duration::from_nanos(self.rate.nanos(to).saturating_sub(self.rate.nanos(from)))
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

fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{CancelPolicy, Options, ProcessList};

    /// A counter and a system's clock that a test moves. Three ticks are a nanosecond, as far as they agree.
    #[derive(Debug)]
    pub(crate) struct TestClocks {
        counter: AtomicU64,
        nanos: AtomicU64,
    }

    impl TestClocks {
        pub(crate) fn counter(&self) -> u64 {
            self.pass(3 * 20, 20);
            self.counter.load(Ordering::Relaxed)
        }

        pub(crate) fn nanos(&self) -> u64 {
            self.nanos.load(Ordering::Relaxed)
        }

        fn pass(&self, ticks: u64, nanos: u64) {
            self.counter.fetch_add(ticks, Ordering::Relaxed);
            self.nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    const SECOND: u64 = 1_000_000_000;

    /// A list whose clocks both show that much at its start.
    fn list_at(seconds: u64) -> (ProcessList, Arc<CheckedCounter>) {
        let [counter, nanos] = [3, 1].map(|rate| AtomicU64::new(rate * seconds * SECOND));
        let counter = Arc::new(CheckedCounter::new(Clocks::Test(TestClocks { counter, nanos })));
        (ProcessList::with_options(Options::new().clock(Clock::Test(Arc::clone(&counter)))), counter)
    }

    impl CheckedCounter {
        fn clocks(&self) -> &TestClocks {
            let Clocks::Test(clocks) = &self.clocks else { unreachable!("as it was made") };
            clocks
        }

        fn pass(&self, seconds: f64) {
            let nanos = (seconds * SECOND as f64) as u64;
            self.clocks().pass(3 * nanos, nanos);
        }

        fn step(&self, ticks: i64) {
            self.clocks().counter.fetch_add(ticks as u64, Ordering::Relaxed);
        }
    }

    #[track_caller]
    fn assert_ages(list: &ProcessList, expected: &[(&str, f64)]) {
        let snapshot = list.snapshot();
        for &(id, seconds) in expected {
            let age = snapshot.iter().find(|task| task.id().as_bytes() == id.as_bytes()).unwrap().age().as_secs_f64();
            let error = (age - seconds).abs();
            assert!(error < 0.003 + seconds / 300.0, "{id} is {age} s old, not {seconds} s");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn ages_stay_right_whatever_the_counter_does() {
        let hour = 3 * 3_600 * SECOND as i64;
        for uptime in [0, 7_200, 1 << 20] {
            // Far ahead and back, further than the program ran, to zero, by a little.
            let to_zero = -3 * (uptime as i64 + 9) * SECOND as i64;
            for step in [hour, -hour, 1_000 * hour, to_zero, hour / 3_600, -hour / 3_600, hour / 72_000] {
                for is_read_at_once in [true, false] {
                    let (list, clocks) = list_at(uptime);
                    let _old = list.start("old");
                    clocks.pass(5.0);
                    let before = list.start("before");
                    clocks.pass(4.0);
                    assert_ages(&list, &[("old", 9.0), ("before", 4.0)]);
                    clocks.step(step);
                    if is_read_at_once {
                        assert_ages(&list, &[("old", 9.0), ("before", 4.0)]);
                    }
                    clocks.pass(0.25);
                    let _after = list.start("after");
                    clocks.pass(1.0);
                    before.status("later").unwrap();
                    assert_ages(&list, &[("old", 10.25), ("before", 5.25)]);
                    // Back to a value that it had while the program ran: it could be that of an older task.
                    if is_read_at_once || step >= hour || uptime > 0 && step == to_zero {
                        assert_ages(&list, &[("after", 1.0)]);
                    }
                    clocks.pass(2.0);
                    let _last = list.start("last");
                    clocks.pass(3.0);
                    assert_ages(&list, &[("old", 15.25), ("before", 10.25), ("last", 3.0)]);
                    assert_eq!(list.counters().clock_given_up, 1, "{uptime} {step}");
                    drop(before);
                    let ended = list.ended();
                    let ended = ended.get(0).unwrap();
                    assert!((ended.age().as_secs_f64() - 10.25).abs() < 0.05, "{:?}", ended.age());
                    let longest = list.kinds()[0].latency.max().as_secs_f64();
                    assert!((longest - 10.25).abs() < 0.05, "{longest}");
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn a_counter_that_changes_its_rate_or_stops_is_given_up() {
        for ticks in [0, 1_000, 2_900, 3_100, 4_500, 30_000] {
            let (list, clocks) = list_at(1_000);
            let _old = list.start("old");
            for _ in 0..30 {
                clocks.pass(1.0);
                assert_ages(&list, &[]);
            }
            // Readers that look often see a little of it each time.
            for _ in 0..40 {
                clocks.clocks().pass(ticks * 50_000, 50_000_000);
                let _ = list.snapshot();
            }
            let _new = list.start("new");
            clocks.clocks().pass(ticks * 4_000_000, 4 * SECOND);
            assert_ages(&list, &[("old", 36.0), ("new", 4.0)]);
            assert_eq!(list.counters().clock_given_up, 1, "{ticks}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn a_counter_that_drifts_a_little_is_kept_and_ages_agree() {
        for (ticks, seconds) in [(2_999, 600), (3_001, 600), (3_002, 30), (3_000, 86_400)] {
            let (list, clocks) = list_at(0);
            let _old = list.start("old");
            clocks.pass(20.0);
            assert_ages(&list, &[("old", 20.0)]);
            for _ in 0..seconds {
                clocks.clocks().pass(ticks * 1_000_000, SECOND);
                if seconds < 1_000 {
                    assert_ages(&list, &[]);
                }
            }
            let _new = list.start("new");
            clocks.clocks().pass(ticks * 8_000_000, 8 * SECOND);
            assert_ages(&list, &[("old", 28.0 + seconds as f64), ("new", 8.0)]);
            assert_eq!(list.counters().clock_given_up, 0, "{ticks}");
        }
    }

    #[test]
    fn a_task_that_runs_over_a_step_counts_with_its_true_duration() {
        let (list, clocks) = list_at(100);
        let task = list.task("a").kind("job").start();
        task.status("reading").unwrap();
        clocks.pass(2.0);
        clocks.step(3 * 3_600 * SECOND as i64);
        // No reader looked: the end of the task notices it.
        drop(task);
        let kinds = list.kinds();
        assert!(kinds[0].latency.max() < Duration::from_millis(2_010), "{:?}", kinds[0].latency.max());
        let time: Duration = kinds[0].statuses.iter().map(|status| status.time).sum();
        assert!(time < Duration::from_millis(2_010), "{time:?}");
    }

    #[test]
    fn ended_tasks_are_retained_over_a_step() {
        let (list, clocks) = list_at(100);
        (0..100).for_each(|_| drop(list.unnamed().start()));
        clocks.step(3 * 3_600 * SECOND as i64);
        (0..100).for_each(|_| drop(list.unnamed().start()));
        assert_eq!(list.ended().len(), 200);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn a_grace_ends_whatever_the_counter_does() {
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        for (step, ticks) in [(0, 2_999), (0, 3_001), (0, 0), (-3 * 50 * SECOND as i64, 3_000), (1 << 50, 3_000)] {
            let (list, clocks) = list_at(100);
            let mut future = std::pin::pin!(
                list.task("a")
                    .on_cancel(CancelPolicy::AskThenDrop(Duration::from_millis(20)))
                    .run(std::future::pending::<()>())
            );
            let mut poll = || std::future::Future::poll(future.as_mut(), &mut context).is_ready();
            assert!(!poll());
            clocks.pass(20.0);
            let _ = list.snapshot();
            let asked = Instant::now();
            list.cancel("a", "too slow").unwrap();
            if poll() {
                // On a machine that is busy with other things.
                assert!(asked.elapsed() >= Duration::from_millis(20), "its grace has just begun");
                continue;
            }
            clocks.step(step);
            clocks.clocks().pass(ticks * 20, 20_000_000);
            // The steady clock is the system's: the thread of events waits for it, too.
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(21) {
                std::hint::spin_loop();
            }
            assert!(poll(), "{step} {ticks}");
        }
    }

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
