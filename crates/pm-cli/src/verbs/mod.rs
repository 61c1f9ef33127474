//! The one-shot verbs, a file each: flags, queries and output.

pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod ended;
pub(crate) mod endpoints;
pub(crate) mod generate;
pub(crate) mod history;
pub(crate) mod kill;
pub(crate) mod kinds;
pub(crate) mod ls;
pub(crate) mod show;
pub(crate) mod tree;
pub(crate) mod wait;
pub(crate) mod waits;
pub(crate) mod watch;
pub(crate) mod why;

use clap::Args;
use pm_client::{BlockedTask, Client, ClientError, Outcome, Query, Row, TaskRef};
use pm_wire::Timestamp;

use crate::config::{CommonArgs, Endpoints};
use crate::exit::{Exit, Stop};
use crate::fleet::{self, Answer, Tally, original_row};
use crate::out::{Format, Out, format, say};

/// The flags of all querying verbs.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Output format [env: PM_OUTPUT] [default: table]
    #[arg(short, long, value_enum, help_heading = "Output")]
    pub(crate) output: Option<Format>,
}

impl QueryArgs {
    /// The endpoints to query, and the output.
    pub(crate) fn resolve(&self) -> Result<(Endpoints, Out), Stop> {
        let settings = self.common.settings(self.output)?;
        let out = settings.out();
        Ok((settings.endpoints, out))
    }
}

/// The name of one task on the command line: a serial or an id. Digits alone are a serial, unless a running task has
/// them as its id: then they are ambiguous, and `serial:42` or `id:42` says which is meant.
#[derive(Clone, Debug)]
pub(crate) struct TaskName(String);

impl TaskName {
    pub(crate) fn new(text: &str) -> TaskName {
        TaskName(text.to_owned())
    }

    /// The name as written.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn task_ref(&self) -> TaskRef {
        match self.digits() {
            Some(digits) => TaskRef::parse(&format!("serial:{digits}")),
            None => TaskRef::parse(&self.0),
        }
    }

    /// The digits, if the name is a serial, which is unique within one program only.
    pub(crate) fn digits(&self) -> Option<&str> {
        let digits = self.0.strip_prefix("serial:").unwrap_or(&self.0);
        (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
    }

    /// The digits, if the name may be a serial as well as an id.
    pub(crate) fn ambiguous_digits(&self) -> Option<&str> {
        self.digits().filter(|digits| digits.len() == self.0.len())
    }

    /// The id, for an endpoint without serials.
    pub(crate) fn id(&self) -> &str {
        self.digits().or_else(|| self.0.strip_prefix("id:")).unwrap_or(&self.0)
    }

    /// A filter for this task, for streams.
    pub(crate) fn query(&self) -> Query {
        match self.digits() {
            Some(digits) => Query::new().filter("serial", digits),
            None => Query::new().filter("id", Query::literal(self.id())),
        }
    }
}

// The flags of a verb about one task. No doc comment: it would be the verb's help.
#[derive(Debug, clap::Args)]
pub(crate) struct TaskArgs {
    /// Serial or id of the task; serial:12 or id:12 if both exist
    task: String,
    #[command(flatten)]
    query: QueryArgs,
}

impl TaskArgs {
    /// Queries each endpoint about the task.
    async fn query_all<T, Querying>(
        self,
        query: impl Fn(Client, TaskName) -> Querying,
    ) -> Result<(Out, Vec<Answer<T>>), Stop>
    where
        T: Send + 'static,
        Querying: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        let (endpoints, out) = self.query.resolve()?;
        let target = TaskName::new(&self.task);
        Ok((out, fleet::all(endpoints, |client| query(client, target.clone())).await))
    }
}

/// Notes Go originals and prints errors after a task was shown. Returns the exit code.
fn finish<T>(answers: &[Answer<T>], is_original: impl Fn(&T) -> bool) -> Exit {
    for answer in answers {
        if answer.result.as_ref().is_ok_and(&is_original) {
            note_original(&answer.endpoint.name);
        }
    }
    fleet::say_errors_about_a_task(answers);
    Tally::of(answers).exit()
}

/// A task, with the time of its server.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) row: Row,
    /// The resources it waits for.
    pub(crate) waits: Vec<BlockedTask>,
    /// The waits of other tasks for resources that it holds.
    pub(crate) holds_up: Vec<BlockedTask>,
    pub(crate) server_time: Timestamp,
    /// Its endpoint is a Go original, which has ids only.
    pub(crate) is_original: bool,
}

/// Finds a task, running or ended; in a Go original, a running one.
///
/// Digits that are the serial of one task and the id of another are an error.
pub(crate) async fn find(client: &Client, target: &TaskName) -> Result<Found, ClientError> {
    let (found, other) = tokio::join!(client.v1().task(target.task_ref()), with_these_digits(client, target));
    if let Some((digits, other)) = other
        && !matches!(found, Err(ClientError::NoV1 { .. }))
    {
        return match found {
            Ok(reply) if reply.task.serial == other.serial => Ok(reply.into()),
            Ok(reply) => Err(mistaken(client, digits, Some(reply.task), &other)),
            Err(ClientError::NotFound { .. }) => Err(mistaken(client, digits, None, &other)),
            Err(error) => Err(error),
        };
    }
    match found {
        Ok(reply) => Ok(reply.into()),
        Err(ClientError::NoV1 { url }) => {
            let list = client.procs().list().await?;
            let mut tasks = list.procs.into_iter().filter(|task| task.id == target.id());
            let text = || "it is not in the list of this Go original, which has ids only".to_owned();
            let task = tasks.next().ok_or_else(|| ClientError::NotFound { url, text: text() })?;
            Ok(Found {
                row: original_row(task, list.server_time),
                waits: Vec::new(),
                holds_up: Vec::new(),
                server_time: list.server_time,
                is_original: true,
            })
        }
        Err(error) => Err(error),
    }
}

/// The running task that has the digits of this name as its id, though they may be a serial.
async fn with_these_digits<'n>(client: &Client, target: &'n TaskName) -> Option<(&'n str, Row)> {
    let digits = target.ambiguous_digits()?;
    // An error is reported by the query for the serial.
    let page = client.v1().tasks(&Query::new().filter("id", Query::literal(digits)).limit(1)).await.ok()?;
    Some((digits, page.tasks.into_iter().next()?))
}

/// The error for digits that are the id of the task `other`, and possibly the serial of another.
fn mistaken(client: &Client, digits: &str, of_serial: Option<Row>, other: &Row) -> ClientError {
    let url = client.endpoint().to_owned();
    let other = format!("the task {} has the id {digits}", format::serial(other.serial));
    match of_serial {
        Some(task) => {
            let state = if task.has_ended() { ", which has ended" } else { "" };
            let text = format!(
                "{digits} is the serial of {}{state}, and {other}; write serial:{digits} or id:{digits}",
                task.id
            );
            ClientError::Ambiguous { url, text, serials: Vec::new() }
        }
        None => {
            let text = format!("no task has the serial {digits}, but {other}; write id:{digits}");
            ClientError::NotFound { url, text }
        }
    }
}

impl From<pm_client::TaskReply> for Found {
    fn from(reply: pm_client::TaskReply) -> Found {
        Found {
            row: reply.task,
            waits: reply.waits,
            holds_up: reply.holds_up.into_iter().map(BlockedTask::from).collect(),
            server_time: reply.server_time,
            is_original: false,
        }
    }
}

/// The caller that cancelled the task, and its reason: `ann: too slow`.
pub(crate) fn cancelled_by(row: &Row) -> Option<String> {
    let cancel = row.cancel.as_ref()?;
    let by = if cancel.by.is_empty() { "an unknown caller" } else { &cancel.by };
    Some(if cancel.reason.is_empty() { by.to_owned() } else { format!("{by}: {}", cancel.reason) })
}

/// The cause of the end of a task, which its last status names: `failed: no file`.
pub(crate) fn cause(row: &Row) -> Option<&str> {
    let (outcome, status) = (row.outcome.as_ref()?, row.status.as_str());
    let is_named = match outcome {
        Outcome::Failed | Outcome::Aborted => status.starts_with(outcome.as_str()),
        Outcome::Cancelled => status.starts_with("killed") || status.starts_with("cancelled"),
        _ => false,
    };
    status.split_once(": ").map(|(_, cause)| cause).filter(|_| is_named)
}

/// Notes what a Go original does not report.
pub(crate) fn note_original(endpoint: &str) {
    say(&format!("{endpoint}: Go original: no serials, kinds, parents, progress or ended tasks"));
}

/// Runs a verb on a single-threaded runtime.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A name lookup may block its thread; do not wait for it.
    runtime.shutdown_background();
    result
}
