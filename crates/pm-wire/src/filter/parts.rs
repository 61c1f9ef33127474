//! Conditions on a task that is known by its parts, such as a row in JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::condition::{Condition, OUTCOMES, STATES};
use crate::attr::attr_text;

/// The known parts of a task that is not in this program; by default, none.
///
/// A condition on an unknown age does not hold. An unknown string is the empty string.
#[derive(Clone, Debug, Default)]
pub struct Parts<'t> {
    /// The serial of the task; 0 if unknown.
    pub serial: u64,
    /// The id of the task.
    pub id: &'t str,
    /// The kind of the task; empty if it has none.
    pub kind: &'t str,
    /// The state: `running`, `cancelling` or `ended`. An empty one counts as `running`.
    pub state: &'t str,
    /// The outcome; empty if the task has not ended.
    pub outcome: &'t str,
    /// The newest status.
    pub status: &'t str,
    /// The serial of the parent; 0 if there is none.
    pub parent: u64,
    /// The time that the task has run, or ran.
    pub age: Option<Duration>,
    /// The time that the task has had its status.
    pub status_age: Option<Duration>,
    /// The attributes, if they are known.
    pub attrs: Option<&'t BTreeMap<String, Value>>,
}

impl Condition {
    /// Returns `true` if the condition holds for the task with these parts.
    pub(super) fn holds_for(&self, task: &Parts<'_>) -> bool {
        // A word that is not known here is only in the set of all words.
        let index = |known: &[&str], word: &str| known.iter().position(|known| *known == word).unwrap_or(7) as u32;
        match self {
            Self::State(words) => words.has(if task.state.is_empty() { 0 } else { index(STATES, task.state) }),
            Self::Outcome(words) => words.has(index(OUTCOMES, task.outcome)),
            Self::Serial(numbers) => numbers.has(task.serial),
            Self::Parent(numbers) => numbers.has(task.parent),
            Self::Kind(kinds) => kinds.fit(task.kind.as_bytes()),
            Self::Id(ids) => ids.fit(task.id.as_bytes()),
            Self::MinAge(least) => task.age.is_some_and(|age| age >= *least),
            Self::MaxAge(most) => task.age.is_some_and(|age| age <= *most),
            Self::Status(statuses) => statuses.fit(task.status.as_bytes()),
            Self::MinStatusAge(least) => task.status_age.is_some_and(|age| age >= *least),
            Self::MaxStatusAge(most) => task.status_age.is_some_and(|age| age <= *most),
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
    fn an_unknown_age_is_neither_young_nor_old() {
        let unknown = Parts::default();
        assert!(Filter::parse("state=running kind= parent= id=* outcome=").unwrap().matches_parts(&unknown));
        assert!(!Filter::parse("minAge=1ms").unwrap().matches_parts(&unknown));
        assert!(!Filter::parse("maxAge=1h").unwrap().matches_parts(&unknown));
        assert!(!Filter::parse("state=cancelling,ended").unwrap().matches_parts(&unknown));
    }
}
