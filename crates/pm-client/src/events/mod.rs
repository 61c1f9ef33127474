//! Events of tasks: a stream that reconnects.
//!
//! All progress is stored in [`Events`], timers included. So a caller may drop [`Events::next`] at any time and lose
//! nothing, and each poll may make a new future of [`Events::advance`].

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use pm_wire::v1::Event;
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use crate::answer::Answer;
use crate::call::{Opened, Request, check_memory, open};
use crate::error::{ClientError, Stage};
use crate::settings::{Settings, deadline_in};
use crate::sse::{self, Decoder, Message};
use crate::text::excerpt;

#[cfg(test)]
mod tests;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENT_STREAM: &str = "text/event-stream";
/// The delay before the first attempt to reconnect, unless the server names another.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The bounds of the delay that a server names with `retry:`; the upper one also bounds the growth of delays.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// The longest `Retry-After` that is respected.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// The longest silence, three heartbeats; after it the connection counts as lost.
const MAX_QUIET: Duration = Duration::from_secs(45);
/// The last part of [`MAX_QUIET`]. It starts when the caller polls again, as data may have arrived in the meantime.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// The most bytes read of a refusal.
const MAX_REFUSAL: u64 = 64 << 10;

/// An update from a stream of events.
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "events are read one by one, and a box for each would cost more")]
pub enum Update {
    /// The stream is connected. A snapshot follows, unless the stream resumes after the last event.
    Connected,
    /// An event.
    Event(Event),
    /// The connection was lost, or could not be opened. Until the next [`Connected`](Self::Connected), earlier events
    /// may be outdated.
    Lost {
        /// The cause.
        error: ClientError,
        /// The time until the next attempt.
        retry_in: Duration,
    },
}

/// A [`Stream`] of the events of one endpoint that reconnects; made by [`V1::events`](crate::V1::events).
///
/// A lost connection is opened again, as often as it takes. The first attempt is after 0.5 s, or after the time that
/// the server names; the delay doubles with each further one, up to 30 s, and is shortened at random by up to a
/// quarter. The stream resumes after the last event if the server still can, else it begins with a snapshot. A
/// connection without any data for 45 s, not even a heartbeat, counts as lost. An overloaded server is asked again
/// after the time that it names, at most an hour.
///
/// # Errors
///
/// The stream yields an error and ends if another attempt cannot succeed: the query, the token or the certificates are
/// refused, there is no `/v1`, or the answer is not a stream of events or has an event beyond 8 MiB, or beyond 16 MiB
/// of memory once it is decoded.
#[must_use = "a stream connects when it is polled"]
pub struct Events {
    settings: Settings,
    path: String,
    state: State,
    ready: VecDeque<Result<Update, ClientError>>,
    last_id: String,
    first_wait: Duration,
    /// Failures since data last arrived.
    failures: u32,
}

type Opening = Pin<Box<dyn Future<Output = Result<Opened, ClientError>> + Send>>;

enum State {
    Idle,
    Waiting(Pin<Box<Sleep>>),
    Opening(Opening),
    Live(Box<Live>),
    Ended,
}

struct Live {
    opened: Opened,
    decoder: Decoder,
    /// The deadline of the next data.
    quiet: Pin<Box<Sleep>>,
    /// `true` in the last part of the deadline.
    is_last: bool,
}

impl Stream for Events {
    type Item = Result<Update, ClientError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        pin!(self.get_mut().advance()).poll(context)
    }
}

impl Events {
    pub(crate) fn new(settings: Settings, path: String) -> Self {
        Self {
            settings,
            path,
            state: State::Idle,
            ready: VecDeque::new(),
            last_id: String::new(),
            first_wait: FIRST_WAIT,
            failures: 0,
        }
    }

    /// Returns the next update, or `None` after an error.
    ///
    /// Dropping the future early, as `tokio::select!` does, loses nothing.
    ///
    /// # Errors
    ///
    /// As for [the stream](Self).
    pub async fn next(&mut self) -> Option<Result<Update, ClientError>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Advances the state until there is an update.
    async fn advance(&mut self) -> Option<Result<Update, ClientError>> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Some(update);
            }
            match &mut self.state {
                State::Ended => return None,
                State::Idle => self.state = State::Opening(self.open()),
                State::Waiting(timer) => {
                    timer.as_mut().await;
                    self.state = State::Opening(self.open());
                }
                State::Opening(opening) => match opening.as_mut().await {
                    Ok(opened) => {
                        self.state = State::Live(Box::new(Live::new(opened, Decoder::after(&self.last_id))));
                        return Some(Ok(Update::Connected));
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

    /// Returns the id of the last event, or an empty string if none had one.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_id
    }

    fn open(&self) -> Opening {
        let settings = self.settings.clone();
        let mut request = Request::get(self.path.clone()).accept(EVENT_STREAM);
        // An id that cannot be a header is not one of pm; without it, the server begins with a snapshot.
        if let Ok(id) = HeaderValue::from_bytes(self.last_id.as_bytes())
            && !self.last_id.is_empty()
        {
            request = request.header(LAST_EVENT_ID, id);
        }
        Box::pin(async move {
            let mut opened = open(&settings, request).await?;
            match opened.answer.status {
                StatusCode::OK if opened.answer.is_type(EVENT_STREAM) => Ok(opened),
                _ => {
                    let after = settings.timeout;
                    let url = opened.answer.url.clone();
                    let late = |_| ClientError::TimedOut { url, after, stage: Stage::Answer };
                    timeout_at(deadline_in(after), opened.collect(MAX_REFUSAL)).await.map_err(late)??;
                    Err(refused(opened.answer))
                }
            }
        })
    }

    /// Decodes the events in these bytes.
    fn take(&mut self, bytes: &[u8]) {
        let State::Live(live) = &mut self.state else { return };
        self.failures = 0;
        let ready = &mut self.ready;
        let mut failed = false;
        let url = &live.opened.answer.url;
        let result = live.decoder.push(bytes, |message| {
            if !failed {
                let event = read(message, url);
                failed = event.is_err();
                ready.push_back(event.map(Update::Event));
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

    fn fail(&mut self, error: ClientError) -> Result<Update, ClientError> {
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
        self.state = State::Waiting(Box::pin(sleep(retry_in)));
        Ok(Update::Lost { error, retry_in })
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle => "idle",
            State::Waiting(_) => "waiting",
            State::Opening(_) => "connecting",
            State::Live(_) => "connected",
            State::Ended => "ended",
        };
        f.debug_struct("Events")
            .field("endpoint", &self.settings.endpoint.name)
            .field("path", &self.path)
            .field("state", &state)
            .field("last_id", &self.last_id)
            .finish_non_exhaustive()
    }
}

impl Live {
    fn new(opened: Opened, decoder: Decoder) -> Self {
        let quiet = Box::pin(sleep(MAX_QUIET - LAST_WAIT));
        Self { opened, decoder, quiet, is_last: false }
    }

    /// Returns the next bytes of the body, heartbeats included.
    async fn chunk(&mut self) -> Result<bytes::Bytes, ClientError> {
        loop {
            let arrived = {
                let Self { opened, quiet, .. } = &mut *self;
                let mut chunk = pin!(opened.chunk());
                // Data takes precedence over the timer, in case the caller did not poll for long.
                poll_fn(|context| match chunk.as_mut().poll(context) {
                    Poll::Ready(result) => Poll::Ready(Some(result)),
                    Poll::Pending => quiet.as_mut().poll(context).map(|()| None),
                })
                .await
            };
            return match arrived {
                Some(Ok(Some(bytes))) => {
                    self.is_last = false;
                    self.quiet.as_mut().reset(Instant::now() + MAX_QUIET - LAST_WAIT);
                    Ok(bytes)
                }
                Some(Ok(None)) => {
                    let source = io::Error::from(io::ErrorKind::UnexpectedEof).into();
                    let (url, received) = (self.opened.answer.url.clone(), self.opened.received());
                    Err(ClientError::Cut { url, received, source })
                }
                Some(Err(error)) => Err(error),
                None if !self.is_last => {
                    self.is_last = true;
                    self.quiet.as_mut().reset(Instant::now() + LAST_WAIT);
                    continue;
                }
                None => {
                    let url = self.opened.answer.url.clone();
                    Err(ClientError::TimedOut { url, after: MAX_QUIET, stage: Stage::Heartbeat })
                }
            };
        }
    }
}

/// Decodes the event in a message.
fn read(message: Message, url: &str) -> Result<Event, ClientError> {
    let data = message.data.as_str();
    check_memory(data.as_bytes(), url, sse::MAX_MEMORY)?;
    let event = match message.event.as_str() {
        // Without an event field, the type is in the JSON.
        "message" => serde_json::from_str(data),
        type_name => Event::from_json(type_name, data),
    };
    event.map_err(|error| {
        let (url, excerpt) = (url.to_owned(), excerpt(data.as_bytes()));
        ClientError::BrokenJson { url, excerpt, source: error.into() }
    })
}

/// Returns the error for an answer that is not a stream of events.
fn refused(answer: Answer) -> ClientError {
    match answer.success_v1() {
        // Redirects are errors already, so this is a success of another type.
        Ok(answer) => answer.not_pm(None),
        Err(error) => error,
    }
}

/// Returns `true` if another attempt may succeed.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::TimedOut { .. } | ClientError::Cut { .. } => true,
        ClientError::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425),
        ClientError::Problem { problem, .. } => problem.status >= 500,
        _ => false,
    }
}

/// Shortens a delay at random by up to a quarter, so that watchers do not all reconnect at once.
fn spread(wait: Duration) -> Duration {
    // Each new hasher has keys of its own: random enough for this, without another crate.
    let random = RandomState::new().build_hasher().finish() >> 32;
    wait.mul_f64(0.75 + 0.25 * random as f64 / f64::from(u32::MAX))
}
