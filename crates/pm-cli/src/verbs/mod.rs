//! The one-shot verbs, a file each: its flags, what it asks, what it prints.

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
use pm_client::{Client, ClientError, Query, Row, TaskRef, Wait};
use pm_wire::Timestamp;

use crate::config::{Endpoints, Output, Where};
use crate::fleet::{self, Answer, Exit, Stop, Tally, original_row};
use crate::out::{Out, say};

/// What the verbs that ask have in common.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    #[command(flatten)]
    pub(crate) place: Where,
    /// How to show the answer [env: PM_OUTPUT] [default: table]
    #[arg(short, long, value_enum, help_heading = "Output")]
    pub(crate) output: Option<Output>,
}

impl Ask {
    /// Whom to ask, and how to show what they say.
    pub(crate) fn begin(&self) -> Result<(Endpoints, Out), Stop> {
        let settings = self.place.settings(self.output)?;
        let out = Out::new(&settings);
        Ok((settings.endpoints, out))
    }
}

/// One task, as people name it: a serial, or an id.
#[derive(Clone, Debug)]
pub(crate) struct Target(String);

impl Target {
    pub(crate) fn new(text: &str) -> Target {
        Target(text.to_owned())
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn task_ref(&self) -> TaskRef {
        TaskRef::parse(&self.0)
    }

    /// Whether a serial is meant, which says something within one program only.
    pub(crate) fn is_serial(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// The id that is meant where there are no serials.
    pub(crate) fn id(&self) -> &str {
        self.0.strip_prefix("id:").unwrap_or(&self.0)
    }

    /// The same as a filter for streams.
    pub(crate) fn query(&self) -> Query {
        match self.is_serial() {
            true => Query::new().filter("serial", self.0.clone()),
            false => Query::new().filter("id", Query::literal(self.id())),
        }
    }
}

// What a verb about one task takes. No doc comment: it would be the verb's help.
#[derive(Debug, clap::Args)]
pub(crate) struct OneTask {
    /// The task: its serial, or its id; id:12 for an id of digits
    task: String,
    #[command(flatten)]
    ask: Ask,
}

impl OneTask {
    /// What each endpoint knows of the task, and how to show it.
    async fn look<T, Looking>(self, look: impl Fn(Client, Target) -> Looking) -> Result<(Out, Vec<Answer<T>>), Stop>
    where
        T: Send + 'static,
        Looking: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        let (endpoints, out) = self.ask.begin()?;
        let target = Target::new(&self.task);
        Ok((out, fleet::all(endpoints, |client| look(client, target.clone())).await))
    }
}

/// Says which endpoints are Go originals and which gave nothing, when a task was shown.
fn say_the_rest<T>(answers: &[Answer<T>], is_original: impl Fn(&T) -> bool) -> Exit {
    for answer in answers {
        if answer.result.as_ref().is_ok_and(&is_original) {
            say_original(&answer.endpoint.name);
        }
    }
    fleet::say_errors_about_a_task(answers);
    Tally::of(answers).exit()
}

/// One task and the clock of its server.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) row: Row,
    /// What it waits for, if it and its server say so.
    pub(crate) waits: Vec<Wait>,
    /// Who waits for what it holds.
    pub(crate) holds_up: Vec<Wait>,
    pub(crate) server_time: Timestamp,
    /// It is in a Go original, which knows ids only.
    pub(crate) is_original: bool,
}

/// The task, live or still known; of a Go original, one of the live ones.
pub(crate) async fn find(client: &Client, target: &Target) -> Result<Found, ClientError> {
    match client.task(target.task_ref()).await {
        Ok(reply) => Ok(Found {
            row: reply.task,
            waits: reply.waits,
            holds_up: reply.holds_up,
            server_time: reply.server_time,
            is_original: false,
        }),
        Err(ClientError::NoV1 { url }) => {
            let list = client.list().await?;
            let mut tasks = list.procs.iter().filter(|task| task.id == target.id());
            let text = || "it is not in the list of this Go original, which knows ids only".to_owned();
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

/// Says what a Go original cannot tell.
pub(crate) fn say_original(endpoint: &str) {
    say(&format!(
        "{endpoint}: a Go original: no serials, kinds, parents and progress there, and no word of what ended"
    ));
}

/// Runs what asks, on one thread.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A look-up of a name may hang on its own thread; do not wait for it.
    runtime.shutdown_background();
    result
}
