//! The calls of `/v1`.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use pm_wire::v1::{
    AuditReport, BulkCancel, BulkReply, CancelOptions, History, Info, KindReport, TaskPage, TaskReply, TaskVerdict,
    WaitReport,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{Request, call};
use crate::error::ClientError;
use crate::events::Events;
use crate::query::{Query, TaskRef};
use crate::settings::Settings;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The calls of `/v1`; made by [`Client::v1`](crate::Client::v1).
///
/// With a server that has no `/v1`, such as VividCortex/pm, they fail with [`ClientError::NoV1`].
#[derive(Clone, Copy, Debug)]
pub struct V1<'c> {
    settings: &'c Settings,
}

impl<'c> V1<'c> {
    pub(crate) fn new(settings: &'c Settings) -> Self {
        Self { settings }
    }

    /// Fetches a page of live tasks.
    ///
    /// ```no_run
    /// # async fn look(client: pm_client::Client) -> Result<(), pm_client::ClientError> {
    /// // All pages together take no longer than one call may, however many the server says there are.
    /// let client = client.timeout_from_now();
    /// let mut next = Some(pm_client::Query::new().filter("kind", "import").limit(1000));
    /// while let Some(query) = next {
    ///     let page = client.v1().tasks(&query).await?;
    ///     for task in &page.tasks {
    ///         println!("{}: {}", task.id, task.status);
    ///     }
    ///     next = query.next_page(&page);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As all calls of `/v1`:
    ///
    /// - [`ClientError::Unauthorized`], [`ClientError::Forbidden`]: the server requires a token, or another permission.
    /// - [`ClientError::TooMany`]: the server is overloaded.
    /// - [`ClientError::NoV1`]: there is no `/v1`, as with VividCortex/pm.
    /// - [`ClientError::Problem`]: the server refuses for another reason, such as a filter that it cannot read.
    /// - Otherwise as for [`Procs::list`](crate::Procs::list).
    pub async fn tasks(self, query: &Query) -> Result<TaskPage, ClientError> {
        self.get(query.append_to("v1/tasks")).await
    }

    /// Fetches the live tasks as a tree: depth first, each with its [`depth`](pm_wire::v1::Row::depth).
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn tree(self, query: &Query) -> Result<TaskPage, ClientError> {
        self.get(query.append_to("v1/tree")).await
    }

    /// Fetches a page of the ended tasks that are still retained, last ended first.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn ended(self, query: &Query) -> Result<TaskPage, ClientError> {
        self.get(query.append_to("v1/ended")).await
    }

    /// Fetches one task, live or retained.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NotFound`]: there is no such task.
    /// - [`ClientError::Ambiguous`]: several live tasks have this id.
    /// - Otherwise as for [`tasks`](Self::tasks).
    pub async fn task(self, task: impl Into<TaskRef>) -> Result<TaskReply, ClientError> {
        self.get(format!("v1/tasks/{}", task.into().segment())).await
    }

    /// Fetches the history of one task, live or retained.
    ///
    /// # Errors
    ///
    /// As for [`task`](Self::task).
    pub async fn history(self, task: impl Into<TaskRef>) -> Result<History, ClientError> {
        self.get(format!("v1/tasks/{}/history", task.into().segment())).await
    }

    /// Asks one task to stop, and waits for its end if the options say so.
    ///
    /// ```no_run
    /// # async fn look(client: pm_client::Client) -> Result<(), pm_client::ClientError> {
    /// use pm_client::{CancelOptions, ClientError, TaskRef};
    ///
    /// match client.v1().cancel(TaskRef::id("import-42"), &CancelOptions::new("deploy")).await {
    ///     Ok(reply) => println!("{:?}", reply.verdict),
    ///     Err(ClientError::Ambiguous { serials, .. }) => println!("which of {serials:?}?"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ClientError::NotFound`], [`ClientError::Ambiguous`]: as for [`task`](Self::task); none was cancelled.
    /// - [`ClientError::NotCancellable`]: the task or its list does not allow it.
    /// - [`ClientError::PreconditionFailed`]: the task is not as expected, and was not cancelled.
    /// - After [`ClientError::TimedOut`] and [`ClientError::Cut`] the request may have been recorded or not.
    /// - Otherwise as for [`tasks`](Self::tasks).
    pub async fn cancel(self, task: impl Into<TaskRef>, options: &CancelOptions) -> Result<TaskVerdict, ClientError> {
        let path = format!("v1/tasks/{}/cancel", task.into().segment());
        self.post(path, options, options.idempotency_key.as_deref(), options.wait).await
    }

    /// Asks all tasks that a filter selects to stop, and returns the verdict of each.
    ///
    /// ```no_run
    /// # async fn look(client: pm_client::Client) -> Result<(), pm_client::ClientError> {
    /// let stuck = pm_client::BulkCancel::new("kind=import minStatusAge=5m").reason("stuck");
    /// let preview = client.v1().cancel_many(&stuck.clone().dry_run(true)).await?;
    /// let done = client.v1().cancel_many(&stuck.expect_total(preview.total)).await?;
    /// println!("{:?}", done.counts);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ClientError::PreconditionFailed`]: the filter does not select as many tasks as expected, and none was
    ///   cancelled.
    /// - [`ClientError::Problem`]: the filter selects more tasks than may be cancelled (`too-many-victims`), or all
    ///   (`missing-filter`); none was cancelled.
    /// - After [`ClientError::TimedOut`] and [`ClientError::Cut`] some requests may have been recorded.
    /// - Otherwise as for [`tasks`](Self::tasks).
    pub async fn cancel_many(self, bulk: &BulkCancel) -> Result<BulkReply, ClientError> {
        self.post("v1/cancel".to_owned(), bulk, bulk.idempotency_key.as_deref(), bulk.wait).await
    }

    /// Fetches the statistics of each kind.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn kinds(self) -> Result<KindReport, ClientError> {
        self.get("v1/kinds".to_owned()).await
    }

    /// Fetches the waiting tasks and those that block them: at most this many waits; the server's default is 1,000.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks). A server without this route refuses with [`ClientError::Problem`] (404).
    pub async fn waits(self, limit: Option<u32>) -> Result<WaitReport, ClientError> {
        self.get(limit.map_or_else(|| "v1/waits".to_owned(), |limit| format!("v1/waits?limit={limit}"))).await
    }

    /// Fetches the newest records of the audit log, at most this many.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn audit(self, limit: u32) -> Result<AuditReport, ClientError> {
        self.get(format!("v1/audit?limit={limit}")).await
    }

    /// Fetches information about the server: its version, uptime, limits and counters, and the caller's permission.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn info(self) -> Result<Info, ClientError> {
        self.get("v1/info".to_owned()).await
    }

    /// Returns a stream of the events of the tasks that the query's filters select. It connects when it is polled.
    ///
    /// ```no_run
    /// # async fn look(client: pm_client::Client) -> Result<(), pm_client::ClientError> {
    /// use pm_client::{Event, Query, Update};
    ///
    /// let mut events = client.v1().events(&Query::new().filter("kind", "import"));
    /// while let Some(update) = events.next().await {
    ///     match update? {
    ///         Update::Event(Event::Status(task)) => println!("{}: {}", task.id, task.status),
    ///         Update::Lost { error, retry_in } => eprintln!("{error}; trying again in {retry_in:?}"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(self, query: &Query) -> Events {
        let settings = Settings { deadline: None, ..self.settings.clone() };
        Events::new(settings, query.append_to("v1/events"))
    }

    async fn get<T: DeserializeOwned>(self, path: String) -> Result<T, ClientError> {
        call(self.settings, Request::get(path)).await?.success_v1()?.json()
    }

    async fn post<T: DeserializeOwned>(
        self,
        path: String,
        body: &impl Serialize,
        key: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<T, ClientError> {
        let url = self.settings.endpoint.url(&path);
        let body = serde_json::to_vec(body).expect("strings and numbers become JSON");
        let mut request = Request::with_body(Method::POST, path, body);
        if let Some(key) = key {
            let value = HeaderValue::from_str(key).map_err(|_| ClientError::Unsendable {
                url,
                text: format!("the idempotency key {key:?} cannot be a header; use ASCII letters and digits"),
            })?;
            request = request.header(IDEMPOTENCY_KEY, value);
        }
        call(&self.settings.with_wait(wait), request).await?.success_v1()?.json()
    }
}
