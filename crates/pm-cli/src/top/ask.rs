//! What is asked of endpoints besides their streams, and what they answer.
//!
//! Every question is a task of its own; answers come by the channel, in whatever order. Nothing here waits for the screen,
//! and the screen waits for nothing here.

use std::sync::Arc;
use std::time::Duration;

use pm_client::{BulkCancel, CancelOptions, ClientError, Expect, History, Info, Kinds, Query, Row, TaskRef, Waits};
use pm_wire::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

use super::model::Key;
use super::theme::Role;
use crate::config::Endpoint;
use crate::fleet::fault;
use crate::out::Style;
use crate::verbs::{Found, Target, find};

/// Ended tasks of one endpoint that are asked for.
const ENDED: u32 = 500;
/// Who waits, of one endpoint.
const WAITS: u32 = 1_000;
/// How long the server is asked to wait for the end of a task that was asked to stop.
const VERDICT: Duration = Duration::from_secs(20);
/// Requests to cancel at once.
const AT_ONCE: usize = 32;
/// More victims than this at one endpoint are asked in few requests, and watched in the stream.
pub(super) const ONE_BY_ONE: usize = 32;
/// Tasks in one request; a filter has 256 alternatives at most.
const BATCH: usize = 250;

/// A question.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Details(Aim),
    Kinds,
    Ended,
    Waits,
    About,
    Kill { victims: Vec<Aim>, reason: String },
}

/// A task as its endpoint knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aim {
    pub(crate) key: Key,
    pub(crate) serial: String,
    pub(crate) id: String,
    pub(crate) is_original: bool,
    /// A task of the same serial that is younger is of another run of the program.
    pub(crate) min_age: Duration,
}

impl Aim {
    fn task_ref(&self) -> TaskRef {
        let mut row = Row::default();
        row.serial.clone_from(&self.serial);
        row.id.clone_from(&self.id);
        TaskRef::from(&row)
    }

    fn target(&self) -> Target {
        let is_serial = !self.serial.is_empty() && self.serial.bytes().all(|byte| byte.is_ascii_digit());
        Target::new(&if is_serial && !self.is_original { self.serial.clone() } else { format!("id:{}", self.id) })
    }
}

/// An answer; an error is a sentence.
#[derive(Debug)]
pub(crate) enum Reply {
    Details {
        key: Key,
        result: Result<Box<Known>, String>,
    },
    Kinds {
        endpoint: u32,
        result: Result<Kinds, String>,
    },
    Ended {
        endpoint: u32,
        result: Result<(Vec<Row>, Timestamp), String>,
    },
    /// `None`: the server is older than this.
    Waits {
        endpoint: u32,
        result: Result<Option<Waits>, String>,
    },
    About {
        endpoint: u32,
        result: Result<Option<Info>, String>,
    },
    Verdict {
        key: Key,
        text: String,
        role: Role,
        is_final: bool,
    },
}

/// All that an endpoint knows of one task.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) found: Found,
    pub(crate) history: Result<History, String>,
}

/// Asks.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) runtime: Handle,
    pub(crate) endpoints: Arc<Vec<Endpoint>>,
    pub(crate) send: Sender<Reply>,
}

impl Asker {
    pub(crate) fn ask(&self, request: Request) {
        match request {
            Request::Details(aim) => self.details(aim),
            Request::Kinds => self.all(|at, endpoint| async move {
                let result = endpoint.client.kinds().await;
                Reply::Kinds { endpoint: at, result: sentence(&endpoint, result) }
            }),
            Request::Ended => self.all(|at, endpoint| async move {
                let result = endpoint.client.ended(&Query::new().sort("-endedAt").limit(ENDED)).await;
                let result = result.map(|page| (page.tasks, page.server_time));
                Reply::Ended { endpoint: at, result: sentence(&endpoint, result) }
            }),
            Request::Waits => self.all(|at, endpoint| async move {
                let result = crate::verbs::waits::waits(&endpoint.client, WAITS).await;
                Reply::Waits { endpoint: at, result: sentence(&endpoint, result) }
            }),
            Request::About => self.all(|at, endpoint| async move {
                let result = match endpoint.client.info().await {
                    Err(ClientError::NoV1 { .. }) => Ok(None),
                    result => result.map(Some),
                };
                Reply::About { endpoint: at, result: sentence(&endpoint, result) }
            }),
            Request::Kill { victims, reason } => self.kill(victims, &reason),
        }
    }

    /// Asks every endpoint.
    fn all<F, Asked>(&self, ask: F)
    where
        F: Fn(u32, Endpoint) -> Asked,
        Asked: Future<Output = Reply> + Send + 'static,
    {
        for (at, endpoint) in (0..).zip(self.endpoints.iter()) {
            let (asked, send) = (ask(at, endpoint.clone()), self.send.clone());
            self.runtime.spawn(async move { send.send(asked.await).await });
        }
    }

    fn details(&self, aim: Aim) {
        let Some(endpoint) = self.endpoints.get(aim.key.endpoint as usize).cloned() else { return };
        let send = self.send.clone();
        self.runtime.spawn(async move {
            let target = aim.target();
            let (found, history) = tokio::join!(
                find(&endpoint.client, &target),
                crate::verbs::history::history(&endpoint.client, &target)
            );
            let history = sentence(&endpoint, history);
            let result = sentence(&endpoint, found).map(|found| Box::new(Known { found, history }));
            let _ = send.send(Reply::Details { key: aim.key, result }).await;
        });
    }

    fn kill(&self, victims: Vec<Aim>, reason: &str) {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        for (at, endpoint) in (0..).zip(self.endpoints.iter()) {
            let here: Vec<Aim> = victims.iter().filter(|aim| aim.key.endpoint == at).cloned().collect();
            let size = if here.len() > ONE_BY_ONE && !here.iter().any(|aim| aim.is_original) { BATCH } else { 1 };
            for batch in here.chunks(size) {
                let (batch, endpoint, reason) = (batch.to_vec(), endpoint.clone(), reason.to_owned());
                let (slots, send) = (Arc::clone(&slots), self.send.clone());
                self.runtime.spawn(async move {
                    let _slot = slots.acquire_owned().await;
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

async fn kill_one(endpoint: &Endpoint, aim: &Aim, reason: String) -> Reply {
    let result = if aim.is_original {
        endpoint.client.cancel(&aim.id, &reason).await.map(|()| None)
    } else {
        let mut options = CancelOptions::new(reason).wait(VERDICT);
        if !aim.min_age.is_zero() {
            options = options.expect(Expect::new().min_age(aim.min_age));
        }
        endpoint.client.cancel_task(aim.task_ref(), &options).await.map(Some)
    };
    match result {
        Ok(verdict) => verdict_of(aim.key, verdict.as_ref()),
        Err(error) => failed(endpoint, aim.key, &error),
    }
}

async fn kill_many(endpoint: &Endpoint, batch: Vec<Aim>, reason: String) -> Vec<Reply> {
    let serials: Vec<&str> = batch.iter().map(|aim| aim.serial.as_str()).collect();
    let bulk = BulkCancel::new([("serial", serials.join(",").as_str())]).reason(reason).max(batch.len() as u64);
    match endpoint.client.cancel_many(&bulk).await {
        Ok(reply) => batch
            .iter()
            .map(|aim| match reply.verdicts.iter().find(|verdict| verdict.serial == aim.serial) {
                Some(verdict) => verdict_of(aim.key, Some(verdict)),
                None => said(aim.key, "had ended already", Role::Dim, true),
            })
            .collect(),
        Err(error) => batch.iter().map(|aim| failed(endpoint, aim.key, &error)).collect(),
    }
}

fn verdict_of(key: Key, verdict: Option<&pm_client::Verdict>) -> Reply {
    if let Some(verdict) = verdict.filter(|verdict| verdict.verdict == "refused") {
        return said(
            key,
            &format!("refused: {}", verdict.why.as_deref().unwrap_or("may not be cancelled")),
            Role::Bad,
            true,
        );
    }
    let (text, style) = crate::verbs::kill::outcome(verdict);
    let role = match style {
        Style::Good => Role::Good,
        Style::Odd => Role::Odd,
        _ => Role::Plain,
    };
    // What still runs is watched further.
    let is_final = verdict.is_some_and(|verdict| verdict.verdict != "cancelling");
    said(key, &text, role, is_final)
}

fn failed(endpoint: &Endpoint, key: Key, error: &ClientError) -> Reply {
    match error {
        ClientError::NotFound { .. } => said(key, "had ended already", Role::Dim, true),
        ClientError::PreconditionFailed { .. } => {
            said(key, "not asked: the program was started anew, and this is another task", Role::Odd, true)
        }
        ClientError::NotCancellable { .. } => said(key, "refused: it may not be cancelled", Role::Bad, true),
        error => said(key, &fault::sentence(&endpoint.name, error), Role::Bad, true),
    }
}

fn said(key: Key, text: &str, role: Role, is_final: bool) -> Reply {
    Reply::Verdict { key, text: text.to_owned(), role, is_final }
}

fn sentence<T>(endpoint: &Endpoint, result: Result<T, ClientError>) -> Result<T, String> {
    result.map_err(|error| fault::sentence(&endpoint.name, &error))
}
