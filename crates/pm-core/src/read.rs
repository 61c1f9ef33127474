//! How a task is read: its words are copied, checked, and looked at in peace.
//!
//! A copy is a *row*: eight words of facts, then the log, then the newest entries of the ring, then the cancel request. Readers write nothing and wait for nobody; a copy that a writer spoilt is made again.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cancel::Cancelled;
use crate::chunk::{WORDS, mark};
use crate::clock::Moment;
use crate::kinds::Kinds;
use crate::outcome::Outcome;
use crate::record::{self, Head};
use crate::serial::Serial;
use crate::slab::Slab;
use crate::slot::{
    self, CANCEL, CURSOR, Cursor, KEPT, LINKS, LOG, NEWEST, PARENT, PAYLOAD, PLACE, Place, RING, SELF, STARTED, Slot,
    Tail, acquire, cancel,
};
use crate::state::TaskState;
use crate::sync::{Ordering, fence, relax};

const FACTS: usize = 8;
/// In the last fact, above the number of the kind: the parent has ended.
const PARENT_ENDED: u64 = 1 << 32;
/// Copies tried before a part that keeps changing is left out.
const TRIES: u32 = if cfg!(loom) { 3 } else { 256 };

/// How much of the history a row takes along.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Newest,
    History,
}

/// Which tasks are copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those that are live.
    Live,
    /// Those that ended and are kept.
    Ended,
    /// One that ends now, by who holds its lock.
    Ending,
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

/// Appends a row of the slot to `out`. False, and `out` as before, when there is no such task in it.
pub(crate) fn copy_row(slot: Slot, wanted: Wanted, detail: Detail, scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    for round in 0..TRIES {
        match try_copy(slot, wanted, detail, scratch, out, round + 1 == TRIES) {
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
    slot: Slot,
    wanted: Wanted,
    detail: Detail,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    last: bool,
) -> Copied {
    let Slot { inner, chunk } = slot;
    let slab = inner.slab;
    let gate = acquire(chunk.gate());
    let (gate, lock) = match wanted {
        Wanted::Live | Wanted::Ending if mark::is_live(gate) => (gate | 1, 1),
        Wanted::Ended if gate & 0b111 == mark::ENDED => (gate, 0),
        _ => return Copied::Nothing,
    };
    let serial = mark::serial(gate);
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
    let parent = chunk.peek(PARENT);
    let mut kind = u64::from(ring.kind());
    if parent != 0
        && let Some(at) = (chunk.peek(SELF) >> 32).checked_sub(1)
    {
        let is_live = slab
            .try_chunk(at as u32)
            .is_some_and(|parent_chunk| acquire(parent_chunk.gate()) | 1 == mark::of(parent, mark::LOCKED));
        kind |= if is_live { 0 } else { PARENT_ENDED };
    }
    let facts = [
        serial,
        chunk.peek(STARTED),
        parent,
        if wanted == Wanted::Live { cursor.live().0 } else { cursor.0 },
        log_words as u64 | (ring_words as u64) << 32,
        cancel,
        if wanted == Wanted::Live { 0 } else { chunk.peek(NEWEST) },
        kind,
    ];
    for (to, word) in out[start..].chunks_exact_mut(8).zip(facts) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    // Acquire: pairs with the Release fence of whoever takes this slot or these chunks next. If a word above came from
    // there, the loads below see that the slot changed hands.
    fence(Ordering::Acquire);
    if chunk.gate().load(Ordering::Relaxed) | lock != gate {
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

/// Shows the value as text: the text itself, an integer in decimal, `true` or `false`, and a floating-point number as
/// the shortest decimal that reads back as the same number (`0.1`, `2`, `-0`), with an exponent when it is below 1e-6 or
/// from 1e21 on (`1e300`), or as `NaN`, `inf` or `-inf`.
///
/// It is what filters compare, and what every list shows.
///
/// ```
/// assert_eq!(pm_core::ValueView::F64(1e300).to_string(), "1e300");
/// ```
impl fmt::Display for ValueView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Text(text) => f.pad(text.as_str()),
            Self::I64(number) => write!(f, "{number}"),
            Self::U64(number) => write!(f, "{number}"),
            Self::F64(number) => {
                let size = number.abs();
                let is_far = size.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size);
                if is_far { write!(f, "{number:e}") } else { write!(f, "{number}") }
            }
            Self::Bool(yes) => write!(f, "{yes}"),
        }
    }
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
    pub(crate) fn new(row: &'a [u8], moment: Moment, kinds: &'a Kinds) -> Self {
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
        if let Some(name) = kinds.name(view.kind_number()) {
            view.kind = Some(Text(name.as_bytes()));
        }
        view
    }

    pub(crate) fn kind_number(&self) -> u32 {
        self.word(7) as u32
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

    /// What was asked of the task: who wants it to stop, and why; `None` if nobody does.
    #[must_use]
    pub fn cancel_request(&self) -> Option<RequestView<'a>> {
        if !self.is_cancelling() {
            return None;
        }
        let (log, ring) = (self.word(4) as u32 as usize, (self.word(4) >> 32) as usize);
        let unknown = RequestView {
            reason: Text(&[]),
            by: Text(&[]),
            ticks: self.ticks_of(self.newest),
            origin: self.word(0),
            moment: self.moment,
        };
        Some(RequestView::parse(&self.row[(FACTS + log + ring) * 8..], self.moment).unwrap_or(unknown))
    }

    fn reason(&self) -> Option<Text<'a>> {
        self.cancel_request().map(|request| request.reason).filter(|reason| !reason.0.is_empty())
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

    /// The task that was current when this one started, or that was named as its parent. It may have ended since: see
    /// [`parent_has_ended`](Self::parent_has_ended).
    #[inline]
    #[must_use]
    pub fn parent(&self) -> Option<Serial> {
        Serial::from_u64(self.word(2))
    }

    /// Whether the task outlived its parent, as far as that one is of the same list.
    #[inline]
    #[must_use]
    pub fn parent_has_ended(&self) -> bool {
        self.word(7) & PARENT_ENDED != 0
    }

    /// How the task ended; `None` while it is live.
    #[inline]
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::from_count(self.cursor().outcome())
    }

    /// Returns whether the task runs, was asked to stop and still runs, or has ended.
    #[inline]
    #[must_use]
    pub fn state(&self) -> TaskState {
        if self.outcome().is_some() {
            TaskState::Ended
        } else if self.is_cancelling() {
            TaskState::Cancelling
        } else {
            TaskState::Running
        }
    }

    /// When the task ended, in nanoseconds since 1970; `None` while it is live.
    #[must_use]
    pub fn ended_unix_nanos(&self) -> Option<u64> {
        self.outcome().map(|_| self.moment.unix_nanos_of(self.word(6)))
    }

    /// When the task ended; `None` while it is live.
    #[must_use]
    pub fn ended_at(&self) -> Option<SystemTime> {
        self.ended_unix_nanos().map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos))
    }

    /// Whether it is kept longer than others: it failed, was killed, or was slow.
    pub(crate) fn is_notable(&self) -> bool {
        self.cursor().has(Cursor::NOTABLE)
    }

    /// Whether the future that ran as this task was dropped because it was asked to stop.
    #[must_use]
    pub fn was_forced(&self) -> bool {
        self.word(5) & cancel::FORCED != 0
    }

    /// Whether the task is in a section that must not be cut: see [`protect`](crate::protect).
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.outcome().is_none() && self.word(5) & cancel::PROTECTED != 0
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

    /// When the task started, for comparing tasks of one list, also of different snapshots: a number that grows with
    /// time, in no unit that is told. Dates may differ from one snapshot to the next by what the clock was corrected
    /// meanwhile; this never does.
    #[inline]
    #[must_use]
    pub fn started_ticks(&self) -> u64 {
        started_ticks(self.row)
    }

    /// When the task entered its status, as [`started_ticks`](Self::started_ticks).
    #[inline]
    #[must_use]
    pub fn status_ticks(&self) -> u64 {
        self.ticks_of(self.newest)
    }

    /// When the task ended, as [`started_ticks`](Self::started_ticks); the largest number while it is live.
    #[inline]
    #[must_use]
    pub fn ended_ticks(&self) -> u64 {
        if self.outcome().is_some() { self.word(6) } else { u64::MAX }
    }

    /// How long the task has been running, or ran.
    #[must_use]
    pub fn age(&self) -> Duration {
        if self.outcome().is_some() {
            return self.moment.between(self.word(1), self.word(6));
        }
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

    /// The status that the task itself said last, for a row with the history: what it was asked since is none.
    pub(crate) fn said_last(&self) -> StatusText<'a> {
        let is_said = |record: &RecordView<'a>| record.head.is_entry() && record.head.kind() != record::CANCEL_MARK;
        self.status_of(self.ring().filter(is_said).last().or_else(|| self.log().filter(is_said).last()))
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

    /// How long the task has been in its status, or was in its last.
    #[must_use]
    pub fn status_age(&self) -> Duration {
        if self.outcome().is_some() {
            return self.moment.between(self.ticks_of(self.newest), self.word(6));
        }
        Duration::from_nanos(self.moment.age_nanos(self.ticks_of(self.newest)))
    }

    /// Whether the task was asked to stop.
    #[inline]
    #[must_use]
    pub fn is_cancelling(&self) -> bool {
        cancel::is_asked(self.word(5))
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

    /// A number that is another one whenever something that can be seen of the task is, but for its age: for those who
    /// look again and again, and want to know what changed. (A hash of 64 bits: that two are the same by chance is not to
    /// be expected.)
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("job-1");
    /// let revision = || list.view(task.serial(), |task| task.revision()).unwrap();
    /// let before = revision();
    /// assert_eq!(revision(), before);
    /// task.progress(1, 10, "files");
    /// assert_ne!(revision(), before);
    /// ```
    #[must_use]
    pub fn revision(&self) -> u64 {
        let (lengths, mut hash) = (self.word(4), 0_u64);
        let words = FACTS + (lengths as u32 as usize) + ((lengths >> 32) as usize);
        for at in 0..words {
            hash = (hash.rotate_left(5) ^ self.word(at)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        hash ^ (hash >> 32)
    }

    /// History entries ever made, those dropped since included; the start is the first.
    #[must_use]
    pub fn history_len(&self) -> u64 {
        self.cursor().entries()
    }

    pub(crate) fn history(&self, newest_entries: u64) -> History {
        let entry = |record: Option<RecordView<'a>>| {
            let unix_nanos = self.moment.unix_nanos_of(self.ticks_of(record));
            HistoryEntry { unix_nanos, status: self.status_of(record).to_string() }
        };
        let mut entries = vec![entry(None)];
        entries.extend(self.log().filter(|record| record.head.is_entry()).map(|record| entry(Some(record))));
        let first = entries.len();
        entries.extend(self.ring().filter(|record| record.head.is_entry()).map(|record| entry(Some(record))));
        let newest = (entries.len() - first) as u64;
        let surplus = newest.saturating_sub(newest_entries) as usize;
        entries.drain(first..first + surplus);
        let dropped = self.history_len().saturating_sub(entries.len() as u64);
        let outcome = self.outcome();
        if let Some((outcome, unix_nanos)) = outcome.zip(self.ended_unix_nanos()) {
            entries.extend(self.last_entry(outcome).map(|status| HistoryEntry { unix_nanos, status }));
        }
        History { entries, dropped, dropped_after: first, moment: self.moment, outcome }
    }

    /// The entry that the end makes, unless the task made it itself.
    fn last_entry(&self, outcome: Outcome) -> Option<String> {
        Some(match outcome {
            Outcome::Finished => "ended".to_owned(),
            Outcome::Cancelled => match self.reason() {
                Some(reason) => format!("killed: {reason}"),
                None => "killed".to_owned(),
            },
            Outcome::Aborted => "aborted".to_owned(),
            Outcome::Dropped => "dropped".to_owned(),
            Outcome::Failed if matches!(self.status(), StatusText::Set(text) if text.0.starts_with(b"failed")) => {
                return None;
            }
            Outcome::Failed => "failed".to_owned(),
        })
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
    pub entries: Vec<HistoryEntry>,
    /// Entries that were dropped between the first and the newest.
    pub dropped: u64,
    /// The index in `entries` before which the dropped ones stood.
    pub dropped_after: usize,
    /// When the history was read.
    pub moment: Moment,
    /// How the task ended, which the last entry tells, too; `None` while it is live.
    pub outcome: Option<Outcome>,
}

/// What was asked of a task that is to stop.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    reason: Text<'a>,
    by: Text<'a>,
    ticks: u64,
    origin: u64,
    moment: Moment,
}

impl<'a> RequestView<'a> {
    pub(crate) fn parse(bytes: &'a [u8], moment: Moment) -> Option<Self> {
        let mut records = Records { bytes };
        let (asked, origin, reason) = (records.next()?, records.next()?, records.next()?);
        let number = |record: RecordView<'a>| record.word(record.head.words() - 1);
        let (by, reason) = (asked.name(), reason.text());
        Some(Self { reason, by, ticks: number(asked), origin: number(origin), moment })
    }

    pub(crate) fn to_cancelled(self, serial: Serial) -> Cancelled {
        Cancelled {
            serial,
            reason: self.reason.as_str().to_owned(),
            by: self.by.as_str().to_owned(),
            unix_nanos: self.unix_nanos(),
            origin: self.origin(),
        }
    }

    pub(crate) fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Why; empty when no reason was given.
    #[must_use]
    pub fn reason(&self) -> Text<'a> {
        self.reason
    }

    /// Who asked; empty when that was not told.
    #[must_use]
    pub fn by(&self) -> Text<'a> {
        self.by
    }

    /// When, in nanoseconds since 1970.
    #[must_use]
    pub fn unix_nanos(&self) -> u64 {
        self.moment.unix_nanos_of(self.ticks)
    }

    /// How long ago.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_nanos(self.moment.age_nanos(self.ticks))
    }

    /// The task that the request was meant for: this one, or an ancestor of it.
    #[must_use]
    pub fn origin(&self) -> Serial {
        Serial::new(self.origin)
    }
}

/// A row by itself, with all that is needed to look at it.
pub(crate) struct Row {
    bytes: Vec<u8>,
    moment: Moment,
    kinds: std::sync::Arc<Kinds>,
}

impl Row {
    /// Copies the task in a slot; `None` when there is no such task in it.
    pub(crate) fn copy(slot: Slot, wanted: Wanted, detail: Detail) -> Option<Self> {
        Self::timeless(slot, wanted, detail).map(|row| Self { moment: slot.inner.timer.moment(), ..row })
    }

    /// The same for who looks at no times.
    pub(crate) fn timeless(slot: Slot, wanted: Wanted, detail: Detail) -> Option<Self> {
        let mut bytes = Vec::new();
        copy_row(slot, wanted, detail, &mut Scratch::default(), &mut bytes).then(|| Self {
            bytes,
            moment: Moment::NONE,
            kinds: slot.inner.slab.kinds(),
        })
    }

    pub(crate) fn view(&self) -> TaskView<'_> {
        TaskView::new(&self.bytes, self.moment, &self.kinds)
    }
}

/// One entry of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When, in nanoseconds since 1970; never earlier than the entry before.
    pub unix_nanos: u64,
    /// What the task said, or what happened to it.
    pub status: String,
}

impl HistoryEntry {
    /// When.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.unix_nanos)
    }
}
