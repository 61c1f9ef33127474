//! The `sort` parameter of `/v1`, to merge the rows of several endpoints into one order.

use std::cmp::Ordering;

use pm_client::Row;
use pm_wire::v1::{SortBy, SortKey};

/// An order of rows, by one or more keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order(Vec<SortBy>);

impl Order {
    /// Parses `-age,id`.
    ///
    /// # Errors
    ///
    /// A key is unknown, or there are too many; worded as by `/v1`.
    pub(crate) fn parse(text: &str, of_ended: bool) -> Result<Order, String> {
        SortBy::parse(text, of_ended).map(Order).map_err(|error| format!("{error}; {}", error.hint()))
    }

    /// Compares two rows.
    pub(crate) fn compare(&self, a: &Row, b: &Row) -> Ordering {
        for SortBy { key, descending, .. } in &self.0 {
            let ordering = match key {
                // Ages are whole milliseconds; within one, the earlier start is older.
                SortKey::Age => a.age.cmp(&b.age).then(b.started_at.cmp(&a.started_at)),
                SortKey::StatusAge => a.status_age.cmp(&b.status_age),
                // The clocks of two endpoints may differ, but there is nothing better.
                SortKey::EndedAt => a.ended_at.cmp(&b.ended_at),
                SortKey::Id => a.id.cmp(&b.id),
                SortKey::Kind => a.kind.cmp(&b.kind),
                SortKey::Status => a.status.cmp(&b.status),
                SortKey::Serial => a.serial.cmp(&b.serial),
            };
            if ordering != Ordering::Equal {
                return if *descending { ordering.reverse() } else { ordering };
            }
        }
        a.serial.cmp(&b.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(serial: &str, age: f64, id: &str) -> Row {
        serde_json::from_value(serde_json::json!({ "serial": serial, "id": id, "ageMs": age })).unwrap()
    }

    #[test]
    fn later_keys_break_ties_and_serials_compare_as_numbers() {
        let mut rows = [row("10", 5.0, "b"), row("9", 5.0, "b"), row("3", 7.0, "a"), row("4", 5.0, "a")];
        let mut sorted = |text: &str| {
            let order = Order::parse(text, false).unwrap();
            rows.sort_by(|a, b| order.compare(a, b));
            rows.iter().map(|row| row.serial.unwrap().get()).collect::<Vec<_>>()
        };
        assert_eq!(sorted("-age"), [3, 4, 9, 10]);
        assert_eq!(sorted("id,-serial"), [4, 3, 10, 9]);
    }

    #[test]
    fn an_unknown_key_is_an_error_worded_as_by_the_server() {
        let error = Order::parse("-size", false).unwrap_err();
        assert!(error.starts_with("`size` is not a key to sort by; sort by age, statusAge, id"), "{error}");
        assert!(Order::parse("endedAt", false).is_err() && Order::parse("endedAt", true).is_ok());
        assert!(Order::parse("age,id,kind,status", false).is_err());
    }
}
