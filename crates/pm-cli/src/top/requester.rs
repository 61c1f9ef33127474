//! Sends requests to endpoints, each as its own task. Replies come through a channel, in any order, so the screen never
//! waits.

use std::sync::Arc;
use std::time::Duration;

use pm_client::{BulkCancel, CancelOptions, ClientError, Expect, Query, Verdict};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

use super::request::{Reply, Request, Target, TaskDetails};
use super::theme::Role;
use crate::config::Endpoint;
use crate::feed::Key;
use crate::fleet::error;
use crate::out::format;
use crate::verbs::find;
use crate::verbs::kill::{Fate, verdict_text, without_wait};

/// The most ended tasks of one endpoint.
const ENDED: u32 = 500;
/// The most waits of one endpoint.
const WAITS: u32 = 1_000;
/// How long the server waits for a cancelled task to end before it replies.
const VERDICT: Duration = Duration::from_secs(20);
/// Concurrent requests to cancel.
const CONCURRENT: usize = 32;
/// With more targets than this at one endpoint, requests are batched, and the stream reports the ends.
const MAX_SINGLE: usize = 32;
/// Tasks in one request; a filter has 256 alternatives at most.
const BATCH: usize = 250;

/// Sends requests.
#[derive(Clone)]
pub(crate) struct Requester {
    pub(crate) runtime: Handle,
    pub(crate) endpoints: Arc<Vec<Endpoint>>,
    pub(crate) send: Sender<Reply>,
}

impl Requester {
    pub(crate) fn send(&self, request: Request) {
        match request {
            Request::Details(target) => self.details(target),
            Request::Kinds => self.all(|at, endpoint| async move {
                let result = endpoint.client.v1().kinds().await;
                Reply::Kinds { endpoint: at, result: sentence(&endpoint, result) }
            }),
            Request::Ended => self.all(|at, endpoint| async move {
                let result = endpoint.client.v1().ended(&Query::new().sort("-endedAt").limit(ENDED)).await;
                let result = result.map(|page| (page.tasks, page.server_time));
                Reply::Ended { endpoint: at, result: sentence(&endpoint, result) }
            }),
            Request::Waits => self.all(|at, endpoint| async move {
                let result = crate::verbs::waits::waits(&endpoint.client, WAITS).await;
                Reply::Waits { endpoint: at, result: sentence(&endpoint, result) }
            }),
            Request::About => self.all(|at, endpoint| async move {
                let result = match endpoint.client.v1().info().await {
                    Err(ClientError::NoV1 { .. }) => Ok(None),
                    result => result.map(Some),
                };
                Reply::About { endpoint: at, result: sentence(&endpoint, result) }
            }),
            Request::Kill { targets, reason } => self.kill(targets, &reason),
        }
    }

    /// Queries every endpoint.
    fn all<F, Querying>(&self, query: F)
    where
        F: Fn(u32, Endpoint) -> Querying,
        Querying: Future<Output = Reply> + Send + 'static,
    {
        for (at, endpoint) in (0..).zip(self.endpoints.iter()) {
            let (querying, send) = (query(at, endpoint.clone()), self.send.clone());
            self.runtime.spawn(async move { send.send(querying.await).await });
        }
    }

    fn details(&self, target: Target) {
        let Some(endpoint) = self.endpoints.get(target.key.endpoint as usize).cloned() else { return };
        let send = self.send.clone();
        self.runtime.spawn(async move {
            let name = target.name();
            let (found, history) =
                tokio::join!(find(&endpoint.client, &name), crate::verbs::history::history(&endpoint.client, &name));
            let history = sentence(&endpoint, history);
            let result = sentence(&endpoint, found).map(|found| Box::new(TaskDetails { found, history }));
            let _ = send.send(Reply::Details { key: target.key, result }).await;
        });
    }

    fn kill(&self, targets: Vec<Target>, reason: &str) {
        let permits = Arc::new(Semaphore::new(CONCURRENT));
        for (at, endpoint) in (0..).zip(self.endpoints.iter()) {
            let here: Vec<Target> = targets.iter().filter(|target| target.key.endpoint == at).cloned().collect();
            let has_original = here.iter().any(|target| target.is_original);
            let size = if here.len() > MAX_SINGLE && !has_original { BATCH } else { 1 };
            for batch in here.chunks(size) {
                let (batch, endpoint, reason) = (batch.to_vec(), endpoint.clone(), reason.to_owned());
                let (permits, send) = (Arc::clone(&permits), self.send.clone());
                self.runtime.spawn(async move {
                    let _permit = permits.acquire_owned().await;
                    let replies = match &batch[..] {
                        [one] => vec![kill_one(&endpoint, one, reason).await],
                        _ => kill_many(&endpoint, batch, reason).await,
                    };
                    for reply in replies {
                        let _ = send.send(reply).await;
                    }
                });
            }
        }
    }
}

async fn kill_one(endpoint: &Endpoint, target: &Target, reason: String) -> Reply {
    let result = if target.is_original {
        endpoint.client.procs().cancel(&target.id, &reason).await.map(|()| None)
    } else {
        let mut options = CancelOptions::new(reason).wait(VERDICT);
        if !target.min_age.is_zero() {
            options = options.expect(Expect::new().min_age(target.min_age));
        }
        endpoint.client.v1().cancel(target.task_ref(), &options).await.map(Some)
    };
    match result {
        Ok(verdict) => verdict_of(target.key, verdict.as_ref()),
        Err(error) => failed(endpoint, target.key, &error),
    }
}

async fn kill_many(endpoint: &Endpoint, batch: Vec<Target>, reason: String) -> Vec<Reply> {
    let serials: Vec<String> = batch.iter().map(|target| format::serial(target.serial)).collect();
    let bulk = BulkCancel::new([("serial", serials.join(",").as_str())]).reason(reason).max(batch.len() as u64);
    match endpoint.client.v1().cancel_many(&bulk).await {
        Ok(reply) => batch
            .iter()
            .map(|target| match reply.verdicts.iter().find(|verdict| verdict.serial == target.serial) {
                Some(verdict) => verdict_of(target.key, Some(&without_wait(verdict.clone()))),
                None => reply_with(target.key, "already ended".to_owned(), Some(Fate::EndedBefore)),
            })
            .collect(),
        Err(error) => batch.iter().map(|target| failed(endpoint, target.key, &error)).collect(),
    }
}

fn verdict_of(key: Key, verdict: Option<&pm_client::TaskVerdict>) -> Reply {
    if let Some(verdict) = verdict.filter(|verdict| verdict.verdict == Some(Verdict::Refused)) {
        let why = verdict.why.as_deref().unwrap_or("not cancellable");
        return reply_with(key, format!("refused: {why}"), Some(Fate::Refused));
    }
    let (text, style) = verdict_text(verdict);
    // A task that may still run is watched further.
    let fate = Some(Fate::of_verdict(verdict)).filter(|fate| !matches!(fate, Fate::Requested | Fate::StillRunning));
    Reply::Verdict { key, text, role: Role::of(style), fate }
}

fn failed(endpoint: &Endpoint, key: Key, error: &ClientError) -> Reply {
    match error {
        ClientError::NotFound { .. } => reply_with(key, "already ended".to_owned(), Some(Fate::EndedBefore)),
        ClientError::PreconditionFailed { .. } => {
            let text = "not cancelled: the program was restarted, so this is another task";
            reply_with(key, text.to_owned(), Some(Fate::EndedBefore))
        }
        ClientError::NotCancellable { .. } => {
            reply_with(key, "refused: not cancellable".to_owned(), Some(Fate::Refused))
        }
        error => reply_with(key, error::message(&endpoint.name, error), Some(Fate::Failure)),
    }
}

fn reply_with(key: Key, text: String, fate: Option<Fate>) -> Reply {
    let role = fate.map_or(Role::Plain, |fate| Role::of(fate.style()));
    Reply::Verdict { key, text, role, fate }
}

fn sentence<T>(endpoint: &Endpoint, result: Result<T, ClientError>) -> Result<T, String> {
    result.map_err(|error| error::message(&endpoint.name, &error))
}
