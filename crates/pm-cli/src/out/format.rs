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
    duration.into().map(|duration| millis(to_millis(duration))).unwrap_or_default()
}

/// An age in milliseconds; empty when unknown.
pub(crate) fn age(millis: Option<f64>) -> String {
    millis.map(self::millis).unwrap_or_default()
}

/// A serial; empty when unknown.
pub(crate) fn serial(serial: Option<Serial>) -> String {
    serial.map(|serial| serial.to_string()).unwrap_or_default()
}

/// A duration in milliseconds; short ones with one more digit, as `0.3 ms`.
pub(crate) fn millis(millis: f64) -> String {
    match millis {
        short if (0.0..10.0).contains(&short) => format!("{short:.1} ms"),
        long => pm_wire::duration::show(to_duration(long)),
    }
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
        duration(row.age).into(),
        status(row),
        duration(row.status_age).into(),
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
        assert_eq!((millis(0.31), millis(12.0), millis(61_000.0)), ("0.3 ms".into(), "12 ms".into(), "1 min".into()));
        assert_eq!((millis(-5.0), millis(f64::NAN)), ("0 ms".into(), "0 ms".into()));
        assert_eq!((count(1, "task", "tasks"), count(0, "task", "tasks")), ("1 task".into(), "0 tasks".into()));
        assert_eq!(list(["a"]), "a");
        assert_eq!(list(["a", "b", "c"]), "a, b and c");
        assert_eq!(list(["a", "b", "c", "d", "e", "f"]), "a, b, c, d and 2 more");
    }

    #[test]
    fn attributes_of_any_type_are_shown() {
        let map = serde_json::from_str(r#"{"b":"two words","a":"x=1","n":5,"o":{"k":[null]},"e":""}"#).unwrap();
        assert_eq!(attrs(&map), r#"a=x=1 b="two words" e="" n=5 o={"k":[null]}"#);
    }
}
