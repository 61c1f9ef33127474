//! Several endpoints asked at once: what they said, who is missing, and what that means for the exit code.
//!
//! | file | what |
//! |---|---|
//! | `exit.rs` | how the command ends |
//! | `fault.rs` | what went wrong, in words and as JSON |
//! | `tasks.rs` | rows of all pages, also from a Go original |
//! | `order.rs` | rows of several endpoints in one order |
//! | `patience.rs` | who is being waited for, on a terminal |

mod exit;
pub(crate) mod fault;
mod order;
mod patience;
mod tasks;

use std::future::Future;
use std::time::{Duration, Instant};

use pm_client::{Client, ClientError};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::config::{Endpoint, Endpoints};
use crate::out::{Document, Out, say};

pub(crate) use exit::{Exit, Stop, Tally};
pub(crate) use order::Order;
pub(crate) use patience::Patience;
pub(crate) use tasks::{Source, Tasks, fits, original_row, tasks};

/// What one endpoint said.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) endpoint: Endpoint,
    pub(crate) result: Result<T, ClientError>,
    pub(crate) took: Duration,
}

/// Asks every endpoint at once, each with its own time limit; the answers come in the order of the endpoints.
pub(crate) async fn all<T, F, Asked>(endpoints: Endpoints, ask: F) -> Vec<Answer<T>>
where
    T: Send + 'static,
    F: Fn(Client) -> Asked,
    Asked: Future<Output = Result<T, ClientError>> + Send + 'static,
{
    let patience = Patience::new(endpoints.list().iter().map(|endpoint| endpoint.name.clone()));
    let mut asked = JoinSet::new();
    for (at, endpoint) in endpoints.into_iter().enumerate() {
        let asking = ask(endpoint.client.clone());
        asked.spawn(async move {
            let begun = Instant::now();
            let result = asking.await;
            (at, Answer { endpoint, result, took: begun.elapsed() })
        });
    }
    let mut answers = Vec::with_capacity(asked.len());
    while let Some(answer) = patience.until(asked.join_next()).await {
        let (at, answer) = answer.expect("asking does not panic, and nobody aborts it");
        patience.answered(&answer.endpoint.name);
        answers.push((at, answer));
    }
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Prints what programs get: `items` of each good answer, and `about` each endpoint.
pub(crate) fn document<T>(
    answers: &[Answer<T>],
    items: impl Fn(&T) -> Vec<Value>,
    about: impl Fn(&T) -> Value,
) -> Document {
    let mut document = Document::default();
    for Answer { endpoint, result, .. } in answers {
        let name = Value::from(endpoint.name.as_str());
        let mut entry = Map::from_iter([("endpoint".to_owned(), name.clone())]);
        match result {
            Ok(good) => {
                entry.insert("ok".to_owned(), true.into());
                if let Value::Object(about) = about(good) {
                    entry.extend(about);
                }
                document.items.extend(items(good).into_iter().map(|item| with_endpoint(name.clone(), item)));
            }
            Err(error) => {
                entry.insert("ok".to_owned(), false.into());
                entry.insert("error".to_owned(), fault::json(error));
            }
        }
        document.endpoints.push(entry.into());
    }
    document
}

/// The item with the endpoint before its own members.
pub(crate) fn with_endpoint(endpoint: Value, item: Value) -> Value {
    let mut all = Map::from_iter([("endpoint".to_owned(), endpoint)]);
    match item {
        Value::Object(item) => all.extend(item),
        other => drop(all.insert("value".to_owned(), other)),
    }
    all.into()
}

/// Shows the answers: for people by `table`, for programs by `document`.
pub(crate) fn show(
    out: Out,
    document: impl FnOnce() -> Document,
    table: impl FnOnce() -> Result<(), Stop>,
) -> Result<(), Stop> {
    if out.is_for_people() { table() } else { Ok(document().print(out.format)?) }
}

/// Says what failed, where, and what to do next.
pub(crate) fn say_errors<T>(answers: &[Answer<T>]) {
    for answer in answers {
        if let Err(error) = &answer.result {
            say(&fault::sentence(&answer.endpoint.name, error));
        }
    }
}

/// The same when one task is meant: an endpoint that does not know it is only worth a word if no other knows it.
pub(crate) fn say_errors_about_a_task<T>(answers: &[Answer<T>]) {
    let found = answers.iter().any(|answer| answer.result.is_ok());
    for answer in answers {
        match &answer.result {
            Err(ClientError::NotFound { .. }) if found => {}
            Err(error) => say(&fault::sentence(&answer.endpoint.name, error)),
            Ok(_) => {}
        }
    }
}

/// About an endpoint that told its time.
pub(crate) fn at(server_time: pm_wire::Timestamp) -> Value {
    json!({ "serverTime": server_time })
}
