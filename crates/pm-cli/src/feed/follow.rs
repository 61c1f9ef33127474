//! Follows one endpoint: turns its stream into [`Update`]s, or polls the list of a Go original.
//!
//! Never gives up. After a lost connection it retries within [`MAX_RETRY`], so that an endpoint that is back is
//! noticed soon; only a server that asks for a longer delay gets it. One that answers with anything else than its tasks
//! is asked again after a delay that doubles, up to [`MAX_REFUSED`].

use std::time::Duration;

use pm_client::{ClientError, Event, Query, Row};
use pm_wire::filter::Filter;
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

use super::update::{Change, Update};
use crate::config::Endpoint;
use crate::fleet::{error, matches, original_row};

/// The longest delay between two attempts.
const MAX_RETRY: Duration = Duration::from_secs(4);
/// The longest an attempt itself may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The longest delay before a server is asked again that sends more than is accepted, or nothing that is understood.
const MAX_REFUSED: Duration = Duration::from_secs(60);
/// Tasks of a polled list in one update.
const PART: usize = 500;
/// How often a list without a stream is polled.
const POLL: Duration = Duration::from_secs(1);
/// The shortest interval between two events of a task that a server supports.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(250);

/// An update with the index of its endpoint.
pub(crate) type EndpointUpdate = (u32, Update);

/// Sends the updates of an endpoint until the receiver is dropped. The query and the filter select the same tasks; the
/// server reports changes at most once per `interval`.
pub(crate) async fn follow(
    index: u32,
    endpoint: Endpoint,
    query: Query,
    filter: Filter,
    interval: Duration,
    send: Sender<EndpointUpdate>,
) {
    let query = query.interval(interval.clamp(MIN_INTERVAL, Duration::from_secs(60)));
    let mut feed = Feed { index, endpoint, query, filter, send, refused: MAX_RETRY };
    while feed.stream().await.is_ok() {}
}

/// The receiver has been dropped.
struct Closed;

struct Feed {
    index: u32,
    endpoint: Endpoint,
    query: Query,
    /// Applied here when polling, as `/procs/` takes no query.
    filter: Filter,
    send: Sender<EndpointUpdate>,
    /// The delay after the next refusal.
    refused: Duration,
}

impl Feed {
    async fn send(&self, update: Update) -> Result<(), Closed> {
        self.send.send((self.index, update)).await.map_err(|_| Closed)
    }

    /// Follows the stream for as long as it lasts.
    async fn stream(&mut self) -> Result<(), Closed> {
        let mut events = self.endpoint.client.v1().events(&self.query);
        // The first part after `Connected`, a gap or a last part begins a new snapshot.
        let mut begins = true;
        let mut limit = None;
        loop {
            let next = match limit.take() {
                None => events.next().await,
                Some(limit) => match timeout(limit, events.next()).await {
                    Ok(next) => next,
                    // It would wait longer; reconnect instead.
                    Err(_) => return Ok(()),
                },
            };
            let update = match next {
                None => return Ok(()),
                Some(Err(ClientError::NoV1 { .. })) => return self.poll().await,
                Some(Err(error)) => return self.refused(error).await,
                Some(Ok(update)) => match update {
                    pm_client::Update::Connected => {
                        begins = true;
                        Update::Live
                    }
                    pm_client::Update::Lost { error, retry_in } => {
                        let retry_in = match error {
                            ClientError::TooMany { .. } => retry_in,
                            _ => retry_in.min(MAX_RETRY),
                        };
                        limit = Some(retry_in + ATTEMPT);
                        Update::Lost { why: error::message(&self.endpoint.name, &error), retry_in }
                    }
                    pm_client::Update::Event(Event::Snapshot(snapshot)) => {
                        let update = Update::Snapshot { rows: snapshot.tasks, begins, ends: !snapshot.more };
                        begins = !snapshot.more;
                        if begins {
                            self.refused = MAX_RETRY;
                        }
                        update
                    }
                    pm_client::Update::Event(event) => match event {
                        Event::Started(row) => Update::Task { change: Change::Started, row },
                        Event::Status(row) => Update::Task { change: Change::Status, row },
                        Event::Progress(row) => Update::Task { change: Change::Progress, row },
                        Event::Cancel(row) => Update::Task { change: Change::Cancel, row },
                        Event::Ended(row) => Update::Ended { row },
                        Event::Left(serial) => Update::Left { serial },
                        Event::Gap(why) => {
                            begins = true;
                            Update::Gap { why: why.to_string() }
                        }
                        Event::Unseen(count) => Update::Unseen { count },
                        Event::Bye(why) => Update::Bye { why: why.to_string() },
                        _ => continue,
                    },
                    _ => continue,
                },
            };
            self.send(update).await?;
        }
    }

    /// Polls the list until that fails.
    async fn poll(&mut self) -> Result<(), Closed> {
        let mut is_first = true;
        loop {
            match self.endpoint.client.procs().list().await {
                Ok(list) => {
                    if std::mem::take(&mut is_first) {
                        self.send(Update::Polled).await?;
                    }
                    self.refused = MAX_RETRY;
                    let rows = list.procs.into_iter().map(|task| original_row(task, list.server_time));
                    let mut rows = rows.filter(|row| matches(&self.filter, row)).peekable();
                    let mut begins = true;
                    loop {
                        let part: Vec<Row> = rows.by_ref().take(PART).collect();
                        let ends = rows.peek().is_none();
                        self.send(Update::Snapshot { rows: part, begins, ends }).await?;
                        if ends {
                            break;
                        }
                        begins = false;
                    }
                    sleep(POLL).await;
                }
                Err(error) => return self.refused(error).await,
            }
        }
    }

    /// Reports the error and waits before the next attempt.
    async fn refused(&mut self, error: ClientError) -> Result<(), Closed> {
        let is_lost =
            matches!(error, ClientError::Unreachable { .. } | ClientError::TimedOut { .. } | ClientError::Cut { .. });
        let retry_in = if is_lost { MAX_RETRY } else { self.refused };
        if !is_lost {
            self.refused = (2 * self.refused).min(MAX_REFUSED);
        }
        let why = error::message(&self.endpoint.name, &error);
        self.send(if is_lost { Update::Lost { why, retry_in } } else { Update::Refused { why, retry_in } }).await?;
        sleep(retry_in).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pm_client::Client;
    use tokio::sync::mpsc::channel;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_refuses_is_asked_ever_less_often() {
        let (send, mut updates) = channel(8);
        let endpoint = Endpoint::new(Client::new("db1").unwrap());
        let (query, filter) = (Query::new(), Filter::default());
        let mut feed = Feed { index: 0, endpoint, query, filter, send, refused: MAX_RETRY };
        let mut delays = Vec::new();
        for _ in 0..6 {
            let error = ClientError::TooLarge { url: "u".to_owned(), limit: 1 };
            assert!(feed.refused(error).await.is_ok());
            let Some((0, Update::Refused { retry_in, .. })) = updates.recv().await else { panic!() };
            delays.push(retry_in.as_secs());
        }
        assert_eq!(delays, [4, 8, 16, 32, 60, 60]);
        let lost = ClientError::Cut { url: "u".to_owned(), received: 0, source: "x".into() };
        assert!(feed.refused(lost).await.is_ok());
        assert!(matches!(updates.recv().await, Some((0, Update::Lost { retry_in: MAX_RETRY, .. }))));
    }
}
