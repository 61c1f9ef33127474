//! Random operations under random small limits, on the list and on a plain map: their answers must agree, and the list
//! must have counted everything that it truncated or dropped.
#![cfg(not(loom))]

use std::collections::BTreeMap;
use std::time::Duration;

use pm_core::{
    CancelError, CancelPolicy, Cancelled, Clock, ManualClock, Options, ProcessList, Serial, Task, TaskHandle, ValueView,
};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
struct Limits {
    id: usize,
    name: usize,
    value: usize,
    status: usize,
    attrs: usize,
    first: usize,
    newest: usize,
}

fn limits() -> impl Strategy<Value = Limits> {
    (4..300_usize, 4..40_usize, 4..900_usize, 16..600_usize, 0..7_usize, 0..6_usize, 0..8_usize).prop_map(
        |(id, name, value, status, attrs, first, newest)| Limits { id, name, value, status, attrs, first, newest },
    )
}

impl Limits {
    fn list(self) -> (ProcessList, ManualClock) {
        let (clock, hand) = Clock::manual();
        let options = Options::new()
            .keep_ended(0)
            .clock(clock)
            .max_id(self.id)
            .max_attr_name(self.name)
            .max_attr_value(self.value)
            .max_status(self.status)
            .max_attrs(self.attrs)
            .history(self.first, self.newest);
        (ProcessList::with_options(options), hand)
    }
}

/// A string that two numbers describe, so that long ones are cheap to generate and to shrink.
#[derive(Clone, Copy, Debug)]
struct Words {
    seed: u8,
    len: u16,
}

fn words(most: u16) -> impl Strategy<Value = Words> {
    let len = prop_oneof![3 => 0..20_u16, 2 => 0..100_u16, 1 => 0..most];
    (any::<u8>(), len).prop_map(|(seed, len)| Words { seed, len })
}

impl Words {
    fn text(self) -> String {
        let characters = ['a', 'é', '…', '🦀', '\0', '/', 'z'];
        (0..usize::from(self.len)).map(|at| characters[(at * 5 + usize::from(self.seed)) % 7]).collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Datum {
    Text(Words),
    I64(i64),
    U64(u64),
    F64(f64),
    Bool(bool),
}

#[derive(Clone, Debug, PartialEq)]
enum Known {
    Text(String),
    I64(i64),
    U64(u64),
    F64(f64),
    Bool(bool),
}

#[derive(Clone, Debug)]
enum Op {
    Start { id: u8, kind: Option<Words>, attrs: Vec<(u8, Datum)>, cancellable: Option<bool>, child_of: Option<u8> },
    Default { cancellable: bool },
    Status { task: u8, text: Words },
    Statuses { task: u8, count: u8, text: Words },
    Set { task: u8, name: u8, value: Datum },
    SetOften { task: u8, count: u8, value: Words },
    Unset { task: u8, name: u8 },
    Progress { task: u8, done: u64, total: u64, unit: Words },
    CancelId { id: u8, reason: Words },
    CancelSerial { task: u8, reason: Words },
    Checkpoint { task: u8 },
    End { task: u8, how: u8 },
    Late { ended: u8 },
    Wait { nanos: u64 },
}

fn datum() -> impl Strategy<Value = Datum> {
    prop_oneof![
        4 => words(1_000).prop_map(Datum::Text),
        1 => any::<i64>().prop_map(Datum::I64),
        1 => any::<u64>().prop_map(Datum::U64),
        1 => (-1e9..1e9).prop_map(Datum::F64),
        1 => any::<bool>().prop_map(Datum::Bool),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let task = any::<u8>;
    let start = (
        0..7_u8,
        prop::option::of(words(80)),
        prop::collection::vec((0..9_u8, datum()), 0..5),
        any::<Option<bool>>(),
        any::<Option<u8>>(),
    );
    prop_oneof![
        5 => start.prop_map(|(id, kind, attrs, cancellable, child_of)| Op::Start {
            id, kind, attrs, cancellable, child_of
        }),
        1 => any::<bool>().prop_map(|cancellable| Op::Default { cancellable }),
        8 => (task(), words(1_000)).prop_map(|(task, text)| Op::Status { task, text }),
        2 => (task(), 0..40_u8, words(60)).prop_map(|(task, count, text)| Op::Statuses { task, count, text }),
        8 => (task(), 0..9_u8, datum()).prop_map(|(task, name, value)| Op::Set { task, name, value }),
        2 => (task(), 0..40_u8, words(60)).prop_map(|(task, count, value)| Op::SetOften { task, count, value }),
        4 => (task(), 0..9_u8).prop_map(|(task, name)| Op::Unset { task, name }),
        3 => (task(), any::<u64>(), 0..3_u64, words(60))
            .prop_map(|(task, done, total, unit)| Op::Progress { task, done, total, unit }),
        2 => (0..8_u8, words(700)).prop_map(|(id, reason)| Op::CancelId { id, reason }),
        2 => (task(), words(700)).prop_map(|(task, reason)| Op::CancelSerial { task, reason }),
        2 => task().prop_map(|task| Op::Checkpoint { task }),
        4 => (task(), any::<u8>()).prop_map(|(task, how)| Op::End { task, how }),
        2 => any::<u8>().prop_map(|ended| Op::Late { ended }),
        // Occasionally so long that the distance to the start takes more than 48 bits.
        2 => prop_oneof![9 => 0..1_000_000_u64, 1 => Just(1 << 47)].prop_map(|nanos| Op::Wait { nanos }),
    ]
}

struct Row {
    task: Task,
    id: String,
    kind: Option<String>,
    parent: Option<Serial>,
    cancellable: bool,
    started: u64,
    attrs: BTreeMap<String, Known>,
    progress: Option<(u64, u64, String)>,
    history: Vec<(u64, String)>,
    cancel: Option<String>,
    observed: bool,
}

/// The expected counters of a list, which several threads may add to.
#[derive(Default)]
struct Sums {
    started: u64,
    finished: u64,
    failed: u64,
    cancelled: u64,
    late: u64,
    attrs_dropped: u64,
    cancels: u64,
    /// Strings that were truncated and stored.
    cut: u64,
    /// Strings that were truncated and may have been counted, but were not needed then.
    maybe_cut: u64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.finished += other.finished;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.late += other.late;
        self.attrs_dropped += other.attrs_dropped;
        self.cancels += other.cancels;
        self.cut += other.cut;
        self.maybe_cut += other.maybe_cut;
    }

    fn check(&self, list: &ProcessList) {
        let seen = list.counters();
        let ended = self.finished + self.failed + self.cancelled;
        assert_eq!((seen.started, seen.live), (self.started, self.started - ended));
        assert_eq!((seen.finished, seen.failed, seen.cancelled), (self.finished, self.failed, self.cancelled));
        assert_eq!((seen.aborted, seen.not_shown, seen.statuses_dropped), (0, 0, 0));
        assert_eq!((seen.late_calls, seen.attrs_dropped), (self.late, self.attrs_dropped));
        assert_eq!(seen.cancel_requests, self.cancels);
        assert!(
            (self.cut..=self.cut + self.maybe_cut).contains(&seen.texts_cut),
            "{} cut, not {} and up to {} more",
            seen.texts_cut,
            self.cut,
            self.maybe_cut
        );
    }
}

struct Model {
    list: ProcessList,
    hand: ManualClock,
    limits: Limits,
    prefix: &'static str,
    now: u64,
    cancellable: bool,
    rows: Vec<Row>,
    ended: Vec<TaskHandle>,
    sums: Sums,
}

fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        if kept.len() + character.len_utf8() > limit - '…'.len_utf8() {
            break;
        }
        kept.push(character);
    }
    kept + "…"
}

/// Truncates as `cut` does, and counts it.
fn cut_counted(sums: &mut Sums, text: &str, limit: usize) -> String {
    sums.cut += u64::from(text.len() > limit);
    cut(text, limit)
}

fn name(number: u8) -> String {
    match number {
        0 => String::new(),
        // These two are equal once they are truncated.
        7 => format!("{}1", "n".repeat(40)),
        8 => format!("{}2", "n".repeat(40)),
        _ => format!("{number}").repeat(usize::from(number)),
    }
}

impl Row {
    fn set(&mut self, sums: &mut Sums, limits: Limits, name: &str, value: Known) {
        let name = cut_counted(sums, name, limits.name);
        let value = match value {
            Known::Text(text) => Known::Text(cut_counted(sums, &text, limits.value)),
            number => number,
        };
        if self.attrs.contains_key(&name) || self.attrs.len() < limits.attrs {
            self.attrs.insert(name, value);
        } else {
            sums.attrs_dropped += 1;
        }
    }

    fn add_status(&mut self, sums: &mut Sums, limits: Limits, now: u64, text: &str, result: Result<(), Cancelled>) {
        self.history.push((now, cut_counted(sums, text, limits.status)));
        self.observe(result);
    }

    fn observe(&mut self, result: Result<(), Cancelled>) {
        if let Err(cancelled) = &result {
            assert_eq!(cancelled.serial(), self.task.serial().unwrap());
        }
        assert_eq!(result.err().map(|cancelled| cancelled.reason().to_owned()), self.cancel);
        self.observed |= self.cancel.is_some();
    }

    fn cancel(&mut self, sums: &mut Sums, limits: Limits, now: u64, reason: &str, result: Result<Serial, CancelError>) {
        let serial = self.task.serial().unwrap();
        if !self.cancellable {
            assert!(
                matches!(result, Err(CancelError::NotCancellable { serial: of, .. }) if of == serial),
                "{result:?}"
            );
            sums.maybe_cut += 1;
            return;
        }
        assert_eq!(result, Ok(serial));
        if self.cancel.is_some() {
            sums.maybe_cut += 1;
            return;
        }
        let reason = cut_counted(sums, reason, limits.status);
        let shown = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        self.history.push((now, format!("[cancel request{shown}]")));
        self.cancel = Some(reason);
        sums.cancels += 1;
    }

    /// Applies the request of the parent to this task, too. Returns `true` if that is new.
    fn inherit(&mut self, sums: &mut Sums, now: u64, reason: &str) -> bool {
        let new = self.cancellable && self.cancel.is_none();
        if new {
            let shown = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            self.history.push((now, format!("[cancel request{shown}]")));
            self.cancel = Some(reason.to_owned());
            sums.cancels += 1;
        }
        new
    }

    fn check(&self, list: &ProcessList, limits: Limits) {
        let serial = self.task.serial().unwrap();
        let history = list.history(serial).expect("a live task has a history");
        let zero = history.entries[0].at.unix_nanos() - self.started;
        let kept: Vec<_> =
            history.entries.iter().map(|entry| (entry.at.unix_nanos() - zero, entry.status.clone())).collect();
        let first = limits.first.max(1).min(self.history.len());
        let newest = limits.newest.max(1).min(self.history.len() - first);
        let expected = [&self.history[..first], &self.history[self.history.len() - newest..]].concat();
        assert_eq!(kept, expected);
        assert_eq!((history.dropped as usize, history.dropped_after), (self.history.len() - kept.len(), first));
        list.view(serial, |row| {
            assert_eq!((row.serial(), row.id().as_str()), (serial, self.id.as_str()));
            assert_eq!(row.kind().map(|kind| kind.to_string()), self.kind);
            assert_eq!((row.parent(), row.started_at().unix_nanos() - zero), (self.parent, self.started));
            let (at, status) = self.history.last().expect("it starts with a status");
            assert_eq!((&row.status().to_string(), row.status_at().unix_nanos() - zero), (status, *at));
            assert_eq!((row.is_cancelling(), row.is_cancellable()), (self.cancel.is_some(), self.cancellable));
            assert_eq!(row.history_len(), self.history.len() as u64);
            let progress = row.progress().map(|progress| (progress.done, progress.total, progress.unit.to_string()));
            assert_eq!(progress, self.progress);
            let known = |value: ValueView<'_>| match value {
                ValueView::Text(text) => Known::Text(text.to_string()),
                ValueView::I64(number) => Known::I64(number),
                ValueView::U64(number) => Known::U64(number),
                ValueView::F64(number) => Known::F64(number),
                ValueView::Bool(yes) => Known::Bool(yes),
                other => panic!("{other:?}"),
            };
            let expected: Vec<_> = self.attrs.clone().into_iter().collect();
            let seen = |(name, value): (pm_core::Text<'_>, ValueView<'_>)| (name.to_string(), known(value));
            assert_eq!(row.attrs_sorted().into_iter().map(seen).collect::<Vec<_>>(), expected);
            let mut unsorted: Vec<_> = row.attrs().map(seen).collect();
            unsorted.sort_by(|one, other| one.0.cmp(&other.0));
            assert_eq!(unsorted, expected);
        })
        .expect("a live task can be viewed");
    }
}

impl Model {
    fn new(list: ProcessList, hand: ManualClock, limits: Limits, prefix: &'static str) -> Self {
        let (rows, ended) = (Vec::new(), Vec::new());
        Self { list, hand, limits, prefix, now: 0, cancellable: true, rows, ended, sums: Sums::default() }
    }

    fn id(&self, number: u8) -> String {
        let body = match number {
            0 => String::new(),
            // These two are equal once they are truncated.
            5 => format!("{}1", "🦀".repeat(90)),
            6 => format!("{}2", "🦀".repeat(90)),
            7 => "never".to_owned(),
            _ => "é/".repeat(usize::from(number) * 6),
        };
        format!("{}{body}", self.prefix)
    }

    fn pick(&self, task: u8) -> Option<usize> {
        usize::from(task).checked_rem(self.rows.len())
    }

    fn start(&mut self, op: &Op) -> usize {
        let Op::Start { id, kind, attrs, cancellable, child_of } = op else { unreachable!() };
        let (limits, id) = (self.limits, self.id(*id));
        let parent = child_of.and_then(|task| self.pick(task)).map(|at| self.rows[at].task.handle());
        let mut builder = self.list.task(&id);
        let kind = kind.map(Words::text);
        if let Some(kind) = &kind {
            builder = builder.kind(kind);
        }
        for &(number, value) in attrs {
            let name = name(number);
            builder = match value {
                Datum::Text(words) => builder.attr(&name, &words.text()),
                Datum::I64(number) => builder.attr(&name, number),
                Datum::U64(number) => builder.attr(&name, number),
                Datum::F64(number) => builder.attr(&name, number),
                Datum::Bool(yes) => builder.attr(&name, yes),
            };
        }
        builder = match cancellable {
            None => builder,
            Some(true) => builder.on_cancel(CancelPolicy::Refuse).on_cancel(CancelPolicy::Drop),
            Some(false) => builder.on_cancel(CancelPolicy::Drop).on_cancel(CancelPolicy::Refuse),
        };
        builder = match &parent {
            Some(parent) => builder.parent(parent),
            None => builder.detached(),
        };
        let mut row = Row {
            task: builder.start(),
            id: cut_counted(&mut self.sums, &id, limits.id),
            kind: kind.map(|kind| cut_counted(&mut self.sums, &kind, limits.name)),
            parent: parent.and_then(|parent| parent.serial()),
            cancellable: cancellable.unwrap_or(self.cancellable),
            started: self.now,
            attrs: BTreeMap::new(),
            progress: None,
            history: vec![(self.now, "init".to_owned())],
            cancel: None,
            observed: false,
        };
        for &(number, value) in attrs {
            row.set(&mut self.sums, limits, &name(number), value.known());
        }
        self.sums.started += 1;
        let parent = self.rows.iter().find(|parent| parent.task.serial() == row.parent);
        if let Some(reason) = parent.and_then(|parent| parent.cancel.clone()) {
            row.inherit(&mut self.sums, self.now, &reason);
        }
        self.rows.push(row);
        self.rows.len() - 1
    }

    /// Passes a request down to the cancellable tasks below, through cancellable ones only.
    fn spread(&mut self, at: usize) {
        let mut asked = vec![at];
        while let Some(parent) = asked.pop() {
            let (parent, reason) = (self.rows[parent].task.serial().unwrap(), self.rows[parent].cancel.clone());
            let Some(reason) = reason else { continue };
            for at in 0..self.rows.len() {
                let row = &mut self.rows[at];
                if row.parent == Some(parent) && row.inherit(&mut self.sums, self.now, &reason) {
                    asked.push(at);
                }
            }
        }
    }

    /// Applies the operation to both; returns the row that it concerned.
    fn apply(&mut self, op: &Op) -> Option<usize> {
        let (now, limits) = (self.now, self.limits);
        match *op {
            Op::Start { .. } => Some(self.start(op)),
            Op::Default { cancellable } => {
                self.list.set_on_cancel(if cancellable { CancelPolicy::Drop } else { CancelPolicy::Refuse });
                self.cancellable = cancellable;
                None
            }
            Op::CancelId { id, reason } => {
                let (id, reason) = (self.id(id), reason.text());
                let result = self.list.cancel(&id, &reason).map(|cancel| cancel.serial());
                let mut found = self.list.find(&id);
                let id = cut(&id, limits.id);
                let bearers: Vec<_> = (0..self.rows.len()).filter(|&at| self.rows[at].id == id).collect();
                match bearers[..] {
                    [] => assert_eq!(result, Err(CancelError::NotFound)),
                    [at] => {
                        self.rows[at].cancel(&mut self.sums, limits, now, &reason, result);
                        self.spread(at);
                    }
                    _ => {
                        let Err(CancelError::Ambiguous { serials, .. }) = result else { panic!("{result:?}") };
                        assert_eq!(serials, found);
                        let starts = serials.iter().map(|serial| {
                            self.rows
                                .iter()
                                .find(|row| row.task.serial() == Some(*serial))
                                .expect("its id is known")
                                .started
                        });
                        assert!(starts.is_sorted(), "oldest first");
                    }
                }
                let mut expected: Vec<_> = bearers.iter().map(|&at| self.rows[at].task.serial().unwrap()).collect();
                found.sort();
                expected.sort();
                assert_eq!(found, expected);
                bearers.first().copied()
            }
            Op::End { task, how } => {
                let row = self.rows.swap_remove(self.pick(task)?);
                self.ended.push(row.task.handle());
                match how % 3 {
                    0 => row.task.finish(),
                    1 => {
                        let reason = "why ".repeat(usize::from(how));
                        cut_counted(&mut self.sums, &format!("failed: {reason}"), limits.status);
                        row.task.fail(&reason);
                    }
                    _ => drop(row.task),
                }
                match (how % 3, row.observed) {
                    (1, _) => self.sums.failed += 1,
                    (2, true) => self.sums.cancelled += 1,
                    _ => self.sums.finished += 1,
                }
                None
            }
            Op::Late { ended } => {
                let handle = self.ended[usize::from(ended).checked_rem(self.ended.len())?];
                assert!(!handle.is_live() && !handle.is_cancelled());
                assert_eq!((handle.status("late"), handle.checkpoint()), (Ok(()), Ok(())));
                handle.set("n", 1);
                handle.unset("n");
                handle.progress(1, 2, "late");
                assert_eq!(
                    self.list.cancel(handle.serial(), "late").map(|cancel| cancel.serial()),
                    Err(CancelError::NotFound)
                );
                assert!(self.list.history(handle.serial()).is_none());
                self.sums.late += 4;
                None
            }
            Op::Wait { nanos } => {
                self.hand.advance(Duration::from_nanos(nanos));
                self.now += nanos;
                None
            }
            Op::Status { task, .. }
            | Op::Statuses { task, .. }
            | Op::Set { task, .. }
            | Op::SetOften { task, .. }
            | Op::Unset { task, .. }
            | Op::Progress { task, .. }
            | Op::CancelSerial { task, .. }
            | Op::Checkpoint { task } => {
                let at = self.pick(task)?;
                self.work(at, op);
                if matches!(op, Op::CancelSerial { .. }) {
                    self.spread(at);
                }
                Some(at)
            }
        }
    }

    /// Applies an operation to one live task.
    fn work(&mut self, at: usize, op: &Op) {
        let (now, limits) = (self.now, self.limits);
        let (row, sums) = (&mut self.rows[at], &mut self.sums);
        match *op {
            Op::Status { text, .. } => {
                let text = text.text();
                let result = row.task.status(&text);
                row.add_status(sums, limits, now, &text, result);
            }
            Op::Statuses { count, text, .. } => {
                let text = text.text();
                for number in 0..count {
                    let result = pm_core::status!(row.task, "{number} {text}");
                    row.add_status(sums, limits, now, &format!("{number} {text}"), result);
                }
            }
            Op::Set { name: number, value, .. } => {
                let name = name(number);
                match value {
                    Datum::Text(words) => row.task.set(&name, &words.text()),
                    Datum::I64(number) => row.task.set(&name, number),
                    Datum::U64(number) => row.task.set(&name, number),
                    Datum::F64(number) => row.task.set(&name, number),
                    Datum::Bool(yes) => row.task.set(&name, yes),
                }
                row.set(sums, limits, &name, value.known());
            }
            Op::SetOften { count, value, .. } => {
                // Old values accumulate, so that they have to be compacted.
                for number in 0..count {
                    let (name, text) = (name(number % 9), value.text().repeat(usize::from(number % 4)));
                    row.task.set_fmt(&name, format_args!("{number}{text}"));
                    row.set(sums, limits, &name, Known::Text(format!("{number}{text}")));
                    if number % 3 == 0 {
                        row.task.unset(&name);
                        row.attrs.remove(&cut(&name, limits.name));
                    }
                }
            }
            Op::Unset { name: number, .. } => {
                row.task.unset(&name(number));
                row.attrs.remove(&cut(&name(number), limits.name));
            }
            Op::Progress { done, total, unit, .. } => {
                let unit = unit.text();
                row.task.progress(done, total, &unit);
                row.progress = Some((done, total, cut_counted(sums, &unit, limits.name)));
            }
            Op::CancelSerial { reason, .. } => {
                let (serial, reason) = (row.task.serial(), reason.text());
                let result = self.list.cancel(serial, &reason).map(|cancel| cancel.serial());
                row.cancel(sums, limits, now, &reason, result);
            }
            Op::Checkpoint { .. } => {
                let result = row.task.checkpoint();
                row.observe(result);
            }
            _ => unreachable!(),
        }
    }

    fn check(&self) {
        for row in &self.rows {
            row.check(&self.list, self.limits);
        }
    }

    /// Compares everything that can be queried about a list that has no other tasks.
    fn check_list(&self) {
        self.check();
        self.sums.check(&self.list);
        let snapshot = self.list.snapshot();
        let starts: Vec<_> = snapshot.iter().map(|row| row.started_at().unix_nanos()).collect();
        assert!(starts.is_sorted(), "oldest first");
        let mut shown: Vec<_> = snapshot.iter().map(|row| row.serial()).collect();
        let (mut scan, mut scanned) = (self.list.scan(), Vec::new());
        while let Some(row) = scan.next() {
            scanned.push(row.serial());
        }
        assert_eq!(shown, scanned);
        let mut expected: Vec<_> = self.rows.iter().map(|row| row.task.serial().unwrap()).collect();
        shown.sort();
        expected.sort();
        assert_eq!(shown, expected);
    }
}

impl Datum {
    fn known(self) -> Known {
        match self {
            Self::Text(words) => Known::Text(words.text()),
            Self::I64(number) => Known::I64(number),
            Self::U64(number) => Known::U64(number),
            Self::F64(number) => Known::F64(number),
            Self::Bool(yes) => Known::Bool(yes),
        }
    }
}

fn cases(many: u32) -> ProptestConfig {
    ProptestConfig { cases: if cfg!(miri) { 4 } else { many }, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn the_list_agrees_with_a_plain_map_under_any_limits(
        limits in limits(),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let (list, hand) = limits.list();
        let mut model = Model::new(list, hand, limits, "");
        for (step, op) in ops.iter().enumerate() {
            if let Some(at) = model.apply(op) {
                model.rows[at].check(&model.list, limits);
            }
            if step % 8 == 0 {
                model.check_list();
            }
        }
        model.check_list();
    }
}

/// Long-lived tasks, one after the other, so that cancellations reach tasks of every age.
fn cancelled_group(list: &ProcessList, rounds: usize) -> Sums {
    let mut sums = Sums::default();
    for round in 0..rounds {
        let task = list.task("w").on_cancel(CancelPolicy::Drop).start();
        sums.started += 1;
        let mut first = None;
        for number in 0..round % 7 {
            let next = pm_core::status!(task, "{number}").err();
            // Once reported, a cancellation never changes.
            assert!(first.is_none() || first == next, "{first:?}, then {next:?}");
            first = next;
        }
        if let Some(first) = &first {
            assert_eq!((first.serial(), first.reason()), (task.serial().unwrap(), "by reader"));
            sums.cancelled += 1;
        } else {
            sums.finished += 1;
        }
        drop(task);
    }
    sums
}

proptest! {
    #![proptest_config(cases(200))]

    /// Three threads know their own tasks; a reader of all tasks cancels those of a fourth group at random.
    #[test]
    fn other_threads_and_a_cancelling_reader_affect_only_their_own_tasks(
        limits in limits(),
        programs in prop::collection::vec(prop::collection::vec(op(), 1..60), 3),
    ) {
        let (list, hand) = limits.list();
        let mut sums = Sums::default();
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for (prefix, ops) in ["x", "y", "z"].into_iter().zip(&programs) {
                let mut model = Model::new(list.clone(), hand.clone(), limits, prefix);
                threads.push(scope.spawn(move || {
                    // All threads share the clock and the default, so they stay as they are.
                    for op in ops.iter().filter(|op| !matches!(op, Op::Wait { .. } | Op::Default { .. })) {
                        if let Some(at) = model.apply(op) {
                            model.rows[at].check(&model.list, limits);
                        }
                    }
                    model.check();
                    while !model.rows.is_empty() {
                        model.apply(&Op::End { task: 0, how: 0 });
                    }
                    model.sums
                }));
            }
            threads.push(scope.spawn(|| cancelled_group(&list, 100)));
            let mut reader_cancels = 0;
            while !threads.iter().all(|thread| thread.is_finished()) {
                let mut scan = list.scan();
                while let Some(row) = scan.next() {
                    let serial = row.serial();
                    let group = row.id().as_str().chars().next().expect("each id has its prefix");
                    assert!("wxyz".contains(group));
                    if group == 'w' && list.cancel(serial, "by reader").is_ok() {
                        reader_cancels += 1;
                    }
                    if let Some(history) = list.history(serial) {
                        assert_eq!(history.entries[0].status, "init");
                        assert!(history.entries.is_sorted_by_key(|entry| entry.at));
                    }
                }
            }
            for thread in threads {
                sums.add(&thread.join().unwrap());
            }
            // Only its first request for each task counts.
            let of_reader = list.counters().cancel_requests - sums.cancels;
            assert!(of_reader <= reader_cancels && of_reader <= 100, "{of_reader} of {reader_cancels}");
            sums.cancels += of_reader;
        });
        sums.check(&list);
        assert!(list.snapshot().is_empty());
    }
}
