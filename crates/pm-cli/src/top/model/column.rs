//! The columns, and the order of tasks by each.

use pm_client::TaskState;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::feed::{Store, Task};
use crate::out::format;

/// A column of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Endpoint,
    Serial,
    Id,
    Kind,
    State,
    Age,
    InStatus,
    Progress,
    Status,
    Parent,
    History,
    Attrs,
}

impl Column {
    /// From left to right.
    pub(crate) const ALL: [Column; 12] = [
        Column::Endpoint,
        Column::Serial,
        Column::Id,
        Column::Kind,
        Column::State,
        Column::Age,
        Column::InStatus,
        Column::Progress,
        Column::Status,
        Column::Parent,
        Column::History,
        Column::Attrs,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Column::Endpoint => "ENDPOINT",
            Column::Serial => "SERIAL",
            Column::Id => "ID",
            Column::Kind => "KIND",
            Column::State => "STATE",
            Column::Age => "AGE",
            Column::InStatus => "IN STATUS",
            Column::Progress => "PROGRESS",
            Column::Status => "STATUS",
            Column::Parent => "PARENT",
            Column::History => "ENTRIES",
            Column::Attrs => "ATTRS",
        }
    }

    /// The name for `--sort` and `--columns`: that of `/v1` where it has one.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Column::Endpoint => "endpoint",
            Column::Serial => "serial",
            Column::Id => "id",
            Column::Kind => "kind",
            Column::State => "state",
            Column::Age => "age",
            Column::InStatus => "statusAge",
            Column::Progress => "progress",
            Column::Status => "status",
            Column::Parent => "parent",
            Column::History => "history",
            Column::Attrs => "attrs",
        }
    }

    pub(crate) fn from_name(name: &str) -> Result<Column, String> {
        Column::ALL.into_iter().find(|column| column.name() == name).ok_or_else(|| {
            let names = || Column::ALL.into_iter().map(Column::name);
            let hint = match pm_wire::nearest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of {}", names().collect::<Vec<_>>().join(", ")),
            };
            format!("`{}` is not a column; {hint}", name.chars().take(60).collect::<String>())
        })
    }

    /// Returns whether the greatest come first by default.
    pub(crate) fn is_descending(self) -> bool {
        matches!(self, Column::Age | Column::InStatus | Column::Progress | Column::History)
    }

    /// Returns whether the position of a task in this order may change while it runs.
    pub(crate) fn changes(self) -> bool {
        matches!(
            self,
            Column::State
                | Column::InStatus
                | Column::Progress
                | Column::Status
                | Column::Parent
                | Column::History
                | Column::Attrs
        )
    }

    /// Sorts slots; ties are in order of endpoint and serial. Each key is computed once, and a nearly sorted input
    /// takes little more than a pass, as the sorts used are adaptive.
    pub(super) fn sort(self, descending: bool, store: &Store, slots: &mut [u32]) {
        match self {
            Column::Id => by_text(descending, store, slots, |task| &task.row.id),
            Column::Kind => by_text(descending, store, slots, |task| task.row.kind.as_deref().unwrap_or_default()),
            Column::Status => by_text(descending, store, slots, |task| &task.row.status),
            Column::State => {
                by_text(descending, store, slots, |task| task.row.state.as_ref().map_or("", TaskState::as_str))
            }
            Column::Attrs => slots.sort_by(|&a, &b| {
                let attrs = |slot: u32| &store.task(slot).row.attrs;
                directed(by_attrs(attrs(a), attrs(b)), descending).then_with(|| tie(store, a, b))
            }),
            Column::Endpoint => by_number(descending, store, slots, |task| f64::from(task.key.endpoint)),
            // Exact below 2^53; beyond it ties are broken by the key.
            Column::Serial => by_number(descending, store, slots, |task| task.key.number as f64),
            Column::Parent => by_number(descending, store, slots, |task| task.parent as f64),
            Column::Age => by_number(descending, store, slots, |task| -task.started_at.unwrap_or(f64::INFINITY)),
            Column::InStatus => by_number(descending, store, slots, |task| -task.status_at.unwrap_or(f64::INFINITY)),
            Column::History => {
                by_number(descending, store, slots, |task| task.row.history_len.unwrap_or_default() as f64);
            }
            Column::Progress => by_number(descending, store, slots, |task| match &task.row.progress {
                None => -1.0,
                Some(progress) if progress.total == 0 => 0.0,
                Some(progress) => progress.done as f64 / progress.total as f64,
            }),
        }
    }
}

fn by_number(descending: bool, store: &Store, slots: &mut [u32], key: impl Fn(&Task) -> f64) {
    let mut keyed: Vec<(i64, u32, u64, u32)> = slots
        .iter()
        .map(|&slot| {
            let task = store.task(slot);
            let key = sortable(key(task));
            (if descending { !key } else { key }, task.key.endpoint, task.key.number, slot)
        })
        .collect();
    keyed.sort();
    fill(slots, keyed.into_iter().map(|(.., slot)| slot));
}

/// Maps a number to an integer with the same order.
fn sortable(key: f64) -> i64 {
    let bits = (key + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn by_text(descending: bool, store: &Store, slots: &mut [u32], key: impl Fn(&Task) -> &str) {
    const HEAD: usize = 16;
    // Most comparisons are decided by the first bytes, which lie side by side; only long strings need the rest.
    let head = |text: &str| {
        let mut head = [0; HEAD];
        let len = text.len().min(HEAD);
        head[..len].copy_from_slice(&text.as_bytes()[..len]);
        (u128::from_be_bytes(head), text.len() > HEAD)
    };
    let mut keyed: Vec<_> = slots
        .iter()
        .map(|&slot| {
            let task = store.task(slot);
            (head(key(task)), task.key, slot)
        })
        .collect();
    keyed.sort_by(|(a, a_key, a_slot), (b, b_key, b_slot)| {
        let rest = || match a.1 || b.1 {
            true => key(store.task(*a_slot)).cmp(key(store.task(*b_slot))),
            false => Ordering::Equal,
        };
        directed(a.0.cmp(&b.0).then_with(rest), descending).then_with(|| a_key.cmp(b_key))
    });
    fill(slots, keyed.into_iter().map(|(.., slot)| slot));
}

/// Compares the first name or value that differs.
fn by_attrs(a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> Ordering {
    let value = |a: &Value, b: &Value| match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)),
        (a, b) => format::attr(a).cmp(&format::attr(b)),
    };
    let pairs = |((a, x), (b, y)): ((&String, &Value), (&String, &Value))| a.cmp(b).then_with(|| value(x, y));
    let differs = a.iter().zip(b).map(pairs).find(|ordering| ordering.is_ne());
    differs.unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn directed(ordering: Ordering, descending: bool) -> Ordering {
    if descending { ordering.reverse() } else { ordering }
}

fn tie(store: &Store, a: u32, b: u32) -> Ordering {
    store.task(a).key.cmp(&store.task(b).key)
}

fn fill(slots: &mut [u32], sorted: impl Iterator<Item = u32>) {
    for (slot, next) in slots.iter_mut().zip(sorted) {
        *slot = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Update;

    #[test]
    fn every_column_sorts_both_ways_and_ties_are_in_order_of_serials() {
        let row = |serial: u64, id: &str, age: f64| {
            let json = serde_json::json!({ "serial": serial.to_string(), "id": id, "ageMs": age, "status": "same" });
            serde_json::from_value(json).unwrap()
        };
        let rows = vec![row(3, "import-10", 5.0), row(1, "import-9", 7.0), row(2, "a", 1.0)];
        let mut store = Store::new(["x".to_owned()]);
        store.apply(0, 10.0, Update::Snapshot { rows, begins: true, ends: true });
        let sorted = |column: Column, descending| {
            let mut slots: Vec<u32> = store.iter().map(|(slot, _)| slot).collect();
            column.sort(descending, &store, &mut slots);
            slots.iter().map(|&slot| store.task(slot).key.number).collect::<Vec<_>>()
        };
        assert_eq!(sorted(Column::Age, true), [1, 3, 2]);
        assert_eq!(sorted(Column::Age, false), [2, 3, 1]);
        assert_eq!(sorted(Column::Id, false), [2, 3, 1]);
        assert_eq!(sorted(Column::Serial, true), [3, 2, 1]);
        for column in Column::ALL.into_iter().filter(|column| column.changes()) {
            assert_eq!(sorted(column, true), [1, 2, 3], "{column:?}");
            assert_eq!(sorted(column, false), [1, 2, 3], "{column:?}");
        }
    }

    #[test]
    fn numbers_keep_their_order_as_integers() {
        let numbers = [f64::NEG_INFINITY, -1e9, -1.5, 0.0, 1e-9, 2.0, f64::INFINITY];
        assert!(numbers.windows(2).all(|two| sortable(two[0]) < sortable(two[1])));
        assert_eq!(sortable(-0.0), sortable(0.0));
    }

    #[test]
    fn an_unknown_column_is_an_error_with_a_suggestion() {
        assert_eq!(Column::from_name("statusAge"), Ok(Column::InStatus));
        assert!(Column::from_name("statsAge").unwrap_err().ends_with("did you mean `statusAge`?"));
    }
}
