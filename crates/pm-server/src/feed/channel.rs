//! What all who watch the same have in common: the newest frames, as long as they are not too many.
//!
//! Invariants of a ring: frames are in order of their number; `lost` is below all of them, and at least the number of each
//! that was let go; `newest` is the number of the last look, whether it found something or not.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pm_wire::filter::Filter;
use pm_wire::v1_rows::Fields;

use crate::sync::lock;

/// What is kept of a channel.
const MAX_FRAMES: usize = 256;
const MAX_BYTES: usize = 1 << 20;

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// Server-sent events: the text/event-stream of the HTML standard.
    Sse,
    /// A JSON object a line.
    Lines,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// Adds an event; `members` are JSON with a comma before the first. With an `id`, all up to here can be resumed from.
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

    /// Adds a sign of life, and how far one has come: of server-sent events, it is seen by the connection only.
    pub(super) fn write_heartbeat(self, out: &mut Vec<u8>, id: &str) {
        match self {
            Self::Sse => out.extend_from_slice(format!(": nothing new\nid: {id}\n\n").as_bytes()),
            Self::Lines => self.write(out, "heartbeat", Some(id), b""),
        }
    }
}

/// What is watched, and how it is to be told.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) filter: Filter,
    pub(crate) fields: Fields,
    pub(crate) interval: Duration,
    pub(crate) format: Format,
}

impl Watch {
    /// Two with the same key are told the same.
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
    lost: u64,
    waiting: HashMap<u64, Waker>,
    watchers: usize,
    /// Since when nobody watches.
    idle_since: Option<Instant>,
    closed: bool,
}

/// What there is for a watcher who has seen all up to some frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The next frame and its number.
    Frame(u64, Bytes),
    /// Nothing: the last look was this one. The waker is woken when there is more.
    Nothing(u64),
    /// Frames that it has not seen are gone; the newest is this one.
    Gap(u64),
    /// No more frames will come.
    Closed,
}

impl Channel {
    /// A channel that has been watched by one since now.
    pub(super) fn new(watch: Watch) -> Self {
        let ring = Ring { watchers: 1, ..Ring::default() };
        Self { key: watch.key(), watch, ring: Mutex::new(ring) }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        lock(&self.ring)
    }

    /// What follows `seen`; if nothing does, `waker` is kept for the watcher.
    pub(super) fn next(&self, watcher: u64, seen: u64, waker: &Waker) -> Next {
        let mut ring = self.ring();
        if ring.closed {
            return Next::Closed;
        }
        if seen < ring.lost {
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

    /// Ends a look: its frame, if it found something. Who waits is to be woken.
    #[must_use = "they wait"]
    pub(super) fn push(&self, number: u64, frame: Option<Bytes>) -> Vec<Waker> {
        let mut ring = self.ring();
        let is_first = ring.newest == 0;
        ring.newest = number;
        let found = frame.is_some();
        if let Some(frame) = frame {
            ring.bytes += frame.len();
            ring.frames.push_back((number, frame));
            while ring.frames.len() > MAX_FRAMES || ring.bytes > MAX_BYTES {
                let Some((number, frame)) = ring.frames.pop_front() else { break };
                ring.bytes -= frame.len();
                ring.lost = number;
            }
        }
        if is_first {
            // What was before the first look is not known.
            ring.lost = number;
        }
        if found || is_first { ring.waiting.drain().map(|(_, waker)| waker).collect() } else { Vec::new() }
    }

    /// No more frames.
    #[must_use = "they wait"]
    pub(super) fn close(&self) -> Vec<Waker> {
        let mut ring = self.ring();
        ring.closed = true;
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
        // Dropping it may run code of somebody else.
        drop(waker);
    }

    /// Since when nobody has watched; none if somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.ring().idle_since
    }

    /// Whether nobody has watched for so long.
    pub(super) fn is_idle(&self, now: Instant, so_long: Duration) -> bool {
        self.idle_since().is_some_and(|since| now.saturating_duration_since(since) >= so_long)
    }

    /// Bytes of the frames that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.ring().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> Channel {
        let interval = Duration::from_millis(250);
        Channel::new(Watch { filter: Filter::default(), fields: Fields::FULL, interval, format: Format::Sse })
    }

    #[test]
    fn frames_are_handed_out_in_their_order_and_quiet_looks_count() {
        let channel = channel();
        assert!(channel.push(3, None).is_empty());
        assert_eq!(channel.next(0, 3, Waker::noop()), Next::Nothing(3));
        assert_eq!(channel.push(5, Some(Bytes::from_static(b"five"))).len(), 1);
        assert!(channel.push(6, None).is_empty());
        assert_eq!(channel.next(0, 3, Waker::noop()), Next::Frame(5, Bytes::from_static(b"five")));
        assert_eq!(channel.next(0, 4, Waker::noop()), Next::Frame(5, Bytes::from_static(b"five")));
        assert_eq!(channel.next(0, 5, Waker::noop()), Next::Nothing(6));
        assert_eq!(channel.next(0, 2, Waker::noop()), Next::Gap(6), "before the first look");
    }

    #[test]
    fn who_is_too_slow_has_a_gap_and_memory_has_a_ceiling() {
        let channel = channel();
        let _ = channel.push(1, None);
        for number in 2..1_000 {
            let _ = channel.push(number, Some(Bytes::from(vec![b'x'; 16 << 10])));
            assert!(channel.bytes() <= MAX_BYTES);
        }
        assert_eq!(channel.next(0, 1, Waker::noop()), Next::Gap(999));
        assert!(matches!(channel.next(0, 990, Waker::noop()), Next::Frame(991, _)));
        // One frame that is too large by itself is a gap for all.
        let _ = channel.push(1_000, Some(Bytes::from(vec![b'x'; MAX_BYTES + 1])));
        assert_eq!(channel.next(0, 999, Waker::noop()), Next::Gap(1_000));
        assert_eq!(channel.bytes(), 0);
    }

    #[test]
    fn a_closed_channel_wakes_all_and_says_so() {
        let channel = channel();
        let _ = channel.push(1, None);
        assert_eq!(channel.next(7, 1, Waker::noop()), Next::Nothing(1));
        assert_eq!(channel.close().len(), 1);
        assert_eq!(channel.next(7, 1, Waker::noop()), Next::Closed);
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
