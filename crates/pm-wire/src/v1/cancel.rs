//! Requests to cancel tasks, and their verdicts.

use std::collections::BTreeMap;
use std::time::Duration;

use pm_core::Serial;
use serde::{Deserialize, Serialize};

use super::page::Missing;
use crate::as_json::{is_false, is_zero, millis, serial, text};
use crate::words::{Outcome, Verdict};

/// Options of a cancel of one task: the body of `POST /v1/tasks/{ref}/cancel`.
///
/// By default, there is no reason and no expectation, and the server does not wait.
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
    /// The reason that the task receives; it may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How long the server waits for the task to end, at most 25 s. By default, it does not wait.
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    pub wait: Option<Duration>,
    /// Conditions under which the task is cancelled. By default, there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// A key of the caller's choice, sent as a header: the server executes requests with the same key once.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

impl CancelOptions {
    /// Makes options with this reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }

    /// Sets how long the server waits for the task to end, at most 25 s. The call takes longer by that time.
    #[must_use]
    pub fn wait(mut self, duration: Duration) -> Self {
        self.wait = Some(duration);
        self
    }

    /// Sets conditions under which the task is cancelled.
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = Some(expect);
        self
    }

    /// Sets a key that makes the request safe to repeat: the server executes it once, and repeats its answer.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// Conditions under which a task is cancelled, all of which must hold. By default, there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Expect {
    /// The serial that the task must have.
    #[serde(with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The least age of the task.
    #[serde(skip_serializing_if = "Option::is_none", with = "text")]
    pub min_age: Option<Duration>,
    /// The status that the task must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl Expect {
    /// Makes an expectation without conditions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the serial that the task must have.
    #[must_use]
    pub fn serial(mut self, serial: Serial) -> Self {
        self.serial = Some(serial);
        self
    }

    /// Sets the least age of the task.
    #[must_use]
    pub fn min_age(mut self, age: Duration) -> Self {
        self.min_age = Some(age);
        self
    }

    /// Sets the status that the task must have.
    #[must_use]
    pub fn status(mut self, status: impl Into<String>) -> Self {
        self.status = Some(status.into());
        self
    }
}

/// A bulk cancel of the tasks that a filter selects: the body of `POST /v1/cancel`.
///
/// By default, it cancels at most 100 tasks, without a reason, and the server does not wait.
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
    /// The filter that selects the tasks.
    pub filter: FilterBody,
    /// The reason that the tasks receive; it may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// True to return the targets and cancel nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// The most targets: with more, the server cancels none. The server's default is 100, its limit 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// The number of targets, if it is known: with more or fewer, the server cancels none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_total: Option<u64>,
    /// How long the server waits for the tasks to end, at most 25 s. By default, it does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub wait: Option<Duration>,
    /// A key of the caller's choice, sent as a header: the server executes requests with the same key once.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

impl BulkCancel {
    /// Makes a cancel of the tasks that this filter selects. The server refuses a filter that selects every task.
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

    /// Sets the reason that the tasks receive.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Sets whether the server only returns the targets and cancels nothing. Default false.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Sets the most targets: with more, the server cancels none. The server's default is 100, its limit 10,000.
    #[must_use]
    pub fn max(mut self, tasks: u64) -> Self {
        self.max = Some(tasks);
        self
    }

    /// Sets the number of targets, such as the total of a dry run: with more or fewer, the server cancels none.
    #[must_use]
    pub fn expect_total(mut self, tasks: u64) -> Self {
        self.expect_total = Some(tasks);
        self
    }

    /// Sets how long the server waits for the tasks to end, at most 25 s. The call takes longer by that time.
    #[must_use]
    pub fn wait(mut self, duration: Duration) -> Self {
        self.wait = Some(duration);
        self
    }

    /// Sets a key that makes the request safe to repeat: the server executes it once, and repeats its answer.
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
    /// Values by the names of the conditions.
    Named(BTreeMap<String, FilterValue>),
}

/// The value of a condition in a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum FilterValue {
    /// A value, written as in a query.
    One(String),
    /// Values of which one must match.
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

/// The verdict on one task: the answer to `POST /v1/tasks/{ref}/cancel`, and a part of that to `POST /v1/cancel`.
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
    /// The id of the task.
    pub id: String,
    /// The time from the request to the verdict.
    #[serde(rename = "tookMs", with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub took: Option<Duration>,
    /// How the task ended, if it ended by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why the task refused, in the answer to a bulk cancel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The number of its descendants that were cancelled with it.
    #[serde(skip_serializing_if = "is_zero")]
    pub below: u64,
    /// True if the task had ended before the request.
    #[serde(skip_serializing_if = "is_false")]
    pub already_ended: bool,
    /// Tasks that the list had no space for: descendants among them were not cancelled. Absent from the verdicts of a
    /// bulk cancel, which has it once for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

impl TaskVerdict {
    /// Makes the entry of a task that a dry run would cancel.
    #[must_use]
    pub fn dry_run(serial: Serial, id: impl Into<String>) -> Self {
        Self { serial: Some(serial), id: id.into(), ..Self::default() }
    }

    /// Makes the verdict on this task.
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

/// The verdicts on several tasks: the answer to `POST /v1/cancel`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct BulkReply {
    /// True if no task was cancelled, since the request was a dry run.
    pub dry_run: bool,
    /// The number of tasks that the filter selects.
    pub total: u64,
    /// The number of tasks with each verdict.
    pub counts: BTreeMap<String, u64>,
    /// The verdict on each task.
    #[serde(deserialize_with = "crate::as_json::at_most::<1_000_000, _, _>")]
    pub verdicts: Vec<TaskVerdict>,
    /// Tasks that the list had no space for: they were neither selected nor cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

impl BulkReply {
    /// Makes the answer to a dry run, with the tasks that would be cancelled.
    #[must_use]
    pub fn dry_run(verdicts: Vec<TaskVerdict>) -> Self {
        Self { dry_run: true, total: verdicts.len() as u64, verdicts, ..Self::default() }
    }

    /// Makes the answer with the verdicts on all tasks, and counts them.
    #[must_use]
    pub fn new(verdicts: Vec<TaskVerdict>) -> Self {
        let mut counts = BTreeMap::new();
        for verdict in verdicts.iter().filter_map(|verdict| verdict.verdict.as_ref()) {
            *counts.entry(verdict.as_str().to_owned()).or_default() += 1;
        }
        Self { dry_run: false, counts, ..Self::dry_run(verdicts) }
    }
}
