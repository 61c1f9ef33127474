//! Queries all endpoints at once.

use std::future::Future;
use std::time::{Duration, Instant};

use pm_client::{Client, ClientError};
use tokio::task::JoinSet;

use super::spinner::Spinner;
use crate::config::{Endpoint, Endpoints};

/// The result of one endpoint.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) endpoint: Endpoint,
    pub(crate) result: Result<T, ClientError>,
    pub(crate) took: Duration,
}

/// Queries all endpoints concurrently, each within its own time limit, however many calls the query consists of. The
/// answers are in the order of the endpoints.
pub(crate) async fn all<T, F, Querying>(endpoints: Endpoints, query: F) -> Vec<Answer<T>>
where
    T: Send + 'static,
    F: Fn(Client) -> Querying,
    Querying: Future<Output = Result<T, ClientError>> + Send + 'static,
{
    let spinner = Spinner::new(endpoints.list().iter().map(|endpoint| endpoint.name.clone()));
    let mut queries = JoinSet::new();
    for (at, endpoint) in endpoints.into_iter().enumerate() {
        let querying = query(endpoint.client.timeout_from_now());
        queries.spawn(async move {
            let started = Instant::now();
            let result = querying.await;
            (at, Answer { endpoint, result, took: started.elapsed() })
        });
    }
    let mut answers = Vec::with_capacity(queries.len());
    while let Some(answer) = spinner.until(queries.join_next()).await {
        let (at, answer) = answer.expect("a query neither panics nor is aborted");
        spinner.remove(&answer.endpoint.name);
        answers.push((at, answer));
    }
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
