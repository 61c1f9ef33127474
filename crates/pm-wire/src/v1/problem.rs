//! The reason why a request was refused.

use std::fmt;
use std::time::Duration;

use pm_core::Serial;
use serde::{Deserialize, Serialize};

use crate::as_json::{serial, whole_millis};

/// A refusal, as problem JSON of RFC 9457.
///
/// Programs match on the [`code`](Self::code); the rest is for people. `Display` writes one line, with the hint last.
///
/// # Examples
///
/// ```
/// let json = r#"{"code":"bad-filter","status":400,"detail":"no value","hint":"write minAge=5s",
///                "parameter":"minAge"}"#;
/// let problem: pm_wire::v1::Problem = serde_json::from_str(json)?;
/// assert_eq!(problem.to_string(), "no value, in `minAge` (400 bad-filter); write minAge=5s");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Problem {
    /// The code as a URN, such as `urn:pm:problem:missing-filter`.
    #[serde(rename = "type")]
    pub type_urn: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The error in this request.
    pub detail: String,
    /// The stable code of the problem, such as `missing-filter`.
    pub code: String,
    /// Advice on what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The parameter or member that is in error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The position of the error in the parameter, in characters, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// How long to wait before the next request.
    #[serde(rename = "retryAfterMs", with = "whole_millis::option", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// The serial of the cancelled task, if the request that gets this answer was that task.
    #[serde(with = "serial::option", skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The serials of the tasks that the problem concerns.
    #[serde(with = "serial::list", skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<Serial>,
    /// The number of tasks that the filter selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl Problem {
    /// The media type of problem JSON.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";
    /// The part of each [`type_urn`](Self::type_urn) before the code.
    pub const URN: &'static str = "urn:pm:problem:";

    /// Makes a problem with this HTTP status, `title` being the status in words, and this code.
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
