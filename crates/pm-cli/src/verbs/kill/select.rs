//! Parses the arguments into the selected tasks and the reason.
//!
//! Either every word names a task, or every word is a condition; the reason follows `-m` or `--`. No word is ever taken
//! as a part of the reason, and no reason of one word may look like a condition, as a condition that is lost makes a
//! kill reach more tasks than were meant. All of it is checked before any endpoint is queried.

use std::sync::Arc;

use pm_client::{Client, ClientError, Outcome};
use pm_wire::filter::Filter;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::exit::Stop;
use crate::fleet::{self, Source, Tasks};
use crate::query::Selection;
use crate::verbs::{TaskName, find};

/// Concurrent queries of one endpoint for named tasks.
const CONCURRENT: usize = 16;

/// The tasks to cancel.
#[derive(Clone, Debug)]
pub(super) enum Selector {
    Named(Vec<TaskName>),
    Matching(Selection),
}

/// The selected running tasks of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) tasks: Tasks,
    /// The names without a running task.
    pub(super) absent: Vec<Absent>,
}

/// A name without a running task.
#[derive(Debug)]
pub(super) struct Absent {
    /// The index of the name.
    pub(super) at: usize,
    /// The outcome, if the task has ended and is still known.
    pub(super) ended: Option<String>,
    pub(super) error: ClientError,
}

/// Parses the words, the argument of `-m`, and the words after `--`.
pub(super) fn parse(words: &[String], reason: Option<&str>, rest: &[String]) -> Result<(Selector, String), Stop> {
    let reason = parse_reason(reason, rest)?;
    let Some(first) = words.first() else { return Err(Stop::Usage("no task is given".to_owned())) };
    let selector = match is_condition(first) {
        true => Selector::Matching(conditions(words, &reason)?),
        false => Selector::Named(names(words, &reason)?),
    };
    Ok((selector, reason))
}

fn parse_reason(reason: Option<&str>, rest: &[String]) -> Result<String, Stop> {
    match (reason, rest) {
        (None, rest) => Ok(rest.join(" ")),
        (Some(reason), []) if is_known_condition(reason) => Err(Stop::Usage(format!(
            "-m {reason}: this looks like a condition, and would be the reason; if it is meant as the reason, write it \
             after --"
        ))),
        (Some(reason), []) => Ok(reason.trim().to_owned()),
        (Some(_), _) => Err(Stop::Usage("the reason is given twice, by -m and after --".to_owned())),
    }
}

/// Returns whether the word is written as a condition, possibly with a misspelt name.
fn is_condition(word: &str) -> bool {
    word.contains('=') && !word.starts_with("id:") && !word.starts_with("serial:")
}

/// Returns whether the word has the name of a condition.
fn is_known_condition(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| Filter::is_name(name) || matches!(name, "sort" | "limit" | "groupBy"))
}

fn conditions(words: &[String], reason: &str) -> Result<Selection, Stop> {
    let (conditions, others): (Vec<&str>, Vec<&str>) = words.iter().map(String::as_str).partition(|w| is_condition(w));
    let mut selection = Selection::parse(&[], false)?;
    for (at, word) in conditions.iter().enumerate() {
        selection.add_filter(word).map_err(|stop| with_hint(stop, word, at))?;
    }
    if let Some(word) = others.first() {
        return Err(Stop::Usage(format!(
            "`{word}` is not a condition, and tasks cannot be named beside conditions; for a reason, write: {}",
            line(&conditions, reason, &others)
        )));
    }
    if selection.filter.lets_all_pass() {
        let why = "this filter matches every task; narrow it, or name tasks";
        return Err(Stop::Usage(why.to_owned()));
    }
    Ok(selection)
}

fn names(words: &[String], reason: &str) -> Result<Vec<TaskName>, Stop> {
    if let Some(word) = words.iter().find(|word| is_condition(word)) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let what = match is_known_condition(word) {
            true => format!("`{word}` is a condition, and cannot stand beside the task `{}`", words[0]),
            false => format!("`{word}` is not a task; if it is an id, write id:{word}"),
        };
        return Err(Stop::Usage(format!("{what}; for a reason, write: {}", line(&words[..1], reason, &words[1..]))));
    }
    Ok(words.iter().map(|word| TaskName::new(word)).collect())
}

/// Adds what else the word may have meant.
fn with_hint(stop: Stop, word: &str, at: usize) -> Stop {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    match stop {
        Stop::Usage(why) if !Filter::is_name(name) && at == 0 => {
            Stop::Usage(format!("{why}; for a task with this id, write id:{word}"))
        }
        Stop::Usage(why) if !Filter::is_name(name) => {
            Stop::Usage(format!("{why}; if it belongs to the reason, put the whole reason after -m"))
        }
        stop => stop,
    }
}

/// The command line with these words as the tasks, and the others as a part of the reason.
pub(super) fn line(words: &[&str], reason: &str, others: &[&str]) -> String {
    let reason: Vec<&str> =
        Some(reason).filter(|reason| !reason.is_empty()).into_iter().chain(others.to_vec()).collect();
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("pm kill {} -m '{}'", words.join(" "), reason.join(" ").replace('\'', r"'\''"))
}

/// Quotes the word for a shell, where it needs that.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,%+".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

impl Selector {
    /// Fetches the selected running tasks, at most `max` + 1 of those that match conditions, and their total.
    pub(super) async fn fetch(self, client: &Client, max: u64) -> Result<Selected, ClientError> {
        match self {
            Selector::Matching(mut selection) => {
                selection.limit = Some(max.saturating_add(1));
                let tasks = fleet::tasks(client, &selection, Source::Live).await?;
                Ok(Selected { tasks, absent: Vec::new() })
            }
            Selector::Named(names) => named(client, names).await,
        }
    }
}

async fn named(client: &Client, names: Vec<TaskName>) -> Result<Selected, ClientError> {
    let permits = Arc::new(Semaphore::new(CONCURRENT));
    let mut queries = JoinSet::new();
    for (at, name) in names.into_iter().enumerate() {
        let (client, permits) = (client.clone(), Arc::clone(&permits));
        queries.spawn(async move {
            let _permit = permits.acquire_owned().await;
            (at, find(&client, &name).await, name)
        });
    }
    let mut answers = queries.join_all().await;
    answers.sort_by_key(|(at, ..)| *at);
    let mut selected = Selected::default();
    let rows = &mut selected.tasks.rows;
    for (at, answer, name) in answers {
        match answer {
            Ok(found) if found.row.has_ended() => {
                let outcome = found.row.outcome.as_ref().map_or("ended", Outcome::as_str).to_owned();
                let text = format!("it has already ended: {outcome}");
                let error = ClientError::NotFound { url: name.text().to_owned(), text };
                selected.absent.push(Absent { at, ended: Some(outcome), error });
            }
            Ok(found) => {
                (selected.tasks.server_time, selected.tasks.is_original) = (found.server_time, found.is_original);
                // One task may be named by its serial and by its id.
                if !rows.iter().any(|row| (row.serial, &row.id) == (found.row.serial, &found.row.id)) {
                    rows.push(found.row);
                }
            }
            Err(error @ ClientError::NotFound { .. }) => selected.absent.push(Absent { at, ended: None, error }),
            Err(error) => return Err(error),
        }
    }
    selected.tasks.total = rows.len() as u64;
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, reason: Option<&str>, rest: &str) -> Result<(Selector, String), String> {
        let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        parse(&words(text), reason, &words(rest)).map_err(|stop| match stop {
            Stop::Usage(text) => text,
            Stop::Io(error) => error.to_string(),
        })
    }

    fn error(text: &str) -> String {
        parsed(text, None, "").unwrap_err()
    }

    #[test]
    fn words_are_tasks_or_conditions_and_the_reason_stands_apart() {
        let (Selector::Named(names), reason) = parsed("req-2 42 id:a=b", Some("too slow, x=y"), "").unwrap() else {
            panic!()
        };
        assert_eq!(names.iter().map(TaskName::text).collect::<Vec<_>>(), ["req-2", "42", "id:a=b"]);
        assert_eq!(reason, "too slow, x=y");
        let (Selector::Matching(selection), reason) = parsed("kind=import minAge=5m", None, "stuck kind=x").unwrap()
        else {
            panic!()
        };
        assert_eq!(selection.filters().to_string(), "kind=import&minAge=5m");
        assert_eq!(reason, "stuck kind=x");
        assert!(parsed("a", Some("b"), "c").unwrap_err().contains("given twice"));
    }

    #[test]
    fn a_word_beside_conditions_is_refused_with_the_line_that_was_meant() {
        for (words, line) in [
            ("kind=import stuck attr.tenant=acme", "pm kill kind=import attr.tenant=acme -m 'stuck'"),
            ("kind=import too slow", "pm kill kind=import -m 'too slow'"),
            ("status=a* don't minAge=5s care", "pm kill 'status=a*' minAge=5s -m 'don'\\''t care'"),
        ] {
            let error = error(words);
            assert!(error.contains("is not a condition") && error.ends_with(line), "{error}");
        }
        // The rest of a reason without quotes.
        let error = parsed("kind=import slow", Some("too"), "").unwrap_err();
        assert!(error.ends_with("pm kill kind=import -m 'too slow'"), "{error}");
    }

    #[test]
    fn a_condition_beside_tasks_is_refused() {
        let error_of = error("req-2 too slow kind=import");
        assert!(error_of.contains("`kind=import` is a condition"), "{error_of}");
        assert!(error_of.ends_with("pm kill req-2 -m 'too slow kind=import'"), "{error_of}");
        let error = error("req-2 x=y");
        assert!(error.contains("id:x=y") && error.ends_with("pm kill req-2 -m 'x=y'"), "{error}");
    }

    #[test]
    fn a_reason_that_looks_like_a_condition_is_refused_unless_it_stands_after_two_dashes() {
        for reason in ["attr.tenant=acme", "minAge=5m", "limit=1"] {
            let error = parsed("kind=import", Some(reason), "").unwrap_err();
            assert!(error.contains("looks like a condition") && error.contains("after --"), "{error}");
            assert_eq!(parsed("kind=import", None, reason).unwrap().1, reason);
        }
        assert_eq!(parsed("kind=import", Some("incident=4711"), "").unwrap().1, "incident=4711");
    }

    #[test]
    fn a_misspelt_condition_is_an_error_wherever_it_stands() {
        for words in ["kind=import mnAge=5m", "kind=import slow mnAge=5m"] {
            let error = error(words);
            assert!(error.contains("did you mean `minAge`?") && error.contains("after -m"), "{error}");
        }
        let error = error("knd=import");
        assert!(error.contains("did you mean `kind`?") && error.contains("id:knd=import"), "{error}");
    }

    #[test]
    fn a_filter_that_matches_all_tasks_is_refused() {
        for text in ["id=*", "kind=* id=a,*"] {
            assert!(error(text).contains("matches every task"), "{text}");
        }
    }
}
