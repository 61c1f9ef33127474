//! Documents and messages from the answers of all endpoints.

use pm_client::ClientError;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::error;
use crate::exit::Stop;
use crate::out::{Document, Out, format, say};

/// The document of all answers: the `items` of each successful one, and facts `about` each endpoint.
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
                entry.insert("error".to_owned(), error::json(error));
            }
        }
        document.endpoints.push(entry.into());
    }
    document
}

/// Adds the endpoint before the item's own members.
pub(crate) fn with_endpoint(endpoint: Value, item: Value) -> Value {
    let mut all = Map::from_iter([("endpoint".to_owned(), endpoint)]);
    match item {
        Value::Object(item) => all.extend(item),
        other => drop(all.insert("value".to_owned(), other)),
    }
    all.into()
}

/// Prints the answers as a table or as a document.
pub(crate) fn show(
    out: Out,
    document: impl FnOnce() -> Document,
    table: impl FnOnce() -> Result<(), Stop>,
) -> Result<(), Stop> {
    if out.is_table() { table() } else { Ok(document().print(out.format)?) }
}

/// Prints the error of each failed endpoint.
pub(crate) fn say_errors<T>(answers: &[Answer<T>]) {
    for answer in answers {
        if let Err(error) = &answer.result {
            say(&error::message(&answer.endpoint.name, error));
        }
    }
}

/// Prints errors of a query for one task: that an endpoint lacks it matters only if all do.
pub(crate) fn say_errors_about_a_task<T>(answers: &[Answer<T>]) {
    let found = answers.iter().any(|answer| answer.result.is_ok());
    for answer in answers {
        match &answer.result {
            Err(ClientError::NotFound { .. }) if found => {}
            Err(error) => say(&error::message(&answer.endpoint.name, error)),
            Ok(_) => {}
        }
    }
}

/// Says that a list was full when tasks were started, which it therefore does not show.
pub(crate) fn say_not_shown(endpoint: &str, tasks: u64) {
    if tasks > 0 {
        let tasks = format::count(tasks, "task that was started then is", "tasks that were started then are");
        say(&format!("{endpoint}: its list is full, or was: {tasks} not shown"));
    }
}

/// The facts about an endpoint of which only the time is known.
pub(crate) fn at(server_time: pm_wire::Timestamp) -> Value {
    json!({ "serverTime": server_time })
}
