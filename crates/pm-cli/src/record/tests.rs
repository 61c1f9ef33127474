//! A recording is what was told: read back, from any moment, cut off anywhere, or damaged.

use std::fs;
use std::io;
use std::path::PathBuf;

use pm_client::Row;
use serde_json::json;

use super::player::Player;
use super::reader::Recording;
use super::writer::Writer;
use crate::top::model::{News, Store, What};

/// A file of a test's own, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Scratch {
        let path = std::env::temp_dir().join(format!("pm-recording-{}-{name}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        Scratch(path)
    }

    fn open(&self) -> Result<Recording, String> {
        Recording::open(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn row(serial: u64, age: f64, status: &str) -> Row {
    let json = json!({ "serial": serial.to_string(), "id": format!("t{serial}"), "ageMs": age, "status": status });
    serde_json::from_value(json).unwrap()
}

/// What is told at each second: in the first one all, then one starts each second, lives for ten, and ends.
fn told(second: u64) -> Vec<News> {
    let at = |serial: u64| (second - serial) as f64 * 1e3;
    let mut told = Vec::new();
    if second == 0 {
        told.extend([News::Live, News::Snapshot { rows: vec![row(1_000, 5e3, "old")], begins: true, ends: true }]);
    } else {
        told.push(News::Task { what: What::Started, row: row(second, 0.0, "init") });
    }
    if second > 5 {
        told.push(News::Task { what: What::Status, row: row(second - 5, at(second - 5), "half") });
    }
    if second > 10 {
        told.push(News::Ended { row: row(second - 10, at(second - 10), "ended") });
    }
    told
}

const SECONDS: u64 = 200;

fn write_all<W: io::Write>(out: W) -> io::Result<W> {
    let start = "2026-11-24T10:30:00Z".parse().unwrap();
    let mut writer = Writer::new(out, start, vec!["a".to_owned(), "b".to_owned()], String::new())?;
    for second in 0..=SECONDS {
        for news in told(second) {
            writer.write(second as f64 * 1e3, 0, news)?;
        }
        writer.flush()?;
    }
    writer.finish()
}

/// The serials, statuses and ages at a moment.
fn shown(store: &Store, at: f64) -> Vec<(u64, String, Option<f64>)> {
    let mut shown: Vec<_> =
        store.iter().map(|(_, task)| (task.key.number, task.row.status.clone(), task.age(at))).collect();
    shown.sort_by_key(|(serial, ..)| *serial);
    shown
}

#[test]
fn any_moment_is_as_it_was_whether_one_plays_or_jumps() {
    let file = Scratch::new("moments", &write_all(Vec::new()).unwrap());
    let recording = file.open().unwrap();
    assert_eq!((recording.cut.clone(), recording.length), (None, SECONDS as f64 * 1e3));
    let mut true_store = Store::new(["a".to_owned(), "b".to_owned()]);
    for second in 0..=SECONDS {
        let at = second as f64 * 1e3;
        for news in told(second) {
            true_store.apply(0, at, news);
        }
        if second % 7 == 0 {
            let mut store = Store::new(recording.header.endpoints.iter().cloned());
            Player::new(recording.clone(), &mut store, at).unwrap();
            assert_eq!(shown(&store, at), shown(&true_store, at), "at {second} s");
            // What ended shortly before is known as well.
            let ended = second.saturating_sub(10).min(5) as usize;
            assert!(store.ended().count() >= ended, "at {second} s: {}", store.ended().count());
        }
    }
}

#[test]
fn wherever_it_is_cut_off_it_is_read_up_to_there() {
    let whole = write_all(Vec::new()).unwrap();
    let mut lengths = Vec::new();
    for part in 1..40 {
        let file = Scratch::new("cut", &whole[..whole.len() * part / 40]);
        let recording = file.open().unwrap();
        assert!(recording.cut.is_some() || recording.length < SECONDS as f64 * 1e3);
        let mut store = Store::new(recording.header.endpoints.iter().cloned());
        Player::new(recording.clone(), &mut store, recording.length).unwrap();
        assert!(store.len() > 0 && store.len() <= 12, "{}", store.len());
        lengths.push(recording.length);
    }
    assert!(lengths.is_sorted() && lengths[38] > 150e3, "{lengths:?}");
}

#[test]
fn what_is_damaged_is_read_up_to_there() {
    let mut bytes = write_all(Vec::new()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40].fill(0xff);
    let recording = Scratch::new("damaged", &bytes).open().unwrap();
    assert!(recording.cut.is_some() && recording.length > 10e3, "{recording:?}");
}

#[test]
fn a_time_of_day_is_the_first_one_after_the_start() {
    let file = Scratch::new("clock", &write_all(Vec::new()).unwrap());
    let recording = file.open().unwrap();
    assert_eq!(recording.at_clock(10 * 3600 + 30 * 60 + 5), 5e3);
    assert_eq!(recording.at_clock(10 * 3600 + 29 * 60), 86_340e3);
}

#[test]
fn what_is_no_recording_is_told_with_its_name() {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    let zipped = |text: &str| {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    };
    for (bytes, expected) in [
        (Vec::new(), "is empty"),
        (b"root:x:0:0".to_vec(), "not compressed by gzip"),
        (vec![0x1f, 0x8b], "ends before it tells anything"),
        (zipped("hello\n"), "compressed, but no recording of pm"),
        (zipped("{\"a\":1}\n"), "compressed, but no recording of pm"),
        (zipped("{\"format\":\"pm-recording\",\"version\":2}\n"), "it is of version 2, and this reads 1"),
        (zipped("{\"format\":\"pm-recording\",\"version\":1}\n"), "a first line that is broken: missing field `at`"),
    ] {
        let file = Scratch::new("rubbish", &bytes);
        let error = file.open().unwrap_err();
        assert!(error.contains(expected) && error.contains("pm-recording-"), "{error}");
    }
    assert!(Recording::open(&std::env::temp_dir()).unwrap_err().contains("folder"));
    assert!(Recording::open(&std::env::temp_dir().join("pm-no-such-file")).unwrap_err().contains("could not open"));
}

/// A disk that has room for so many bytes.
struct Disk(usize);

impl io::Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error() {
    for room in [0, 100, 2_000] {
        let error = write_all(Disk(room)).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
    assert!(write_all(Disk(10 << 20)).is_ok());
}
