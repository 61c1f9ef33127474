//! What one endpoint tells, as [`News`]: by its stream, or, of a Go original, by reading its list again and again.
//!
//! Never gives up. Whatever went wrong, it is tried again within [`PATIENCE`], so that an endpoint that is back is seen
//! soon; only who asks for more time gets it.

use std::time::Duration;

use pm_client::{ClientError, Event, Query};
use pm_wire::filter::Filter;
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

use super::model::{News, What};
use crate::config::Endpoint;
use crate::fleet::{fault, fits, original_row};

/// The longest from one try to the next.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a try itself may take.
const TRY: Duration = Duration::from_secs(10);
/// How often a list is read that has no stream.
const POLL: Duration = Duration::from_secs(1);

/// News of an endpoint, by its place among all.
pub(crate) type Told = (u32, News);

/// Tells of the tasks that the query and the filter fit, which are the same, until nobody listens.
pub(crate) async fn follow(at: u32, endpoint: Endpoint, query: Query, filter: Filter, send: Sender<Told>) {
    let feed = Feed { at, endpoint, query, filter, send };
    while feed.stream().await.is_ok() {}
}

/// Nobody listens any more.
struct Deaf;

struct Feed {
    at: u32,
    endpoint: Endpoint,
    query: Query,
    /// What the query asks for, where nobody else sees to it.
    filter: Filter,
    send: Sender<Told>,
}

impl Feed {
    async fn tell(&self, news: News) -> Result<(), Deaf> {
        self.send.send((self.at, news)).await.map_err(|_| Deaf)
    }

    /// Follows the stream for as long as there is one.
    async fn stream(&self) -> Result<(), Deaf> {
        let mut events = self.endpoint.client.events(&self.query);
        // The first part after `Connected`, a gap or a last part begins anew.
        let mut begins = true;
        let mut patience = None;
        loop {
            let next = match patience.take() {
                None => events.next().await,
                Some(patience) => match timeout(patience, events.next()).await {
                    Ok(next) => next,
                    // It would wait longer; begin anew instead.
                    Err(_) => return Ok(()),
                },
            };
            let news = match next {
                None => return Ok(()),
                Some(Err(ClientError::NoV1 { .. })) => return self.poll().await,
                Some(Err(error)) => return self.refused(error).await,
                Some(Ok(event)) => match event {
                    Event::Connected => {
                        begins = true;
                        News::Live
                    }
                    Event::Lost { error, retry_in } => {
                        let retry_in = match error {
                            ClientError::TooMany { .. } => retry_in,
                            _ => retry_in.min(PATIENCE),
                        };
                        patience = Some(retry_in + TRY);
                        News::Lost { why: fault::sentence(&self.endpoint.name, &error), retry_in }
                    }
                    Event::Snapshot { tasks, more, .. } => {
                        let news = News::Snapshot { rows: tasks, begins, ends: !more };
                        begins = !more;
                        news
                    }
                    Event::Started { task } => News::Task { what: What::Started, row: task },
                    Event::Status { task } => News::Task { what: What::Status, row: task },
                    Event::Progress { task } => News::Task { what: What::Progress, row: task },
                    Event::Cancel { task } => News::Task { what: What::Cancel, row: task },
                    Event::Ended { task } => News::Ended { row: task },
                    Event::Left { serial } => News::Left { serial },
                    Event::Gap { why } => {
                        begins = true;
                        News::Gap { why }
                    }
                    Event::Unseen { count } => News::Unseen { count },
                    Event::Bye { why } => News::Bye { why },
                    _ => continue,
                },
            };
            self.tell(news).await?;
        }
    }

    /// Reads the list until that fails.
    async fn poll(&self) -> Result<(), Deaf> {
        let mut is_first = true;
        loop {
            match self.endpoint.client.list().await {
                Ok(list) => {
                    if std::mem::take(&mut is_first) {
                        self.tell(News::Polled).await?;
                    }
                    let rows = list.procs.iter().map(|task| original_row(task, list.server_time));
                    let rows = rows.filter(|row| fits(&self.filter, row)).collect();
                    self.tell(News::Snapshot { rows, begins: true, ends: true }).await?;
                    sleep(POLL).await;
                }
                Err(error) => return self.refused(error).await,
            }
        }
    }

    /// Says so, and waits a while.
    async fn refused(&self, error: ClientError) -> Result<(), Deaf> {
        let is_away =
            matches!(error, ClientError::Unreachable { .. } | ClientError::TimedOut { .. } | ClientError::Cut { .. });
        let (why, retry_in) = (fault::sentence(&self.endpoint.name, &error), PATIENCE);
        self.tell(if is_away { News::Lost { why, retry_in } } else { News::Refused { why, retry_in } }).await?;
        sleep(retry_in).await;
        Ok(())
    }
}

/// What a list of all endpoints asks their streams for: no more often than it is drawn.
pub(crate) fn query(interval: Duration) -> Query {
    Query::new().interval(interval.clamp(Duration::from_millis(250), Duration::from_secs(60)))
}
