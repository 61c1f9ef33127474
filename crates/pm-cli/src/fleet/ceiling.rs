//! The ceilings of the tasks of one endpoint that are held at once, whatever it sends.

use pm_client::{Ceiling, ClientError, Row};
use serde_json::Value;

/// The most tasks of one endpoint.
pub(crate) const MAX_TASKS: usize = 200_000;
/// The most memory of the tasks of one endpoint, in bytes. 100,000 tasks with a few attributes take 130 MB.
pub(crate) const MAX_MEMORY: usize = 192 << 20;

/// The number and the memory of the tasks of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) tasks: usize,
    pub(crate) memory: usize,
}

impl Amount {
    /// Counts a task, unless that would exceed a ceiling.
    pub(crate) fn add(&mut self, row: &Row) -> Result<(), Ceiling> {
        let memory = self.memory + memory_of(row);
        if self.tasks >= MAX_TASKS {
            return Err(Ceiling::Tasks);
        }
        if memory > MAX_MEMORY {
            return Err(Ceiling::Memory);
        }
        *self = Amount { tasks: self.tasks + 1, memory };
        Ok(())
    }

    /// Counts a task instead of another, unless that would exceed a ceiling.
    pub(crate) fn replace(&mut self, old: &Row, new: &Row) -> Result<(), Ceiling> {
        let mut replaced = *self;
        replaced.remove(old);
        replaced.add(new)?;
        *self = replaced;
        Ok(())
    }

    /// Discounts a task that was counted.
    pub(crate) fn remove(&mut self, row: &Row) {
        self.tasks -= 1;
        self.memory -= memory_of(row);
    }
}

/// The error of a query that met a ceiling.
pub(crate) fn too_much(url: &str, ceiling: Ceiling) -> ClientError {
    let limit = if ceiling == Ceiling::Tasks { MAX_TASKS } else { MAX_MEMORY };
    ClientError::TooMuch { url: url.to_owned(), ceiling, limit: limit as u64 }
}

/// The ceiling in words, after "more than".
pub(crate) fn in_words(ceiling: Ceiling) -> String {
    match ceiling {
        Ceiling::Tasks => format!("{MAX_TASKS} tasks"),
        _ => format!("{} MiB of tasks", MAX_MEMORY >> 20),
    }
}

/// An estimate of the memory that a row takes, its text three times, as a table has it twice more.
pub(crate) fn memory_of(row: &Row) -> usize {
    let Row { id, kind, status, state, outcome, attrs, progress, cancel, .. } = row;
    let mut strings = vec![id, status];
    strings.extend(kind);
    strings.extend(progress.iter().map(|progress| &progress.unit));
    strings.extend(cancel.iter().flat_map(|cancel| [&cancel.reason, &cancel.by]));
    let words = [state.as_ref().map(|state| state.as_str()), outcome.as_ref().map(|outcome| outcome.as_str())];
    let words = words.into_iter().flatten().map(text);
    let attrs = attrs.iter().map(|(name, value)| MEMBER + text(name) + memory_of_value(value));
    let map = if row.attrs.is_empty() { 0 } else { MAP };
    size_of::<Row>() + strings.into_iter().map(|string| text(string)).chain(words).chain(attrs).sum::<usize>() + map
}

/// A map, which allocates space for eleven members at once.
const MAP: usize = 640;
/// A further member of a map.
const MEMBER: usize = 64;

fn text(text: &str) -> usize {
    if text.is_empty() { 0 } else { 32 + 3 * text.len() }
}

fn memory_of_value(value: &Value) -> usize {
    match value {
        Value::String(string) => text(string),
        Value::Array(values) => values.iter().map(|value| size_of::<Value>() + memory_of_value(value)).sum(),
        Value::Object(map) => {
            MAP + map.iter().map(|(name, value)| MEMBER + text(name) + memory_of_value(value)).sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_counts_every_string_of_a_row() {
        let long = "x".repeat(1_000);
        let empty = memory_of(&Row::default());
        for member in ["id", "kind", "status", "state", "outcome"] {
            let row: Row = serde_json::from_value(serde_json::json!({ member: long })).unwrap();
            assert!(memory_of(&row) > empty + 3_000, "{member}");
        }
        for nested in [
            serde_json::json!({ "attrs": { long.as_str(): 1 } }),
            serde_json::json!({ "attrs": { "a": [[long]] } }),
            serde_json::json!({ "attrs": { "a": { "b": long } } }),
            serde_json::json!({ "progress": { "done": 1, "unit": long } }),
            serde_json::json!({ "cancel": { "reason": long } }),
            serde_json::json!({ "cancel": { "by": long } }),
        ] {
            assert!(memory_of(&serde_json::from_value(nested.clone()).unwrap()) > empty + 3_000, "{nested}");
        }
    }

    #[test]
    fn tasks_are_counted_up_to_either_ceiling() {
        let mut held = Amount { tasks: MAX_TASKS - 1, memory: 0 };
        let row = Row::default();
        assert_eq!((held.add(&row), held.add(&row)), (Ok(()), Err(Ceiling::Tasks)));
        held.remove(&row);
        assert_eq!(held, Amount { tasks: MAX_TASKS - 1, memory: 0 });
        let mut held = Amount { tasks: 0, memory: MAX_MEMORY - memory_of(&row) };
        assert_eq!((held.add(&row), held.add(&row)), (Ok(()), Err(Ceiling::Memory)));
    }
}
