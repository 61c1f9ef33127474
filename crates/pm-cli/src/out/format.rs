//! Formats durations, progress, attributes and statuses for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use pm_client::Row;
use pm_wire::{Progress, Serial, Timestamp, attr_text};
use serde_json::Value;

use super::{Style, table::Cell};

/// A duration; empty when unknown.
pub(crate) fn duration(duration: impl Into<Option<Duration>>) -> String {
    duration.into().map(exact).unwrap_or_default()
}

/// An age in milliseconds, that of a running task; empty when unknown.
pub(crate) fn age(millis: Option<f64>) -> String {
    millis.map(|millis| row_age(to_duration(millis))).unwrap_or_default()
}

/// The age of a task. A server reports it in whole milliseconds; how long an ended task ran is known better from its
/// dates.
pub(crate) fn ran(row: &Row) -> String {
    match (row.age, row.started_at, row.ended_at) {
        (Some(age), Some(start), Some(end)) if age < SHORT => exact(end.since(start)),
        (age, ..) => age.map(row_age).unwrap_or_default(),
    }
}

/// The time in the current status; empty when unknown.
pub(crate) fn in_status(row: &Row) -> String {
    row.status_age.map(row_age).unwrap_or_default()
}

/// The latency of a kind; empty when unknown. A server reports it in microseconds.
pub(crate) fn latency(latency: Option<Duration>) -> String {
    let shown = |latency: Duration| if latency.is_zero() { "<1 us".to_owned() } else { exact(latency) };
    latency.map(shown).unwrap_or_default()
}

/// A serial; empty when unknown.
pub(crate) fn serial(serial: Option<Serial>) -> String {
    serial.map(|serial| serial.to_string()).unwrap_or_default()
}

/// A duration in milliseconds; short ones with one more digit, as `1.3 ms`, `12 us`.
pub(crate) fn millis(millis: f64) -> String {
    exact(to_duration(millis))
}

/// Below this, durations are shown with one more digit.
const SHORT: Duration = Duration::from_millis(10);

fn exact(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0 ms".to_owned(),
        1..1_000 => format!("{nanos} ns"),
        1_000..10_000 => format!("{}.{} us", nanos / 1_000, nanos % 1_000 / 100),
        10_000..1_000_000 => format!("{} us", nanos / 1_000),
        1_000_000..10_000_000 => format!("{}.{} ms", nanos / 1_000_000, nanos % 1_000_000 / 100_000),
        _ => pm_wire::duration::show(duration),
    }
}

/// An age that is known to the millisecond.
fn row_age(age: Duration) -> String {
    if age < Duration::from_millis(1) { "<1 ms".to_owned() } else { exact(age) }
}

/// Converts milliseconds; negative and invalid numbers become zero.
pub(crate) fn to_duration(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1e3).unwrap_or_default()
}

/// Converts to milliseconds.
pub(crate) fn to_millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The time since `at` by the server's clock, which may differ from the local one.
pub(crate) fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map(|at| format!("{} ago", pm_wire::duration::show(now.since(at)))).unwrap_or_default()
}

/// The progress of a task, as `3/10 files`.
pub(crate) fn progress(progress: &Progress) -> String {
    let total = if progress.total > 0 { format!("/{}", progress.total) } else { String::new() };
    format!("{}{total} {}", progress.done, progress.unit).trim_end().to_owned()
}

/// Attributes on one line.
pub(crate) fn attrs(attrs: &BTreeMap<String, Value>) -> String {
    let mut out = String::new();
    for (name, value) in attrs {
        let gap = if out.is_empty() { "" } else { " " };
        let _ = write!(out, "{gap}{name}={}", attr(value));
    }
    out
}

/// An attribute's value: as it is if it is one word, else as JSON.
pub(crate) fn attr(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() || text.contains([' ', '"']) => value.to_string(),
        value => attr_text(value).into_owned(),
    }
}

/// The status of a task. Marks such as `(cancelling)` come first, so that truncation keeps them.
pub(crate) fn status(row: &Row) -> Cell {
    let is_cancelling = row.is_cancelling();
    let mark = match (is_cancelling, row.protected, row.is_cancellable()) {
        (true, true, _) => "(cancelling, protected) ",
        (true, false, _) => "(cancelling) ",
        (false, _, false) => "(not cancellable) ",
        (false, true, true) => "(protected) ",
        (false, false, true) => "",
    };
    Cell::new(format!("{mark}{}", row.status), if is_cancelling { Style::Warning } else { Style::Plain })
}

/// The cells of a live task below `AGE`, `STATUS`, `IN STATUS` and `PROGRESS`.
pub(crate) fn activity(row: &Row) -> [Cell; 4] {
    [
        ran(row).into(),
        status(row),
        in_status(row).into(),
        row.progress.as_ref().map(progress).unwrap_or_default().into(),
    ]
}

/// A number with its noun: `1 task`, `3 tasks`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

/// Names joined with an `and` before the last; of many, only the first four.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match &names[..] {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] if names.len() <= 5 => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", names[..4].join(", "), names.len() - 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_counts_and_lists_are_readable() {
        for (value, text) in [
            (0.000_4, "400 ns"),
            (0.001_25, "1.2 us"),
            (0.0123, "12 us"),
            (0.999_9, "999 us"),
            (1.31, "1.3 ms"),
            (9.96, "9.9 ms"),
            (12.0, "12 ms"),
            (61_000.0, "1 min"),
            (0.0, "0 ms"),
        ] {
            assert_eq!(millis(value), text);
        }
        assert_eq!((millis(-5.0), millis(f64::NAN)), ("0 ms".into(), "0 ms".into()));
        assert_eq!((count(1, "task", "tasks"), count(0, "task", "tasks")), ("1 task".into(), "0 tasks".into()));
        assert_eq!(list(["a"]), "a");
        assert_eq!(list(["a", "b", "c"]), "a, b and c");
        assert_eq!(list(["a", "b", "c", "d", "e", "f"]), "a, b, c, d and 2 more");
    }

    #[test]
    fn an_age_has_no_digits_that_are_not_known() {
        let row = |json: &str| serde_json::from_str::<Row>(json).unwrap();
        assert_eq!(ran(&row(r#"{"ageMs":0}"#)), "<1 ms");
        assert_eq!(in_status(&row(r#"{"statusAgeMs":0}"#)), "<1 ms");
        assert_eq!(ran(&row("{}")), "");
        assert_eq!(age(Some(0.4)), "<1 ms");
        let ended = r#"{"ageMs":0,"startedAt":"2026-11-24T10:00:00.0001Z","endedAt":"2026-11-24T10:00:00.00046Z"}"#;
        assert_eq!(ran(&row(ended)), "360 us");
    }

    #[test]
    fn attributes_of_any_type_are_shown() {
        let map = serde_json::from_str(r#"{"b":"two words","a":"x=1","n":5,"o":{"k":[null]},"e":""}"#).unwrap();
        assert_eq!(attrs(&map), r#"a=x=1 b="two words" e="" n=5 o={"k":[null]}"#);
    }
}
