//! Random operations on the list and on a plain map, whose answers must agree.
#![cfg(not(loom))]

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::Duration;

use pm_core::{CancelError, CancelPolicy, Clock, ManualClock, Options, ProcessList, Task, Value, ValueView};
use proptest::prelude::*;

const FIRST: usize = 2;
const NEWEST: usize = 5;
const MAX_ATTRS: usize = 4;
const MAX_STATUS: usize = 40;

#[derive(Clone, Debug)]
enum Datum {
    Text(String),
    I64(i64),
    U64(u64),
    F64(f64),
    Bool(bool),
}

#[derive(Clone, Debug)]
enum Op {
    Start { id: u8, kind: bool, attrs: u8, cancellable: bool, child_of: Option<u8> },
    Status { task: u8, text: String },
    Formatted { task: u8, number: u32 },
    Set { task: u8, name: u8, value: Datum },
    Unset { task: u8, name: u8 },
    Progress { task: u8, done: u64, total: u64, unit: bool },
    CancelId { id: u8, reason: String },
    CancelSerial { task: u8, reason: String },
    Checkpoint { task: u8 },
    End { task: u8, how: u8 },
    Late { ended: u8 },
    Wait { millis: u16 },
}

fn datum() -> impl Strategy<Value = Datum> {
    prop_oneof![
        "\\PC{0,30}".prop_map(Datum::Text),
        any::<i64>().prop_map(Datum::I64),
        any::<u64>().prop_map(Datum::U64),
        (-1e9..1e9).prop_map(Datum::F64),
        any::<bool>().prop_map(Datum::Bool),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let task = || any::<u8>();
    prop_oneof![
        3 => (0..4_u8, any::<bool>(), 0..6_u8, prop::bool::weighted(0.8), prop::option::of(any::<u8>())).prop_map(
            |(id, kind, attrs, cancellable, child_of)| Op::Start { id, kind, attrs, cancellable, child_of }
        ),
        6 => (task(), "\\PC{0,60}").prop_map(|(task, text)| Op::Status { task, text }),
        2 => (task(), any::<u32>()).prop_map(|(task, number)| Op::Formatted { task, number }),
        4 => (task(), 0..6_u8, datum()).prop_map(|(task, name, value)| Op::Set { task, name, value }),
        2 => (task(), 0..6_u8).prop_map(|(task, name)| Op::Unset { task, name }),
        2 => (task(), 0..9_u64, 0..3_u64, any::<bool>())
            .prop_map(|(task, done, total, unit)| Op::Progress { task, done, total, unit }),
        1 => (0..5_u8, "\\PC{0,60}").prop_map(|(id, reason)| Op::CancelId { id, reason }),
        1 => (task(), "\\PC{0,20}").prop_map(|(task, reason)| Op::CancelSerial { task, reason }),
        1 => task().prop_map(|task| Op::Checkpoint { task }),
        2 => (task(), any::<u8>()).prop_map(|(task, how)| Op::End { task, how }),
        1 => any::<u8>().prop_map(|ended| Op::Late { ended }),
        1 => any::<u16>().prop_map(|millis| Op::Wait { millis }),
    ]
}

/// The record that a plain program would keep of a task.
struct Known {
    task: Task,
    id: String,
    kind: Option<String>,
    parent: Option<u64>,
    cancellable: bool,
    started: u64,
    attrs: BTreeMap<String, Datum>,
    progress: Option<(u64, u64, String)>,
    history: Vec<(u64, String)>,
    cancel: Option<String>,
    observed: bool,
}

struct Model {
    list: ProcessList,
    hand: ManualClock,
    prefix: &'static str,
    now: u64,
    tasks: Vec<Known>,
    ended: Vec<pm_core::TaskHandle>,
    outcomes: [u64; 3],
    late: u64,
}

fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit - 3).rev().find(|&end| text.is_char_boundary(end)).unwrap();
    format!("{}…", &text[..end])
}

impl Model {
    fn new(list: ProcessList, hand: ManualClock, prefix: &'static str) -> Self {
        Model { list, hand, prefix, now: 0, tasks: vec![], ended: vec![], outcomes: [0; 3], late: 0 }
    }

    fn pick(&self, task: u8) -> Option<usize> {
        usize::from(task).checked_rem(self.tasks.len())
    }

    fn id(&self, number: u8) -> String {
        // An empty one, one that fits a word, one that fits a slot, and one that does not.
        let long = "long ".repeat(60);
        let body = ["", "b", "an id of some length", &long, "never"][usize::from(number)];
        format!("{}{body}", self.prefix)
    }

    fn apply(&mut self, op: &Op) {
        let now = self.now;
        match op {
            &Op::Start { id, kind, attrs, cancellable, child_of } => {
                let (id, kind) = (self.id(id), kind.then(|| "GET /hosts/{id}".to_owned()));
                let mut builder = self.list.task(&id);
                if let Some(kind) = &kind {
                    builder = builder.kind(kind);
                }
                if !cancellable {
                    builder = builder.on_cancel(CancelPolicy::Refuse);
                }
                let parent = child_of.and_then(|task| self.pick(task)).map(|at| self.tasks[at].task.handle());
                if let Some(parent) = &parent {
                    builder = builder.parent(parent);
                }
                let mut known = BTreeMap::new();
                for number in 0..attrs {
                    let name = format!("a{number}");
                    builder = builder.attr(&name, u64::from(number));
                    if known.len() < MAX_ATTRS {
                        known.insert(name, Datum::U64(number.into()));
                    }
                }
                self.tasks.push(Known {
                    task: builder.start(),
                    id,
                    kind,
                    parent: parent.map(|parent| parent.serial().unwrap().get()),
                    cancellable,
                    started: now,
                    attrs: known,
                    progress: None,
                    history: vec![(now, "init".to_owned())],
                    cancel: None,
                    observed: false,
                });
                // The child of a cancelled task is cancelled from its start.
                let child = self.tasks.len() - 1;
                let of_parent = |known: &&Known| Some(known.task.serial().unwrap().get()) == self.tasks[child].parent;
                if let Some(reason) = self.tasks.iter().find(of_parent).and_then(|parent| parent.cancel.clone()) {
                    self.tasks[child].cancelled(now, &reason);
                }
            }
            Op::Status { task, text } => self.with(*task, |known| {
                let observed = known.task.status(text);
                known.history.push((now, cut(text, MAX_STATUS)));
                known.observe(observed);
            }),
            Op::Formatted { task, number } => self.with(*task, |known| {
                let observed = pm_core::status!(known.task, "block {number} of {}", known.id);
                known.history.push((now, cut(&format!("block {number} of {}", known.id), MAX_STATUS)));
                known.observe(observed);
            }),
            Op::Set { task, name, value } => self.with(*task, |known| {
                let name = format!("a{name}");
                match value {
                    Datum::Text(text) => known.task.set(&name, text),
                    Datum::I64(number) => known.task.set(&name, *number),
                    Datum::U64(number) => known.task.set(&name, *number),
                    Datum::F64(number) => known.task.set(&name, *number),
                    Datum::Bool(yes) => known.task.set(&name, Value::Bool(*yes)),
                }
                if known.attrs.contains_key(&name) || known.attrs.len() < MAX_ATTRS {
                    known.attrs.insert(name, value.clone());
                }
            }),
            Op::Unset { task, name } => self.with(*task, |known| {
                let name = format!("a{name}");
                known.task.unset(&name);
                known.attrs.remove(&name);
            }),
            &Op::Progress { task, done, total, unit } => self.with(task, |known| {
                let unit = if unit { "files" } else { "" };
                known.task.progress(done, total, unit);
                known.progress = Some((done, total, unit.to_owned()));
            }),
            Op::CancelId { id, reason } => {
                let id = self.id(*id);
                let bearers: Vec<usize> = (0..self.tasks.len()).filter(|&at| self.tasks[at].id == id).collect();
                let result = self.list.cancel(&id, reason).map(|cancel| cancel.serial());
                match bearers[..] {
                    [] => assert_eq!(result, Err(CancelError::NotFound)),
                    [at] => {
                        assert_eq!(result.is_ok(), self.tasks[at].cancellable, "{result:?}");
                        self.cancelled(at, reason);
                    }
                    _ => {
                        let Err(CancelError::Ambiguous { mut serials, .. }) = result else { panic!("{result:?}") };
                        let mut expected: Vec<_> =
                            bearers.iter().map(|&at| self.tasks[at].task.serial().unwrap()).collect();
                        assert_eq!(serials.len(), expected.len());
                        serials.sort();
                        expected.sort();
                        assert_eq!(serials, expected);
                    }
                }
            }
            Op::CancelSerial { task, reason } => {
                let Some(at) = self.pick(*task) else { return };
                let result = self.list.cancel(self.tasks[at].task.serial(), reason);
                assert_eq!(result.is_ok(), self.tasks[at].cancellable, "{result:?}");
                self.cancelled(at, reason);
            }
            Op::Checkpoint { task } => self.with(*task, |known| {
                let observed = known.task.checkpoint();
                known.observe(observed);
            }),
            Op::End { task, how } => {
                let Some(at) = self.pick(*task) else { return };
                let known = self.tasks.swap_remove(at);
                self.ended.push(known.task.handle());
                let outcome = match how % 3 {
                    0 => {
                        known.task.finish();
                        0
                    }
                    1 => {
                        known.task.fail("why");
                        1
                    }
                    _ => {
                        drop(known.task);
                        if known.observed { 2 } else { 0 }
                    }
                };
                self.outcomes[outcome] += 1;
            }
            Op::Late { ended } => {
                let Some(at) = usize::from(*ended).checked_rem(self.ended.len()) else { return };
                let handle = self.ended[at];
                assert!(!handle.is_live());
                assert_eq!(handle.status("late"), Ok(()));
                handle.set("late", 1);
                assert_eq!(
                    self.list.cancel(handle.serial(), "late").map(|cancel| cancel.serial()),
                    Err(CancelError::NotFound)
                );
                assert!(self.list.history(handle.serial()).is_none());
                self.late += 2;
            }
            &Op::Wait { millis } => {
                self.hand.advance(Duration::from_millis(millis.into()));
                self.now += u64::from(millis) * 1_000_000;
            }
        }
    }

    /// Requests a cancellation, which descends to the cancellable tasks below through cancellable ones only.
    fn cancelled(&mut self, at: usize, reason: &str) {
        let mut asked = if self.tasks[at].cancelled(self.now, reason) { vec![at] } else { vec![] };
        while let Some(parent) = asked.pop() {
            let parent = self.tasks[parent].task.serial().unwrap().get();
            for at in 0..self.tasks.len() {
                if self.tasks[at].parent == Some(parent) && self.tasks[at].cancelled(self.now, reason) {
                    asked.push(at);
                }
            }
        }
    }

    fn with(&mut self, task: u8, work: impl FnOnce(&mut Known)) {
        if let Some(at) = self.pick(task) {
            work(&mut self.tasks[at]);
        }
    }

    /// Compares everything that can be queried about the tasks of this model.
    fn check(&self) {
        for known in &self.tasks {
            known.check(&self.list);
            assert!(self.list.find(&known.id).contains(&known.task.serial().unwrap()));
        }
    }

    /// As `check`, and compares everything that can be queried about the list, which has no other tasks.
    fn check_alone(&self) {
        self.check();
        let snapshot = self.list.snapshot();
        let mut shown: Vec<_> = snapshot.iter().map(|row| row.serial()).collect();
        let starts: Vec<_> = snapshot.iter().map(|row| row.started_at().unix_nanos()).collect();
        assert!(starts.is_sorted(), "oldest first");
        let mut scanned = Vec::new();
        let mut scan = self.list.scan();
        while let Some(row) = scan.next() {
            scanned.push(row.serial());
        }
        assert_eq!(shown, scanned);
        let mut expected: Vec<_> = self.tasks.iter().map(|known| known.task.serial().unwrap()).collect();
        shown.sort();
        expected.sort();
        assert_eq!(shown, expected);
        let counters = self.list.counters();
        assert_eq!(counters.live, self.tasks.len() as u64);
        assert_eq!([counters.finished, counters.failed, counters.cancelled], self.outcomes);
        assert_eq!(counters.started, counters.live + self.outcomes.iter().sum::<u64>());
        assert_eq!((counters.aborted, counters.not_shown, counters.late_calls), (0, 0, self.late));
    }
}

impl Known {
    fn observe(&mut self, observed: Result<(), pm_core::Cancelled>) {
        assert_eq!(observed.map_err(|cancelled| cancelled.reason().to_owned()).err(), self.cancel);
        self.observed |= self.cancel.is_some();
    }

    /// Returns whether it is the first request.
    fn cancelled(&mut self, now: u64, reason: &str) -> bool {
        let first = self.cancellable && self.cancel.is_none();
        if first {
            let reason = cut(reason, MAX_STATUS);
            let text =
                if reason.is_empty() { "[cancel request]".into() } else { format!("[cancel request: {reason}]") };
            self.history.push((now, text));
            self.cancel = Some(reason);
        }
        first
    }

    fn check(&self, list: &ProcessList) {
        let serial = self.task.serial().unwrap();
        let history = list.history(serial).unwrap();
        let epoch = history.entries[0].at.unix_nanos() - self.started;
        let kept: Vec<_> =
            history.entries.iter().map(|entry| (entry.at.unix_nanos() - epoch, entry.status.clone())).collect();
        let first = self.history.len().min(FIRST);
        let newest = (self.history.len() - first).min(NEWEST);
        let mut expected = self.history[..first].to_vec();
        expected.extend_from_slice(&self.history[self.history.len() - newest..]);
        assert_eq!(kept, expected);
        assert_eq!(history.dropped as usize + kept.len(), self.history.len());
        assert_eq!(history.dropped_after, first);

        list.view(serial, |row| {
            assert_eq!((row.serial(), row.id().as_str()), (serial, self.id.as_str()));
            assert_eq!(row.kind().map(|kind| kind.to_string()), self.kind);
            assert_eq!(row.parent().map(pm_core::Serial::get), self.parent);
            assert_eq!(row.started_at().unix_nanos() - epoch, self.started);
            let (at, status) = self.history.last().unwrap();
            assert_eq!((row.status_at().unix_nanos() - epoch, &row.status().to_string()), (*at, status));
            assert_eq!(row.is_cancelling(), self.cancel.is_some());
            assert_eq!(row.is_cancellable(), self.cancellable);
            assert_eq!(row.history_len(), self.history.len() as u64);
            let progress = row.progress().map(|progress| (progress.done, progress.total, progress.unit.to_string()));
            assert_eq!(progress, self.progress);
            let sorted = row.attrs_sorted();
            assert_eq!(sorted.len(), self.attrs.len());
            for ((name, seen), (expected_name, expected)) in sorted.iter().zip(&self.attrs) {
                assert_eq!(name.as_str(), expected_name);
                let same = match (seen, expected) {
                    (ValueView::Text(seen), Datum::Text(text)) => seen.as_str() == text,
                    (ValueView::I64(seen), Datum::I64(number)) => seen == number,
                    (ValueView::U64(seen), Datum::U64(number)) => seen == number,
                    (ValueView::F64(seen), Datum::F64(number)) => seen == number,
                    (ValueView::Bool(seen), Datum::Bool(yes)) => seen == yes,
                    _ => false,
                };
                assert!(same, "{name}: {seen:?}, not {expected:?}");
            }
            let mut unsorted: Vec<_> = row.attrs().map(|(name, value)| (name, format!("{value:?}"))).collect();
            unsorted.sort();
            let sorted: Vec<_> = sorted.into_iter().map(|(name, value)| (name, format!("{value:?}"))).collect();
            assert_eq!(unsorted, sorted);
        })
        .unwrap();
    }
}

fn list() -> (ProcessList, ManualClock) {
    let (clock, hand) = Clock::manual();
    // Random strings may look like secrets; `redaction.rs` tests those.
    let options = Options::new().redact(false).clock(clock).history(FIRST, NEWEST).max_attrs(MAX_ATTRS);
    let options = options.max_status(MAX_STATUS).keep_ended(0);
    (ProcessList::with_options(options), hand)
}

fn cases(many: u32) -> ProptestConfig {
    ProptestConfig { cases: if cfg!(miri) { 2 } else { many }, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn the_list_agrees_with_a_plain_map(ops in prop::collection::vec(op(), 1..40)) {
        let (list, hand) = list();
        let mut model = Model::new(list, hand, "");
        for op in &ops {
            model.apply(op);
            model.check_alone();
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    /// Each thread knows its own tasks; the other threads, and a constant reader, must not change them.
    #[test]
    fn threads_do_not_affect_each_other(programs in prop::collection::vec(prop::collection::vec(op(), 1..40), 3)) {
        let (list, hand) = list();
        let barrier = Barrier::new(programs.len() + 1);
        std::thread::scope(|scope| {
            let threads: Vec<_> = ["x", "y", "z"].into_iter().zip(&programs).map(|(prefix, ops)| {
                let mut model = Model::new(list.clone(), hand.clone(), prefix);
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    for op in ops {
                        // All threads share the clock, so it stands still here.
                        if !matches!(op, Op::Wait { .. }) {
                            model.apply(op);
                            model.check();
                        }
                    }
                    (model.outcomes, model.tasks.len() as u64, model.late)
                })
            }).collect();
            barrier.wait();
            while !threads.iter().all(|thread| thread.is_finished()) {
                for row in list.snapshot().iter() {
                    // All values of a row have the same owner.
                    let prefix = row.id().as_str().chars().next().unwrap();
                    assert!(['x', 'y', 'z'].contains(&prefix));
                    assert!(list.history(row.serial()).is_none_or(|history| history.entries[0].status == "init"));
                }
            }
            let (mut outcomes, mut late) = ([0; 3], 0);
            for thread in threads {
                let (of_thread, live, late_calls) = thread.join().unwrap();
                outcomes[0] += of_thread[0] + live;
                outcomes[1] += of_thread[1];
                outcomes[2] += of_thread[2];
                late += late_calls;
            }
            let counters = list.counters();
            assert_eq!(counters.live, 0);
            assert_eq!(counters.failed, outcomes[1]);
            // The tasks that were live at the end were dropped, whether they had observed a cancellation or not.
            assert_eq!(counters.finished + counters.cancelled, outcomes[0] + outcomes[2]);
            assert_eq!(counters.late_calls, late);
        });
    }
}
