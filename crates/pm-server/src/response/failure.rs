//! Refusals: responses as problem JSON (RFC 9457), or as plain text on the routes of VividCortex/pm.

use http::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::problem::{PROBLEM_JSON, Problem};
use super::{Body, error, whole};

/// A refusal, with a text for people and a code for programs.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: String,
    hint: Option<String>,
    /// Members that only some codes have.
    more: Map<String, Value>,
    allow: Option<String>,
    /// Seconds.
    retry_after: Option<u64>,
    /// Closes the connection, as the rest of the request is not read.
    closes: bool,
}

impl Failure {
    /// `code` never changes: programs match on it.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (hint, more, allow, retry_after, closes) = (None, Map::new(), None, None, false);
        Self(Box::new(Parts { status, code, detail, hint, more, allow, retry_after, closes }))
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
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn allow(mut self, methods: impl Into<String>) -> Self {
        self.0.allow = Some(methods.into());
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self.with("retryAfterMs", seconds.saturating_mul(1000))
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

    fn line(&self) -> String {
        match &self.0.hint {
            Some(hint) => format!("{}; {hint}", self.0.detail),
            None => self.0.detail.clone(),
        }
    }

    fn problem(&self) -> Response<Body> {
        let mut problem = Problem::new(self.0.status, self.0.code, &self.0.detail);
        if let Some(hint) = &self.0.hint {
            problem = problem.text("hint", hint);
        }
        for (name, value) in &self.0.more {
            problem = problem.json(name, value);
        }
        whole(self.0.status, PROBLEM_JSON, problem.finish().into())
    }
}
