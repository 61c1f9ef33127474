//! Writes a recording: members of gzip one after the other, of which each begins with all tasks as they are then (a key
//! frame). So `zcat` reads the whole, and a reader can begin at any member.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use pm_wire::Timestamp;

use super::line::{self, FORMAT, Header, VERSION};
use crate::top::model::{News, State, Store};

/// A key frame comes no sooner than this, in milliseconds, and not before as much was written as the last one took; but
/// after the longer time in any case.
const SOON: f64 = 30_000.0;
const LATE: f64 = 300_000.0;
/// Tasks in one line.
const PART: usize = 500;

pub(super) struct Writer<W: Write> {
    out: Option<GzEncoder<W>>,
    names: Vec<String>,
    store: Store,
    start: Timestamp,
    /// When the newest key frame was written, how long it was, and how much was written since.
    frame_at: f64,
    frame: usize,
    since: usize,
    pub(super) events: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a recording at this moment.
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

    /// The moment that is so many milliseconds after the start.
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

    /// Writes news that were told so many milliseconds after the start.
    pub(super) fn write(&mut self, at: f64, endpoint: u32, news: News) -> io::Result<()> {
        let age = at - self.frame_at;
        if age >= LATE || age >= SOON && self.since >= self.frame {
            self.key_frame(at)?;
        }
        self.events += 1;
        let text = line::write(self.moment(at), &self.names[endpoint as usize], &news);
        self.line(&text)?;
        self.store.apply(endpoint, at, news);
        self.store.sweep();
        Ok(())
    }

    /// Begins a new member with all that is known.
    fn key_frame(&mut self, at: f64) -> io::Result<()> {
        if let Some(out) = self.out.take() {
            self.out = Some(encoder(out.finish()?));
        }
        (self.frame_at, self.since) = (at, 0);
        let moment = self.moment(at);
        for (endpoint, name) in (0..).zip(self.names.clone()) {
            let state = match &self.store.places()[endpoint as usize].state {
                State::Connecting => None,
                State::Live => Some(News::Live),
                State::Polled => Some(News::Polled),
                State::Lost { why, .. } => Some(News::Lost { why: why.clone(), retry_in: Default::default() }),
                State::Refused { why, .. } => Some(News::Refused { why: why.clone(), retry_in: Default::default() }),
            };
            if let Some(state) = state {
                self.line(&line::write(moment, &name, &state))?;
            }
            let rows: Vec<_> = self
                .store
                .iter()
                .filter(|(_, task)| task.key.endpoint == endpoint)
                .map(|(_, task)| task.row_at(at))
                .collect();
            let parts = rows.len().div_ceil(PART).max(1);
            for part in 0..parts {
                let rows = rows.iter().skip(part * PART).take(PART).cloned().collect();
                let news = News::Snapshot { rows, begins: part == 0, ends: part + 1 == parts };
                self.line(&line::write(moment, &name, &news))?;
            }
        }
        self.frame = self.since;
        self.since = 0;
        Ok(())
    }

    /// Makes sure that what was written can be read, should this be the end.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }

    /// Ends it.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let Some(out) = self.out.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut out = out.finish()?;
        out.flush()?;
        Ok(out)
    }
}

fn encoder<W: Write>(out: W) -> GzEncoder<W> {
    // What is told again and again packs well at any level; the program that is watched may share our processor.
    GzEncoder::new(out, Compression::fast())
}
