//! From words to the tasks that are meant, and the reason.
//!
//! The first word says how the rest is read: `12 too slow` is one task and a reason, `kind=import minAge=5m too slow` are
//! filters and a reason. What might be a misspelt filter is never taken for a part of the reason: that would stop more
//! than was meant.

use pm_client::{Client, ClientError};
use pm_wire::filter::Filter;

use crate::fleet::{self, Source, Stop, Tasks};
use crate::query::Wanted;
use crate::verbs::{Target, find};

/// Which tasks.
#[derive(Clone, Debug)]
pub(super) enum Aim {
    One(Target),
    All(Wanted),
}

/// Which tasks are meant, and why.
pub(super) fn read(words: &[String], reason: &[String]) -> Result<(Aim, String), Stop> {
    let Some(first) = words.first() else { return Err(Stop::Usage("no task is named".to_owned())) };
    let (aim, rest) = match first.split_once('=') {
        None => (Aim::One(Target::new(first)), 1),
        Some(_) if first.starts_with("id:") => (Aim::One(Target::new(first)), 1),
        Some(_) => {
            let mut wanted = Wanted::read(&[], false)?;
            let mut read = 0;
            for word in words.iter().take_while(|word| word.contains('=')) {
                wanted.filter(word).map_err(|stop| hinted(stop, word, read))?;
                read += 1;
            }
            if wanted.filter.lets_all_pass() {
                let why = "this filter fits every task; say which, or name them by serial=1,2,3";
                return Err(Stop::Usage(why.to_owned()));
            }
            (Aim::All(wanted), read)
        }
    };
    let all: Vec<&str> = words[rest..].iter().chain(reason).map(String::as_str).collect();
    Ok((aim, all.join(" ")))
}

/// What else the word may have been.
fn hinted(stop: Stop, word: &str, at: usize) -> Stop {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    match stop {
        Stop::Usage(why) if !Filter::is_name(name) && at == 0 => {
            Stop::Usage(format!("{why}; a task with this id is written id:{word}"))
        }
        Stop::Usage(why) if !Filter::is_name(name) => {
            Stop::Usage(format!("{why}; if the reason begins here, write it behind --"))
        }
        stop => stop,
    }
}

impl Aim {
    /// The tasks that run and are meant, one more than `max` at most, and how many there are.
    pub(super) async fn victims(self, client: &Client, max: u64) -> Result<Tasks, ClientError> {
        match self {
            Aim::All(mut wanted) => {
                wanted.limit = Some(max.saturating_add(1));
                fleet::tasks(client, &wanted, Source::Live).await
            }
            Aim::One(target) => {
                let found = find(client, &target).await?;
                if found.row.state == "ended" {
                    let outcome = found.row.outcome.as_deref().unwrap_or("ended");
                    let text = format!("it has ended already: {outcome}");
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

    fn words(text: &str) -> Result<(Aim, String), String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        read(&words, &[]).map_err(|stop| match stop {
            Stop::Usage(text) => text,
            Stop::Io(error) => error.to_string(),
        })
    }

    #[test]
    fn the_first_word_says_how_the_rest_is_read() {
        let (aim, reason) = words("req-2 too slow, x=y").unwrap();
        assert!(matches!(aim, Aim::One(target) if target.text() == "req-2"));
        assert_eq!(reason, "too slow, x=y");
        let (aim, reason) = words("kind=import minAge=5m too slow, x=y").unwrap();
        assert!(matches!(aim, Aim::All(wanted) if wanted.filters().to_string() == "kind=import&minAge=5m"));
        assert_eq!(reason, "too slow, x=y");
        assert!(matches!(words("id:a=b why").unwrap().0, Aim::One(target) if target.id() == "a=b"));
    }

    #[test]
    fn a_misspelt_filter_is_never_a_reason() {
        let error = words("kind=import mnAge=5m slow").unwrap_err();
        assert!(error.contains("did you mean `minAge`?") && error.contains("behind --"), "{error}");
        let error = words("knd=import").unwrap_err();
        assert!(error.contains("did you mean `kind`?") && error.contains("id:knd=import"), "{error}");
    }

    #[test]
    fn what_fits_all_is_refused() {
        for text in ["id=*", "kind=* id=a,* why"] {
            assert!(words(text).unwrap_err().contains("fits every task"), "{text}");
        }
    }
}
