//! The calls of `/v1`.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answer;
use crate::call::{Ask, call};
use crate::client::Client;
use crate::error::ClientError;
use crate::query::{Query, TaskRef};
use crate::v1::{Audit, BulkCancel, BulkReply, CancelOptions, History, Info, Kinds, TaskReply, Tasks, Verdict};
use crate::waits::Waits;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The calls of `/v1`. Against a server without it, such as the first pm, they end with [`ClientError::NoV1`].
impl Client {
    /// The tasks that run now, by filter, in order, a page at a time.
    ///
    /// ```no_run
    /// # async fn look(client: pm_client::Client) -> Result<(), pm_client::ClientError> {
    /// let mut page = Some(pm_client::Query::new().filter("kind", "import").limit(1000));
    /// while let Some(query) = page {
    ///     let tasks = client.tasks(&query).await?;
    ///     for task in &tasks.tasks {
    ///         println!("{} {}: {}", task.serial, task.id, task.status);
    ///     }
    ///     page = tasks.next_page(&query);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As all calls of `/v1`:
    ///
    /// - [`ClientError::Unauthorized`], [`ClientError::Forbidden`]: the server wants a token, or another one.
    /// - [`ClientError::TooMany`]: it has too much to do.
    /// - [`ClientError::NoV1`]: there is no `/v1`; the first pm has none.
    /// - [`ClientError::Problem`]: the server refuses for another reason, such as a filter that it cannot read.
    /// - Otherwise as for [`list`](Client::list).
    pub async fn tasks(&self, query: &Query) -> Result<Tasks, ClientError> {
        self.get_v1(query.behind("v1/tasks")).await
    }

    /// The tasks as a tree: depth first, each with its [`depth`](crate::Row::depth).
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn tree(&self, query: &Query) -> Result<Tasks, ClientError> {
        self.get_v1(query.behind("v1/tree")).await
    }

    /// The tasks that have ended and are still known, last ended first.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn ended(&self, query: &Query) -> Result<Tasks, ClientError> {
        self.get_v1(query.behind("v1/ended")).await
    }

    /// One task, live or still known.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NotFound`]: there is none.
    /// - [`ClientError::Ambiguous`]: several live tasks bear this id.
    pub async fn task(&self, task: impl Into<TaskRef>) -> Result<TaskReply, ClientError> {
        self.get_v1(format!("v1/tasks/{}", task.into().segment())).await
    }

    /// What one task did so far, live or still known.
    ///
    /// # Errors
    ///
    /// As for [`task`](Self::task).
    pub async fn task_history(&self, task: impl Into<TaskRef>) -> Result<History, ClientError> {
        self.get_v1(format!("v1/tasks/{}/history", task.into().segment())).await
    }

    /// Asks one task to stop, and waits for the end of it if the options say so.
    ///
    /// ```no_run
    /// # async fn look(client: pm_client::Client) -> Result<(), pm_client::ClientError> {
    /// use pm_client::{CancelOptions, ClientError, TaskRef};
    ///
    /// match client.cancel_task(TaskRef::id("import-42"), &CancelOptions::new("deploy")).await {
    ///     Ok(verdict) => println!("{}", verdict.verdict),
    ///     Err(ClientError::Ambiguous { serials, .. }) => println!("which of {serials:?}?"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ClientError::NotFound`], [`ClientError::Ambiguous`]: as for [`task`](Self::task); none was asked.
    /// - [`ClientError::NotCancellable`]: the task or its list does not allow it.
    /// - [`ClientError::PreconditionFailed`]: it is not as expected, and was not asked.
    /// - After [`ClientError::TimedOut`] and [`ClientError::Cut`] the request may have been recorded or not.
    pub async fn cancel_task(&self, task: impl Into<TaskRef>, options: &CancelOptions) -> Result<Verdict, ClientError> {
        let path = format!("v1/tasks/{}/cancel", task.into().segment());
        let mut ask = self.post_v1(path, options);
        if let Some(key) = &options.idempotency_key {
            let value = HeaderValue::from_str(key).map_err(|_| ClientError::Unsendable {
                url: self.endpoint.url("v1/tasks/"),
                text: format!("the idempotency key {key:?} cannot be a header; use ASCII letters and digits"),
            })?;
            ask = ask.header(IDEMPOTENCY_KEY, value);
        }
        self.patient(options.wait).answer_v1(ask).await?.json()
    }

    /// Asks all tasks that a filter fits to stop; what came of each.
    ///
    /// ```no_run
    /// # async fn look(client: pm_client::Client) -> Result<(), pm_client::ClientError> {
    /// let stuck = pm_client::BulkCancel::new("kind=import minStatusAge=5m").reason("stuck");
    /// let would = client.cancel_many(&stuck.clone().dry_run()).await?;
    /// let done = client.cancel_many(&stuck.expect_total(would.total)).await?;
    /// println!("{:?}", done.counts);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ClientError::PreconditionFailed`]: there are not as many as expected, and none was asked.
    /// - [`ClientError::Problem`]: there are too many (`too-many-victims`), or the filter fits all tasks
    ///   (`missing-filter`); none was asked.
    /// - After [`ClientError::TimedOut`] and [`ClientError::Cut`] some may have been asked.
    pub async fn cancel_many(&self, bulk: &BulkCancel) -> Result<BulkReply, ClientError> {
        let ask = self.post_v1("v1/cancel".to_owned(), bulk);
        self.patient(bulk.wait).answer_v1(ask).await?.json()
    }

    /// How the tasks of each kind fared.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn kinds(&self) -> Result<Kinds, ClientError> {
        self.get_v1("v1/kinds".to_owned()).await
    }

    /// Who waits for what, and who blocks whom: at most so many of those who wait, the server's default is 1,000.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks). A server that is older than this answers with 404.
    pub async fn waits(&self, limit: Option<u32>) -> Result<Waits, ClientError> {
        self.get_v1(limit.map_or_else(|| "v1/waits".to_owned(), |limit| format!("v1/waits?limit={limit}"))).await
    }

    /// Who asked for which cancel, at most so many of them.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn audit(&self, limit: u32) -> Result<Audit, ClientError> {
        self.get_v1(format!("v1/audit?limit={limit}")).await
    }

    /// What the server says about itself.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn info(&self) -> Result<Info, ClientError> {
        self.get_v1("v1/info".to_owned()).await
    }

    /// The numbers of `/metrics`, as the text that Prometheus reads.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks).
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let answer = self.answer_v1(Ask::get("metrics").accept("text/plain")).await?;
        if !answer.is_type("text/plain") && !answer.is_type("application/openmetrics-text") {
            return Err(answer.not_pm(None));
        }
        match String::from_utf8(answer.body.to_vec()) {
            Ok(text) => Ok(text),
            Err(error) => Err(answer.not_pm(Some(error.into()))),
        }
    }

    /// Whether the server answers at `/healthz`, for which it wants no token.
    ///
    /// # Errors
    ///
    /// As for [`tasks`](Self::tasks). Any answer with a status of 200 to 299 that is not a web page counts as well.
    pub async fn health(&self) -> Result<(), ClientError> {
        let answer = self.answer_v1(Ask::get("healthz").accept("*/*")).await?;
        if answer.is_page() { Err(answer.not_pm(None)) } else { Ok(()) }
    }

    async fn get_v1<T: DeserializeOwned>(&self, path: String) -> Result<T, ClientError> {
        self.answer_v1(Ask::get(path)).await?.json()
    }

    fn post_v1(&self, path: String, body: &impl Serialize) -> Ask {
        let body = serde_json::to_vec(body).expect("strings and numbers become JSON");
        Ask::with_body(Method::POST, path, body)
    }

    async fn answer_v1(&self, ask: Ask) -> Result<Answer, ClientError> {
        call(self, ask).await?.success_v1()
    }

    /// The same client, but with as much more time as the server is asked to take.
    fn patient(&self, wait: Option<Duration>) -> Client {
        Client { timeout: self.timeout.saturating_add(wait.unwrap_or_default()), ..self.clone() }
    }
}
