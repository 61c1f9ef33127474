//! What happens to tasks, as it happens: a stream that reconnects by itself.
//!
//! Everything that is under way lives in [`Events`], so a caller may drop [`Events::next`] at any time and lose nothing.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::pin::Pin;
use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::answer::Answer;
use crate::call::{Ask, Opened, open};
use crate::client::Client;
use crate::error::{ClientError, Stage};
use crate::query::Query;
use crate::sse::{self, Decoder};

mod event;
#[cfg(test)]
mod tests;

pub use event::Event;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENT_STREAM: &str = "text/event-stream";
/// The time to the first try to connect again, unless the server names another.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// What a server may ask for with `retry:`, and the longest that the waits grow to.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// The longest that a `Retry-After` is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// Three heartbeats: nothing for so long means that the connection is dead.
const MAX_QUIET: Duration = Duration::from_secs(45);
/// How long a caller who was away gets to see what came in the meantime.
const LATE_LOOK: Duration = Duration::from_secs(5);
/// The most that is read of a refusal.
const MAX_REFUSAL: u64 = 64 << 10;

/// The events of one endpoint, without end. From [`Client::events`].
pub struct Events {
    client: Client,
    path: String,
    state: State,
    ready: VecDeque<Result<Event, ClientError>>,
    last_id: String,
    first_wait: Duration,
    /// Failures since data last came.
    failures: u32,
}

type Opening = Pin<Box<dyn Future<Output = Result<Opened, ClientError>> + Send>>;

enum State {
    Waiting(Instant),
    Opening(Opening),
    Live(Box<Live>),
    Ended,
}

struct Live {
    opened: Opened,
    decoder: Decoder,
    quiet_until: Instant,
    late: bool,
}

impl Client {
    /// What happens to the tasks that the query's filters fit, as it happens.
    ///
    /// Nothing is connected before the first [`next`](Events::next).
    ///
    /// ```no_run
    /// # async fn look(client: pm_client::Client) -> Result<(), pm_client::ClientError> {
    /// use pm_client::{Event, Query};
    ///
    /// let mut events = client.events(&Query::new().filter("kind", "import"));
    /// while let Some(event) = events.next().await {
    ///     match event? {
    ///         Event::Status { task } => println!("{}: {}", task.id, task.status),
    ///         Event::Lost { error, retry_in } => eprintln!("{error}; trying again in {retry_in:?}"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self, query: &Query) -> Events {
        Events {
            client: self.clone(),
            path: query.behind("v1/events"),
            state: State::Waiting(Instant::now()),
            ready: VecDeque::new(),
            last_id: String::new(),
            first_wait: FIRST_WAIT,
            failures: 0,
        }
    }
}

impl Events {
    /// The next event. It may be dropped before it is done, as in a `select!`; nothing is lost.
    ///
    /// A lost connection is made again, as often as it takes: after 0.5 s at first (or what the server asks for), then
    /// twice as long each time, up to 30 s, each up to a quarter shorter by chance. It goes on after the last event,
    /// if the server still can. A server that sends nothing for 45 s, not even a heartbeat, is lost. A server that has
    /// too much to do is asked again after the time that it names.
    ///
    /// # Errors
    ///
    /// What trying again cannot mend: the query, the token or the certificates are refused, `/v1` is not there, or what
    /// comes is no stream of events or has one beyond 8 MiB. `None` comes after it.
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            match &mut self.state {
                State::Ended => return None,
                State::Waiting(until) => {
                    sleep_until(*until).await;
                    self.state = State::Opening(self.open());
                }
                State::Opening(opening) => match opening.as_mut().await {
                    Ok(opened) => {
                        let decoder = Decoder::after(&self.last_id);
                        let quiet_until = Instant::now() + MAX_QUIET;
                        self.state = State::Live(Box::new(Live { opened, decoder, quiet_until, late: false }));
                        return Some(Ok(Event::Connected));
                    }
                    Err(error) => return Some(self.fail(error)),
                },
                State::Live(live) => match live.chunk().await {
                    Ok(bytes) => self.take(&bytes),
                    Err(error) => return Some(self.fail(error)),
                },
            }
        }
    }

    /// The id of the last event that came; empty if none had one.
    pub fn last_event_id(&self) -> &str {
        &self.last_id
    }

    fn open(&self) -> Opening {
        let client = self.client.clone();
        let mut ask = Ask::get(self.path.clone()).accept(EVENT_STREAM);
        // What is no header was no id of ours; then the server begins with a snapshot.
        if let Ok(id) = HeaderValue::from_bytes(self.last_id.as_bytes())
            && !self.last_id.is_empty()
        {
            ask = ask.header(LAST_EVENT_ID, id);
        }
        Box::pin(async move {
            let mut opened = open(&client, ask).await?;
            match opened.answer.status {
                StatusCode::OK if opened.answer.is_type(EVENT_STREAM) => Ok(opened),
                _ => {
                    let after = client.timeout;
                    let url = opened.answer.url.clone();
                    let late = |_| ClientError::TimedOut { url, after, stage: Stage::Answer };
                    let limit = crate::call::moment_in(after);
                    timeout_at(limit, opened.collect(MAX_REFUSAL)).await.map_err(late)??;
                    Err(refused(opened.answer))
                }
            }
        })
    }

    /// Makes events of what came.
    fn take(&mut self, bytes: &[u8]) {
        let State::Live(live) = &mut self.state else { return };
        self.failures = 0;
        let ready = &mut self.ready;
        let mut failed = false;
        let url = &live.opened.answer.url;
        let result = live.decoder.push(bytes, |message| {
            if !failed {
                let event = Event::read(message, url);
                failed = event.is_err();
                ready.push_back(event);
            }
        });
        if let Some(wait) = live.decoder.take_retry() {
            self.first_wait = wait.clamp(WAITS.0, WAITS.1);
        }
        live.decoder.last_id().clone_into(&mut self.last_id);
        if let (Err(sse::TooLarge), false) = (result, failed) {
            failed = true;
            ready.push_back(Err(ClientError::TooLarge { url: url.clone(), limit: sse::MAX_BYTES as u64 }));
        }
        if failed {
            self.state = State::Ended;
        }
    }

    fn fail(&mut self, error: ClientError) -> Result<Event, ClientError> {
        let asked = match &error {
            ClientError::TooMany { retry_after, .. } => retry_after.unwrap_or_default().min(MAX_RETRY_AFTER),
            error if is_passing(error) => Duration::ZERO,
            _ => {
                self.state = State::Ended;
                return Err(error);
            }
        };
        let longest = WAITS.1.max(self.first_wait);
        let wait = self.first_wait.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        let retry_in = spread(wait).max(asked);
        self.state = State::Waiting(Instant::now() + retry_in);
        Ok(Event::Lost { error, retry_in })
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Waiting(_) => "waiting",
            State::Opening(_) => "connecting",
            State::Live(_) => "connected",
            State::Ended => "ended",
        };
        f.debug_struct("Events")
            .field("client", &self.client)
            .field("path", &self.path)
            .field("state", &state)
            .field("last_id", &self.last_id)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// The next bytes, heartbeats included.
    async fn chunk(&mut self) -> Result<bytes::Bytes, ClientError> {
        // A caller who comes back late has not waited in vain yet: what came while nobody looked is to be read first.
        let now = Instant::now();
        if now >= self.quiet_until && !self.late {
            self.late = true;
            self.quiet_until = now + LATE_LOOK;
        }
        match timeout_at(self.quiet_until, self.opened.chunk()).await {
            Ok(Ok(Some(bytes))) => {
                self.late = false;
                self.quiet_until = Instant::now() + MAX_QUIET;
                Ok(bytes)
            }
            Ok(Ok(None)) => {
                let source = io::Error::from(io::ErrorKind::UnexpectedEof).into();
                let (url, received) = (self.opened.answer.url.clone(), self.opened.received());
                Err(ClientError::Cut { url, received, source })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let url = self.opened.answer.url.clone();
                Err(ClientError::TimedOut { url, after: MAX_QUIET, stage: Stage::Heartbeat })
            }
        }
    }
}

/// What an answer means that is no stream of events.
fn refused(answer: Answer) -> ClientError {
    match answer.success_v1() {
        // A redirection has a status of its own; so this is a success of another kind.
        Ok(answer) => answer.not_pm(None),
        Err(error) => error,
    }
}

/// Whether it may be otherwise soon.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::TimedOut { .. } | ClientError::Cut { .. } => true,
        ClientError::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425),
        ClientError::Problem { problem, .. } => problem.status >= 500,
        _ => false,
    }
}

/// Between three quarters and the whole of it, so that many watchers do not all come back at once.
fn spread(wait: Duration) -> Duration {
    // Of two new hashers no two have the same keys: random enough for this, and no crate is needed.
    let random = RandomState::new().build_hasher().finish() >> 32;
    wait.mul_f64(0.75 + 0.25 * random as f64 / f64::from(u32::MAX))
}
