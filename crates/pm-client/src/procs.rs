//! The calls of `/procs/`.

use std::time::Duration;

use http::Method;
use pm_wire::{CancelBody, HistoryReply, Serial, TaskList, VerdictReply, encode_id};

use crate::answer::Answer;
use crate::call::{Request, call};
use crate::error::ClientError;
use crate::settings::Settings;

/// The calls of `/procs/`, which servers of the Go package VividCortex/pm support as well; made by
/// [`Client::procs`](crate::Client::procs).
#[derive(Clone, Copy, Debug)]
pub struct Procs<'c> {
    settings: &'c Settings,
}

impl<'c> Procs<'c> {
    pub(crate) fn new(settings: &'c Settings) -> Self {
        Self { settings }
    }

    /// Fetches the live tasks.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the endpoint cannot be reached in time or does not answer with a process list.
    pub async fn list(self) -> Result<TaskList, ClientError> {
        call(self.settings, Request::get("procs/")).await?.success()?.json()
    }

    /// Fetches the history of the live task with this id.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NotFound`]: no live task has this id.
    /// - [`ClientError::Ambiguous`]: several live tasks have it.
    /// - Otherwise as for [`list`](Self::list).
    pub async fn history(self, id: &str) -> Result<HistoryReply, ClientError> {
        self.history_at(format!("procs/{}/history", encode_id(id))).await
    }

    /// Fetches the history of one of the live tasks with this id. VividCortex/pm has no serials and
    /// ignores this one.
    ///
    /// # Errors
    ///
    /// As for [`history`](Self::history).
    pub async fn history_of(self, id: &str, serial: Serial) -> Result<HistoryReply, ClientError> {
        self.history_at(format!("procs/{}/history?serial={serial}", encode_id(id))).await
    }

    async fn history_at(self, path: String) -> Result<HistoryReply, ClientError> {
        let answer = call(self.settings, Request::get(path)).await?;
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
    /// - [`ClientError::Ambiguous`]: several live tasks have this id; none was cancelled.
    /// - After [`ClientError::TimedOut`] and [`ClientError::Cut`] the request may have been recorded or not.
    pub async fn cancel(self, id: &str, reason: &str) -> Result<(), ClientError> {
        self.cancel_at(self.settings, &task_path(id), reason).await.map(drop)
    }

    /// Asks one of the live tasks with this id to stop. VividCortex/pm has no serials and cancels by the id alone.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn cancel_one(self, id: &str, serial: Serial, reason: &str) -> Result<(), ClientError> {
        self.cancel_at(self.settings, &format!("{}?serial={serial}", task_path(id)), reason).await.map(drop)
    }

    /// Asks the task to stop, and returns the verdict after its end or after `wait`; the server waits at most 25 s.
    ///
    /// Returns `None` if the server records the request without a verdict, as VividCortex/pm does. The time limit of
    /// the call is extended by `wait`.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn cancel_and_wait(
        self,
        id: &str,
        serial: Option<Serial>,
        reason: &str,
        wait: Duration,
    ) -> Result<Option<VerdictReply>, ClientError> {
        let serial = serial.map(|serial| format!("&serial={serial}")).unwrap_or_default();
        // At least one millisecond, as the server refuses zero.
        let path = format!("{}?wait={}ms{serial}", task_path(id), wait.as_millis().max(1));
        let answer = self.cancel_at(&self.settings.with_wait(Some(wait)), &path, reason).await?;
        if answer.body.is_empty() { Ok(None) } else { answer.json().map(Some) }
    }

    async fn cancel_at(self, settings: &Settings, path: &str, reason: &str) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(&CancelBody::new(reason)).expect("a struct with one string becomes JSON");
        let answer = call(settings, Request::with_body(Method::DELETE, path, body)).await?;
        if let Some(error) = answer.refusal(&Method::DELETE) {
            return Err(error);
        }
        let answer = answer.success()?;
        // A program that answers everything with a web page has cancelled nothing.
        if answer.is_page() { Err(answer.not_pm(None)) } else { Ok(answer) }
    }
}

/// Returns the path of a task. The empty id has a slash of its own, which keeps it apart from the list.
fn task_path(id: &str) -> String {
    match id {
        "" => "procs//".to_owned(),
        id => format!("procs/{}", encode_id(id)),
    }
}
