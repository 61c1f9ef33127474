//! The client: what can be asked, and what the answers mean.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use pm_wire::{CancelBody, HistoryReply, TaskList, VerdictReply, encode_id};

use crate::call::{Answer, call};
use crate::endpoint::{Endpoint, EndpointError};
use crate::error::ClientError;

/// As much of a strange answer as fits into one line or two.
const EXCERPT_CHARS: usize = 160;

/// Asks one endpoint. Cheap to clone; holds no connection.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_body: u64,
}

/// Sets the limits of a [`Client`].
#[derive(Clone, Debug)]
pub struct Builder {
    client: Client,
}

impl Client {
    /// A client for `host:port`, `http://host:port` or `http://host:port/prefix/`, with the default limits.
    ///
    /// IPv6 is written `[::1]:6680`. Without a port, a bare host means 6680 and an `http://` URL means 80. Nothing is
    /// connected or looked up yet.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the text is none of these.
    pub fn new(endpoint: &str) -> Result<Client, EndpointError> {
        Client::builder(endpoint).map(Builder::build)
    }

    /// Like [`new`](Self::new), with limits to set.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] as for [`new`](Self::new).
    pub fn builder(endpoint: &str) -> Result<Builder, EndpointError> {
        let client = Client {
            endpoint: Endpoint::parse(endpoint)?,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            // Above what a list within its default 256 MiB can become as JSON, short of every character escaped.
            max_body: 1 << 30,
        };
        Ok(Builder { client })
    }

    /// The endpoint as it was given, without the blanks around it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint.name
    }

    /// The tasks that run now.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the endpoint cannot be reached in time or does not answer with a process list.
    pub async fn list(&self) -> Result<TaskList, ClientError> {
        let answer = call(self, Method::GET, "procs/", Bytes::new()).await?;
        json(success(answer)?)
    }

    /// What the task did so far.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NotFound`]: no live task has this id.
    /// - [`ClientError::Ambiguous`]: several live tasks have it.
    /// - Otherwise as for [`list`](Self::list).
    pub async fn history(&self, id: &str) -> Result<HistoryReply, ClientError> {
        self.history_at(&format!("procs/{}/history", encode_id(id))).await
    }

    /// The same for exactly this one of the tasks that bear the id; the first pm does not know serials, and ignores it.
    ///
    /// # Errors
    ///
    /// As for [`history`](Self::history).
    pub async fn history_of(&self, id: &str, serial: u64) -> Result<HistoryReply, ClientError> {
        self.history_at(&format!("procs/{}/history?serial={serial}", encode_id(id))).await
    }

    async fn history_at(&self, path: &str) -> Result<HistoryReply, ClientError> {
        let answer = call(self, Method::GET, path, Bytes::new()).await?;
        if let Some(error) = refusal(&Method::GET, &answer) {
            return Err(error);
        }
        json(success(answer)?)
    }

    /// Asks the task to stop, and returns once the request is recorded; the task ends later.
    ///
    /// Asking again is harmless: the first reason is kept. The reason may be empty.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NotFound`]: no live task has this id.
    /// - [`ClientError::NotCancellable`]: the task or its list does not allow it.
    /// - [`ClientError::Ambiguous`]: several live tasks have this id; none was asked.
    /// - After [`ClientError::TimedOut`] and [`ClientError::Cut`] the request may have been recorded or not.
    pub async fn cancel(&self, id: &str, reason: &str) -> Result<(), ClientError> {
        self.cancel_at(&task_path(id), reason).await
    }

    /// The same for exactly this one of the tasks that bear the id; the first pm does not know serials, and cancels by
    /// the id alone.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn cancel_one(&self, id: &str, serial: u64, reason: &str) -> Result<(), ClientError> {
        self.cancel_at(&format!("{}?serial={serial}", task_path(id)), reason).await
    }

    /// Asks the task to stop, and waits for the end of it, but no longer than `wait` (at most 25 s): what came of it.
    ///
    /// `None` when the server records the request but does not tell what comes of it: the first pm does not. The time
    /// limit of the call is longer by `wait`.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn cancel_and_wait(
        &self,
        id: &str,
        serial: Option<u64>,
        reason: &str,
        wait: Duration,
    ) -> Result<Option<VerdictReply>, ClientError> {
        let serial = serial.map(|serial| format!("&serial={serial}")).unwrap_or_default();
        // Milliseconds, and never none: that would be no length.
        let path = format!("{}?wait={}ms{serial}", task_path(id), wait.as_millis().max(1));
        let patient = Self { timeout: self.timeout.saturating_add(wait), ..self.clone() };
        let answer = patient.cancel_answer(&path, reason).await?;
        if answer.body.is_empty() { Ok(None) } else { json(answer).map(Some) }
    }

    async fn cancel_at(&self, path: &str, reason: &str) -> Result<(), ClientError> {
        self.cancel_answer(path, reason).await.map(drop)
    }

    async fn cancel_answer(&self, path: &str, reason: &str) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(&CancelBody::new(reason)).expect("a struct with one string becomes JSON");
        let answer = call(self, Method::DELETE, path, body.into()).await?;
        if let Some(error) = refusal(&Method::DELETE, &answer) {
            return Err(error);
        }
        let answer = success(answer)?;
        // A server that says yes to everything has cancelled nothing.
        if is_page(&answer) { Err(not_pm(answer, None)) } else { Ok(answer) }
    }
}

impl Builder {
    /// How long a whole call may take, from the first packet to the last byte. Default 10 s.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.client.timeout = limit;
        self
    }

    /// How long connecting may take, look-up of the name included. Default 3 s; never more than the whole call.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.client.connect_timeout = limit;
        self
    }

    /// How large the body of an answer may be. Default 1 GiB.
    pub fn max_body_bytes(mut self, bytes: u64) -> Self {
        self.client.max_body = bytes;
        self
    }

    /// The client.
    pub fn build(self) -> Client {
        self.client
    }
}

/// The slash at the end keeps the empty id apart from the list itself.
fn task_path(id: &str) -> String {
    match id {
        "" => "procs//".to_owned(),
        id => format!("procs/{}", encode_id(id)),
    }
}

/// What a process list says when it can't do something to a task.
fn refusal(method: &Method, answer: &Answer) -> Option<ClientError> {
    let (url, text) = (answer.url.clone(), excerpt(&answer.body));
    if is_answer(answer, StatusCode::NOT_FOUND) {
        Some(ClientError::NotFound { url, text })
    } else if is_answer(answer, StatusCode::CONFLICT) {
        Some(ClientError::Ambiguous { url, text })
    } else if is_answer(answer, StatusCode::FORBIDDEN) && method == Method::DELETE {
        Some(ClientError::NotCancellable { url, text })
    } else {
        None
    }
}

/// Whether a process list, and not something else on that port, gave this status.
fn is_answer(answer: &Answer, status: StatusCode) -> bool {
    answer.status == status && !is_page(answer) && !is_other_mux(answer)
}

fn is_page(answer: &Answer) -> bool {
    is_type(answer, "text/html")
}

/// The stock answer of a Go program for a path that nobody serves.
fn is_other_mux(answer: &Answer) -> bool {
    answer.status == StatusCode::NOT_FOUND && answer.body.starts_with(b"404 page not found")
}

fn is_type(answer: &Answer, wanted: &str) -> bool {
    let essence = answer.content_type.as_deref().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

fn success(answer: Answer) -> Result<Answer, ClientError> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let status = answer.status.as_u16();
    if answer.status.is_redirection() {
        return Err(ClientError::Redirected { url: answer.url, status, location: answer.location });
    }
    if is_other_mux(&answer) || (answer.status == StatusCode::NOT_FOUND && is_page(&answer)) {
        return Err(not_pm(answer, None));
    }
    Err(ClientError::Status { status, excerpt: excerpt(&answer.body), url: answer.url })
}

fn json<T: serde::de::DeserializeOwned>(answer: Answer) -> Result<T, ClientError> {
    let says_json = is_type(&answer, "application/json");
    if !says_json && answer.content_type.is_some() {
        return Err(not_pm(answer, None));
    }
    serde_json::from_slice(&answer.body).map_err(|error| match says_json && !error.is_data() {
        true => {
            ClientError::BrokenJson { excerpt: excerpt(&answer.body), url: answer.url.clone(), source: error.into() }
        }
        false => not_pm(answer, Some(error.into())),
    })
}

fn not_pm(answer: Answer, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    let excerpt = excerpt(&answer.body);
    ClientError::NotPm { url: answer.url, content_type: answer.content_type, excerpt, source }
}

/// The beginning of the body on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT_CHARS)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cut: String = line.chars().take(EXCERPT_CHARS).collect();
    if cut.len() < line.len() || body.len() > 4 * EXCERPT_CHARS {
        cut.push('…');
    }
    cut
}
