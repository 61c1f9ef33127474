//! Parses the arguments into the selected tasks and the reason.
//!
//! The first word determines the form: `12 too slow` is one task and a reason, `kind=import minAge=5m too slow` are
//! filters and a reason. A possibly misspelt filter is never taken as part of the reason, which would cancel more tasks
//! than intended.

use pm_client::{Client, ClientError, Outcome};
use pm_wire::filter::Filter;

use crate::exit::Stop;
use crate::fleet::{self, Source, Tasks};
use crate::query::Selection;
use crate::verbs::{TaskName, find};

/// The tasks to cancel.
#[derive(Clone, Debug)]
pub(super) enum Selector {
    One(TaskName),
    Matching(Selection),
}

/// Parses the arguments into the tasks and the reason.
pub(super) fn parse(words: &[String], reason: &[String]) -> Result<(Selector, String), Stop> {
    let Some(first) = words.first() else { return Err(Stop::Usage("no task is given".to_owned())) };
    let (selector, rest) = match first.split_once('=') {
        None => (Selector::One(TaskName::new(first)), 1),
        Some(_) if first.starts_with("id:") => (Selector::One(TaskName::new(first)), 1),
        Some(_) => {
            let mut selection = Selection::parse(&[], false)?;
            let mut parsed = 0;
            for word in words.iter().take_while(|word| word.contains('=')) {
                selection.add_filter(word).map_err(|stop| with_hint(stop, word, parsed))?;
                parsed += 1;
            }
            if selection.filter.lets_all_pass() {
                let why = "this filter matches every task; narrow it, or name tasks by serial=1,2,3";
                return Err(Stop::Usage(why.to_owned()));
            }
            (Selector::Matching(selection), parsed)
        }
    };
    let all: Vec<&str> = words[rest..].iter().chain(reason).map(String::as_str).collect();
    Ok((selector, all.join(" ")))
}

/// Adds what else the word may have meant.
fn with_hint(stop: Stop, word: &str, at: usize) -> Stop {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    match stop {
        Stop::Usage(why) if !Filter::is_name(name) && at == 0 => {
            Stop::Usage(format!("{why}; for a task with this id, write id:{word}"))
        }
        Stop::Usage(why) if !Filter::is_name(name) => {
            Stop::Usage(format!("{why}; if the reason begins here, put it after --"))
        }
        stop => stop,
    }
}

impl Selector {
    /// Fetches the selected running tasks, at most `max` + 1, and their total.
    pub(super) async fn fetch(self, client: &Client, max: u64) -> Result<Tasks, ClientError> {
        match self {
            Selector::Matching(mut selection) => {
                selection.limit = Some(max.saturating_add(1));
                fleet::tasks(client, &selection, Source::Live).await
            }
            Selector::One(target) => {
                let found = find(client, &target).await?;
                if found.row.has_ended() {
                    let outcome = found.row.outcome.as_ref().map_or("ended", Outcome::as_str);
                    let text = format!("it has already ended: {outcome}");
                    return Err(ClientError::NotFound { url: target.text().to_owned(), text });
                }
                Ok(Tasks {
                    rows: vec![found.row],
                    total: 1,
                    server_time: found.server_time,
                    is_original: found.is_original,
                    ..Tasks::default()
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<(Selector, String), String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        parse(&words, &[]).map_err(|stop| match stop {
            Stop::Usage(text) => text,
            Stop::Io(error) => error.to_string(),
        })
    }

    #[test]
    fn the_first_word_determines_the_form() {
        let (selector, reason) = words("req-2 too slow, x=y").unwrap();
        assert!(matches!(selector, Selector::One(target) if target.text() == "req-2"));
        assert_eq!(reason, "too slow, x=y");
        let (selector, reason) = words("kind=import minAge=5m too slow, x=y").unwrap();
        let Selector::Matching(selection) = selector else { panic!("{selector:?}") };
        assert_eq!(selection.filters().to_string(), "kind=import&minAge=5m");
        assert_eq!(reason, "too slow, x=y");
        assert!(matches!(words("id:a=b why").unwrap().0, Selector::One(target) if target.id() == "a=b"));
    }

    #[test]
    fn a_misspelt_filter_is_never_a_reason() {
        let error = words("kind=import mnAge=5m slow").unwrap_err();
        assert!(error.contains("did you mean `minAge`?") && error.contains("after --"), "{error}");
        let error = words("knd=import").unwrap_err();
        assert!(error.contains("did you mean `kind`?") && error.contains("id:knd=import"), "{error}");
    }

    #[test]
    fn a_filter_that_matches_all_tasks_is_refused() {
        for text in ["id=*", "kind=* id=a,* why"] {
            assert!(words(text).unwrap_err().contains("matches every task"), "{text}");
        }
    }
}
