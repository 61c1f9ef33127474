//! One look through the list, compared with the one before.
//!
//! A *looker* is the memory of one channel: the state of each task that it reported. A task that was not there before
//! has *started*; one with another revision has changed; one that is gone has *ended*, or has *left* if it is live but
//! no longer matches the filter.
//!
//! That memory, and the events, count in the budget for all responses: a looker without space for one more task is
//! *starved*, and its channel is closed; one without space for its events has found too much.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Instant;

use pm_core::{ProcessList, Serial, TaskView, Timestamp};
use pm_wire::v1_rows::RowWriter;

use super::channel::{Channel, Format, Found, MAX_BYTES};
use crate::response::{Held, Memory};

/// One multiplication spreads serials well enough, and no peer can choose them.
#[derive(Default)]
pub(super) struct SerialHasher(u64);

impl Hasher for SerialHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

type BySerial<T> = HashMap<u64, T, BuildHasherDefault<SerialHasher>>;

/// A task as of the last look. Small, as there is one for each task and channel.
struct Known {
    revision: u64,
    entries: u32,
    /// The look that found it last, in the upper bits, and whether it is being cancelled, in the lowest.
    look: u32,
}

impl Known {
    fn new(task: &TaskView<'_>, look: u64) -> Self {
        let (entries, look) = (task.history_len() as u32, Self::look(look, task.is_cancelling()));
        Self { revision: task.revision(), entries, look }
    }

    fn look(look: u64, is_cancelling: bool) -> u32 {
        (look as u32) << 1 | u32::from(is_cancelling)
    }

    fn is_cancelling(&self) -> bool {
        self.look & 1 == 1
    }

    fn was_found_by(&self, look: u64) -> bool {
        self.look >> 1 == Self::look(look, false) >> 1
    }
}

/// Returns the bytes that so many tasks take in the memory of a channel.
pub(super) fn table_bytes(tasks: usize) -> u64 {
    const EACH: usize = size_of::<(u64, Known)>() + 1;
    // A table is at most 7/8 full, and has a power of two of places.
    if tasks == 0 { 0 } else { ((tasks * 8 / 7).next_power_of_two() * EACH) as u64 }
}

/// The memory of a channel.
pub(super) struct Looker {
    pub(super) channel: Arc<Channel>,
    pub(super) due: Instant,
    known: BySerial<Known>,
    counts: Option<Counts>,
    ends: Ends,
    events: Events,
    /// There was no memory for all tasks.
    pub(super) is_starved: bool,
}

/// Counts of a channel without a filter, to find out how many tasks no look has seen.
#[derive(Default)]
struct Counts {
    /// Tasks that were started before the channel.
    base: u64,
    /// Tasks reported since then.
    reported: u64,
    /// Tasks reported as started and ended between two looks.
    unseen: u64,
}

/// The ended tasks that a channel reported.
#[derive(Default)]
struct Ends {
    /// Those that ended before this moment, in nanoseconds since 1970.
    until: u64,
    /// And these, with the time of their end.
    reported: BySerial<u64>,
    /// How many tasks had ended in all.
    total: u64,
}

/// A look may see the end of a task this much later, in nanoseconds.
const MARGIN: u64 = 1_000_000_000;
/// Tasks that are looked up one by one when a look does not find them.
const MAX_SEARCHES: usize = 64;

/// The events of a frame.
struct Events {
    format: Format,
    out: Vec<u8>,
    /// The last one, which gets the number of the frame.
    last: Option<(&'static str, Vec<u8>)>,
    held: Held,
    /// There was no memory for all of them.
    is_too_much: bool,
}

/// Space for events is taken in pieces of so many bytes.
const PIECE: usize = 64 << 10;

impl Events {
    fn new(format: Format, memory: &Arc<Memory>) -> Self {
        Self { format, out: Vec::new(), last: None, held: memory.hold_anyway(0), is_too_much: false }
    }

    fn add(&mut self, name: &'static str, members: Vec<u8>) {
        let bytes = self.out.len() + self.last.as_ref().map_or(0, |(_, last)| last.len()) + members.len();
        if self.is_too_much || bytes > MAX_BYTES || !self.has_space(bytes) {
            (self.out, self.last, self.is_too_much) = (Vec::new(), None, true);
            return;
        }
        if let Some((name, members)) = self.last.replace((name, members)) {
            self.format.write(&mut self.out, name, None, &members);
        }
    }

    fn has_space(&mut self, bytes: usize) -> bool {
        bytes as u64 <= self.held.bytes() || self.held.resize(bytes.next_multiple_of(PIECE) as u64)
    }

    fn take(&mut self, id: &str) -> Found {
        let is_too_much = std::mem::take(&mut self.is_too_much);
        if let Some((name, members)) = self.last.take() {
            self.format.write(&mut self.out, name, Some(id), &members);
        }
        let mut frame = std::mem::take(&mut self.out);
        frame.shrink_to_fit();
        let mut held = self.held.take();
        match () {
            () if is_too_much || !held.resize(frame.len() as u64) => Found::TooMuch,
            () if frame.is_empty() => Found::Nothing,
            () => Found::Frame(held.of(frame.into())),
        }
    }
}

fn members_of(writer: &mut RowWriter, task: &TaskView<'_>, looker: &Channel) -> Vec<u8> {
    writer.raw(br#","task":"#);
    writer.row(task, looker.watch.fields);
    writer.take()
}

impl Looker {
    /// Creates an empty memory, which is due at once.
    pub(super) fn new(channel: Arc<Channel>, memory: &Arc<Memory>, now: Instant) -> Self {
        let events = Events::new(channel.watch.format, memory);
        let (known, ends) = (BySerial::default(), Ends::default());
        Self { channel, due: now, known, counts: None, ends, events, is_starved: false }
    }

    /// Remembers a task that is new. Returns `false` if there is no memory for it.
    fn remember(&mut self, serial: u64, task: Known) -> bool {
        if self.known.len() == self.known.capacity() && !self.grow() {
            self.is_starved = true;
            return false;
        }
        self.known.insert(serial, task);
        true
    }

    /// Doubles the memory, if the budget has enough.
    fn grow(&mut self) -> bool {
        let (before, more) = (self.known.capacity(), self.known.capacity().max(56));
        // While the tasks are moved, there are both tables.
        self.channel.resize(table_bytes(before) + table_bytes(before + more))
            && self.known.try_reserve(more).is_ok()
            && self.channel.resize(table_bytes(self.known.capacity()))
    }

    /// Gives back what a list that was longer has taken.
    fn shrink(&mut self) {
        if self.known.len() < self.known.capacity() / 8 {
            self.known.shrink_to(self.known.len() * 2);
            self.channel.resize(table_bytes(self.known.capacity()));
        }
    }

    fn live(&mut self, task: &TaskView<'_>, writer: &mut RowWriter, look: u64) {
        if !self.channel.watch.filter.matches(task) {
            return;
        }
        let now = Known::new(task, look);
        let name = if let Some(known) = self.known.get_mut(&task.serial().get()) {
            if known.revision == now.revision {
                known.look = now.look;
                return;
            }
            let before = std::mem::replace(known, now);
            match () {
                () if known.is_cancelling() && !before.is_cancelling() => "cancel",
                () if known.entries != before.entries => "status",
                () => "progress",
            }
        } else if self.remember(task.serial().get(), now) {
            "started"
        } else {
            return;
        };
        // At the first look every task is new, and watchers get a snapshot first.
        if let Some(counts) = &mut self.counts {
            counts.reported += u64::from(name == "started");
            self.events.add(name, members_of(writer, task, &self.channel));
        }
    }

    /// Reports an ended task, if that has not been done.
    fn ended(&mut self, task: &TaskView<'_>, writer: &mut RowWriter) {
        let serial = task.serial().get();
        let ended_at = task.ended_at().map_or(0, Timestamp::unix_nanos);
        let was_known = self.known.remove(&serial).is_some();
        let is_old = ended_at < self.ends.until || self.ends.reported.contains_key(&serial);
        if !was_known && is_old {
            return;
        }
        self.ends.reported.insert(serial, ended_at);
        let Some(counts) = &mut self.counts else { return };
        counts.reported += u64::from(!was_known);
        if was_known || self.channel.watch.filter.matches(task) {
            self.events.add("ended", members_of(writer, task, &self.channel));
        }
    }

    /// Reports tasks that this look did not find: live but no longer matching, or ended and evicted.
    fn forget(&mut self, list: &ProcessList, live: &mut Live, writer: &mut RowWriter, look: u64) {
        let Self { known, events, channel, .. } = self;
        let mut searches = 0;
        known.retain(|serial, known| {
            if known.was_found_by(look) {
                return true;
            }
            if live.has(*serial) {
                events.add("left", format!(r#","serial":"{serial}""#).into_bytes());
                return false;
            }
            searches += 1;
            let found = Serial::from_u64(*serial).filter(|_| searches <= MAX_SEARCHES);
            let found = found.and_then(|serial| list.view(serial, |task| members_of(writer, task, channel)));
            let bare = || format!(r#","task":{{"serial":"{serial}","state":"ended"}}"#).into_bytes();
            events.add("ended", found.unwrap_or_else(bare));
            false
        });
    }

    fn count(&mut self, started_before: u64, started_now: u64) {
        let Some(counts) = &mut self.counts else {
            // Read after the look, so that every task of the look is counted.
            self.counts = Some(Counts { base: started_now, ..Counts::default() });
            return;
        };
        if !self.channel.watch.filter.is_empty() {
            return;
        }
        let unseen = started_before.saturating_sub(counts.base).saturating_sub(counts.reported);
        if unseen > counts.unseen {
            let count = unseen - counts.unseen;
            counts.unseen = unseen;
            self.events.add("unseen", format!(r#","count":{count}"#).into_bytes());
        }
    }

    /// Returns the frame of the look.
    pub(super) fn take(&mut self, id: &str) -> Found {
        self.events.take(id)
    }
}

/// The serials of all live tasks that a look found.
#[derive(Default)]
struct Live {
    all: Vec<u64>,
    sorted: bool,
}

impl Live {
    fn has(&mut self, serial: u64) -> bool {
        if !self.sorted {
            self.all.sort_unstable();
            self.sorted = true;
        }
        self.all.binary_search(&serial).is_ok()
    }
}

/// Looks through the list for some channels; `look` is the number of the look.
pub(super) fn look(list: &ProcessList, memory: &Arc<Memory>, lookers: &mut [&mut Looker], look: u64) {
    let mut writer = RowWriter::new();
    let mut live = Live::default();
    let before = list.counters();
    // Without filters, a task that is not found has ended.
    let has_filter = lookers.iter().any(|looker| !looker.channel.watch.filter.is_empty());
    let _held = has_filter.then(|| memory.hold_anyway(before.live * size_of::<u64>() as u64));
    live.all.reserve(if has_filter { before.live as usize } else { 0 });
    let now = list.for_each(|task| {
        if has_filter {
            live.all.push(task.serial().get());
        }
        for looker in lookers.iter_mut() {
            looker.live(task, &mut writer, look);
        }
    });
    let after = list.counters();
    let ended_total = after.started - after.live;
    let since = lookers.iter().filter(|looker| looker.ends.total != ended_total).map(|looker| looker.ends.until).min();
    if let Some(since) = since {
        let ended = list.ended_where(|task| task.ended_at().is_some_and(|at| at.unix_nanos() >= since));
        for task in ended.iter() {
            lookers.iter_mut().for_each(|looker| looker.ended(&task, &mut writer));
        }
    }
    let until = now.unix_nanos().saturating_sub(MARGIN);
    for looker in lookers.iter_mut() {
        looker.forget(list, &mut live, &mut writer, look);
        looker.count(before.started, after.started);
        looker.ends.total = ended_total;
        looker.ends.until = until;
        looker.ends.reported.retain(|_, ended_at| *ended_at >= until);
        looker.shrink();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pm_core::{Clock, ManualClock, Options};
    use pm_wire::filter::Filter;
    use pm_wire::v1_rows::Fields;

    use serde_json::Value;

    use super::super::channel::Watch;
    use super::*;

    struct Watched {
        list: ProcessList,
        hand: ManualClock,
        memory: Arc<Memory>,
        looker: Looker,
        look: u64,
    }

    impl Watched {
        fn new(filter: &str, options: Options) -> Self {
            let (clock, hand) = Clock::manual();
            let list = ProcessList::with_options(options.clock(clock));
            let watch = Watch {
                filter: Filter::parse(filter).unwrap(),
                fields: Fields::FULL,
                interval: Duration::from_millis(250),
                format: Format::Lines,
            };
            let memory = Arc::new(Memory::default());
            let channel = Channel::new(watch, memory.hold(0).unwrap());
            let looker = Looker::new(Arc::new(channel), &memory, Instant::now());
            Self { list, hand, memory, looker, look: 0 }
        }

        /// Returns the types of the events that the next look finds, and their ids or serials.
        fn look(&mut self) -> Vec<(String, String)> {
            self.hand.advance(Duration::from_millis(250));
            self.look += 1;
            look(&self.list, &self.memory, &mut [&mut self.looker], self.look);
            let Found::Frame(frame) = self.looker.take("b-1") else { return Vec::new() };
            let lines: Vec<Value> = frame
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect();
            let numbered: Vec<bool> = lines.iter().map(|line| line.get("id").is_some()).collect();
            assert!(numbered.iter().rev().skip(1).all(|has_id| !has_id) && numbered.last() == Some(&true), "{lines:?}");
            let about = |line: &Value| match &line["task"]["id"] {
                Value::String(id) => id.clone(),
                _ => line["count"].as_u64().map_or_else(|| "?".to_owned(), |count| count.to_string()),
            };
            lines.iter().map(|line| (line["type"].as_str().unwrap().to_owned(), about(line))).collect()
        }
    }

    fn events(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, about)| ((*name).to_owned(), (*about).to_owned())).collect()
    }

    #[test]
    fn each_change_is_reported_once_in_its_latest_state() {
        let mut watched = Watched::new("", Options::new());
        let _before = watched.list.start("before");
        assert_eq!(watched.look(), [], "the first look only learns");
        let task = watched.list.start("job");
        assert_eq!(watched.look(), events(&[("started", "job")]));
        assert_eq!(watched.look(), []);
        task.status("one").unwrap();
        task.status("two").unwrap();
        assert_eq!(watched.look(), events(&[("status", "job")]));
        task.progress(1, 2, "files");
        assert_eq!(watched.look(), events(&[("progress", "job")]));
        task.progress(2, 2, "files");
        assert_eq!(watched.look(), events(&[("progress", "job")]), "written in place, and seen all the same");
        watched.list.cancel("job", "why").unwrap();
        assert_eq!(watched.look(), events(&[("cancel", "job")]));
        drop(task);
        assert_eq!(watched.look(), events(&[("ended", "job")]));
        assert_eq!(watched.look(), []);
    }

    #[test]
    fn a_task_between_two_looks_is_reported_as_ended_or_counted() {
        let mut watched = Watched::new("", Options::new());
        watched.look();
        drop(watched.list.start("short"));
        assert_eq!(watched.look(), events(&[("ended", "short")]));
        assert_eq!(watched.look(), [], "not twice");

        let mut watched = Watched::new("", Options::new().keep_ended(0));
        watched.look();
        let _stays = watched.list.start("stays");
        for _ in 0..5 {
            drop(watched.list.start("short"));
        }
        assert_eq!(watched.look(), events(&[("started", "stays"), ("unseen", "5")]));
        assert_eq!(watched.look(), []);
    }

    #[test]
    fn tasks_that_begin_or_cease_to_match_a_filter_are_reported() {
        let mut watched = Watched::new("status=read*", Options::new().keep_ended(0));
        watched.look();
        let task = watched.list.start("job");
        let _other = watched.list.start("other");
        assert_eq!(watched.look(), []);
        task.status("reading").unwrap();
        assert_eq!(watched.look(), events(&[("started", "job")]));
        task.status("writing").unwrap();
        assert_eq!(watched.look(), events(&[("left", "?")]));
        task.status("reading").unwrap();
        assert_eq!(watched.look(), events(&[("started", "job")]));
        drop(task);
        assert_eq!(watched.look(), events(&[("ended", "?")]), "without a trace, but not a ghost");
    }

    #[test]
    fn tasks_begin_to_match_a_filter_as_they_age() {
        let mut watched = Watched::new("minAge=1s", Options::new());
        let _task = watched.list.start("job");
        let found: Vec<_> = (0..6).map(|_| watched.look()).collect();
        assert_eq!(found.concat(), events(&[("started", "job")]));
        assert!(found[0].is_empty(), "{found:?}");
    }

    #[test]
    fn the_memory_of_tasks_counts_in_the_budget_grows_with_them_and_shrinks() {
        let mut watched = Watched::new("", Options::new().keep_ended(0));
        watched.memory.set_max(table_bytes(1_000));
        let few: Vec<_> = (0..100).map(|number| watched.list.start(&number.to_string())).collect();
        watched.look();
        assert_eq!(watched.memory.held(), table_bytes(watched.looker.known.capacity()));
        assert!(!watched.looker.is_starved);
        let many: Vec<_> = (0..1_000).map(|number| watched.list.start(&number.to_string())).collect();
        look(&watched.list, &watched.memory, &mut [&mut watched.looker], 9);
        assert!(watched.looker.is_starved, "more than the budget has");
        assert!(watched.memory.held() <= watched.memory.max());

        watched.memory.set_max(1 << 20);
        watched.looker.is_starved = false;
        watched.look();
        let full = watched.memory.held();
        drop((few, many));
        watched.look();
        assert!(watched.memory.held() < full / 4, "{full} {}", watched.memory.held());
    }

    #[test]
    fn more_events_than_there_is_memory_for_are_too_much_once() {
        let mut watched = Watched::new("", Options::new());
        watched.look();
        let tasks: Vec<_> = (0..10_000).map(|number| watched.list.start(&number.to_string())).collect();
        look(&watched.list, &watched.memory, &mut [&mut watched.looker], 9);
        assert!(matches!(watched.looker.take("b-9"), Found::TooMuch), "beyond the bytes of a channel");
        watched.memory.set_max(watched.memory.held());
        tasks[0].status("one").unwrap();
        look(&watched.list, &watched.memory, &mut [&mut watched.looker], 10);
        assert!(matches!(watched.looker.take("b-10"), Found::TooMuch), "beyond the budget");
        watched.memory.set_max(64 << 20);
        tasks[0].status("two").unwrap();
        assert_eq!(watched.look(), events(&[("status", "0")]));
    }
}
