//! The `sort` parameter of `/v1`, to merge the rows of several endpoints into one order.

use std::cmp::Ordering;

use pm_client::Row;

/// A key to sort rows by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Age,
    StatusAge,
    EndedAt,
    Id,
    Kind,
    Status,
    Serial,
}

const MAX_KEYS: usize = 3;

/// Keys, each with whether the greatest comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order(Vec<(Key, bool)>);

impl Order {
    /// Parses `-age,id`.
    ///
    /// # Errors
    ///
    /// A key is unknown, or there are too many; worded as by `/v1`.
    pub(crate) fn parse(text: &str, of_ended: bool) -> Result<Order, String> {
        let mut keys = Vec::new();
        for part in text.split(',') {
            let (name, descending) = part.strip_prefix('-').map_or((part, false), |name| (name, true));
            let key = match name {
                "age" => Key::Age,
                "statusAge" => Key::StatusAge,
                "endedAt" if of_ended => Key::EndedAt,
                "id" => Key::Id,
                "kind" => Key::Kind,
                "status" => Key::Status,
                "serial" => Key::Serial,
                _ => {
                    return Err(format!(
                        "`{}` is nothing to sort by; there are age, statusAge, id, kind, status, serial, and of ended \
                         tasks endedAt; a - before it turns it round",
                        name.chars().take(60).collect::<String>()
                    ));
                }
            };
            keys.push((key, descending));
        }
        if keys.len() > MAX_KEYS {
            return Err(format!("sort has {MAX_KEYS} keys at most"));
        }
        Ok(Order(keys))
    }

    /// Compares two rows.
    pub(crate) fn compare(&self, a: &Row, b: &Row) -> Ordering {
        for (key, descending) in &self.0 {
            let ordering = match key {
                // Ages are whole milliseconds; within one, the earlier start is older.
                Key::Age => number(a.age_ms).total_cmp(&number(b.age_ms)).then(b.started_at.cmp(&a.started_at)),
                Key::StatusAge => number(a.status_age_ms).total_cmp(&number(b.status_age_ms)),
                // The clocks of two endpoints may differ, but there is nothing better.
                Key::EndedAt => a.ended_at.cmp(&b.ended_at),
                Key::Id => a.id.cmp(&b.id),
                Key::Kind => a.kind.cmp(&b.kind),
                Key::Status => a.status.cmp(&b.status),
                Key::Serial => serial(a).cmp(&serial(b)),
            };
            if ordering != Ordering::Equal {
                return if *descending { ordering.reverse() } else { ordering };
            }
        }
        serial(a).cmp(&serial(b))
    }
}

fn number(value: Option<f64>) -> f64 {
    value.unwrap_or(0.0)
}

fn serial(row: &Row) -> u64 {
    row.serial.parse().unwrap_or(0)
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
            rows.iter().map(|row| row.serial.clone()).collect::<Vec<_>>()
        };
        assert_eq!(sorted("-age"), ["3", "4", "9", "10"]);
        assert_eq!(sorted("id,-serial"), ["4", "3", "10", "9"]);
    }

    #[test]
    fn an_unknown_key_is_an_error_worded_as_by_the_server() {
        let error = Order::parse("-size", false).unwrap_err();
        assert!(error.starts_with("`size` is nothing to sort by; there are age, statusAge, id"), "{error}");
        assert!(Order::parse("endedAt", false).is_err() && Order::parse("endedAt", true).is_ok());
        assert!(Order::parse("age,id,kind,status", false).is_err());
    }
}
