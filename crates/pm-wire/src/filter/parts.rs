//! Whether a condition holds for a task that is no copy of the list's: a row that came as JSON, with what it tells.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::condition::{Condition, OUTCOMES, STATES};
use crate::attr::attr_text;

/// What is known of a task elsewhere; by default nothing.
///
/// A condition on an age that is not known does not hold. A text that is not known is the empty text, as everywhere.
#[derive(Clone, Debug, Default)]
pub struct Parts<'t> {
    /// 0 when it is not known.
    pub serial: u64,
    /// What the program calls it.
    pub id: &'t str,
    /// What sort of work it is; may be empty.
    pub kind: &'t str,
    /// `running`, `cancelling` or `ended`; empty is as good as `running`.
    pub state: &'t str,
    /// How it ended; empty when it has not.
    pub outcome: &'t str,
    /// Its newest status.
    pub status: &'t str,
    /// The serial of its parent; 0 when it has none.
    pub parent: u64,
    /// How long it runs, or ran.
    pub age: Option<Duration>,
    /// How long it has been in its status.
    pub status_age: Option<Duration>,
    /// Its attributes, if any are known.
    pub attrs: Option<&'t BTreeMap<String, Value>>,
}

impl Condition {
    pub(super) fn holds_for(&self, task: &Parts<'_>) -> bool {
        // A word that is not known here is only meant by all words together.
        let place = |known: &[&str], word: &str| known.iter().position(|known| *known == word).unwrap_or(7) as u32;
        match self {
            Self::State(words) => words.has(if task.state.is_empty() { 0 } else { place(STATES, task.state) }),
            Self::Outcome(words) => words.has(place(OUTCOMES, task.outcome)),
            Self::Serial(numbers) => numbers.has(task.serial),
            Self::Parent(numbers) => numbers.has(task.parent),
            Self::Kind(kinds) => kinds.fit(task.kind.as_bytes()),
            Self::Id(ids) => ids.fit(task.id.as_bytes()),
            Self::MinAge(length) => task.age.is_some_and(|age| age >= *length),
            Self::MaxAge(length) => task.age.is_some_and(|age| age <= *length),
            Self::Status(statuses) => statuses.fit(task.status.as_bytes()),
            Self::MinStatusAge(length) => task.status_age.is_some_and(|age| age >= *length),
            Self::MaxStatusAge(length) => task.status_age.is_some_and(|age| age <= *length),
            Self::Attr(name, values) => match task.attrs.and_then(|attrs| attrs.get(name)) {
                Some(value) => values.fit(attr_text(value).as_bytes()),
                None => values.fit(b""),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Filter;
    use super::*;

    #[test]
    fn a_row_fits_where_its_task_would() {
        let attrs = BTreeMap::from([("host".to_owned(), "db1".into()), ("n".to_owned(), 42.into())]);
        let task = Parts {
            serial: 7,
            id: "a",
            kind: "GET /hosts",
            state: "cancelling",
            status: "[cancel request: why]",
            parent: 3,
            age: Some(Duration::from_secs(5)),
            status_age: Some(Duration::from_secs(2)),
            attrs: Some(&attrs),
            ..Parts::default()
        };
        for (text, expected) in [
            ("serial=7 parent=3 id=a kind=GET* state=cancelling outcome= status=[cancel* minAge=5s maxAge=5s", true),
            ("minStatusAge=2s maxStatusAge=2s attr.host=db* attr.n=42 attr.none= attr.none=*", true),
            ("state=running", false),
            ("outcome=f*", false),
            ("parent=", false),
            ("serial=8", false),
            ("maxAge=4s", false),
            ("attr.n=4", false),
        ] {
            assert_eq!(Filter::parse(text).unwrap().matches_parts(&task), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_young_and_old_of_nothing() {
        let nothing = Parts::default();
        assert!(Filter::parse("state=running kind= parent= id=* outcome=").unwrap().matches_parts(&nothing));
        assert!(!Filter::parse("minAge=1ms").unwrap().matches_parts(&nothing));
        assert!(!Filter::parse("maxAge=1h").unwrap().matches_parts(&nothing));
        assert!(!Filter::parse("state=cancelling,ended").unwrap().matches_parts(&nothing));
    }
}
