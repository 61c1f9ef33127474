//! The client: what can be asked, and what the answers mean.

use std::time::Duration;

use http::Method;
use pm_wire::{CancelBody, HistoryReply, TaskList, VerdictReply, encode_id};

use crate::answer::Answer;
use crate::builder::Builder;
use crate::call::{Ask, call};
use crate::endpoint::{Endpoint, EndpointError};
use crate::error::ClientError;
use crate::token::Token;

/// Asks one endpoint. Cheap to clone; holds no connection.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_body: u64,
    pub(crate) token: Token,
    #[cfg(feature = "tls")]
    pub(crate) tls: crate::tls::Options,
}

impl Client {
    /// A client for `host:port`, `http://host:port/prefix/`, `https://host:port/prefix/` or `unix:/path/to.sock`, with
    /// the default limits and without a token.
    ///
    /// IPv6 is written `[::1]:6680`. Without a port, a bare host means 6680, an `http://` URL 80 and an `https://` URL
    /// 443. Nothing is connected or looked up yet. `https` takes the feature `tls`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if the text is none of these.
    pub fn new(endpoint: &str) -> Result<Client, EndpointError> {
        Client::builder(endpoint).map(Builder::build)
    }

    /// Like [`new`](Self::new), with limits and a token to set.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] as for [`new`](Self::new).
    pub fn builder(endpoint: &str) -> Result<Builder, EndpointError> {
        Endpoint::parse(endpoint).map(Builder::new)
    }

    /// The endpoint as it was given, without the blanks around it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint.name
    }

    /// How long a whole call may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The tasks that run now.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the endpoint cannot be reached in time or does not answer with a process list.
    pub async fn list(&self) -> Result<TaskList, ClientError> {
        let answer = call(self, Ask::get("procs/")).await?;
        answer.success()?.json()
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
        let answer = call(self, Ask::get(path)).await?;
        if let Some(error) = answer.refusal(&Method::GET) {
            return Err(error);
        }
        answer.success()?.json()
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
        if answer.body.is_empty() { Ok(None) } else { answer.json().map(Some) }
    }

    async fn cancel_at(&self, path: &str, reason: &str) -> Result<(), ClientError> {
        self.cancel_answer(path, reason).await.map(drop)
    }

    async fn cancel_answer(&self, path: &str, reason: &str) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(&CancelBody::new(reason)).expect("a struct with one string becomes JSON");
        let answer = call(self, Ask::with_body(Method::DELETE, path, body)).await?;
        if let Some(error) = answer.refusal(&Method::DELETE) {
            return Err(error);
        }
        let answer = answer.success()?;
        // A server that says yes to everything has cancelled nothing.
        if answer.is_page() { Err(answer.not_pm(None)) } else { Ok(answer) }
    }
}

/// The slash at the end keeps the empty id apart from the list itself.
fn task_path(id: &str) -> String {
    match id {
        "" => "procs//".to_owned(),
        id => format!("procs/{}", encode_id(id)),
    }
}
