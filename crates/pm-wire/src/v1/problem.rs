//! Why a request was refused.

use std::fmt;
use std::time::Duration;

use pm_core::Serial;
use serde::{Deserialize, Serialize};

use crate::as_json::{serial, whole_millis};

/// A refusal, as problem JSON of RFC 9457.
///
/// Programs match on the [`code`](Self::code); the rest is for people. It is shown as one line, with the next step.
///
/// # Examples
///
/// ```
/// let text = r#"{"code":"bad-filter","status":400,"detail":"no value","hint":"write minAge=5s","parameter":"minAge"}"#;
/// let problem: pm_wire::v1::Problem = serde_json::from_str(text).unwrap();
/// assert_eq!(problem.to_string(), "no value, in `minAge` (400 bad-filter); write minAge=5s");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Problem {
    /// The code as a URN.
    #[serde(rename = "type")]
    pub type_urn: String,
    /// The status in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong this time.
    pub detail: String,
    /// The sort of problem, such as `missing-filter`; never changes.
    pub code: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The parameter or member that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Where in the parameter it is wrong, in characters from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// How long to wait before the next request.
    #[serde(rename = "retryAfterMs", with = "whole_millis::option", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// The task that was cancelled, in the answer of a request that was that task.
    #[serde(with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The tasks that it is about.
    #[serde(with = "serial::list", skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<Serial>,
    /// The number of tasks that the filter selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl Problem {
    /// The media type.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";
    /// The beginning of each [`type_urn`](Self::type_urn), before the code.
    pub const URN: &'static str = "urn:pm:problem:";

    /// A problem with this code, and this status in words.
    #[must_use]
    pub fn new(status: u16, title: &str, code: &str, detail: impl Into<String>) -> Self {
        Self {
            type_urn: format!("{}{code}", Self::URN),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            code: code.to_owned(),
            ..Self::default()
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.detail.as_str(), self.title.as_str()) {
            ("", "") => "no reason is given",
            ("", title) => title,
            (detail, _) => detail,
        })?;
        if let Some(parameter) = &self.parameter {
            write!(f, ", in `{parameter}`")?;
        }
        if let Some(position) = self.position {
            write!(f, ", at position {position}")?;
        }
        write!(f, " ({}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        f.write_str(")")?;
        if let Some(hint) = &self.hint { write!(f, "; {hint}") } else { Ok(()) }
    }
}
