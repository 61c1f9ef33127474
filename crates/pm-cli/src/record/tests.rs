//! Recordings are read back: whole, from any moment, truncated anywhere, or damaged.

use std::fs;
use std::io;
use std::path::PathBuf;

use pm_client::Row;
use serde_json::json;

use super::player::Player;
use super::reader::Recording;
use super::writer::Writer;
use crate::feed::{Change, Store, Update};

/// A temporary file, deleted on drop.
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

/// The updates of each second: a snapshot first, then each second one task starts, which ends ten seconds later.
fn updates(second: u64) -> Vec<Update> {
    let at = |serial: u64| (second - serial) as f64 * 1e3;
    let mut updates = Vec::new();
    if second == 0 {
        updates
            .extend([Update::Live, Update::Snapshot { rows: vec![row(1_000, 5e3, "old")], begins: true, ends: true }]);
    } else {
        updates.push(Update::Task { change: Change::Started, row: row(second, 0.0, "init") });
    }
    if second > 5 {
        updates.push(Update::Task { change: Change::Status, row: row(second - 5, at(second - 5), "half") });
    }
    if second > 10 {
        updates.push(Update::Ended { row: row(second - 10, at(second - 10), "ended") });
    }
    updates
}

const SECONDS: u64 = 200;

fn write_all<W: io::Write>(out: W) -> io::Result<W> {
    let start = "2026-11-24T10:30:00Z".parse().unwrap();
    let mut writer = Writer::new(out, start, vec!["a".to_owned(), "b".to_owned()], String::new())?;
    for second in 0..=SECONDS {
        for update in updates(second) {
            writer.write(second as f64 * 1e3, 0, update)?;
        }
        writer.flush()?;
    }
    writer.finish()
}

/// The serials, statuses and ages at `at`.
fn shown(store: &Store, at: f64) -> Vec<(u64, String, Option<f64>)> {
    let mut shown: Vec<_> =
        store.iter().map(|(_, task)| (task.key.number, task.row.status.clone(), task.age(at))).collect();
    shown.sort_by_key(|(serial, ..)| *serial);
    shown
}

#[test]
fn playing_and_seeking_lead_to_the_same_state() {
    let file = Scratch::new("moments", &write_all(Vec::new()).unwrap());
    let recording = file.open().unwrap();
    assert_eq!((recording.damage.clone(), recording.length), (None, SECONDS as f64 * 1e3));
    let mut expected = Store::new(["a".to_owned(), "b".to_owned()]);
    for second in 0..=SECONDS {
        let at = second as f64 * 1e3;
        for update in updates(second) {
            expected.apply(0, at, update);
        }
        if second % 7 == 0 {
            let mut store = Store::new(recording.header.endpoints.iter().cloned());
            Player::new(recording.clone(), &mut store, at).unwrap();
            assert_eq!(shown(&store, at), shown(&expected, at), "at {second} s");
            // Tasks that ended shortly before are known, too.
            let ended = second.saturating_sub(10).min(5) as usize;
            assert!(store.ended().count() >= ended, "at {second} s: {}", store.ended().count());
        }
    }
}

#[test]
fn a_truncated_file_is_read_up_to_the_cut() {
    let whole = write_all(Vec::new()).unwrap();
    let mut lengths = Vec::new();
    for part in 1..40 {
        let file = Scratch::new("cut", &whole[..whole.len() * part / 40]);
        let recording = file.open().unwrap();
        assert!(recording.damage.is_some() || recording.length < SECONDS as f64 * 1e3);
        let mut store = Store::new(recording.header.endpoints.iter().cloned());
        Player::new(recording.clone(), &mut store, recording.length).unwrap();
        assert!(store.len() > 0 && store.len() <= 12, "{}", store.len());
        lengths.push(recording.length);
    }
    assert!(lengths.is_sorted() && lengths[38] > 150e3, "{lengths:?}");
}

#[test]
fn a_damaged_file_is_read_up_to_the_damage() {
    let mut bytes = write_all(Vec::new()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40].fill(0xff);
    let recording = Scratch::new("damaged", &bytes).open().unwrap();
    assert!(recording.damage.is_some() && recording.length > 10e3, "{recording:?}");
}

#[test]
fn a_time_of_day_means_the_first_one_after_the_start() {
    let file = Scratch::new("clock", &write_all(Vec::new()).unwrap());
    let recording = file.open().unwrap();
    assert_eq!(recording.at_clock(10 * 3600 + 30 * 60 + 5), 5e3);
    assert_eq!(recording.at_clock(10 * 3600 + 29 * 60), 86_340e3);
}

#[test]
fn other_files_are_errors_with_their_name() {
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
        (b"root:x:0:0".to_vec(), "not compressed with gzip"),
        (vec![0x1f, 0x8b], "ends before its first line"),
        (zipped("hello\n"), "compressed, but not a recording"),
        (zipped("{\"a\":1}\n"), "compressed, but not a recording"),
        (zipped("{\"format\":\"pm-recording\",\"version\":2}\n"), "has version 2, but this pm reads version 1"),
        (zipped("{\"format\":\"pm-recording\",\"version\":1}\n"), "an invalid first line: missing field `at`"),
    ] {
        let file = Scratch::new("rubbish", &bytes);
        let error = file.open().unwrap_err();
        assert!(error.contains(expected) && error.contains("pm-recording-"), "{error}");
    }
    assert!(Recording::open(&std::env::temp_dir()).unwrap_err().contains("directory"));
    assert!(Recording::open(&std::env::temp_dir().join("pm-no-such-file")).unwrap_err().contains("could not open"));
}

/// A disk with space for so many bytes.
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
    for space in [0, 100, 2_000] {
        let error = write_all(Disk(space)).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
    assert!(write_all(Disk(10 << 20)).is_ok());
}
