//! Requests to cancel tasks, and how they came out.

use std::collections::BTreeMap;
use std::time::Duration;

use pm_core::Serial;
use serde::{Deserialize, Serialize};

use super::{Outcome, Verdict};
use crate::as_json::{is_false, is_zero, millis, serial, text};

/// How to cancel one task: the body of `POST /v1/tasks/{ref}/cancel`. By default without a reason and without waiting.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// use pm_wire::v1::{CancelOptions, Expect};
///
/// let options = CancelOptions::new("stuck")
///     .wait(Duration::from_secs(5))
///     .expect(Expect::new().status("waiting for lock"));
/// # assert_eq!(serde_json::to_value(options).unwrap()["wait"], "5000ms");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CancelOptions {
    /// The reason that the task receives; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How long to wait for the end of the task. The server waits at most 25 s.
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    pub wait: Option<Duration>,
    /// What must be true of the task, or else nothing is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// A string of the caller's choice: the server does the same request with the same key once. It is sent as a header.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

impl CancelOptions {
    /// Options with this reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }

    /// Sets how long to wait for the end of the task; the server waits at most 25 s. The call takes longer by as much.
    #[must_use]
    pub fn wait(mut self, duration: Duration) -> Self {
        self.wait = Some(duration);
        self
    }

    /// Sets what must be true of the task.
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = Some(expect);
        self
    }

    /// Sets the key that makes it harmless to send the request again: the server does it once, and answers the same.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// What must be true of a task that is to be cancelled. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Expect {
    /// It has this serial.
    #[serde(with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// It is at least this old.
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    pub min_age: Option<Duration>,
    /// It has this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl Expect {
    /// Expects nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects this serial.
    #[must_use]
    pub fn serial(mut self, serial: Serial) -> Self {
        self.serial = Some(serial);
        self
    }

    /// Expects at least this age.
    #[must_use]
    pub fn min_age(mut self, age: Duration) -> Self {
        self.min_age = Some(age);
        self
    }

    /// Expects this status.
    #[must_use]
    pub fn status(mut self, status: impl Into<String>) -> Self {
        self.status = Some(status.into());
        self
    }
}

/// Which tasks to cancel at once, and how: the body of `POST /v1/cancel`. By default at most 100, without a reason and
/// without waiting.
///
/// # Examples
///
/// ```
/// use pm_wire::v1::BulkCancel;
///
/// let preview = BulkCancel::new(r#"kind=import status="waiting for *""#).dry_run(true);
/// let by_name = BulkCancel::new([("kind", "import"), ("minAge", "5m")]).expect_total(3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BulkCancel {
    /// Which tasks.
    pub filter: FilterBody,
    /// The reason that the tasks receive; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Only returns which tasks it would be.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Does nothing if there are more tasks than this. The server's default is 100, its limit 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Does nothing if there are more or fewer tasks than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_total: Option<u64>,
    /// How long to wait for the end of the tasks. The server waits at most 25 s.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub wait: Option<Duration>,
    /// A string of the caller's choice: the server does the same request with the same key once. It is sent as a header.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

impl BulkCancel {
    /// The tasks that this filter selects. The server refuses a filter that selects all.
    #[must_use]
    pub fn new(filter: impl Into<FilterBody>) -> Self {
        Self {
            filter: filter.into(),
            reason: String::new(),
            dry_run: false,
            max: None,
            expect_total: None,
            wait: None,
            idempotency_key: None,
        }
    }

    /// Sets the reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Sets whether only to return which tasks it would be. Default false.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Sets how many tasks it may be at most; the server's default is 100, its limit 10,000.
    #[must_use]
    pub fn max(mut self, tasks: u64) -> Self {
        self.max = Some(tasks);
        self
    }

    /// Sets how many tasks it must be, such as the total of a dry run.
    #[must_use]
    pub fn expect_total(mut self, tasks: u64) -> Self {
        self.expect_total = Some(tasks);
        self
    }

    /// Sets how long to wait for the end of the tasks. The call takes longer by as much.
    #[must_use]
    pub fn wait(mut self, duration: Duration) -> Self {
        self.wait = Some(duration);
        self
    }

    /// Sets the key that makes it harmless to send the request again: the server does it once, and answers the same.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// A [filter](crate::filter) in a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum FilterBody {
    /// The text form: `kind=import minAge=5m status="waiting for *"`.
    Text(String),
    /// Values by name.
    Named(BTreeMap<String, FilterValue>),
}

/// The value of a condition in a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum FilterValue {
    /// A value as in a query.
    One(String),
    /// Values of which one must fit.
    AnyOf(Vec<String>),
}

impl From<&str> for FilterBody {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for FilterBody {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for FilterBody {
    fn from(named: [(&str, &str); N]) -> Self {
        let named = named.into_iter().map(|(name, value)| (name.to_owned(), FilterValue::One(value.to_owned())));
        Self::Named(named.collect())
    }
}

/// How the cancel of one task came out: the answer to `POST /v1/tasks/{ref}/cancel`, and one of those to
/// `POST /v1/cancel`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TaskVerdict {
    /// The verdict; absent in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The serial of the task.
    #[serde(with = "serial::option")]
    pub serial: Option<Serial>,
    /// Its id.
    pub id: String,
    /// The time from the request until then.
    #[serde(rename = "tookMs", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub took: Option<Duration>,
    /// How it ended, if it ended by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it was refused, if several tasks were asked at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The number of tasks below it that were asked to stop with it.
    #[serde(skip_serializing_if = "is_zero")]
    pub below: u64,
    /// It had ended before the request.
    #[serde(skip_serializing_if = "is_false")]
    pub already_ended: bool,
}

impl TaskVerdict {
    /// A task that would be asked.
    #[must_use]
    pub fn dry_run(serial: Serial, id: impl Into<String>) -> Self {
        Self { serial: Some(serial), id: id.into(), ..Self::default() }
    }

    /// The verdict about this task.
    #[must_use]
    pub fn new(serial: Serial, id: impl Into<String>, verdict: &pm_core::Verdict) -> Self {
        let (outcome, why) = match verdict {
            pm_core::Verdict::Finished { outcome, .. } => (Some((*outcome).into()), None),
            pm_core::Verdict::Refused(why) => (None, Some(why.to_string())),
            _ => (None, None),
        };
        Self { verdict: Some(verdict.into()), took: verdict.took(), outcome, why, ..Self::dry_run(serial, id) }
    }
}

/// How a cancel of several tasks came out: the answer to `POST /v1/cancel`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct BulkReply {
    /// No task was asked to stop.
    pub dry_run: bool,
    /// The number of tasks that the filter selects.
    pub total: u64,
    /// The number of tasks with each verdict.
    pub counts: BTreeMap<String, u64>,
    /// The verdict of each task.
    pub verdicts: Vec<TaskVerdict>,
}

impl BulkReply {
    /// The tasks that would be asked.
    #[must_use]
    pub fn dry_run(verdicts: Vec<TaskVerdict>) -> Self {
        Self { dry_run: true, total: verdicts.len() as u64, counts: BTreeMap::new(), verdicts }
    }

    /// The verdicts of all tasks, counted.
    #[must_use]
    pub fn new(verdicts: Vec<TaskVerdict>) -> Self {
        let mut counts = BTreeMap::new();
        for verdict in verdicts.iter().filter_map(|verdict| verdict.verdict.as_ref()) {
            *counts.entry(verdict.as_str().to_owned()).or_default() += 1;
        }
        Self { dry_run: false, counts, ..Self::dry_run(verdicts) }
    }
}
