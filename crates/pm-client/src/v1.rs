//! The JSON of `/v1` as types, to read, and the bodies of its requests. What is kept or shown elsewhere, such as a [`Row`],
//! is written as it was read.
//!
//! Readers ignore what they do not know. States, outcomes and verdicts are plain strings, as a newer server may have more
//! of them. What is absent is unknown.

use std::collections::BTreeMap;
use std::time::Duration;

use pm_wire::{Progress, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::query::{Query, millis};
use crate::waits::Wait;

/// A page of tasks: the answer to `GET /v1/tasks`, `/v1/tree` and `/v1/ended`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Tasks {
    /// The tasks of this page, in the order that was asked for.
    pub tasks: Vec<Row>,
    /// The server's clock when the page was made.
    pub server_time: Timestamp,
    /// How many tasks fit the filters, on all pages.
    #[serde(default)]
    pub total: u64,
    /// There are more tasks than are here.
    #[serde(default)]
    pub truncated: bool,
    /// What the next page begins with; absent on the last.
    pub next_cursor: Option<String>,
    /// The counts that [`Query::group_by`] asked for.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// What the page should tell but cannot.
    pub missing: Option<Missing>,
}

impl Tasks {
    /// The query for the page after this one, if there is one. `query` is the one that this page answers.
    pub fn next_page(&self, query: &Query) -> Option<Query> {
        self.next_cursor.as_ref().map(|cursor| query.clone().cursor(cursor))
    }
}

/// How many tasks share a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Group {
    /// The value; absent for the tasks that have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// How many tasks have it.
    pub count: u64,
}

/// What a page should tell but cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Missing {
    /// Tasks that run but have no place in the list.
    pub tasks_not_shown: u64,
}

/// One task. With [`Query::brief`] or [`Query::fields`], only some of the fields are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Row {
    /// The number that no other task of the process ever has. Always known.
    pub serial: String,
    /// What the program calls the task.
    pub id: String,
    /// What sort of work this is, if the program says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `running`, `cancelling` or `ended`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// How it ended: `finished`, `failed`, `cancelled`, `aborted` or `dropped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// When the task started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Milliseconds since the start, or, of an ended task, how long it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<f64>,
    /// What the task is doing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// When the status was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_at: Option<Timestamp>,
    /// Milliseconds since the status was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_age_ms: Option<f64>,
    /// When the task ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What the program says about the task, by name. Whole numbers beyond 2^53 - 1 travel as text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attrs: BTreeMap<String, Value>,
    /// How far the task has come, if it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The serial of the task that this one is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The task outlived its parent.
    #[serde(skip_serializing_if = "is_false")]
    pub parent_ended: bool,
    /// The cancel request, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
    /// The task is in a section that must not be cut: a cancel waits for the end of it.
    #[serde(skip_serializing_if = "is_false")]
    pub protected: bool,
    /// Whether a cancel would be heard. Absent means true; see [`is_cancellable`](Self::is_cancellable).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancellable: Option<bool>,
    /// How many entries its history has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_len: Option<u64>,
    /// How far below the root it stands; in a tree only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
}

impl Row {
    /// Whether a cancel of this task would be accepted, as far as is known.
    pub fn is_cancellable(&self) -> bool {
        self.cancellable != Some(false)
    }
}

/// What was asked of a task that is to stop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Cancel {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Milliseconds since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<f64>,
    /// Why; empty when no reason was given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who asked; empty when that is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// What brought it, such as a request, a deadline or the task's parent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub origin: String,
}

/// The answer to `GET /v1/tasks/{ref}`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskReply {
    /// The task.
    pub task: Row,
    /// What it waits for, if it says so.
    #[serde(default)]
    pub waits: Vec<Wait>,
    /// Tasks that wait for what it holds, without their holders.
    #[serde(default)]
    pub holds_up: Vec<Wait>,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// What a task did so far, oldest first: the answer to `GET /v1/tasks/{ref}/history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct History {
    /// The task's serial.
    pub serial: String,
    /// Its statuses.
    pub history: Vec<Entry>,
    /// How many entries were dropped to keep the history short.
    #[serde(default)]
    pub dropped: u64,
    /// The index of the entry before which they stood.
    pub dropped_after: Option<u64>,
    /// How the task ended, if it has.
    pub outcome: Option<String>,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// One status and when it was set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Entry {
    /// When the status was set.
    pub at: Timestamp,
    /// The status.
    pub status: String,
}

/// How to cancel one task. By default without a reason, without waiting, and whatever the task does.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// use pm_client::{CancelOptions, Expect};
///
/// let options = CancelOptions::new("stuck")
///     .wait(Duration::from_secs(5))
///     .expect(Expect::new().status("waiting for lock"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CancelOptions {
    /// Why, as the task will hear it; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How long to wait for the end of the task. The server waits at most 25 s.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "length")]
    pub wait: Option<Duration>,
    /// What must be so, or else nothing is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// A text of the caller's making; the same request with the same key is done once only.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

impl CancelOptions {
    /// With this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        CancelOptions { reason: reason.into(), ..Self::default() }
    }

    /// Waits this long for the end of the task; the server waits at most 25 s. The call may take longer by as much.
    pub fn wait(mut self, length: Duration) -> Self {
        self.wait = Some(length);
        self
    }

    /// Does nothing unless this is so.
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = Some(expect);
        self
    }

    /// Makes it harmless to send the request again: the server does it once for each key, and answers the same.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// What must be so of a task that is to be cancelled. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Expect {
    /// It has this serial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// It is at least this old.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "length")]
    pub min_age: Option<Duration>,
    /// It has this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl Expect {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The task has this serial.
    pub fn serial(mut self, serial: impl Into<String>) -> Self {
        self.serial = Some(serial.into());
        self
    }

    /// The task is at least this old.
    pub fn min_age(mut self, age: Duration) -> Self {
        self.min_age = Some(age);
        self
    }

    /// The task has this status.
    pub fn status(mut self, status: impl Into<String>) -> Self {
        self.status = Some(status.into());
        self
    }
}

/// What came of the cancel of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Verdict {
    /// `finished`: it ended by itself. `dropped`: its future was dropped. `cancelling`: it was asked, and still runs.
    /// With many at once also why one was not asked, such as `refused` or `notFound`. Empty in a dry run.
    #[serde(default)]
    pub verdict: String,
    /// The task's serial.
    #[serde(default)]
    pub serial: String,
    /// Its id.
    #[serde(default)]
    pub id: String,
    /// Milliseconds from the request until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<f64>,
    /// How many tasks below it were asked to stop with it.
    #[serde(default)]
    pub below: u64,
    /// How it ended, if it ended by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// In words, why it was refused, if many were asked at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// It had ended before anybody asked.
    #[serde(default)]
    #[serde(skip_serializing_if = "is_false")]
    pub already_ended: bool,
}

/// Which tasks to cancel at once, and how. By default at most 100, without a reason and without waiting.
///
/// # Examples
///
/// ```
/// use pm_client::BulkCancel;
///
/// let first_look = BulkCancel::new(r#"kind=import status="waiting for *""#).dry_run();
/// let by_name = BulkCancel::new([("kind", "import"), ("minAge", "5m")]).expect_total(3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BulkCancel {
    /// Which tasks.
    pub filter: Filter,
    /// Why, as the tasks will hear it; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Only tells which tasks it would be.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Does nothing if there are more tasks than this. The server's default is 100, its ceiling 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Does nothing if there are more or fewer tasks than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_total: Option<u64>,
    /// How long to wait for the end of the tasks.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "length")]
    pub wait: Option<Duration>,
}

impl BulkCancel {
    /// The tasks that this filter fits. One that fits all tasks is refused by the server.
    pub fn new(filter: impl Into<Filter>) -> Self {
        let filter = filter.into();
        BulkCancel { filter, reason: String::new(), dry_run: false, max: None, expect_total: None, wait: None }
    }

    /// With this reason.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Only tells which tasks it would be.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Does nothing if there are more tasks than this; the server's default is 100, its ceiling 10,000.
    pub fn max(mut self, tasks: u64) -> Self {
        self.max = Some(tasks);
        self
    }

    /// Does nothing if there are more or fewer tasks than this, such as the total of a dry run.
    pub fn expect_total(mut self, tasks: u64) -> Self {
        self.expect_total = Some(tasks);
        self
    }

    /// Waits this long for the end of the tasks. The call may take longer by as much.
    pub fn wait(mut self, length: Duration) -> Self {
        self.wait = Some(length);
        self
    }
}

/// Which tasks, in a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Filter {
    /// As people write it: `kind=import minAge=5m status="waiting for *"`.
    Text(String),
    /// By the names of parameters, with the values of a [`Query`].
    Named(BTreeMap<String, String>),
}

impl From<&str> for Filter {
    fn from(text: &str) -> Filter {
        Filter::Text(text.to_owned())
    }
}

impl From<String> for Filter {
    fn from(text: String) -> Filter {
        Filter::Text(text)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Filter {
    fn from(named: [(&str, &str); N]) -> Filter {
        Filter::Named(named.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// What came of a cancel of many: the answer to `POST /v1/cancel`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BulkReply {
    /// Nobody was asked to stop.
    #[serde(default)]
    pub dry_run: bool,
    /// How many tasks the filter fits.
    pub total: u64,
    /// How many tasks there are of each verdict.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// What came of each.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
}

/// How the tasks of each kind fared: the answer to `GET /v1/kinds`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Kinds {
    /// One entry for each kind.
    pub kinds: Vec<Kind>,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// How the tasks of one kind fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Kind {
    /// The kind; absent for tasks without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// This entry is for all the kinds that found no entry of their own.
    #[serde(skip_serializing_if = "is_false")]
    pub other: bool,
    /// How many run.
    pub running: u64,
    /// How many were started.
    pub started: u64,
    /// How many finished well.
    pub finished: u64,
    /// How many failed.
    pub failed: u64,
    /// How many stopped because they were asked to.
    pub cancelled: u64,
    /// How many gave up or panicked.
    pub aborted: u64,
    /// How many were dropped.
    pub dropped: u64,
    /// How long they ran.
    pub latency: Latency,
    /// Where their time went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<StatusTime>,
}

/// How long tasks ran, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Latency {
    /// How many tasks this is about.
    pub count: u64,
    /// The mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_ms: Option<f64>,
    /// Half of them took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// 90 of 100 took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_ms: Option<f64>,
    /// 95 of 100 took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
    /// 99 of 100 took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// The longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// How many took how long.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<Bucket>,
}

/// How many tasks ran for a time within these bounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Bucket {
    /// The lower bound, which is within.
    pub least_ms: f64,
    /// The upper bound, which is not; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below_ms: Option<f64>,
    /// How many.
    pub count: u64,
}

/// How much time tasks of a kind spent in one status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct StatusTime {
    /// The status; absent for all those that found no entry of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// How often it was set.
    pub entered: u64,
    /// Milliseconds spent in it.
    pub time_ms: f64,
}

/// Who asked for which cancel: the answer to `GET /v1/audit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Audit {
    /// The requests.
    pub records: Vec<AuditRecord>,
    /// The server's clock.
    pub server_time: Timestamp,
    /// How many older ones were dropped.
    #[serde(default)]
    pub dropped: u64,
}

/// One request to cancel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// From where.
    pub peer: String,
    /// Who, as far as the server can tell.
    pub identity: String,
    /// What they may do: `read` or `cancel`.
    pub scope: String,
    /// `cancel` or `cancelMany`.
    pub action: String,
    /// The id of the task, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The serial of the task, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Which tasks, if it was many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The reason that was given.
    pub reason: String,
    /// What came of it.
    pub result: String,
}

/// What the server says about itself: the answer to `GET /v1/info`.
///
/// The parts with many numbers are given as they come, by name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Info {
    /// The version of pm.
    pub version: String,
    /// Tells this run of the program from any other.
    #[serde(default)]
    pub boot: String,
    /// The server's clock.
    pub server_time: Timestamp,
    /// Milliseconds since the list was made.
    pub uptime_ms: Option<f64>,
    /// Its ceilings.
    #[serde(default)]
    pub limits: Value,
    /// What it counted.
    #[serde(default)]
    pub counters: Value,
    /// What it had to drop.
    #[serde(default)]
    pub dropped: Value,
    /// What it costs the program.
    #[serde(default)]
    pub own: Value,
    /// What whoever asked may do: `read` or `cancel`.
    pub scope: Option<String>,
}

fn length<S: Serializer>(length: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    length.map(millis).serialize(serializer)
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: &impl Serialize) -> String {
        serde_json::to_string(body).unwrap()
    }

    #[test]
    fn a_body_has_only_what_was_set() {
        assert_eq!(written(&CancelOptions::default()), "{}");
        let expect = Expect::new().serial("7").min_age(Duration::from_secs(5)).status("x");
        let options = CancelOptions::new("why").wait(Duration::from_secs(10)).expect(expect).idempotency_key("k");
        let body = r#"{"reason":"why","wait":"10000ms","expect":{"serial":"7","minAge":"5000ms","status":"x"}}"#;
        assert_eq!(written(&options), body);
    }

    #[test]
    fn a_bulk_filter_is_a_text_or_an_object() {
        assert_eq!(written(&BulkCancel::new("kind=a")), r#"{"filter":"kind=a"}"#);
        let bulk = BulkCancel::new([("kind", "a")]).reason("r").dry_run().max(5).expect_total(2);
        assert_eq!(
            written(&bulk.wait(Duration::from_millis(1500))),
            r#"{"filter":{"kind":"a"},"reason":"r","dryRun":true,"max":5,"expectTotal":2,"wait":"1500ms"}"#
        );
    }

    #[test]
    fn a_full_row_is_read() {
        let row: Row = serde_json::from_str(
            r#"{"serial":"12","id":"a","kind":"k","state":"cancelling","startedAt":"2026-11-24T04:03:36Z","ageMs":12.5,
            "status":"s","statusAt":"2026-11-24T04:03:37Z","statusAgeMs":3,"attrs":{"n":"9007199254740993"},
            "progress":{"done":1,"total":2,"unit":"files"},"parent":"3","parentEnded":true,"cancel":{"at":
            "2026-11-24T04:03:37Z","ageMs":1,"reason":"r","by":"b","origin":"o"},"protected":true,"cancellable":false,
            "historyLen":4,"depth":2,"later":{}}"#,
        )
        .unwrap();
        assert_eq!(
            (row.age_ms, row.status_age_ms, row.history_len, row.depth),
            (Some(12.5), Some(3.0), Some(4), Some(2))
        );
        assert_eq!(row.cancel.as_ref().unwrap().origin, "o");
        assert_eq!(row.attrs["n"], "9007199254740993");
        assert!(!row.is_cancellable() && row.protected && row.parent_ended);
    }

    #[test]
    fn a_row_of_few_fields_is_read() {
        let row: Row = serde_json::from_str(r#"{"serial":"12"}"#).unwrap();
        assert_eq!(row, Row { serial: "12".to_owned(), ..Row::default() });
        assert!(row.is_cancellable());
    }

    #[test]
    fn a_row_is_written_as_it_was_read() {
        let text = r#"{"serial":"12","id":"a","state":"cancelling","ageMs":12.5,"status":"s","attrs":{"n":1},"cancel":{"ageMs":1.0,"reason":"r","origin":"o"},"protected":true,"cancellable":false}"#;
        assert_eq!(written(&serde_json::from_str::<Row>(text).unwrap()), text);
        assert_eq!(written(&Row::default()), r#"{"serial":"","id":""}"#);
    }

    #[test]
    fn the_next_page_is_the_same_query_from_the_cursor_on() {
        let mut tasks = Tasks { next_cursor: Some("c2".into()), ..Tasks::default() };
        let query = Query::new().filter("kind", "a").cursor("c1");
        assert_eq!(tasks.next_page(&query).unwrap().to_string(), "kind=a&cursor=c2");
        tasks.next_cursor = None;
        assert_eq!(tasks.next_page(&query), None);
    }
}
