//! A channel: the newest frames, which all watchers with the same filter and format share.
//!
//! Invariants of a ring: frames are in order of their numbers; `dropped` is below all of them, and at least the number
//! of each frame that was removed; `newest` is the number of the last look, whether it found anything or not.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pm_wire::filter::Filter;
use pm_wire::v1::ByeReason;
use pm_wire::v1_rows::Fields;

use crate::response::Held;
use crate::sync::lock;

/// Frames and bytes that a channel retains.
const MAX_FRAMES: usize = 256;
pub(super) const MAX_BYTES: usize = 1 << 20;

/// The format of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// Server-sent events: the text/event-stream of the HTML standard.
    Sse,
    /// A JSON object per line.
    Lines,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// Appends an event; `members` are JSON with a leading comma. A watcher can resume after an event with an `id`.
    pub(super) fn write(self, out: &mut Vec<u8>, name: &str, id: Option<&str>, members: &[u8]) {
        let mut put = |text: &[u8]| out.extend_from_slice(text);
        if self == Self::Sse {
            put(b"event: ");
            put(name.as_bytes());
            if let Some(id) = id {
                put(b"\nid: ");
                put(id.as_bytes());
            }
            put(b"\ndata: ");
        }
        put(br#"{"type":""#);
        put(name.as_bytes());
        put(b"\"");
        if let Some(id) = id {
            put(br#","id":""#);
            put(id.as_bytes());
            put(b"\"");
        }
        put(members);
        put(if self == Self::Sse { b"}\n\n" } else { b"}\n" });
    }

    /// Appends a heartbeat with the position: a comment in server-sent events, an event otherwise.
    pub(super) fn write_heartbeat(self, out: &mut Vec<u8>, id: &str) {
        match self {
            Self::Sse => out.extend_from_slice(format!(": nothing new\nid: {id}\n\n").as_bytes()),
            Self::Lines => self.write(out, "heartbeat", Some(id), b""),
        }
    }
}

/// The filter and the format of a watcher.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) filter: Filter,
    pub(crate) fields: Fields,
    pub(crate) interval: Duration,
    pub(crate) format: Format,
}

impl Watch {
    /// Returns a key that watchers of one channel have in common.
    pub(crate) fn key(&self) -> String {
        format!("{:?} {:?} {:?} {}", self.format, self.interval, self.fields, self.filter)
    }
}

pub(super) struct Channel {
    pub(super) watch: Watch,
    pub(super) key: String,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    frames: VecDeque<(u64, Bytes)>,
    bytes: usize,
    newest: u64,
    dropped: u64,
    waiting: HashMap<u64, Waker>,
    watchers: usize,
    /// Since when there is no watcher.
    idle_since: Option<Instant>,
    closed: Option<ByeReason>,
    /// The bytes of the channel's memory of the tasks.
    held: Option<Held>,
}

/// The result of a look, for the watchers of a channel.
pub(super) enum Found {
    Nothing,
    Frame(Bytes),
    /// More than there is memory for: they have a gap.
    TooMuch,
}

/// The next item for a watcher.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The next frame and its number.
    Frame(u64, Bytes),
    /// Nothing yet; the last look has this number. The waker is woken when there is more.
    Nothing(u64),
    /// Frames that it has not seen were dropped; the last look has this number.
    Gap(u64),
    /// The channel is closed.
    Closed(ByeReason),
}

impl Channel {
    /// Creates a channel with one watcher; `held` is the space for its memory of the tasks.
    pub(super) fn new(watch: Watch, held: Held) -> Self {
        let ring = Ring { watchers: 1, held: Some(held), ..Ring::default() };
        Self { key: watch.key(), watch, ring: Mutex::new(ring) }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        lock(&self.ring)
    }

    /// Returns the item after frame `seen`; if there is none, stores `waker` for the watcher.
    pub(super) fn next(&self, watcher: u64, seen: u64, waker: &Waker) -> Next {
        let mut ring = self.ring();
        if let Some(why) = &ring.closed {
            return Next::Closed(why.clone());
        }
        if seen < ring.dropped {
            return Next::Gap(ring.newest);
        }
        let at = ring.frames.partition_point(|(number, _)| *number <= seen);
        if let Some((number, frame)) = ring.frames.get(at) {
            return Next::Frame(*number, frame.clone());
        }
        match ring.waiting.get_mut(&watcher) {
            Some(kept) => kept.clone_from(waker),
            None => drop(ring.waiting.insert(watcher, waker.clone())),
        }
        Next::Nothing(ring.newest)
    }

    /// Resizes the space for the channel's memory of the tasks; returns `false` if there is not enough.
    pub(super) fn resize(&self, bytes: u64) -> bool {
        self.ring().held.as_mut().is_some_and(|held| held.resize(bytes))
    }

    /// Ends a look. Returns the wakers of waiting watchers.
    #[must_use = "watchers wait for these wakers"]
    pub(super) fn push(&self, number: u64, found: Found) -> Vec<Waker> {
        let mut ring = self.ring();
        let is_first = ring.newest == 0;
        ring.newest = number;
        let wakes = is_first || !matches!(found, Found::Nothing);
        match found {
            Found::Nothing => {}
            Found::Frame(frame) => {
                ring.bytes += frame.len();
                ring.frames.push_back((number, frame));
                while ring.frames.len() > MAX_FRAMES || ring.bytes > MAX_BYTES {
                    let Some((number, frame)) = ring.frames.pop_front() else { break };
                    ring.bytes -= frame.len();
                    ring.dropped = number;
                }
            }
            Found::TooMuch => {
                (ring.bytes, ring.dropped) = (0, number);
                ring.frames.clear();
            }
        }
        if is_first {
            // Changes before the first look are unknown.
            ring.dropped = number;
        }
        if wakes { ring.waiting.drain().map(|(_, waker)| waker).collect() } else { Vec::new() }
    }

    /// Closes the channel. Returns the wakers of waiting watchers.
    #[must_use = "watchers wait for these wakers"]
    pub(super) fn close(&self, why: ByeReason) -> Vec<Waker> {
        let mut ring = self.ring();
        ring.closed = Some(why);
        ring.held = None;
        ring.frames.clear();
        ring.waiting.drain().map(|(_, waker)| waker).collect()
    }

    pub(super) fn join(&self) {
        let mut ring = self.ring();
        ring.watchers += 1;
        ring.idle_since = None;
    }

    pub(super) fn leave(&self, watcher: u64, now: Instant) {
        let mut ring = self.ring();
        let waker = ring.waiting.remove(&watcher);
        ring.watchers -= 1;
        if ring.watchers == 0 {
            ring.idle_since = Some(now);
        }
        drop(ring);
        // Dropped outside of the lock, as it may run other code.
        drop(waker);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.ring().closed.is_some()
    }

    /// Returns since when there is no watcher; `None` if there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.ring().idle_since
    }

    /// Returns `true` if there was no watcher for this long.
    pub(super) fn is_idle(&self, now: Instant, duration: Duration) -> bool {
        self.idle_since().is_some_and(|since| now.saturating_duration_since(since) >= duration)
    }

    /// Returns the bytes of the retained frames.
    pub(super) fn bytes(&self) -> usize {
        self.ring().bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::response::Memory;

    fn channel() -> Channel {
        let interval = Duration::from_millis(250);
        let watch = Watch { filter: Filter::default(), fields: Fields::FULL, interval, format: Format::Sse };
        Channel::new(watch, Arc::new(Memory::default()).hold(0).unwrap())
    }

    #[test]
    fn frames_come_in_order_and_looks_without_a_frame_count() {
        let channel = channel();
        assert!(channel.push(3, Found::Nothing).is_empty());
        assert_eq!(channel.next(0, 3, Waker::noop()), Next::Nothing(3));
        assert_eq!(channel.push(5, Found::Frame(Bytes::from_static(b"five"))).len(), 1);
        assert!(channel.push(6, Found::Nothing).is_empty());
        assert_eq!(channel.next(0, 3, Waker::noop()), Next::Frame(5, Bytes::from_static(b"five")));
        assert_eq!(channel.next(0, 4, Waker::noop()), Next::Frame(5, Bytes::from_static(b"five")));
        assert_eq!(channel.next(0, 5, Waker::noop()), Next::Nothing(6));
        assert_eq!(channel.next(0, 2, Waker::noop()), Next::Gap(6), "before the first look");
    }

    #[test]
    fn a_slow_watcher_gets_a_gap_and_memory_is_bounded() {
        let channel = channel();
        let _ = channel.push(1, Found::Nothing);
        for number in 2..1_000 {
            let _ = channel.push(number, Found::Frame(Bytes::from(vec![b'x'; 16 << 10])));
            assert!(channel.bytes() <= MAX_BYTES);
        }
        assert_eq!(channel.next(0, 1, Waker::noop()), Next::Gap(999));
        assert!(matches!(channel.next(0, 990, Waker::noop()), Next::Frame(991, _)));
        // One frame that is too large by itself is a gap for all.
        let _ = channel.push(1_000, Found::Frame(Bytes::from(vec![b'x'; MAX_BYTES + 1])));
        assert_eq!(channel.next(0, 999, Waker::noop()), Next::Gap(1_000));
        assert_eq!(channel.bytes(), 0);
    }

    #[test]
    fn a_closed_channel_wakes_all_watchers() {
        let channel = channel();
        let _ = channel.push(1, Found::Nothing);
        assert_eq!(channel.next(7, 1, Waker::noop()), Next::Nothing(1));
        assert_eq!(channel.close(ByeReason::Shutdown).len(), 1);
        assert_eq!(channel.next(7, 1, Waker::noop()), Next::Closed(ByeReason::Shutdown));
    }

    #[test]
    fn events_of_both_formats_carry_the_same_json() {
        let written = |format: Format| {
            let mut out = Vec::new();
            format.write(&mut out, "left", None, br#","serial":"7""#);
            format.write(&mut out, "gap", Some("b-2"), br#","why":"slow""#);
            format.write_heartbeat(&mut out, "b-3");
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            written(Format::Sse),
            "event: left\ndata: {\"type\":\"left\",\"serial\":\"7\"}\n\n\
             event: gap\nid: b-2\ndata: {\"type\":\"gap\",\"id\":\"b-2\",\"why\":\"slow\"}\n\n\
             : nothing new\nid: b-3\n\n"
        );
        assert_eq!(
            written(Format::Lines),
            "{\"type\":\"left\",\"serial\":\"7\"}\n{\"type\":\"gap\",\"id\":\"b-2\",\"why\":\"slow\"}\n\
             {\"type\":\"heartbeat\",\"id\":\"b-3\"}\n"
        );
    }
}
