//! Writes a recording: consecutive gzip members, each beginning with a snapshot of all tasks (a key frame). So `zcat`
//! reads the whole file, and a reader can start at any member.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use pm_wire::Timestamp;

use super::line::{self, FORMAT, Header, VERSION};
use crate::feed::{Connection, EndpointState, Store, Update};
use crate::fleet::ceiling;

/// The shortest time between two key frames, in milliseconds; also, as many bytes must have been written as the last
/// one took.
const MIN_FRAME_GAP: f64 = 30_000.0;
/// The longest time between two key frames, in milliseconds.
const MAX_FRAME_GAP: f64 = 300_000.0;
/// The most tasks in one line of a key frame, and the memory of tasks after which a line ends.
const PART: usize = 500;
const PART_MEMORY: usize = 4 << 20;

pub(super) struct Writer<W: Write> {
    out: Option<GzEncoder<W>>,
    names: Vec<String>,
    store: Store,
    start: Timestamp,
    /// When the last key frame was written.
    frame_at: f64,
    /// Its bytes, before compression.
    frame: usize,
    /// Bytes written since, before compression.
    since: usize,
    pub(super) events: u64,
}

impl<W: Write> Writer<W> {
    /// Starts a recording.
    pub(super) fn new(out: W, start: Timestamp, names: Vec<String>, filter: String) -> io::Result<Writer<W>> {
        let header =
            Header { format: FORMAT.to_owned(), version: VERSION, at: start, endpoints: names.clone(), filter };
        let mut writer = Writer {
            out: Some(encoder(out)),
            store: Store::new(names.iter().cloned()),
            names,
            start,
            frame_at: 0.0,
            frame: 0,
            since: 0,
            events: 0,
        };
        writer.line(&serde_json::to_string(&header).map_err(io::Error::other)?)?;
        Ok(writer)
    }

    /// Converts milliseconds since the start to a date.
    fn moment(&self, at: f64) -> Timestamp {
        Timestamp::try_from_unix_nanos(self.start.unix_nanos() + (at * 1e3).round() as i128 * 1_000)
            .unwrap_or(self.start)
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        let Some(out) = &mut self.out else { return Err(io::ErrorKind::BrokenPipe.into()) };
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        self.since += text.len() + 1;
        Ok(())
    }

    /// Writes an update; `at` is in milliseconds since the start.
    pub(super) fn write(&mut self, at: f64, endpoint: u32, update: Update) -> io::Result<()> {
        let age = at - self.frame_at;
        if age >= MAX_FRAME_GAP || age >= MIN_FRAME_GAP && self.since >= self.frame {
            self.key_frame(at)?;
        }
        self.events += 1;
        let text = line::write(self.moment(at), &self.names[endpoint as usize], &update);
        self.line(&text)?;
        self.store.apply(endpoint, at, update);
        self.store.sweep();
        Ok(())
    }

    /// The state of an endpoint as it is recorded.
    pub(super) fn endpoint(&self, endpoint: u32) -> &EndpointState {
        &self.store.endpoints()[endpoint as usize]
    }

    /// Begins a new member with the state of all endpoints and tasks.
    fn key_frame(&mut self, at: f64) -> io::Result<()> {
        if let Some(out) = self.out.take() {
            self.out = Some(encoder(out.finish()?));
        }
        (self.frame_at, self.since) = (at, 0);
        let moment = self.moment(at);
        for (endpoint, name) in (0..).zip(self.names.clone()) {
            let state = match &self.store.endpoints()[endpoint as usize].connection {
                Connection::Connecting => None,
                Connection::Live => Some(Update::Live),
                Connection::Polled => Some(Update::Polled),
                Connection::Lost { why, .. } => Some(Update::Lost { why: why.clone(), retry_in: Default::default() }),
                Connection::Refused { why, .. } => {
                    Some(Update::Refused { why: why.clone(), retry_in: Default::default() })
                }
            };
            if let Some(state) = state {
                self.line(&line::write(moment, &name, &state))?;
            }
            // Only a part is copied at a time.
            let slots: Vec<u32> =
                self.store.iter().filter(|(_, task)| task.key.endpoint == endpoint).map(|(slot, _)| slot).collect();
            let mut slots = slots.into_iter().peekable();
            let mut begins = true;
            loop {
                let (mut rows, mut memory) = (Vec::new(), 0);
                while rows.len() < PART && memory < PART_MEMORY {
                    let Some(slot) = slots.next() else { break };
                    let row = self.store.task(slot).row_at(at);
                    memory += ceiling::memory_of(&row);
                    rows.push(row);
                }
                let ends = slots.peek().is_none();
                self.line(&line::write(moment, &name, &Update::Snapshot { rows, begins, ends }))?;
                if ends {
                    break;
                }
                begins = false;
            }
        }
        self.frame = self.since;
        self.since = 0;
        Ok(())
    }

    /// Makes everything written so far readable, even if nothing follows.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }

    /// Finishes the recording and returns the output.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let Some(out) = self.out.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut out = out.finish()?;
        out.flush()?;
        Ok(out)
    }
}

fn encoder<W: Write>(out: W) -> GzEncoder<W> {
    // Repetitive data compresses well at any level, and the observed program may share the processor.
    GzEncoder::new(out, Compression::fast())
}
