//! Reads a recording: one pass to index its members, then from any of them.
//!
//! A truncated or damaged file is read up to the damage, which is reported with its line. Whatever the file has,
//! reading it takes time in proportion to its size, and the memory of one line: see [`MAX_LINE`] and
//! [`MAX_EXPANSION`].

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::{GzDecoder, MultiGzDecoder};
use pm_wire::Timestamp;

use super::line::{self, FORMAT, Header, VERSION};
use crate::feed::Update;

/// The longest line, in bytes. A longer one is not from `pm record`, which writes an event of 8 MiB at most.
const MAX_LINE: u64 = 16 << 20;
/// How many bytes each byte of the file may expand to, apart from the first ones. That of a program with
/// 100,000 idle tasks expands to 11 times its size; gzip can reach 1,000.
const MAX_EXPANSION: u64 = 200;
/// A shorter line counts as one of so many bytes, as it takes as long.
const SHORT_LINE: u64 = 64;
/// Bytes that a file of any size may expand to.
const FREE: u64 = 64 << 20;
/// The most endpoints; each line names one of them.
const MAX_ENDPOINTS: usize = 10_000;

/// An indexed recording.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    path: PathBuf,
    pub(crate) header: Header,
    members: Vec<Member>,
    /// The lines up to the damage, or all.
    lines: u64,
    /// Milliseconds from the start to the last line.
    pub(crate) length: f64,
    /// Why the file could not be read to its end.
    pub(crate) damage: Option<String>,
}

/// The start of a member.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// Milliseconds since the start of the recording.
    at: f64,
    /// Bytes of the file before it.
    offset: u64,
    /// Lines before it.
    line: u64,
}

/// The lines from one member on.
pub(crate) struct Lines {
    start: Timestamp,
    names: Vec<String>,
    input: BufReader<MultiGzDecoder<BufReader<File>>>,
    text: String,
    /// The lines read, with those before the member.
    line: u64,
    /// The lines of the recording.
    lines: u64,
    /// Why the rest cannot be read, if it cannot.
    pub(super) damage: Option<String>,
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
        let (mut text, mut last) = (String::new(), String::new());
        let (mut line, mut bytes) = (0, 0);
        let mut damage = None;
        'members: while input.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
            let begin = Member { at: 0.0, offset: input.count, line };
            let mut lines = BufReader::new(GzDecoder::new(&mut input));
            let mut is_first = true;
            loop {
                let read = read_line(&mut lines, &mut text);
                line += 1;
                bytes += (text.len() as u64).max(SHORT_LINE);
                match (read, &mut recording) {
                    (Ok(0), _) => {
                        line -= 1;
                        break;
                    }
                    (Ok(_), None) => {
                        let header = header(&text).map_err(|why| format!("{name} {why}"))?;
                        let members = vec![begin];
                        recording = Some(Recording {
                            path: path.to_owned(),
                            header,
                            members,
                            lines: 0,
                            length: 0.0,
                            damage: None,
                        });
                        is_first = false;
                    }
                    (Ok(_), Some(recording)) => {
                        let consumed = lines.get_ref().get_ref().count;
                        let result = check(&text, bytes, consumed).and_then(|()| match std::mem::take(&mut is_first) {
                            true => line::read(&text).map(|(at, ..)| Some(at)),
                            false => Ok(None),
                        });
                        match result {
                            Ok(None) => {}
                            Ok(Some(at)) => {
                                recording.members.push(Member { at: since(recording.header.at, at), ..begin });
                            }
                            Err(why) => {
                                damage = Some(format!("line {line} is invalid: {why}"));
                                break 'members;
                            }
                        }
                        recording.lines = line;
                        std::mem::swap(&mut text, &mut last);
                    }
                    (Err(error), None) => {
                        return Err(match error.kind() {
                            io::ErrorKind::UnexpectedEof => format!("{name} ends before its first line"),
                            io::ErrorKind::InvalidData => format!("{name} is not a recording: {error}"),
                            _ => format!("{name} is not a recording: it is not compressed with gzip ({error})"),
                        });
                    }
                    (Err(error), Some(_)) => {
                        damage = Some(match error.kind() {
                            io::ErrorKind::UnexpectedEof => format!("it is truncated in line {line}"),
                            _ => format!("line {line} is damaged: {error}"),
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
        let next = self.members.partition_point(|member| member.at <= at);
        let Member { offset, line, .. } = self.members[next.saturating_sub(2)];
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        let input = BufReader::new(MultiGzDecoder::new(BufReader::new(file)));
        let names = self.header.endpoints.clone();
        Ok(Lines { start: self.header.at, names, input, text: String::new(), line, lines: self.lines, damage: None })
    }

    /// The time of the last key frame before `at`.
    pub(super) fn frame_before(&self, at: f64) -> f64 {
        let next = self.members.partition_point(|member| member.at <= at);
        self.members[next.saturating_sub(1)].at
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
        while self.line < self.lines {
            // The index has found these lines, unless the file has changed since.
            if read_line(&mut self.input, &mut self.text).ok()? == 0 {
                return None;
            }
            self.line += 1;
            if self.text.starts_with(r#"{"format""#) {
                continue;
            }
            let (at, name, update) = match line::read(&self.text) {
                Ok(read) => read,
                Err(why) => {
                    self.damage = Some(format!("line {} is invalid: {why}", self.line));
                    return None;
                }
            };
            let endpoint = self.names.iter().position(|known| *known == name);
            if let (Some(endpoint), Some(update)) = (endpoint, update) {
                return Some((since(self.start, at), u32::try_from(endpoint).unwrap_or(u32::MAX), update));
            }
        }
        None
    }
}

/// Reads a line into `text`. Returns 0 at the end.
fn read_line(input: &mut impl BufRead, text: &mut String) -> io::Result<usize> {
    text.clear();
    // Of a long line, the memory is freed.
    text.shrink_to(1 << 20);
    match input.take(MAX_LINE).read_line(text)? {
        0 => Ok(0),
        bytes if text.ends_with('\n') => Ok(bytes),
        bytes if bytes as u64 == MAX_LINE => {
            let why = format!("it is longer than {} MiB", MAX_LINE >> 20);
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Checks a line that is not parsed, after so many bytes of lines, from so many bytes of the file.
fn check(text: &str, bytes: u64, consumed: u64) -> Result<(), String> {
    if !text.starts_with('{') {
        return Err("it is not an object in JSON".to_owned());
    }
    if bytes > FREE + MAX_EXPANSION * consumed {
        return Err(format!("the file expands to more than {MAX_EXPANSION} times its size"));
    }
    Ok(())
}

fn header(text: &str) -> Result<Header, String> {
    line::check(text).map_err(|why| format!("has an invalid first line: {why}"))?;
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|_| "is compressed, but not a recording".to_owned())?;
    if value["format"] != FORMAT {
        return Err("is compressed, but not a recording".to_owned());
    }
    match value["version"].as_u64() {
        Some(VERSION) => match serde_json::from_value::<Header>(value) {
            Ok(header) if header.endpoints.len() > MAX_ENDPOINTS => {
                Err(format!("has an invalid first line: more than {MAX_ENDPOINTS} endpoints"))
            }
            header => header.map_err(|error| format!("has an invalid first line: {error}")),
        },
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
