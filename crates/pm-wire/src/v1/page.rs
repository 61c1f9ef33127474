//! Pages of tasks, one task and its history, and the parameters that sort and count tasks.

use std::fmt;
use std::str::FromStr;

use pm_core::Serial;
use serde::{Deserialize, Serialize};

use super::row::Row;
use super::waits::{BlockedTask, Waiter};
use crate::as_json::{is_false, is_zero, serial};
use crate::timestamp::Timestamp;
use crate::words::Outcome;

/// A page of tasks: the answer to `GET /v1/tasks`, `/v1/ended` and `/v1/tree`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskPage {
    /// The tasks of this page, in the order of the request.
    #[serde(deserialize_with = "crate::as_json::at_most::<1_000_000, _, _>")]
    pub tasks: Vec<Row>,
    /// The server's clock when the page was made.
    pub server_time: Timestamp,
    /// The number of tasks that match the filter, on all pages.
    #[serde(default)]
    pub total: u64,
    /// True if there are more tasks than on this page.
    #[serde(default)]
    pub truncated: bool,
    /// The cursor of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The counts by the parameter `groupBy`, if the request had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Group>>,
    /// Tasks that the page cannot show; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

impl TaskPage {
    /// Makes a page of these rows.
    #[must_use]
    pub fn new(tasks: Vec<Row>, total: u64, truncated: bool, server_time: Timestamp) -> Self {
        Self { tasks, server_time, total, truncated, ..Self::default() }
    }

    /// Writes the page as JSON, with `rows` as its [tasks](Self::tasks): objects in JSON, separated by commas.
    #[must_use]
    pub fn around(mut self, rows: &[u8]) -> Vec<u8> {
        self.tasks.clear();
        spliced(&self, br#"{"tasks":["#, br#"{"tasks":["#, rows)
    }
}

/// Writes `shape` as JSON, and replaces its beginning, `without`, by `begin` and `json`.
fn spliced(shape: &impl Serialize, without: &[u8], begin: &[u8], json: &[u8]) -> Vec<u8> {
    let shape = crate::json::to_json(shape);
    let rest = shape.strip_prefix(without).unwrap_or_default();
    [begin, json, rest].concat()
}

/// A number of tasks that share a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Group {
    /// The value; absent in the group of tasks without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// True in the group of all values without a group of their own.
    #[serde(skip_serializing_if = "is_false")]
    pub other: bool,
    /// The number of tasks.
    pub count: u64,
}

impl Group {
    /// Makes the group of the tasks with this value, or of those without one.
    #[must_use]
    pub fn new(value: Option<String>, count: u64) -> Self {
        Self { value, other: false, count }
    }

    /// Makes the group of all values without a group of their own.
    #[must_use]
    pub fn other(count: u64) -> Self {
        Self { value: None, other: true, count }
    }
}

/// Tasks that a page cannot show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Missing {
    /// The number of tasks that run, but were started when the list was full.
    pub tasks_not_shown: u64,
}

impl Missing {
    /// Makes the part of a page for this number of tasks; `None` for zero.
    #[must_use]
    pub fn new(tasks_not_shown: u64) -> Option<Self> {
        (tasks_not_shown > 0).then_some(Self { tasks_not_shown })
    }
}

/// One task: the answer to `GET /v1/tasks/{ref}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskReply {
    /// The task.
    pub task: Row,
    /// The waits of the task, as far as it announces them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<BlockedTask>,
    /// The tasks that wait for a resource that it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds_up: Vec<Waiter>,
    /// The server's clock when the answer was made.
    pub server_time: Timestamp,
}

impl TaskReply {
    /// Makes the answer for a task with its waits and the tasks that it holds up.
    #[must_use]
    pub fn new(task: Row, waits: Vec<BlockedTask>, holds_up: Vec<Waiter>, server_time: Timestamp) -> Self {
        Self { task, waits, holds_up, server_time }
    }

    /// Writes the answer as JSON, with `row` as its [task](Self::task): an object in JSON.
    #[must_use]
    pub fn around(mut self, row: &[u8]) -> Vec<u8> {
        self.task = Row::default();
        spliced(&self, br#"{"task":{"serial":"","id":""}"#, br#"{"task":"#, row)
    }
}

/// The history of a task, oldest entry first: the answer to `GET /v1/tasks/{ref}/history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct History {
    /// The serial of the task. Known unless the task is one of VividCortex/pm.
    #[serde(with = "serial::option", default)]
    pub serial: Option<Serial>,
    /// The entries that are retained, oldest first.
    pub history: Vec<HistoryEntry>,
    /// The server's clock when the answer was made.
    pub server_time: Timestamp,
    /// The number of entries that were dropped, between the first ones and the newest ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// The index of the entry before which the dropped ones stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_after: Option<u64>,
    /// How the task ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// A history entry: a status, and when it was set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When the status was set.
    pub at: Timestamp,
    /// The status.
    pub status: String,
}

/// A key to sort tasks by: a word in the parameter `sort`.
///
/// The enum is exhaustive, so that code which sorts tasks does not compile before it knows a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// The age.
    Age,
    /// The time in the newest status.
    StatusAge,
    /// The id.
    Id,
    /// The kind.
    Kind,
    /// The newest status.
    Status,
    /// The serial.
    Serial,
    /// The time of the end; of ended tasks only.
    EndedAt,
}

impl SortKey {
    /// All keys, in the order in which errors and documents list them.
    pub const ALL: [Self; 7] =
        [Self::Age, Self::StatusAge, Self::Id, Self::Kind, Self::Status, Self::Serial, Self::EndedAt];

    /// Returns the word for the parameter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::StatusAge => "statusAge",
            Self::Id => "id",
            Self::Kind => "kind",
            Self::Status => "status",
            Self::Serial => "serial",
            Self::EndedAt => "endedAt",
        }
    }
}

/// A key to sort by, and its direction: a part of the parameter `sort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SortBy {
    /// The key.
    pub key: SortKey,
    /// True if the greatest comes first: in a query, a `-` stands before the key.
    pub descending: bool,
}

impl SortBy {
    /// The most keys of one order.
    pub const MAX_KEYS: usize = 3;

    /// Reads an order such as `-age,id`. With `of_ended`, the keys that only ended tasks have are allowed.
    ///
    /// # Errors
    ///
    /// [`SortError`], if a key is unknown or there are more than [`MAX_KEYS`](Self::MAX_KEYS).
    ///
    /// # Examples
    ///
    /// ```
    /// use pm_wire::v1::{SortBy, SortKey};
    ///
    /// let order = SortBy::parse("-age,id", false)?;
    /// assert_eq!((order[0].key, order[0].descending), (SortKey::Age, true));
    /// assert!(SortBy::parse("-size", false).is_err());
    /// # Ok::<(), pm_wire::v1::SortError>(())
    /// ```
    pub fn parse(text: &str, of_ended: bool) -> Result<Vec<Self>, SortError> {
        let key = |part: &str| {
            let (name, descending) = part.strip_prefix('-').map_or((part, false), |name| (name, true));
            let key = SortKey::ALL.into_iter().find(|key| key.as_str() == name);
            key.filter(|key| of_ended || *key != SortKey::EndedAt)
                .map(|key| Self { key, descending })
                .ok_or_else(|| SortError::UnknownKey { name: name.chars().take(60).collect() })
        };
        let order = text.split(',').map(key).collect::<Result<Vec<_>, _>>()?;
        if order.len() > Self::MAX_KEYS { Err(SortError::TooManyKeys) } else { Ok(order) }
    }
}

/// The error of [`SortBy::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SortError {
    /// There is no such key, or it is for ended tasks only.
    #[non_exhaustive]
    UnknownKey {
        /// The word, of which at most 60 characters are kept.
        name: String,
    },
    /// There are more than [`SortBy::MAX_KEYS`].
    TooManyKeys,
}

impl SortError {
    /// Returns advice on what to write instead.
    #[must_use]
    pub fn hint(&self) -> String {
        let usual = SortKey::ALL.map(SortKey::as_str);
        let [usual @ .., ended] = usual;
        match self {
            Self::UnknownKey { .. } => {
                format!("sort by {}, or for ended tasks {ended}; a - before a key reverses it", usual.join(", "))
            }
            Self::TooManyKeys => format!("give at most {}", SortBy::MAX_KEYS),
        }
    }
}

impl fmt::Display for SortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { name } => write!(f, "`{name}` is not a key to sort by"),
            Self::TooManyKeys => write!(f, "sort has more than {} keys", SortBy::MAX_KEYS),
        }
    }
}

impl std::error::Error for SortError {}

/// A value to count tasks by: the parameter `groupBy`.
///
/// ```
/// use pm_wire::v1::GroupBy;
///
/// assert_eq!("attr.host".parse(), Ok(GroupBy::Attr("host".to_owned())));
/// assert_eq!(GroupBy::Kind.to_string(), "kind");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GroupBy {
    /// The kind.
    Kind,
    /// The state.
    State,
    /// The newest status.
    Status,
    /// The outcome, of ended tasks.
    Outcome,
    /// The value of this attribute, as [`attr_text`](crate::attr_text) shows it.
    Attr(String),
}

impl GroupBy {
    /// The words for the parameter, except `attr.NAME`.
    pub const WORDS: [&'static str; 4] = ["kind", "state", "status", "outcome"];
}

impl FromStr for GroupBy {
    type Err = GroupByError;

    fn from_str(text: &str) -> Result<Self, GroupByError> {
        Ok(match text {
            "kind" => Self::Kind,
            "state" => Self::State,
            "status" => Self::Status,
            "outcome" => Self::Outcome,
            _ => match text.strip_prefix("attr.") {
                Some(name) if !name.is_empty() => Self::Attr(name.to_owned()),
                _ => return Err(GroupByError(())),
            },
        })
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => f.write_str("kind"),
            Self::State => f.write_str("state"),
            Self::Status => f.write_str("status"),
            Self::Outcome => f.write_str("outcome"),
            Self::Attr(name) => write!(f, "attr.{name}"),
        }
    }
}

/// The error of parsing a [`GroupBy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupByError(());

impl fmt::Display for GroupByError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "groupBy is {} or attr.NAME", GroupBy::WORDS.join(", "))
    }
}

impl std::error::Error for GroupByError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_json_stand_where_those_of_the_type_would() {
        let row: Row = serde_json::from_str(r#"{"serial":"7","id":"a"}"#).unwrap();
        let json = serde_json::to_vec(&row).unwrap();
        let page = TaskPage::new(vec![row.clone(), row.clone()], 2, false, Timestamp::default());
        let expected = serde_json::to_vec(&page).unwrap();
        assert_eq!(page.around(&[&json[..], b",", &json[..]].concat()), expected);
        let reply = TaskReply::new(row, Vec::new(), vec![Waiter::default()], Timestamp::default());
        let expected = serde_json::to_vec(&reply).unwrap();
        assert_eq!(reply.around(&json), expected);
    }

    #[test]
    fn an_order_has_known_keys_and_few_of_them() {
        for key in SortKey::ALL {
            let order = SortBy::parse(&format!("-{}", key.as_str()), true).unwrap();
            assert_eq!(order, [SortBy { key, descending: true }]);
        }
        let error = SortBy::parse("endedAt", false).unwrap_err();
        assert_eq!(error.to_string(), "`endedAt` is not a key to sort by");
        assert_eq!(
            error.hint(),
            "sort by age, statusAge, id, kind, status, serial, or for ended tasks endedAt; a - before a key reverses it"
        );
        assert_eq!(SortBy::parse("age,id,kind,status", false), Err(SortError::TooManyKeys));
        assert!(SortBy::parse("", false).is_err());
    }

    #[test]
    fn a_group_is_read_as_it_is_shown() {
        for text in GroupBy::WORDS.into_iter().chain(["attr.x", "attr.a b"]) {
            assert_eq!(text.parse::<GroupBy>().unwrap().to_string(), text);
        }
        for bad in ["", "size", "attr.", "id"] {
            let error = bad.parse::<GroupBy>().unwrap_err();
            assert_eq!(error.to_string(), "groupBy is kind, state, status, outcome or attr.NAME");
        }
    }
}
