//! What the answers mean: a value, or one of the errors.
//!
//! A refusal counts as the word of a process list only if it looks like one; a web page or the stock answer of another
//! program on that port is [`ClientError::NotPm`].

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;

use crate::error::ClientError;
use crate::problem::Problem;

/// As much of a strange answer as fits into one line or two.
const EXCERPT_CHARS: usize = 160;

/// An answer of any status, complete.
pub(crate) struct Answer {
    pub(crate) url: String,
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<String>,
    /// `WWW-Authenticate`.
    pub(crate) challenge: Option<String>,
    /// Whether the request had a token.
    pub(crate) with_token: bool,
    pub(crate) body: Bytes,
}

impl Answer {
    /// What the old routes say when they can't do something to a task.
    pub(crate) fn refusal(&self, method: &Method) -> Option<ClientError> {
        let (url, text) = (self.url.clone(), excerpt(&self.body));
        if self.is_answer(StatusCode::NOT_FOUND) {
            Some(ClientError::NotFound { url, text })
        } else if self.is_answer(StatusCode::CONFLICT) {
            Some(ClientError::Ambiguous { url, text, serials: Vec::new() })
        } else if self.is_answer(StatusCode::PRECONDITION_FAILED) {
            Some(ClientError::PreconditionFailed { url, text })
        } else if self.is_answer(StatusCode::FORBIDDEN) && method == Method::DELETE && !self.lacks_scope() {
            Some(ClientError::NotCancellable { url, text })
        } else {
            None
        }
    }

    /// The answer if it is a success of an old route.
    pub(crate) fn success(self) -> Result<Answer, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        if self.is_other_mux() || (self.status == StatusCode::NOT_FOUND && self.is_page()) {
            return Err(self.not_pm(None));
        }
        let lacks_scope = self.lacks_scope();
        match self.common() {
            ClientError::Forbidden { url, text } if !lacks_scope => {
                Err(ClientError::Status { url, status: 403, excerpt: text })
            }
            error => Err(error),
        }
    }

    /// The answer if it is a success of a route of /v1.
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
        let Some(problem) = Problem::read(&self.body, self.status.as_u16()) else { return Err(self.common()) };
        let (url, text) = (self.url.clone(), problem.words());
        let serials = problem.serials.clone();
        Err(match (self.status.as_u16(), problem.code.as_str()) {
            (401, _) => ClientError::Unauthorized { url, text, with_token: self.with_token },
            (403, "not-cancellable") => ClientError::NotCancellable { url, text },
            (403, _) => ClientError::Forbidden { url, text },
            (404, "task-not-found") => ClientError::NotFound { url, text },
            (409, "ambiguous-id") => ClientError::Ambiguous { url, text, serials },
            (412, _) => ClientError::PreconditionFailed { url, text },
            (429 | 503, _) => ClientError::TooMany { url, text, retry_after: self.wait() },
            _ => ClientError::Problem { url, problem: Box::new(problem) },
        })
    }

    /// What any status that is no success means, whoever says it.
    fn common(self) -> ClientError {
        let (status, retry_after) = (self.status.as_u16(), self.wait());
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

    /// `Retry-After` in seconds; as a date, which ours never is, it says nothing.
    fn wait(&self) -> Option<Duration> {
        let seconds = self.retry_after.as_deref()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// RFC 6750: who asks is known, and may not do this.
    fn lacks_scope(&self) -> bool {
        self.challenge.as_deref().is_some_and(|challenge| challenge.contains("insufficient_scope"))
    }

    /// Whether a process list, and not something else on that port, gave this status.
    fn is_answer(&self, status: StatusCode) -> bool {
        self.status == status && !self.is_page() && !self.is_other_mux()
    }

    pub(crate) fn is_page(&self) -> bool {
        self.is_type("text/html")
    }

    /// The stock answer of a Go program for a path that nobody serves.
    fn is_other_mux(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.body.starts_with(b"404 page not found")
    }

    pub(crate) fn is_type(&self, wanted: &str) -> bool {
        let essence = self.content_type.as_deref().unwrap_or_default().split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(wanted)
    }

    /// The body as the type that is expected.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let says_json = self.is_type("application/json");
        if !says_json && self.content_type.is_some() {
            return Err(self.not_pm(None));
        }
        serde_json::from_slice(&self.body).map_err(|error| match says_json && !error.is_data() {
            true => ClientError::BrokenJson { excerpt: excerpt(&self.body), url: self.url, source: error.into() },
            false => self.not_pm(Some(error.into())),
        })
    }

    pub(crate) fn not_pm(self, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        let excerpt = excerpt(&self.body);
        ClientError::NotPm { url: self.url, content_type: self.content_type, excerpt, source }
    }
}

/// The beginning of the body on one line.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let beginning = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT_CHARS)]);
    let mut line = one_line(&beginning, EXCERPT_CHARS);
    if body.len() > 4 * EXCERPT_CHARS && !line.ends_with('…') {
        line.push('…');
    }
    line
}

/// The text without its line breaks, and no longer than this.
pub(crate) fn one_line(text: &str, chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cut: String = line.chars().take(chars).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    cut
}
