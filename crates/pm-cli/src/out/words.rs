//! Lengths, progress, attributes and outcomes in words.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use pm_client::Row;
use pm_wire::{Progress, Timestamp};
use serde_json::Value;

use super::{Style, table::Cell};

/// A length in milliseconds as people say it; empty when it is not known.
pub(crate) fn length(millis: Option<f64>) -> String {
    millis.map(of_millis).unwrap_or_default()
}

/// A length in milliseconds as people say it. Short ones with a digit more, as `0.3 ms`.
pub(crate) fn of_millis(millis: f64) -> String {
    match millis {
        short if (0.0..10.0).contains(&short) => format!("{short:.1} ms"),
        long => pm_wire::duration::show(duration(long)),
    }
}

/// A length as a clock counts it; what is none, such as a negative one, is zero.
pub(crate) fn duration(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1e3).unwrap_or_default()
}

/// How long ago that was by the server's clock, so that ours does not matter.
pub(crate) fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map(|at| format!("{} ago", pm_wire::duration::show(now.since(at)))).unwrap_or_default()
}

/// How far a task has come.
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

/// One value: as it is if that is one word, else as JSON.
pub(crate) fn attr(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"']) => text.clone(),
        value => value.to_string(),
    }
}

/// The status of a task. What needs an eye comes first, so that it is there when the text is cut.
pub(crate) fn status(row: &Row) -> Cell {
    let is_cancelling = row.state == "cancelling";
    let mark = match (is_cancelling, row.protected, row.is_cancellable()) {
        (true, true, _) => "(cancelling, protected) ",
        (true, false, _) => "(cancelling) ",
        (false, _, false) => "(not cancellable) ",
        (false, true, true) => "(protected) ",
        (false, false, true) => "",
    };
    Cell::new(format!("{mark}{}", row.status), if is_cancelling { Style::Odd } else { Style::Plain })
}

/// Some things in words: `1 task`, `3 tasks`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

/// Names with an `and` before the last; of many, only the first few.
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
    fn lengths_and_counts_are_said_as_people_do() {
        assert_eq!(
            (of_millis(0.31), of_millis(12.0), of_millis(61_000.0)),
            ("0.3 ms".into(), "12 ms".into(), "1 min".into())
        );
        assert_eq!((of_millis(-5.0), of_millis(f64::NAN)), ("0 ms".into(), "0 ms".into()));
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
