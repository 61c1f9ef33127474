//! A line of a recording: an update with its time and endpoint. `docs/top.md` specifies the format.

use std::time::Duration;

use pm_client::{Row, Serial};
use pm_wire::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::feed::{Change, Update};

/// The format name in the first line.
pub(super) const FORMAT: &str = "pm-recording";
/// The version of the format. Readers reject any other.
pub(super) const VERSION: u64 = 1;

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(super) format: String,
    pub(super) version: u64,
    /// When the recording began.
    pub(crate) at: Timestamp,
    /// The names of the endpoints.
    pub(crate) endpoints: Vec<String>,
    /// The filter; empty for all tasks.
    #[serde(default)]
    pub(crate) filter: String,
}

/// Every other line.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    at: Timestamp,
    endpoint: String,
    event: String,
    task: Option<Row>,
    tasks: Vec<Row>,
    begins: bool,
    ends: bool,
    #[serde(deserialize_with = "serial")]
    serial: Option<Serial>,
    why: String,
    retry_in_ms: f64,
    count: u64,
}

fn serial<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Serial>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.parse().ok())
}

/// Formats an update, without a line break.
pub(super) fn write(at: Timestamp, endpoint: &str, update: &Update) -> String {
    let mut line = json!({ "at": at, "endpoint": endpoint });
    let mut set = |name: &str, value: Value| line[name] = value;
    match update {
        Update::Live => set("event", "live".into()),
        Update::Polled => set("event", "polled".into()),
        Update::Lost { why, retry_in } | Update::Refused { why, retry_in } => {
            set("event", if matches!(update, Update::Lost { .. }) { "lost" } else { "refused" }.into());
            set("why", why.as_str().into());
            set("retryInMs", pm_wire::duration::millis(*retry_in).into());
        }
        Update::Snapshot { rows, begins, ends } => {
            set("event", "snapshot".into());
            set("begins", (*begins).into());
            set("ends", (*ends).into());
            set("tasks", json!(rows));
        }
        Update::Task { change, row } => {
            set("event", change.name().into());
            set("task", json!(row));
        }
        Update::Ended { row } => {
            set("event", "ended".into());
            set("task", json!(row));
        }
        Update::Left { serial } => {
            set("event", "left".into());
            set("serial", serial.to_string().into());
        }
        Update::Gap { why } | Update::Bye { why } => {
            set("event", if matches!(update, Update::Gap { .. }) { "gap" } else { "bye" }.into());
            set("why", why.as_str().into());
        }
        Update::Unseen { count } => {
            set("event", "unseen".into());
            set("count", (*count).into());
        }
    }
    line.to_string()
}

/// The most memory that a line may take once it is read, in bytes; an update from a stream takes a quarter.
const MAX_MEMORY: u64 = 64 << 20;

/// Refuses a line that would take more memory than any from `pm record`.
pub(super) fn check(text: &str) -> Result<(), String> {
    match pm_wire::memory_of(text.as_bytes()) > MAX_MEMORY {
        true => Err(format!("it would take more than {} MiB of memory", MAX_MEMORY >> 20)),
        false => Ok(()),
    }
}

/// Parses a line into time, endpoint and update; the update is `None` if its event is unknown here.
///
/// # Errors
///
/// The text is not a line of a recording.
pub(super) fn read(text: &str) -> Result<(Timestamp, String, Option<Update>), String> {
    check(text)?;
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let retry_in = Duration::try_from_secs_f64(line.retry_in_ms / 1e3).unwrap_or_default();
    let why = line.why;
    let update = match (line.event.as_str(), line.task) {
        ("live", _) => Update::Live,
        ("polled", _) => Update::Polled,
        ("lost", _) => Update::Lost { why, retry_in },
        ("refused", _) => Update::Refused { why, retry_in },
        ("snapshot", _) => Update::Snapshot { rows: line.tasks, begins: line.begins, ends: line.ends },
        ("ended", Some(row)) => Update::Ended { row },
        ("left", _) => match line.serial {
            Some(serial) => Update::Left { serial },
            None => return Ok((line.at, line.endpoint, None)),
        },
        ("gap", _) => Update::Gap { why },
        ("bye", _) => Update::Bye { why },
        ("unseen", _) => Update::Unseen { count: line.count },
        (name, Some(row)) => match Change::from_name(name) {
            Some(change) => Update::Task { change, row },
            None => return Ok((line.at, line.endpoint, None)),
        },
        _ => return Ok((line.at, line.endpoint, None)),
    };
    Ok((line.at, line.endpoint, Some(update)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_update_survives_a_round_trip() {
        let row = || {
            let json = json!({ "serial": "7", "id": "a\n\u{1b}", "ageMs": 1.5, "attrs": { "n": 1 } });
            serde_json::from_value::<Row>(json).unwrap()
        };
        let wait = Duration::from_millis(1_500);
        for update in [
            Update::Live,
            Update::Polled,
            Update::Lost { why: "x".into(), retry_in: wait },
            Update::Refused { why: "x".into(), retry_in: wait },
            Update::Snapshot { rows: vec![row()], begins: true, ends: false },
            Update::Task { change: Change::Cancel, row: row() },
            Update::Ended { row: row() },
            Update::Left { serial: "7".parse().unwrap() },
            Update::Gap { why: "slow".into() },
            Update::Unseen { count: 3 },
            Update::Bye { why: "shutdown".into() },
        ] {
            let at = "2026-01-02T03:04:05.678Z".parse().unwrap();
            let text = write(at, "db1", &update);
            assert!(!text.contains('\n'));
            assert_eq!(read(&text).unwrap(), (at, "db1".to_owned(), Some(update)));
        }
    }

    #[test]
    fn unknown_events_are_skipped_and_malformed_lines_are_errors() {
        let line = r#"{"at":"2026-01-02T03:04:05Z","endpoint":"a","event":"moved","later":{}}"#;
        assert_eq!(read(line).unwrap().2, None);
        assert!(read("{").is_err() && read(r#"{"at":5}"#).is_err());
    }
}
