//! One watcher: a snapshot, then the frames with the changes since.
//!
//! A watcher holds only its position: frames are stored once for all watchers. The snapshot begins after a look, so
//! that the next look finds whatever changes while the snapshot is written.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use pm_core::Scan;
use pm_wire::v1::ByeReason;
use pm_wire::v1_rows::RowWriter;

use super::Seat;
use super::channel::{Format, Next};
use crate::response::{Held, Produce, STREAM};

/// Bytes of a snapshot that are written at a time.
const PART: usize = 64 << 10;
/// Tasks that are visited before other connections get a turn.
const TURN: usize = 500;
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
    Snapshot(Box<Snapshot>),
    Follows,
    Ended,
}

struct Snapshot {
    scan: Scan,
    writer: RowWriter,
    /// Tasks that matched so far.
    total: u64,
    /// Tasks in the current part.
    in_part: usize,
    id: String,
    held: Arc<Held>,
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
                    self.phase = Phase::Snapshot(Box::new(Snapshot {
                        scan: shared.list.scan(),
                        writer: RowWriter::new(),
                        total: 0,
                        in_part: 0,
                        id: shared.id(*number),
                        held: Arc::new(held),
                    }));
                }
                Phase::Snapshot(snapshot) => {
                    let watch = &self.seat.channel.watch;
                    let done = snapshot.write_part(watch);
                    if done == Some(false) && snapshot.writer.len() < PART {
                        // Few tasks match; other connections get a turn.
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    snapshot.finish_part(watch.format, done == Some(true), &mut self.before);
                    let part = snapshot.held.part(std::mem::take(&mut self.before).into());
                    if done == Some(true) {
                        self.phase = Phase::Follows;
                    }
                    return Poll::Ready(Some(part));
                }
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
    /// Continues the part. Returns `Some(true)` at the end of the list, `Some(false)` when other connections get a
    /// turn, and `None` when the part is full.
    fn write_part(&mut self, watch: &super::channel::Watch) -> Option<bool> {
        for _ in 0..TURN {
            if self.writer.len() >= PART {
                return None;
            }
            let Some(task) = self.scan.next() else { return Some(true) };
            if watch.filter.matches(&task) {
                if self.in_part > 0 {
                    self.writer.raw(b",");
                }
                self.in_part += 1;
                self.total += 1;
                self.writer.row(&task, watch.fields);
            }
        }
        Some(false)
    }

    fn finish_part(&mut self, format: Format, is_last: bool, out: &mut Vec<u8>) {
        let mut members = br#","tasks":["#.to_vec();
        members.extend_from_slice(&self.writer.take());
        self.in_part = 0;
        let time = pm_wire::time::rfc3339(self.scan.at().unix_nanos());
        let rest = match is_last {
            true => format!(r#"],"more":false,"total":{},"serverTime":"{}""#, self.total, time.as_str()),
            false => r#"],"more":true"#.to_owned(),
        };
        members.extend_from_slice(rest.as_bytes());
        format.write(out, "snapshot", is_last.then_some(self.id.as_str()), &members);
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
