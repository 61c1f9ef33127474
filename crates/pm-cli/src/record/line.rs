//! A line of a recording: one piece of news, when and of whom it was told. The page `docs/top.md` describes the format.

use std::time::Duration;

use pm_client::Row;
use pm_wire::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::top::model::{News, What};

/// What a file begins with.
pub(super) const FORMAT: &str = "pm-recording";
/// Readers of this version understand all files of it, and of none that is newer.
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
    /// Which tasks; empty for all.
    #[serde(default)]
    pub(crate) filter: String,
}

/// Any other line.
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
    serial: String,
    why: String,
    retry_in_ms: f64,
    count: u64,
}

/// The line, without a line break.
pub(super) fn write(at: Timestamp, endpoint: &str, news: &News) -> String {
    let mut line = json!({ "at": at, "endpoint": endpoint });
    let mut set = |name: &str, value: Value| line[name] = value;
    match news {
        News::Live => set("event", "live".into()),
        News::Polled => set("event", "polled".into()),
        News::Lost { why, retry_in } | News::Refused { why, retry_in } => {
            set("event", if matches!(news, News::Lost { .. }) { "lost" } else { "refused" }.into());
            set("why", why.as_str().into());
            set("retryInMs", pm_wire::duration::millis(*retry_in).into());
        }
        News::Snapshot { rows, begins, ends } => {
            set("event", "snapshot".into());
            set("begins", (*begins).into());
            set("ends", (*ends).into());
            set("tasks", json!(rows));
        }
        News::Task { what, row } => {
            set("event", what.word().into());
            set("task", json!(row));
        }
        News::Ended { row } => {
            set("event", "ended".into());
            set("task", json!(row));
        }
        News::Left { serial } => {
            set("event", "left".into());
            set("serial", serial.as_str().into());
        }
        News::Gap { why } | News::Bye { why } => {
            set("event", if matches!(news, News::Gap { .. }) { "gap" } else { "bye" }.into());
            set("why", why.as_str().into());
        }
        News::Unseen { count } => {
            set("event", "unseen".into());
            set("count", (*count).into());
        }
    }
    line.to_string()
}

/// When, of whom, and what; `None` for what only a newer reader understands.
///
/// # Errors
///
/// It is no line of a recording.
pub(super) fn read(text: &str) -> Result<(Timestamp, String, Option<News>), serde_json::Error> {
    let line: Line = serde_json::from_str(text)?;
    let retry_in = Duration::try_from_secs_f64(line.retry_in_ms / 1e3).unwrap_or_default();
    let why = line.why;
    let news = match (line.event.as_str(), line.task) {
        ("live", _) => News::Live,
        ("polled", _) => News::Polled,
        ("lost", _) => News::Lost { why, retry_in },
        ("refused", _) => News::Refused { why, retry_in },
        ("snapshot", _) => News::Snapshot { rows: line.tasks, begins: line.begins, ends: line.ends },
        ("ended", Some(row)) => News::Ended { row },
        ("left", _) => News::Left { serial: line.serial },
        ("gap", _) => News::Gap { why },
        ("bye", _) => News::Bye { why },
        ("unseen", _) => News::Unseen { count: line.count },
        (word, Some(row)) => match What::of_word(word) {
            Some(what) => News::Task { what, row },
            None => return Ok((line.at, line.endpoint, None)),
        },
        _ => return Ok((line.at, line.endpoint, None)),
    };
    Ok((line.at, line.endpoint, Some(news)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let row = || {
            let json = json!({ "serial": "7", "id": "a\n\u{1b}", "ageMs": 1.5, "attrs": { "n": 1 } });
            serde_json::from_value::<Row>(json).unwrap()
        };
        let wait = Duration::from_millis(1_500);
        for news in [
            News::Live,
            News::Polled,
            News::Lost { why: "x".into(), retry_in: wait },
            News::Refused { why: "x".into(), retry_in: wait },
            News::Snapshot { rows: vec![row()], begins: true, ends: false },
            News::Task { what: What::Cancel, row: row() },
            News::Ended { row: row() },
            News::Left { serial: "7".into() },
            News::Gap { why: "slow".into() },
            News::Unseen { count: 3 },
            News::Bye { why: "shutdown".into() },
        ] {
            let at = "2026-01-02T03:04:05.678Z".parse().unwrap();
            let text = write(at, "db1", &news);
            assert!(!text.contains('\n'));
            assert_eq!(read(&text).unwrap(), (at, "db1".to_owned(), Some(news)));
        }
    }

    #[test]
    fn what_is_newer_is_passed_over_and_rubbish_is_an_error() {
        let line = r#"{"at":"2026-01-02T03:04:05Z","endpoint":"a","event":"moved","later":{}}"#;
        assert_eq!(read(line).unwrap().2, None);
        assert!(read("{").is_err() && read(r#"{"at":5}"#).is_err());
    }
}
