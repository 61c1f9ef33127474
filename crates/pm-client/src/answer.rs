//! Answers, and what they become: a value, or one of the errors.
//!
//! A refusal counts as that of a process list only if it looks like one: a web page or the default answer of another
//! program on that port is [`ClientError::NotPm`].

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use pm_wire::v1::Problem;
use serde::de::DeserializeOwned;

use crate::error::ClientError;
use crate::text::{excerpt, one_line};

/// The longest explanation that is shown, in characters; those of pm are far shorter.
const MAX_EXPLANATION: usize = 1000;

/// An answer of any status, complete.
pub(crate) struct Answer {
    pub(crate) url: String,
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<String>,
    /// `WWW-Authenticate`.
    pub(crate) challenge: Option<String>,
    /// `true` if the request had a token.
    pub(crate) with_token: bool,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Returns the error if a route of `/procs/` refused a request about one task.
    pub(crate) fn refusal(&self, method: &Method) -> Option<ClientError> {
        let (url, text) = (self.url.clone(), excerpt(&self.body));
        if self.is_answer(StatusCode::NOT_FOUND) {
            Some(ClientError::NotFound { url, text })
        } else if self.is_answer(StatusCode::CONFLICT) {
            Some(ClientError::Ambiguous { url, text, serials: Vec::new() })
        } else if self.is_answer(StatusCode::PRECONDITION_FAILED) {
            Some(ClientError::PreconditionFailed { url, text })
        } else if self.is_answer(StatusCode::FORBIDDEN) && method == Method::DELETE && !self.lacks_permission() {
            Some(ClientError::NotCancellable { url, text })
        } else {
            None
        }
    }

    /// Returns the answer if it is a success of a route of `/procs/`.
    pub(crate) fn success(self) -> Result<Answer, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        if self.is_other_mux() || (self.status == StatusCode::NOT_FOUND && self.is_page()) {
            return Err(self.not_pm(None));
        }
        let lacks_permission = self.lacks_permission();
        match self.common() {
            ClientError::Forbidden { url, text } if !lacks_permission => {
                Err(ClientError::Status { url, status: 403, excerpt: text })
            }
            error => Err(error),
        }
    }

    /// Returns the answer if it is a success of a route of `/v1`.
    pub(crate) fn success_v1(self) -> Result<Answer, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        if !self.is_type("application/problem+json") {
            return Err(match self.status {
                StatusCode::NOT_FOUND => ClientError::NoV1 { url: self.url },
                _ => self.common(),
            });
        }
        let Some(problem) = read_problem(&self.body, self.status.as_u16()) else { return Err(self.common()) };
        let (url, text) = (self.url.clone(), explanation(&problem));
        let serials = problem.serials.clone();
        Err(match (self.status.as_u16(), problem.code.as_str()) {
            (401, _) => ClientError::Unauthorized { url, text, with_token: self.with_token },
            (403, "not-cancellable") => ClientError::NotCancellable { url, text },
            (403, _) => ClientError::Forbidden { url, text },
            (404, "task-not-found") => ClientError::NotFound { url, text },
            (409, "ambiguous-id") => ClientError::Ambiguous { url, text, serials },
            (412, _) => ClientError::PreconditionFailed { url, text },
            (429 | 503, _) => ClientError::TooMany { url, text, retry_after: self.retry_after() },
            _ => ClientError::Problem { url, problem: Box::new(problem) },
        })
    }

    /// Returns the error for a status that is not a success, whatever program sent it.
    fn common(self) -> ClientError {
        let (status, retry_after) = (self.status.as_u16(), self.retry_after());
        let Answer { url, location, with_token, body, .. } = self;
        let text = excerpt(&body);
        match status {
            300..=399 => ClientError::Redirected { url, status, location },
            401 => ClientError::Unauthorized { url, text, with_token },
            403 => ClientError::Forbidden { url, text },
            429 => ClientError::TooMany { url, text, retry_after },
            503 if retry_after.is_some() => ClientError::TooMany { url, text, retry_after },
            _ => ClientError::Status { url, status, excerpt: text },
        }
    }

    /// Returns `Retry-After` if it is a number of seconds; pm never sends a date.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.retry_after.as_deref()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// Returns `true` if the caller is known but lacks the permission, as in RFC 6750.
    fn lacks_permission(&self) -> bool {
        self.challenge.as_deref().is_some_and(|challenge| challenge.contains("insufficient_scope"))
    }

    /// Returns `true` if a process list, and not another program on that port, answered with this status.
    fn is_answer(&self, status: StatusCode) -> bool {
        self.status == status && !self.is_page() && !self.is_other_mux()
    }

    pub(crate) fn is_page(&self) -> bool {
        self.is_type("text/html")
    }

    /// Returns `true` if this is the default answer of a Go program for an unknown path.
    fn is_other_mux(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.body.starts_with(b"404 page not found")
    }

    pub(crate) fn is_type(&self, wanted: &str) -> bool {
        let essence = self.content_type.as_deref().unwrap_or_default().split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(wanted)
    }

    /// Decodes the body from JSON.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let is_json = self.is_type("application/json");
        if !is_json && self.content_type.is_some() {
            return Err(self.not_pm(None));
        }
        serde_json::from_slice(&self.body).map_err(|error| match is_json && !error.is_data() {
            true => ClientError::BrokenJson { excerpt: excerpt(&self.body), url: self.url, source: error.into() },
            false => self.not_pm(Some(error.into())),
        })
    }

    pub(crate) fn not_pm(self, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        let excerpt = excerpt(&self.body);
        ClientError::NotPm { url: self.url, content_type: self.content_type, excerpt, source }
    }
}

/// Decodes a problem from the body, with the status of the answer, if the body is one.
fn read_problem(body: &[u8], status: u16) -> Option<Problem> {
    let mut problem: Problem = serde_json::from_slice(body).ok()?;
    problem.status = status;
    for text in [&mut problem.title, &mut problem.detail].into_iter().chain(&mut problem.hint) {
        *text = one_line(text, MAX_EXPLANATION);
    }
    if problem.code.is_empty() {
        problem.code = problem.type_urn.strip_prefix(Problem::URN).unwrap_or_default().to_owned();
    }
    Some(problem)
}

/// Joins the detail, which says what is wrong, and the hint, which says what to do.
fn explanation(problem: &Problem) -> String {
    let detail = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
    match problem.hint.as_deref() {
        Some(hint) if detail.is_empty() => hint.to_owned(),
        Some(hint) => format!("{detail}; {hint}"),
        None => detail.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_stands_in_for_a_missing_code() {
        let problem = read_problem(br#"{"type":"urn:pm:problem:task-not-found","new":[1]}"#, 404).unwrap();
        assert_eq!((problem.code.as_str(), problem.status), ("task-not-found", 404));
        assert_eq!(read_problem(b"Not Found", 404), None);
        assert_eq!(read_problem(br#"{"detail":5}"#, 404), None);
    }

    #[test]
    fn a_problem_without_any_text_is_still_shown() {
        assert_eq!(read_problem(b"{}", 418).unwrap().to_string(), "no reason is given (418)");
    }
}
