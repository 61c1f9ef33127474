//! One watcher: a snapshot, then the frames with the changes since.
//!
//! A watcher holds only its position: frames are stored once for all watchers. The snapshot begins after a look, so
//! that the next look finds whatever changes while the snapshot is written.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use pm_core::Scan;
use pm_wire::v1::ByeReason;
use pm_wire::v1_rows::RowWriter;

use super::Seat;
use super::channel::{Channel, Format, Next};
use crate::response::{LONG, Parts, Produce, STREAM, WriteParts};

/// Bytes of a snapshot that are written at a time.
const PART: usize = 64 << 10;
/// Tasks that are visited before other responses get a turn.
const TURN: u64 = 2 * LONG;
/// When a disconnected browser reconnects, in milliseconds.
const RETRY: &[u8] = b"retry: 2000\n\n";

/// The events of a watcher.
pub(crate) struct EventStream {
    seat: Seat,
    phase: Phase,
    /// The last frame that was sent.
    seen: u64,
    /// Bytes to send before anything else.
    before: Vec<u8>,
}

enum Phase {
    /// It reconnects after this frame, if the frame is known.
    Resumes(Option<u64>),
    /// Waits for the first look.
    Begins,
    /// It is to get a snapshot, with the id of this frame, once there is memory for it.
    Waits(u64),
    Snapshot(Box<Parts>),
    Follows,
    Ended,
}

struct Snapshot {
    channel: Arc<Channel>,
    scan: Scan,
    writer: RowWriter,
    /// Tasks that matched so far.
    total: u64,
    /// Tasks in the current part.
    in_part: usize,
    id: String,
    is_complete: bool,
}

impl EventStream {
    pub(super) fn new(seat: Seat, resume: Option<Option<u64>>) -> Self {
        let before = if seat.channel.watch.format == Format::Sse { RETRY.to_vec() } else { Vec::new() };
        let phase = resume.map_or(Phase::Begins, Phase::Resumes);
        Self { seat, phase, seen: 0, before }
    }

    fn gap(&mut self, why: &str, number: u64) {
        let members = format!(r#","why":"{why}""#);
        // Without an id: a watcher that is disconnected within the following snapshot must not resume after it.
        self.seat.channel.watch.format.write(&mut self.before, "gap", None, members.as_bytes());
        self.begin(number);
    }

    fn begin(&mut self, number: u64) {
        self.seen = number;
        self.phase = Phase::Waits(number);
    }

    fn next(&mut self, context: &Context<'_>) -> Next {
        self.seat.channel.next(self.seat.number, self.seen, context.waker())
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.phase {
                Phase::Ended if self.before.is_empty() => return Poll::Ready(None),
                Phase::Ended => return self.flush(),
                Phase::Begins => match self.next(context) {
                    Next::Closed(why) => self.close(&why),
                    // No look yet.
                    Next::Nothing(0) => return self.flush(),
                    Next::Nothing(number) | Next::Gap(number) | Next::Frame(number, _) => self.begin(number),
                },
                Phase::Resumes(number) => {
                    self.seen = number.unwrap_or(0);
                    let known = number.is_some();
                    match self.next(context) {
                        Next::Closed(why) => self.close(&why),
                        Next::Nothing(0) => return self.flush(),
                        Next::Nothing(newest) if known && newest >= self.seen => self.phase = Phase::Follows,
                        Next::Frame(..) if known => self.phase = Phase::Follows,
                        Next::Nothing(number) | Next::Gap(number) | Next::Frame(number, _) => {
                            self.gap("resume", number)
                        }
                    }
                }
                Phase::Waits(number) => {
                    let shared = &self.seat.shared;
                    let Poll::Ready(held) = shared.memory.poll_hold(STREAM, context) else { return self.flush() };
                    let snapshot = Snapshot {
                        channel: Arc::clone(&self.seat.channel),
                        scan: shared.list.scan(),
                        writer: RowWriter::new(),
                        total: 0,
                        in_part: 0,
                        id: shared.id(*number),
                        is_complete: false,
                    };
                    let run = (shared.list.counters().live > LONG).then(|| shared.run.clone());
                    self.phase = Phase::Snapshot(Box::new(Parts::new(snapshot, run).counted(held)));
                }
                Phase::Snapshot(_) if !self.before.is_empty() => return self.flush(),
                Phase::Snapshot(parts) => match ready!(parts.poll_part(context)) {
                    Some(part) => {
                        if parts.is_complete() {
                            self.phase = Phase::Follows;
                        }
                        return Poll::Ready(Some(part));
                    }
                    None if parts.is_broken() => self.phase = Phase::Ended,
                    None => self.phase = Phase::Follows,
                },
                Phase::Follows if !self.before.is_empty() => return self.flush(),
                Phase::Follows => match self.next(context) {
                    Next::Closed(why) => self.close(&why),
                    Next::Frame(number, frame) => {
                        self.seen = number;
                        return Poll::Ready(Some(frame));
                    }
                    Next::Nothing(number) => {
                        self.seen = number;
                        return Poll::Pending;
                    }
                    Next::Gap(number) => self.gap("slow", number),
                },
            }
        }
    }

    fn close(&mut self, why: &ByeReason) {
        let format = self.seat.channel.watch.format;
        let members = format!(r#","why":"{}""#, why.as_str());
        format.write(&mut self.before, "bye", None, members.as_bytes());
        self.phase = Phase::Ended;
    }

    fn flush(&mut self) -> Poll<Option<Bytes>> {
        match std::mem::take(&mut self.before) {
            nothing if nothing.is_empty() => Poll::Pending,
            bytes => Poll::Ready(Some(bytes.into())),
        }
    }
}

impl Snapshot {
    fn finish_part(&mut self, is_last: bool) -> Vec<u8> {
        let mut members = br#","tasks":["#.to_vec();
        members.extend_from_slice(&self.writer.take());
        self.in_part = 0;
        let time = pm_wire::time::rfc3339(self.scan.at().unix_nanos());
        let rest = match is_last {
            true => format!(r#"],"more":false,"total":{},"serverTime":"{}""#, self.total, time.as_str()),
            false => r#"],"more":true"#.to_owned(),
        };
        members.extend_from_slice(rest.as_bytes());
        let mut out = Vec::with_capacity(members.len() + self.id.len() + 64);
        let id = is_last.then_some(self.id.as_str());
        self.channel.watch.format.write(&mut out, "snapshot", id, &members);
        out
    }
}

impl WriteParts for Snapshot {
    fn next_part(&mut self) -> Option<Vec<u8>> {
        if self.is_complete {
            return None;
        }
        let watch = &self.channel.watch;
        for _ in 0..TURN {
            if self.writer.len() >= PART {
                return Some(self.finish_part(false));
            }
            let Some(task) = self.scan.next() else {
                self.is_complete = true;
                return Some(self.finish_part(true));
            };
            if watch.filter.matches(&task) {
                if self.in_part > 0 {
                    self.writer.raw(b",");
                }
                self.in_part += 1;
                self.total += 1;
                self.writer.row(&task, watch.fields);
            }
        }
        // Few tasks match.
        Some(Vec::new())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("total", &self.total).finish_non_exhaustive()
    }
}

impl Produce for EventStream {
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.poll_next(context)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("seen", &self.seen).finish_non_exhaustive()
    }
}
