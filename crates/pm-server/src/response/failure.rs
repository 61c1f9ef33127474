//! Refusals: responses as problem JSON (RFC 9457), or as plain text on the routes of VividCortex/pm.

use std::time::Duration;

use http::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use pm_core::Serial;
use pm_wire::v1::Problem;

use super::body::Body;
use super::build::{closing, error, to_json, whole};
use super::memory::OutOfMemory;

/// A refusal, with a text for people and a code for programs.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    problem: Problem,
    allow: Option<String>,
    /// Seconds.
    retry_after: Option<u64>,
    /// Closes the connection, as the rest of the request is not read.
    closes: bool,
}

impl From<OutOfMemory> for Failure {
    fn from(OutOfMemory { needed, held, max }: OutOfMemory) -> Self {
        let detail = format!("the response needs {needed} bytes, and {held} of the {max} for all responses are in use");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "out-of-memory", detail)
            .retry_after(1)
            .hint("ask for less at a time (limit, fields, a filter), read faster, or raise Builder::max_memory")
    }
}

impl Failure {
    /// `code` never changes: programs match on it.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let problem = Problem::new(status.as_u16(), status.canonical_reason().unwrap_or_default(), code, detail);
        let (allow, retry_after, closes) = (None, None, false);
        Self(Box::new(Parts { status, code, problem, allow, retry_after, closes }))
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    pub(crate) fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.problem.hint = Some(hint.into());
        self
    }

    /// Names the parameter or member that is wrong.
    pub(crate) fn parameter(mut self, name: impl Into<String>) -> Self {
        self.0.problem.parameter = Some(name.into());
        self
    }

    /// Adds the position in the parameter, in characters from 0.
    pub(crate) fn position(mut self, position: usize) -> Self {
        self.0.problem.position = Some(position as u64);
        self
    }

    /// Adds the tasks that it is about.
    pub(crate) fn serials(mut self, serials: &[Serial]) -> Self {
        self.0.problem.serials = serials.to_vec();
        self
    }

    /// Adds the number of tasks that the filter selects.
    pub(crate) fn total(mut self, total: u64) -> Self {
        self.0.problem.total = Some(total);
        self
    }

    pub(crate) fn allow(mut self, methods: impl Into<String>) -> Self {
        self.0.allow = Some(methods.into());
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self.0.problem.retry_after = Some(Duration::from_secs(seconds));
        self
    }

    pub(crate) fn closing(mut self) -> Self {
        self.0.closes = true;
        self
    }

    /// Returns the refusal as a response: problem JSON on the routes of `/v1`.
    pub(crate) fn response(self, is_v1: bool) -> Response<Body> {
        let mut response = if is_v1 { self.problem() } else { error(self.0.status, &self.line()) };
        let headers = response.headers_mut();
        if let Some(allow) = self.0.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        // RFC 6750, 3.
        let challenge = match self.0.code {
            "unauthorized" => Some("Bearer"),
            "insufficient-scope" => Some("Bearer error=\"insufficient_scope\""),
            _ => None,
        };
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if self.0.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Returns the refusal as the bytes of a complete response, for a connection that is closed after it.
    pub(crate) fn closing_message(&self) -> String {
        let body = to_json(&self.0.problem);
        closing(self.0.status, Problem::MEDIA_TYPE, &String::from_utf8_lossy(&body))
    }

    fn line(&self) -> String {
        match &self.0.problem.hint {
            Some(hint) => format!("{}; {hint}", self.0.problem.detail),
            None => self.0.problem.detail.clone(),
        }
    }

    fn problem(&self) -> Response<Body> {
        whole(self.0.status, Problem::MEDIA_TYPE, to_json(&self.0.problem))
    }
}
