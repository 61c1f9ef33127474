//! One look through the list, compared with the one before.
//!
//! A *looker* is the memory of one channel: the state of each task that it reported. A task that was not there before
//! has *started*; one with another revision has changed; one that is gone has *ended*, or has *left* if it is live but
//! no longer matches the filter.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use pm_core::{ProcessList, Serial, TaskView, Timestamp};
use pm_wire::v1_rows::RowWriter;

use super::channel::{Channel, Format};

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

/// A task as of the last look.
struct Known {
    revision: u64,
    entries: u64,
    is_cancelling: bool,
    /// The look that found it last.
    look: u64,
}

/// The memory of a channel.
pub(super) struct Looker {
    pub(super) channel: Arc<Channel>,
    pub(super) due: Instant,
    known: BySerial<Known>,
    counts: Option<Counts>,
    ends: Ends,
    events: Events,
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
}

impl Events {
    fn add(&mut self, name: &'static str, members: Vec<u8>) {
        if let Some((name, members)) = self.last.replace((name, members)) {
            self.format.write(&mut self.out, name, None, &members);
        }
    }

    fn take(&mut self, id: &str) -> Option<Bytes> {
        let (name, members) = self.last.take()?;
        self.format.write(&mut self.out, name, Some(id), &members);
        Some(std::mem::take(&mut self.out).into())
    }
}

fn members_of(writer: &mut RowWriter, task: &TaskView<'_>, looker: &Channel) -> Vec<u8> {
    writer.raw(br#","task":"#);
    writer.row(task, looker.watch.fields);
    writer.take()
}

impl Looker {
    /// Creates an empty memory, which is due at once.
    pub(super) fn new(channel: Arc<Channel>, now: Instant) -> Self {
        let events = Events { format: channel.watch.format, out: Vec::new(), last: None };
        Self { channel, due: now, known: BySerial::default(), counts: None, ends: Ends::default(), events }
    }

    fn live(&mut self, task: &TaskView<'_>, writer: &mut RowWriter, look: u64) {
        if !self.channel.watch.filter.matches(task) {
            return;
        }
        let (entries, is_cancelling) = (task.history_len(), task.is_cancelling());
        let now = Known { revision: task.revision(), entries, is_cancelling, look };
        let name = match self.known.get_mut(&task.serial().get()) {
            Some(known) if known.revision == now.revision => {
                known.look = look;
                return;
            }
            Some(known) => {
                let before = std::mem::replace(known, now);
                match () {
                    () if is_cancelling && !before.is_cancelling => "cancel",
                    () if before.entries != entries => "status",
                    () => "progress",
                }
            }
            None => {
                self.known.insert(task.serial().get(), now);
                "started"
            }
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
            if known.look == look {
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

    /// Returns the frame of the look, if it found anything.
    pub(super) fn take_frame(&mut self, id: &str) -> Option<Bytes> {
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
pub(super) fn look(list: &ProcessList, lookers: &mut [&mut Looker], look: u64) {
    let mut writer = RowWriter::new();
    let mut live = Live::default();
    let before = list.counters();
    let now = list.for_each(|task| {
        live.all.push(task.serial().get());
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
            let looker = Looker::new(Arc::new(Channel::new(watch)), Instant::now());
            Self { list, hand, looker, look: 0 }
        }

        /// Returns the types of the events that the next look finds, and their ids or serials.
        fn look(&mut self) -> Vec<(String, String)> {
            self.hand.advance(Duration::from_millis(250));
            self.look += 1;
            look(&self.list, &mut [&mut self.looker], self.look);
            let Some(frame) = self.looker.take_frame("b-1") else { return Vec::new() };
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
}
