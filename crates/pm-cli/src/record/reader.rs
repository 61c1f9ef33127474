//! Reads a recording: one pass to index its members, then from any of them.
//!
//! A truncated or damaged file is read up to the damage, which is reported.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::{GzDecoder, MultiGzDecoder};
use pm_wire::Timestamp;

use super::line::{self, FORMAT, Header, VERSION};
use crate::feed::Update;

/// A longer line cannot be from `pm record`.
const MAX_LINE: u64 = 64 << 20;

/// An indexed recording.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    path: PathBuf,
    pub(crate) header: Header,
    /// The start of each member: milliseconds since the start of the recording, and the offset in the file.
    frames: Vec<(f64, u64)>,
    /// Milliseconds from the start to the last line.
    pub(crate) length: f64,
    /// Why the file could not be read to its end.
    pub(crate) damage: Option<String>,
}

/// The lines from one member on.
pub(crate) struct Lines {
    start: Timestamp,
    names: Vec<String>,
    input: BufReader<MultiGzDecoder<BufReader<File>>>,
}

impl Recording {
    /// Opens and indexes a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is not a recording; the message includes its name.
    pub(crate) fn open(path: &Path) -> Result<Recording, String> {
        let name = path.display();
        let file = File::open(path).map_err(|error| format!("could not open {name}: {error}"))?;
        if file.metadata().is_ok_and(|about| about.is_dir()) {
            return Err(format!("{name} is a directory, not a recording"));
        }
        let mut input = Counted { input: BufReader::new(file), count: 0 };
        let mut recording: Option<Recording> = None;
        let mut last = String::new();
        let mut damage = None;
        'members: while input.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
            let begin = input.count;
            let mut lines = BufReader::new(GzDecoder::new(&mut input));
            let mut is_first = true;
            loop {
                let mut text = String::new();
                let read = (&mut lines).take(MAX_LINE).read_line(&mut text);
                match (read, &mut recording) {
                    (Ok(0), _) => break,
                    (Ok(_), None) => {
                        let header = header(&text).map_err(|why| format!("{name} {why}"))?;
                        let frames = vec![(0.0, begin)];
                        recording =
                            Some(Recording { path: path.to_owned(), header, frames, length: 0.0, damage: None });
                        is_first = false;
                    }
                    (Ok(_), Some(_)) if !text.ends_with('\n') => {
                        damage = Some("it ends within a line".to_owned());
                        break 'members;
                    }
                    (Ok(_), Some(recording)) => {
                        if std::mem::take(&mut is_first) {
                            match line::read(&text) {
                                Ok((at, ..)) => recording.frames.push((since(recording.header.at, at), begin)),
                                Err(error) => {
                                    damage = Some(format!("it has an invalid line: {error}"));
                                    break 'members;
                                }
                            }
                        }
                        last = text;
                    }
                    (Err(error), None) => {
                        return Err(match error.kind() {
                            io::ErrorKind::UnexpectedEof => format!("{name} ends before its first line"),
                            _ => format!("{name} is not a recording: it is not compressed with gzip ({error})"),
                        });
                    }
                    (Err(error), Some(_)) => {
                        damage = Some(match error.kind() {
                            io::ErrorKind::UnexpectedEof => "it is truncated".to_owned(),
                            _ => format!("it is damaged: {error}"),
                        });
                        break 'members;
                    }
                }
            }
        }
        let mut recording = recording.ok_or_else(|| format!("{name} is empty, not a recording"))?;
        recording.damage = damage;
        if let Ok((at, ..)) = line::read(&last) {
            recording.length = since(recording.header.at, at);
        }
        Ok(recording)
    }

    /// The lines from which `at` can be reached. Begins one member earlier than necessary, so that tasks which ended
    /// shortly before are known, too.
    pub(super) fn lines_before(&self, at: f64) -> io::Result<Lines> {
        let next = self.frames.partition_point(|(begin, _)| *begin <= at);
        let (_, offset) = self.frames[next.saturating_sub(2)];
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        let input = BufReader::new(MultiGzDecoder::new(BufReader::new(file)));
        Ok(Lines { start: self.header.at, names: self.header.endpoints.clone(), input })
    }

    /// The time of the last key frame before `at`.
    pub(super) fn frame_before(&self, at: f64) -> f64 {
        let next = self.frames.partition_point(|(begin, _)| *begin <= at);
        self.frames[next.saturating_sub(1)].0
    }

    /// Converts milliseconds since the start to a date.
    pub(crate) fn moment(&self, at: f64) -> Timestamp {
        let start = self.header.at;
        Timestamp::try_from_unix_nanos(start.unix_nanos() + (at * 1e3).round() as i128 * 1_000).unwrap_or(start)
    }

    /// The first and the last moment, as `from .. to ..`.
    pub(crate) fn range(&self) -> String {
        let [from, to] = [0.0, self.length].map(|at| self.moment(at));
        format!("from {from} to {to}")
    }

    /// The first moment with this time of day (seconds since midnight, UTC), in milliseconds since the start.
    pub(crate) fn at_clock(&self, seconds: u32) -> f64 {
        const DAY: i128 = 86_400_000_000_000;
        let of_day = self.header.at.unix_nanos().rem_euclid(DAY);
        ((i128::from(seconds) * 1_000_000_000 - of_day).rem_euclid(DAY) as f64) / 1e6
    }
}

impl Lines {
    /// The next update with its time, in milliseconds since the start, and its endpoint. `None` at the end of the
    /// file or at damage.
    pub(super) fn next(&mut self) -> Option<(f64, u32, Update)> {
        loop {
            let mut text = String::new();
            match (&mut self.input).take(MAX_LINE).read_line(&mut text) {
                Ok(1..) if text.ends_with('\n') => {}
                _ => return None,
            }
            if text.starts_with(r#"{"format""#) {
                continue;
            }
            let (at, name, update) = line::read(&text).ok()?;
            let endpoint = self.names.iter().position(|known| *known == name);
            if let (Some(endpoint), Some(update)) = (endpoint, update) {
                return Some((since(self.start, at), u32::try_from(endpoint).unwrap_or(u32::MAX), update));
            }
        }
    }
}

fn header(text: &str) -> Result<Header, String> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|_| "is compressed, but not a recording".to_owned())?;
    if value["format"] != FORMAT {
        return Err("is compressed, but not a recording".to_owned());
    }
    match value["version"].as_u64() {
        Some(VERSION) => serde_json::from_value(value).map_err(|error| format!("has an invalid first line: {error}")),
        version => Err(format!(
            "has version {}, but this pm reads version {VERSION}",
            version.map_or("unknown".to_owned(), |version| version.to_string())
        )),
    }
}

fn since(start: Timestamp, at: Timestamp) -> f64 {
    at.since(start).as_secs_f64() * 1e3
}

/// Counts the bytes consumed, to find the end of a member.
struct Counted {
    input: BufReader<File>,
    count: u64,
}

impl io::Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.count += count as u64;
    }
}
