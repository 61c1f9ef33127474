//! How a task is read: its words are copied, checked, and looked at in peace.
//!
//! A copy is a *row*: six words of facts, then the log, then the newest entries of the ring, then the reason of a cancel
//! request. Readers write nothing and wait for nobody; a copy that a writer spoilt is made again.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::chunk::{Chunk, WORDS, mark};
use crate::clock::Moment;
use crate::record::{self, Head};
use crate::serial::Serial;
use crate::slab::Slab;
use crate::slot::{
    self, CANCEL, CURSOR, Cursor, KEPT, LINKS, LOG, PARENT, PAYLOAD, PLACE, Place, RING, STARTED, Tail, acquire,
};
use crate::sync::{Ordering, fence, relax};

const FACTS: usize = 6;
/// Copies tried before a part that keeps changing is left out.
const TRIES: u32 = if cfg!(loom) { 3 } else { 256 };

/// How much of the history a row takes along.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Newest,
    History,
}

/// The payload of a chunk, copied.
struct Block {
    words: [u64; WORDS - PAYLOAD],
    first: usize,
    used: usize,
}

/// Memory for copies, kept from row to row.
#[derive(Default)]
pub(crate) struct Scratch {
    blocks: Vec<Block>,
}

fn push(out: &mut Vec<u8>, words: &[u64]) {
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

/// Appends a row of the slot to `out`. False, and `out` as before, when there is no live task in it.
pub(crate) fn copy_row(slab: &Slab, index: u32, detail: Detail, scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
    let Some(chunk) = slab.try_chunk(index) else { return false };
    let start = out.len();
    for round in 0..TRIES {
        match try_copy(slab, chunk, detail, scratch, out, round + 1 == TRIES) {
            Copied::Row => return true,
            Copied::Nothing => {
                out.truncate(start);
                return false;
            }
            Copied::Torn => {
                out.truncate(start);
                relax(round);
            }
        }
    }
    false
}

enum Copied {
    Row,
    Nothing,
    Torn,
}

fn try_copy(
    slab: &Slab,
    chunk: &Chunk,
    detail: Detail,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    last: bool,
) -> Copied {
    let gate = acquire(chunk.gate()) | 1;
    if gate & 0b11 != mark::LOCKED {
        return Copied::Nothing;
    }
    let serial = gate >> 2;
    let start = out.len();
    let cancel = acquire(chunk.word(CANCEL));
    let cursor = Cursor(acquire(chunk.word(CURSOR)));
    let kept = Tail(acquire(chunk.word(KEPT)));
    let ring = Tail(acquire(chunk.word(RING)));
    let used = cursor.used().min(WORDS - LOG);

    let whole = start + (FACTS + used) * 8;
    out.resize(whole, 0);
    let log = chunk.range(LOG, LOG + used);
    for (to, word) in out[start + FACTS * 8..].chunks_exact_mut(8).zip(log) {
        to.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    if kept.index().is_some() {
        scratch.blocks.clear();
        let complete = copy_chain(slab, serial, kept, &mut scratch.blocks, |_| false);
        if complete {
            for block in scratch.blocks.iter().rev() {
                push(out, &block.words[..block.used]);
            }
        } else if !last {
            return Copied::Torn;
        }
    }
    let log_words = (out.len() - start) / 8 - FACTS;
    if ring.index().is_some() {
        scratch.blocks.clear();
        copy_chain(slab, serial, ring, &mut scratch.blocks, |block| {
            detail == Detail::Newest && block.first < block.used
        });
        let mut begun = false;
        for block in scratch.blocks.iter().rev() {
            let from = if begun { 0 } else { block.first };
            if from < block.used {
                begun = true;
                push(out, &block.words[from..block.used]);
            }
        }
        if !begun && !last {
            return Copied::Torn;
        }
    }
    let ring_words = (out.len() - start) / 8 - FACTS - log_words;
    if let Some(first) = slot::cancel_chain(cancel) {
        let mut next = Some(first);
        while let Some(index) = next {
            let Some(part) = slab.try_chunk(index) else { return Copied::Torn };
            if part.gate().load(Ordering::Relaxed) != mark::of(serial, mark::CHAIN) {
                return Copied::Torn;
            }
            for at in PAYLOAD..WORDS {
                push(out, &[part.peek(at)]);
            }
            next = slot::next_in(part.peek(LINKS));
            if out.len() - start > (1 << 20) {
                return Copied::Torn;
            }
        }
    }
    let facts = [
        serial,
        chunk.peek(STARTED),
        chunk.peek(PARENT),
        cursor.0,
        log_words as u64 | (ring_words as u64) << 32,
        cancel,
    ];
    for (to, word) in out[start..].chunks_exact_mut(8).zip(facts) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    // Acquire: pairs with the Release fence of whoever takes this slot or these chunks next. If a word above came from
    // there, the loads below see that the slot changed hands.
    fence(Ordering::Acquire);
    if chunk.gate().load(Ordering::Relaxed) | 1 != gate {
        // Another task may be here by now: the next try takes it.
        return Copied::Torn;
    }
    if kept.index().is_some() && Tail(chunk.peek(KEPT)).version() != kept.version() && !last {
        return Copied::Torn;
    }
    if detail == Detail::History && chunk.peek(CURSOR) != cursor.0 && !last {
        return Copied::Torn;
    }
    Copied::Row
}

/// Copies a chain from its newest chunk backwards until `enough`, or until it ends. False when the chain did not reach
/// its first chunk because older ones were used again.
fn copy_chain(
    slab: &Slab,
    serial: u64,
    tail: Tail,
    out: &mut Vec<Block>,
    mut enough: impl FnMut(&Block) -> bool,
) -> bool {
    let owner = mark::of(serial, mark::CHAIN);
    let mut next = tail.index();
    let mut used = tail.used();
    let mut expected = None;
    while let Some(index) = next {
        let Some(chunk) = slab.try_chunk(index) else { return false };
        if acquire(chunk.gate()) != owner {
            return false;
        }
        let place = Place(acquire(chunk.word(PLACE)));
        if expected.is_some_and(|expected| place.ordinal() != expected) {
            return false;
        }
        let mut words = [0; WORDS - PAYLOAD];
        for (to, word) in words.iter_mut().zip(chunk.range(PAYLOAD, WORDS)) {
            *to = word.load(Ordering::Relaxed);
        }
        let prev = slot::prev_in(chunk.peek(LINKS));
        // Acquire: pairs with the Release fence before a chunk is used again.
        fence(Ordering::Acquire);
        if chunk.peek(PLACE) != place.0 || chunk.gate().load(Ordering::Relaxed) != owner {
            return false;
        }
        let block = Block { words, first: place.first() - PAYLOAD, used: used.max(PAYLOAD) - PAYLOAD };
        let stop = enough(&block);
        out.push(block);
        if stop || place.ordinal() == 0 {
            return true;
        }
        expected = Some(place.ordinal() - 1);
        next = prev;
        used = WORDS;
    }
    false
}

/// A text of a task: UTF-8, in the reader's own memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// The bytes: valid UTF-8.
    #[inline]
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text. Costs a check of its bytes.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        // Only whole `&str`s are written, so the check passes.
        std::str::from_utf8(self.0).unwrap_or("\u{fffd}")
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

/// The value of an attribute as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ValueView<'a> {
    /// A text.
    Text(Text<'a>),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A floating-point number, which may be infinite or not a number.
    F64(f64),
    /// True or false.
    Bool(bool),
}

/// What a task is doing: its newest history entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusText<'a> {
    /// It started and has said nothing since. Shown as `init`.
    Init,
    /// What it said last.
    Set(Text<'a>),
    /// It was asked to stop and has said nothing since. Shown as `[cancel request]` or `[cancel request: why]`.
    CancelRequest(Option<Text<'a>>),
}

impl fmt::Display for StatusText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init => f.write_str("init"),
            Self::Set(text) => text.fmt(f),
            Self::CancelRequest(None) => f.write_str("[cancel request]"),
            Self::CancelRequest(Some(why)) => write!(f, "[cancel request: {why}]"),
        }
    }
}

/// How far a task says it has come. Rate and time left are for the reader to work out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Units done.
    pub done: u64,
    /// Units in all; 0 when the task does not know.
    pub total: u64,
    /// What is counted, as `bytes` or `files`; may be empty.
    pub unit: Text<'a>,
}

/// One task as it was when it was copied.
///
/// Everything in it was put in by one task, each text in one piece.
#[derive(Clone, Copy)]
pub struct TaskView<'a> {
    row: &'a [u8],
    moment: Moment,
    // What one pass over the records found.
    id: Text<'a>,
    kind: Option<Text<'a>>,
    newest: Option<RecordView<'a>>,
    progress: Option<RecordView<'a>>,
    attrs: Attrs<'a>,
}

/// When the task of a row started.
pub(crate) fn started_ticks(row: &[u8]) -> u64 {
    word(row, 1)
}

#[inline(always)]
fn word(row: &[u8], at: usize) -> u64 {
    row.get(at * 8..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl<'a> TaskView<'a> {
    pub(crate) fn new(row: &'a [u8], moment: Moment) -> Self {
        let lengths = word(row, 4);
        let (log, ring) = (lengths as u32 as usize, (lengths >> 32) as usize);
        let mut records = Records { bytes: &row[FACTS * 8..(FACTS + log) * 8] };
        let mut view = Self {
            row,
            moment,
            id: Text(&[]),
            kind: None,
            newest: None,
            progress: None,
            attrs: Attrs { records: Records { bytes: &[] }, left: 0, repeat: false },
        };
        let mut names = 0_u64;
        loop {
            let from_here = records;
            let Some(record) = records.next() else { break };
            match record.head.kind() {
                record::ID => view.id = record.text(),
                record::KIND => view.kind = Some(record.text()),
                record::STATUS | record::FAR_STATUS | record::CANCEL_MARK => view.newest = Some(record),
                record::PROGRESS => view.progress = Some(record),
                _ => {
                    if view.attrs.left == 0 {
                        view.attrs.records = from_here;
                    }
                    view.attrs.left += 1;
                    // The same name leaves the same bit; other names rarely do.
                    let name = record.name().0;
                    let ends = name.first().zip(name.last()).map_or(0, |(first, last)| first ^ last.rotate_left(3));
                    let bit = 1 << ((usize::from(ends) + name.len()) % 64);
                    view.attrs.repeat |= names & bit != 0;
                    names |= bit;
                }
            }
        }
        let ring = Records { bytes: &row[(FACTS + log) * 8..(FACTS + log + ring) * 8] };
        view.newest = ring.last().or(view.newest);
        view
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        word(self.row, at)
    }

    #[inline]
    fn cursor(&self) -> Cursor {
        Cursor(self.word(3))
    }

    fn log(&self) -> Records<'a> {
        let words = self.word(4) as u32 as usize;
        Records { bytes: &self.row[FACTS * 8..(FACTS + words) * 8] }
    }

    fn ring(&self) -> Records<'a> {
        let (log, ring) = (self.word(4) as u32 as usize, (self.word(4) >> 32) as usize);
        Records { bytes: &self.row[(FACTS + log) * 8..(FACTS + log + ring) * 8] }
    }

    fn reason(&self) -> Option<Text<'a>> {
        slot::cancel_chain(self.word(5))?;
        let (log, ring) = (self.word(4) as u32 as usize, (self.word(4) >> 32) as usize);
        let mut records = Records { bytes: &self.row[(FACTS + log + ring) * 8..] };
        records.next().map(|record| record.text())
    }

    /// The number of this task: unique in the process, never used again.
    #[inline]
    #[must_use]
    pub fn serial(&self) -> Serial {
        Serial::new(self.word(0))
    }

    /// The id the program chose; other live tasks may bear the same.
    #[inline]
    #[must_use]
    pub fn id(&self) -> Text<'a> {
        self.id
    }

    /// The sort of task, as `GET /hosts/{id}`, if the program named one.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> Option<Text<'a>> {
        self.kind
    }

    /// The task that was current when this one started, or that was named as its parent. It may have ended since.
    #[inline]
    #[must_use]
    pub fn parent(&self) -> Option<Serial> {
        Serial::from_u64(self.word(2))
    }

    /// When the task started.
    #[must_use]
    pub fn started_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.started_unix_nanos())
    }

    /// When the task started, in nanoseconds since 1970.
    #[inline]
    #[must_use]
    pub fn started_unix_nanos(&self) -> u64 {
        self.moment.unix_nanos_of(self.word(1))
    }

    pub(crate) fn started_ticks(&self) -> u64 {
        started_ticks(self.row)
    }

    /// How long the task has been running.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_nanos(self.moment.age_nanos(self.word(1)))
    }

    #[inline]
    fn status_of(&self, record: Option<RecordView<'a>>) -> StatusText<'a> {
        match record {
            None => StatusText::Init,
            Some(record) if record.head.kind() == record::CANCEL_MARK => StatusText::CancelRequest(self.reason()),
            Some(record) => StatusText::Set(record.text()),
        }
    }

    #[inline]
    fn ticks_of(&self, record: Option<RecordView<'a>>) -> u64 {
        self.word(1).wrapping_add(record.map_or(0, |record| record.delta()))
    }

    /// What the task is doing, and when it said so, in nanoseconds since 1970.
    #[inline]
    #[must_use]
    pub fn status_and_unix_nanos(&self) -> (StatusText<'a>, u64) {
        (self.status_of(self.newest), self.moment.unix_nanos_of(self.ticks_of(self.newest)))
    }

    /// What the task is doing.
    #[must_use]
    pub fn status(&self) -> StatusText<'a> {
        self.status_of(self.newest)
    }

    /// When the task entered its status.
    #[must_use]
    pub fn status_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.status_unix_nanos())
    }

    /// When the task entered its status, in nanoseconds since 1970.
    #[must_use]
    pub fn status_unix_nanos(&self) -> u64 {
        self.status_and_unix_nanos().1
    }

    /// How long the task has been in its status.
    #[must_use]
    pub fn status_age(&self) -> Duration {
        Duration::from_nanos(self.moment.age_nanos(self.ticks_of(self.newest)))
    }

    /// Whether the task was asked to stop.
    #[inline]
    #[must_use]
    pub fn is_cancelling(&self) -> bool {
        self.word(5) != 0
    }

    /// Whether the task can be asked to stop.
    #[inline]
    #[must_use]
    pub fn is_cancellable(&self) -> bool {
        !self.cursor().has(Cursor::NOT_CANCELLABLE)
    }

    /// How far the task has come, if it said so.
    #[inline]
    #[must_use]
    pub fn progress(&self) -> Option<Progress<'a>> {
        let record = self.progress?;
        let words = record.head.words();
        Some(Progress { done: record.word(words - 2), total: record.word(words - 1), unit: record.text() })
    }

    /// The attributes, each name once, in no given order.
    #[inline]
    #[must_use]
    pub fn attrs(&self) -> Attrs<'a> {
        self.attrs
    }

    /// The attributes, sorted by the bytes of their names.
    #[must_use]
    pub fn attrs_sorted(&self) -> Vec<(Text<'a>, ValueView<'a>)> {
        let mut all: Vec<_> = self.attrs.records.filter_map(RecordView::attr).collect();
        // Stable, so that of one name the newest comes last; it is the one that counts.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut sorted: Vec<(Text<'a>, ValueView<'a>)> = Vec::with_capacity(all.len());
        for (index, (name, value)) in all.iter().enumerate() {
            let superseded = all.get(index + 1).is_some_and(|next| next.0 == *name);
            if let (false, Some(value)) = (superseded, value) {
                sorted.push((*name, *value));
            }
        }
        sorted
    }

    /// History entries ever made, those dropped since included; the start is the first.
    #[must_use]
    pub fn history_len(&self) -> u64 {
        self.cursor().entries()
    }

    pub(crate) fn history(&self, newest_entries: u64) -> History {
        let entry = |record: Option<RecordView<'a>>| {
            let unix_nanos = self.moment.unix_nanos_of(self.ticks_of(record));
            Entry { unix_nanos, status: self.status_of(record).to_string() }
        };
        let mut entries = vec![entry(None)];
        entries.extend(self.log().filter(|record| record.head.is_entry()).map(|record| entry(Some(record))));
        let first = entries.len();
        entries.extend(self.ring().filter(|record| record.head.is_entry()).map(|record| entry(Some(record))));
        let newest = (entries.len() - first) as u64;
        let surplus = newest.saturating_sub(newest_entries) as usize;
        entries.drain(first..first + surplus);
        let dropped = self.history_len().saturating_sub(entries.len() as u64);
        History { entries, dropped, dropped_after: first, moment: self.moment }
    }
}

impl fmt::Debug for TaskView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskView")
            .field("serial", &self.serial())
            .field("id", &self.id())
            .field("age", &self.age())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// The attributes of a task; made by [`TaskView::attrs`].
#[derive(Clone, Copy, Debug)]
pub struct Attrs<'a> {
    records: Records<'a>,
    /// Records about attributes that are still to come.
    left: usize,
    /// Some name may come twice.
    repeat: bool,
}

impl<'a> Iterator for Attrs<'a> {
    type Item = (Text<'a>, ValueView<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            let Some((name, value)) = self.records.next()?.attr() else { continue };
            self.left -= 1;
            // The newest record of a name counts. Names repeat only where a value was set again.
            let superseded = self.repeat && self.records.filter_map(RecordView::attr).any(|(later, _)| later == name);
            if let (false, Some(value)) = (superseded, value) {
                return Some((name, value));
            }
        }
        None
    }
}

/// The records of a row.
#[derive(Clone, Copy, Debug)]
struct Records<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordView<'a>> {
        let head = Head(u64::from_le_bytes(*self.bytes.first_chunk()?));
        let (bytes, rest) = self.bytes.split_at_checked(head.words() * 8)?;
        self.bytes = rest;
        Some(RecordView { head, bytes })
    }
}

#[derive(Clone, Copy, Debug)]
struct RecordView<'a> {
    head: Head,
    bytes: &'a [u8],
}

impl<'a> RecordView<'a> {
    #[inline]
    fn word(&self, at: usize) -> u64 {
        word(self.bytes, at)
    }

    #[inline(always)]
    fn slice(&self, from: usize, len: usize) -> Text<'a> {
        Text(self.bytes.get(from..from + len).unwrap_or_default())
    }

    /// The text of an id, kind, status or progress record.
    #[inline]
    fn text(&self) -> Text<'a> {
        self.slice(self.head.text_at(), self.head.text_len())
    }

    /// Ticks between the start of the task and this entry.
    fn delta(&self) -> u64 {
        match self.head.kind() {
            record::STATUS => self.head.delta(),
            _ => self.word(1),
        }
    }

    /// The name in an attribute's record.
    #[inline(always)]
    fn name(&self) -> Text<'a> {
        self.slice(self.head.text_at(), self.head.name_len())
    }

    /// What the record says of an attribute: its value, or that it was removed.
    #[inline]
    fn attr(self) -> Option<(Text<'a>, Option<ValueView<'a>>)> {
        if !self.head.is_attr() {
            return None;
        }
        let name = self.name();
        let value = match self.head.kind() {
            record::TEXT => {
                let from = self.head.text_at() + self.head.name_len();
                Some(ValueView::Text(self.slice(from, self.head.value_len())))
            }
            record::NUMBER => {
                let word = self.word(self.head.words() - 1);
                Some(match self.head.number_type() {
                    record::I64 => ValueView::I64(word.cast_signed()),
                    record::F64 => ValueView::F64(f64::from_bits(word)),
                    record::BOOL => ValueView::Bool(word != 0),
                    _ => ValueView::U64(word),
                })
            }
            _ => None,
        };
        Some((name, value))
    }
}

/// The timed statuses of one task, oldest first.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct History {
    /// The entries that are kept: the first ones and the newest ones.
    pub entries: Vec<Entry>,
    /// Entries that were dropped between the first and the newest.
    pub dropped: u64,
    /// The index in `entries` before which the dropped ones stood.
    pub dropped_after: usize,
    /// When the history was read.
    pub moment: Moment,
}

/// One entry of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// When, in nanoseconds since 1970; never earlier than the entry before.
    pub unix_nanos: u64,
    /// What the task said, or what happened to it.
    pub status: String,
}

impl Entry {
    /// When.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.unix_nanos)
    }
}
