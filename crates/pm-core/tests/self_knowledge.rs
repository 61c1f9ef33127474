//! The counters of a list add up: what it shows plus what it reports as dropped is everything recorded, to the last
//! entry.
//!
//! A case is a few random operations on a list with small limits, starting where the previous case ended, and then the
//! sums.
//! `cargo test --release` runs a million cases, a debug build a fiftieth of that; `PM_CASES` sets another number,
//! `PM_SEED` the seed.
#![cfg(not(any(loom, miri)))]

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use pm_core::{Clock, ManualClock, Options, ProcessList, Subscription, Task, TaskHandle};

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A generator of random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// The options of a list, and the most tasks that live in it.
#[derive(Clone, Copy, Debug)]
struct Setting {
    attrs: usize,
    first: usize,
    newest: usize,
    ended: usize,
    ended_bytes: usize,
    kinds: usize,
    statuses: usize,
    live: usize,
}

const SETTINGS: [Setting; 6] = [
    Setting { attrs: 4, first: 2, newest: 3, ended: 100, ended_bytes: 1 << 20, kinds: 3, statuses: 2, live: 40 },
    Setting { attrs: 128, first: 16, newest: 112, ended: 0, ended_bytes: 1 << 20, kinds: 8, statuses: 32, live: 5 },
    Setting { attrs: 1, first: 1, newest: 1, ended: 1, ended_bytes: 1 << 20, kinds: 0, statuses: 0, live: 300 },
    Setting { attrs: 16, first: 4, newest: 40, ended: 1000, ended_bytes: 40_000, kinds: 1, statuses: 1, live: 20 },
    // More tasks than memory: entries, attributes and whole tasks find no space.
    Setting { attrs: 128, first: 60, newest: 60, ended: 50, ended_bytes: 1 << 20, kinds: 4, statuses: 4, live: 9_000 },
    Setting { attrs: 128, first: 9, newest: 9, ended: 0, ended_bytes: 0, kinds: 4, statuses: 4, live: 9_000 },
];
const MAX_BYTES: usize = 2 << 20;
const MAX_STATUS: usize = 40;

const KINDS: [Option<&str>; 7] = [None, Some("a"), Some("b"), Some("c"), Some("d"), Some("e"), Some("f")];
const STATUSES: [&str; 5] =
    ["reading", "writing", "block 17", "block 4711", "sending everything to a mirror: 40 bytes"];
const TOO_LONG: &str = "sending everything to the mirror that is so far away";
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A live task, and what was recorded for it.
struct Live {
    task: Task,
    kind: usize,
    shown: bool,
    asked: bool,
    attrs: BTreeMap<&'static str, u64>,
}

/// The totals of the operations on a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Done {
    shown: u64,
    not_shown: u64,
    finished: u64,
    failed: u64,
    cancelled: u64,
    aborted: u64,
    dropped: u64,
    /// Entries of shown tasks, including their starts.
    entries: u64,
    attrs_refused: u64,
    too_long: u64,
    asked: u64,
    late: u64,
    most_live: u64,
}

struct Program {
    setting: Setting,
    list: ProcessList,
    hand: ManualClock,
    live: Vec<Live>,
    gone: Option<TaskHandle>,
    done: Done,
    /// Entries of the tasks when they ended, as a hook saw them, including dropped ones.
    entries_at_end: Arc<AtomicU64>,
    ended_of_kind: [u64; KINDS.len()],
    started_of_kind: [u64; KINDS.len()],
    _hook: Subscription,
}

impl Program {
    fn new(setting: Setting) -> Self {
        let (clock, hand) = Clock::manual();
        let list = ProcessList::with_options(
            Options::new()
                .clock(clock)
                .max_bytes(MAX_BYTES)
                .max_status(MAX_STATUS)
                .max_attrs(setting.attrs)
                .history(setting.first, setting.newest)
                .keep_ended(setting.ended)
                .keep_ended_bytes(setting.ended_bytes)
                .max_kinds(setting.kinds)
                .max_statuses(setting.statuses),
        );
        let entries_at_end = Arc::new(AtomicU64::new(0));
        let sum = Arc::clone(&entries_at_end);
        let hook = list.on_end(move |task| {
            sum.fetch_add(task.history_len(), Ordering::Relaxed);
        });
        Self {
            setting,
            list,
            hand,
            live: Vec::new(),
            gone: None,
            done: Done::default(),
            entries_at_end,
            ended_of_kind: Default::default(),
            started_of_kind: Default::default(),
            _hook: hook,
        }
    }

    fn count_start(&mut self, kind: usize, shown: bool) {
        if shown {
            self.done.shown += 1;
            self.done.entries += 1;
            self.started_of_kind[kind] += 1;
        } else {
            self.done.not_shown += 1;
        }
    }

    fn start(&mut self, random: &mut Random) {
        if self.live.len() == self.setting.live {
            self.end(random);
        }
        let kind = random.below(KINDS.len());
        let builder = self.list.task("task").detached();
        let task = match KINDS[kind] {
            Some(name) => builder.kind(name).start(),
            None => builder.start(),
        };
        let shown = task.handle().is_live();
        self.count_start(kind, shown);
        self.live.push(Live { task, kind, shown, asked: false, attrs: BTreeMap::new() });
        self.done.most_live = self.done.most_live.max(self.done.shown - self.ended());
    }

    fn set_status(&mut self, random: &mut Random, at: usize) {
        let live = &self.live[at];
        for _ in 0..=random.below(5) {
            let text = if random.below(20) == 0 { TOO_LONG } else { STATUSES[random.below(STATUSES.len())] };
            self.done.entries += u64::from(live.shown);
            self.done.too_long += u64::from(live.shown && text == TOO_LONG);
            assert_eq!(live.task.status(text).is_err(), live.asked);
        }
    }

    fn set(&mut self, random: &mut Random, at: usize) {
        let live = &mut self.live[at];
        let (name, value) = (NAMES[random.below(NAMES.len())], random.0);
        live.task.set(name, value);
        let shown: Option<BTreeMap<String, String>> = self.list.view(live.task.serial(), |task| {
            task.attrs().map(|(name, value)| (name.as_str().to_owned(), format!("{value:?}"))).collect()
        });
        assert_eq!(shown.is_some(), live.shown);
        let Some(shown) = shown else { return };
        let expected = |attrs: &BTreeMap<&str, u64>| -> BTreeMap<String, String> {
            attrs.iter().map(|(name, value)| ((*name).to_owned(), format!("U64({value})"))).collect()
        };
        let mut with_new = live.attrs.clone();
        with_new.insert(name, value);
        if shown == expected(&with_new) {
            assert!(with_new.len() <= self.setting.attrs);
            live.attrs = with_new;
        } else {
            assert_eq!(shown, expected(&live.attrs), "neither there nor refused");
            self.done.attrs_refused += 1;
        }
    }

    fn ask(&mut self, at: usize) {
        let live = &mut self.live[at];
        assert_eq!(self.list.cancel(live.task.serial(), "").is_ok(), live.shown);
        if live.shown && !live.asked {
            live.asked = true;
            self.done.asked += 1;
            self.done.entries += 1;
        }
    }

    fn end(&mut self, random: &mut Random) {
        if self.live.is_empty() {
            return;
        }
        let at = random.below(self.live.len());
        let live = self.live.swap_remove(at);
        let handle = live.task.handle();
        let how = random.below(3);
        if !live.shown {
            return;
        }
        self.check_one(&live);
        self.ended_of_kind[live.kind] += 1;
        match how {
            0 => {
                self.done.finished += 1;
                live.task.finish();
            }
            1 => {
                self.done.failed += 1;
                self.done.entries += 1;
                live.task.fail("no file");
            }
            // It ends in a panic, or by the cancellation that it may have observed.
            _ => {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    live.task.run_sync(|task| -> Result<(), _> {
                        task.checkpoint()?;
                        std::panic::resume_unwind(Box::new(()))
                    })
                }));
                let outcome = if result.is_err() { &mut self.done.aborted } else { &mut self.done.cancelled };
                *outcome += 1;
                assert_eq!(result.is_ok(), live.asked);
            }
        }
        self.gone = Some(handle);
    }

    /// Starts a future and drops it.
    fn abandon(&mut self) {
        let (before, list) = (self.list.counters().not_shown, self.list.clone());
        {
            let mut running = pin!(list.task("future").detached().run(std::future::pending::<()>()));
            assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let shown = self.list.counters().not_shown == before;
        self.count_start(0, shown);
        self.done.dropped += u64::from(shown);
        self.ended_of_kind[0] += u64::from(shown);
    }

    fn step(&mut self, random: &mut Random) {
        if self.live.is_empty() {
            return self.start(random);
        }
        let at = random.below(self.live.len());
        match random.below(16) {
            0..4 => self.start(random),
            4..8 => self.set_status(random, at),
            8..10 => self.set(random, at),
            10 => self.ask(at),
            11 => self.hand.advance(Duration::from_millis(random.below(60_000) as u64)),
            12 => self.abandon(),
            13 => {
                if let Some(gone) = self.gone {
                    gone.set("late", 1_u64);
                    self.done.late += 1;
                }
            }
            _ => self.end(random),
        }
    }

    fn ended(&self) -> u64 {
        let Done { finished, failed, cancelled, aborted, dropped, .. } = self.done;
        finished + failed + cancelled + aborted + dropped
    }

    /// Checks one live task: what it shows and what was dropped.
    fn check_one(&self, live: &Live) {
        let serial = live.task.serial();
        let len = self.list.view(serial, |task| task.history_len()).unwrap();
        let history = self.list.history(serial).unwrap();
        assert_eq!(history.entries.len() as u64 + history.dropped, len, "shown plus dropped is everything");
        assert!(history.entries.len() <= self.setting.first + self.setting.newest);
    }

    /// Checks the sums that hold at any time.
    fn check(&self) {
        let (counters, done) = (self.list.counters(), self.done);
        let ended = self.ended();
        let outcomes = |done: &Done| [done.finished, done.failed, done.cancelled, done.aborted, done.dropped];
        assert_eq!((counters.started, counters.not_shown), (done.shown, done.not_shown));
        let by_outcome = [counters.finished, counters.failed, counters.cancelled, counters.aborted, counters.dropped];
        assert_eq!(by_outcome, outcomes(&done));
        assert_eq!(counters.live + ended, counters.started);
        assert_eq!(counters.cancel_requests, done.asked);
        assert_eq!(counters.attrs_dropped, done.attrs_refused);
        assert_eq!(counters.texts_cut, done.too_long);
        assert_eq!(counters.late_calls, done.late);
        assert!(counters.ended_evicted <= ended);
        assert!(counters.peak <= done.most_live + 1 && counters.peak >= counters.live);
        assert_eq!((counters.panics_caught, counters.forced), (0, 0));
    }

    /// Checks the sums that need a full scan.
    fn check_all(&self) {
        let (counters, done) = (self.list.counters(), self.done);
        let live: Vec<&Live> = self.live.iter().filter(|live| live.shown).collect();
        assert_eq!((counters.live, self.list.snapshot().len()), (live.len() as u64, live.len()));
        assert_eq!(counters.cancelling, live.iter().filter(|live| live.asked).count() as u64);
        // An entry is in a history, was dropped from one, or found no space and was counted.
        let of_live: u64 = self.list.snapshot().iter().map(|task| task.history_len()).sum();
        let of_ended = self.entries_at_end.load(Ordering::Relaxed);
        assert_eq!(of_live + of_ended + counters.statuses_dropped, done.entries);
        // An ended task is retained, or was evicted and counted. Tasks that await eviction, at most two batches of 32,
        // are not shown.
        let (kept, shown) = (self.ended() - counters.ended_evicted, self.list.ended().len() as u64);
        let limit = self.setting.ended as u64;
        assert!(shown <= limit, "{shown} of {limit}");
        if limit > 0 {
            assert!(shown <= kept && kept <= limit + 64, "{shown} shown, {kept} kept, limit {limit}");
        }
        self.check_kinds();
    }

    fn check_kinds(&self) {
        let kinds = self.list.kinds();
        if self.setting.kinds == 0 {
            return assert!(kinds.is_empty());
        }
        let total: u64 = kinds.iter().map(|kind| kind.started).sum();
        assert_eq!(total, self.done.shown);
        let mut other = 0;
        for (at, name) in KINDS.iter().enumerate() {
            match kinds.iter().find(|kind| kind.kind.as_deref() == *name && !kind.is_other) {
                Some(kind) => {
                    assert_eq!(kind.started, self.started_of_kind[at]);
                    assert_eq!(kind.latency.count(), self.ended_of_kind[at]);
                }
                None => other += self.ended_of_kind[at],
            }
        }
        assert_eq!(self.list.counters().kinds_dropped, other);
        let named = kinds.iter().filter(|kind| kind.kind.is_some()).count();
        assert!(named <= self.setting.kinds);
        for kind in &kinds {
            let in_statuses: Duration = kind.statuses.iter().map(|status| status.time).sum();
            assert_eq!(in_statuses, kind.latency.sum(), "all time is attributed to a status");
            let named = kind.statuses.iter().filter(|status| status.status.is_some()).count();
            assert!(named <= self.setting.statuses + 1, "init, and as many as the limit allows");
        }
    }
}

#[test]
fn shown_plus_dropped_is_everything_recorded() {
    let cases = from_env("PM_CASES", if cfg!(debug_assertions) { 20_000 } else { 1_000_000 });
    let seed = from_env("PM_SEED", 0x9e37_79b9_7f4a_7c15);
    let mut random = Random(seed.max(1));
    let mut programs = SETTINGS.map(Program::new);
    for case in 0..cases {
        // Half of all cases go to the lists that have to be filled.
        let at = if random.below(2) == 0 { random.below(4) } else { 4 + random.below(2) };
        let program = &mut programs[at];
        for _ in 0..=random.below(20) {
            program.step(&mut random);
        }
        program.check();
        if case % if at < 4 { 16 } else { 1024 } == 0 {
            program.check_all();
        }
    }
    for program in &programs {
        program.check_all();
        let held = program.list.counters().bytes_held;
        assert!(held <= MAX_BYTES as u64 * 2, "{held}");
    }
    // Everything that can be dropped was dropped.
    let sum = |count: fn(&pm_core::Counters) -> u64| programs.iter().map(|it| count(&it.list.counters())).sum::<u64>();
    assert!(sum(|it| it.not_shown) > 0 && sum(|it| it.statuses_dropped) > 0 && sum(|it| it.attrs_dropped) > 0);
    assert!(sum(|it| it.texts_cut) > 0 && sum(|it| it.kinds_dropped) > 0 && sum(|it| it.ended_evicted) > 0);
    println!("{cases} cases, seed {seed:#x}: {:?}", programs.map(|program| program.done));
}
