//! Follows one endpoint: turns its stream into [`Update`]s, or polls the list of a Go original.
//!
//! Never gives up. After any failure it retries within [`MAX_RETRY`], so that an endpoint that is back is noticed soon;
//! only a server that asks for a longer delay gets it.

use std::time::Duration;

use pm_client::{ClientError, Event, Query};
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
    let feed = Feed { index, endpoint, query, filter, send };
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
}

impl Feed {
    async fn send(&self, update: Update) -> Result<(), Closed> {
        self.send.send((self.index, update)).await.map_err(|_| Closed)
    }

    /// Follows the stream for as long as it lasts.
    async fn stream(&self) -> Result<(), Closed> {
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
    async fn poll(&self) -> Result<(), Closed> {
        let mut is_first = true;
        loop {
            match self.endpoint.client.procs().list().await {
                Ok(list) => {
                    if std::mem::take(&mut is_first) {
                        self.send(Update::Polled).await?;
                    }
                    let rows = list.procs.iter().map(|task| original_row(task, list.server_time));
                    let rows = rows.filter(|row| matches(&self.filter, row)).collect();
                    self.send(Update::Snapshot { rows, begins: true, ends: true }).await?;
                    sleep(POLL).await;
                }
                Err(error) => return self.refused(error).await,
            }
        }
    }

    /// Reports the error and waits before the next attempt.
    async fn refused(&self, error: ClientError) -> Result<(), Closed> {
        let is_lost =
            matches!(error, ClientError::Unreachable { .. } | ClientError::TimedOut { .. } | ClientError::Cut { .. });
        let (why, retry_in) = (error::message(&self.endpoint.name, &error), MAX_RETRY);
        self.send(if is_lost { Update::Lost { why, retry_in } } else { Update::Refused { why, retry_in } }).await?;
        sleep(retry_in).await;
        Ok(())
    }
}
