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

/// A recording with these lines behind the first one.
fn recording(lines: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    use std::io::Write as _;

    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let header = r#"{"format":"pm-recording","version":1,"at":"2026-11-24T10:30:00Z","endpoints":["a"],"filter":""}"#;
    writeln!(out, "{header}").unwrap();
    lines.into_iter().for_each(|line| out.write_all(line.as_ref()).unwrap());
    out.finish().unwrap()
}

fn started(second: u64) -> String {
    let at = format!("2026-11-24T10:30:{second:02}Z");
    format!(r#"{{"at":"{at}","endpoint":"a","event":"started","task":{{"serial":"{second}"}}}}"#) + "\n"
}

#[test]
fn a_hostile_recording_is_read_up_to_the_line_that_is_named() {
    let long = format!("{{\"tasks\":[{}{{}}]}}\n", " ".repeat(17 << 20));
    for (line, expected) in [
        ("\n".repeat(1 << 20), "line 4 is invalid: it is not an object in JSON"),
        (long, "line 4 is damaged: it is longer than 16 MiB"),
        ("{}\n".repeat(2 << 20), "is invalid: the file expands to more than 200 times its size"),
        (started(9).trim_end().to_owned(), "it is truncated in line 4"),
    ] {
        let recording = Scratch::new("hostile", &recording([started(1), started(2), line])).open().unwrap();
        let damage = recording.damage.unwrap();
        assert!(damage.contains(expected), "{damage}");
    }
}

#[test]
fn a_line_that_would_take_too_much_memory_ends_a_recording() {
    for (line, expected) in [
        (format!("{{\"tasks\":[{}{{}}]}}\n", "{},".repeat(100_000)), "it would take more than 64 MiB of memory"),
        ("{\"at\":5}\n".to_owned(), "invalid type"),
    ] {
        let file = Scratch::new("memory", &recording([started(1), started(2), line, started(3)]));
        let recording = file.open().unwrap();
        assert_eq!(recording.damage, None, "lines within a member are not parsed for the index");
        let mut store = Store::new(["a".to_owned()]);
        let mut player = Player::new(recording, &mut store, 3_000.0).unwrap();
        assert_eq!(store.len(), 2);
        let damage = player.take_damage().unwrap();
        assert!(damage.starts_with("line 4 is invalid: ") && damage.contains(expected), "{damage}");
        player.advance(&mut store, 3_000.0);
        assert_eq!((store.len(), player.take_damage()), (2, None));
    }
}

#[test]
fn a_first_line_with_too_many_endpoints_is_refused() {
    use std::io::Write as _;

    for (endpoints, expected) in
        [(20_000, "more than 10000 endpoints"), (400_000, "it would take more than 64 MiB of memory")]
    {
        let names = vec!["a"; endpoints];
        let header =
            json!({ "format": "pm-recording", "version": 1, "at": "2026-11-24T10:30:00Z", "endpoints": names });
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writeln!(out, "{header}").unwrap();
        let error = Scratch::new("endpoints", &out.finish().unwrap()).open().unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_recording_of_many_tasks_that_end_takes_few_slots() {
    let lines = (1..=20_000).flat_map(|serial| {
        let line = |event: &str, rest: String| {
            format!(r#"{{"at":"2026-11-24T10:30:01Z","endpoint":"a","event":"{event}",{rest}}}"#) + "\n"
        };
        let task = format!(r#""task":{{"serial":"{serial}"}}"#);
        [line("started", task), line("left", format!(r#""serial":"{serial}""#))]
    });
    let file = Scratch::new("churn", &recording(lines));
    let mut store = Store::new(["a".to_owned()]);
    Player::new(file.open().unwrap(), &mut store, 1_000.0).unwrap();
    assert_eq!((store.len(), store.slots()), (0, 1));
}

#[test]
fn a_key_frame_of_large_tasks_has_several_lines() {
    use std::io::Read as _;

    let mut writer =
        Writer::new(Vec::new(), "2026-11-24T10:30:00Z".parse().unwrap(), vec!["a".to_owned()], String::new()).unwrap();
    for serial in 1..=10 {
        let mut row = row(serial, 0.0, "");
        row.status = "x".repeat(1 << 20);
        writer.write(0.0, 0, Update::Task { change: Change::Started, row }).unwrap();
    }
    writer.write(400e3, 0, Update::Live).unwrap();
    let bytes = writer.finish().unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    let frames: Vec<&str> = text.lines().filter(|line| line.contains("\"snapshot\"")).collect();
    assert!(frames.len() >= 5 && frames.iter().all(|line| line.len() < 4 << 20), "{}", frames.len());
    let file = Scratch::new("large", &bytes);
    let mut store = Store::new(["a".to_owned()]);
    Player::new(file.open().unwrap(), &mut store, 400e3).unwrap();
    assert_eq!(store.len(), 10);
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
