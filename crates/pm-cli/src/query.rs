//! Which tasks, and in which order: the words of `/v1` as arguments, `kind=import minAge=5s sort=-age limit=50`.
//!
//! What is wrong is told before anybody is asked, in the words in which a server would tell it.

use pm_client::Query;
use pm_wire::filter::Filter;

use crate::fleet::{Order, Stop};

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) filter: Filter,
    pub(crate) order: Order,
    /// How many at most; `None` for all.
    pub(crate) limit: Option<u64>,
    /// How many were asked for in words.
    pub(crate) limit_is_given: bool,
    /// Only how many there are of each kind, state, status, outcome or value of an attribute.
    pub(crate) group_by: Option<String>,
    /// Only what a name and an order take, and not all that is known of each task.
    pub(crate) names_only: bool,
    parameters: Vec<(String, String)>,
    sort: String,
}

/// What the names and the orders of tasks take.
const NAME_FIELDS: &[&str] = &["id", "kind", "state", "startedAt", "ageMs", "statusAgeMs", "status", "endedAt"];

impl Wanted {
    /// Reads the words. Of ended tasks, the newest come first, of those that run the oldest.
    pub(crate) fn read(words: &[String], of_ended: bool) -> Result<Wanted, Stop> {
        let usual = if of_ended { "-endedAt" } else { "-age" };
        let mut wanted = Wanted {
            filter: Filter::default(),
            order: Order::parse(usual, of_ended).expect("it is one of the orders"),
            limit: None,
            limit_is_given: false,
            group_by: None,
            names_only: false,
            parameters: Vec::new(),
            sort: usual.to_owned(),
        };
        for word in words {
            match word.split_once('=') {
                Some(("sort", keys)) => {
                    wanted.order = Order::parse(keys, of_ended).map_err(Stop::Usage)?;
                    keys.clone_into(&mut wanted.sort);
                }
                Some(("limit", number)) => {
                    wanted.limit = read_limit(number)?;
                    wanted.limit_is_given = true;
                }
                Some(("groupBy", what)) => wanted.group_by = Some(read_group(what)?),
                _ => wanted.filter(word)?,
            }
        }
        Ok(wanted)
    }

    /// Only the tasks that this word fits, too.
    pub(crate) fn filter(&mut self, word: &str) -> Result<(), Stop> {
        let Some((name, value)) = word.split_once('=') else {
            // Says how a condition is written.
            let why = Filter::parse(word).err().map_or_else(|| format!("{word:?} says nothing"), |why| why.to_string());
            return Err(Stop::Usage(why));
        };
        let known = ["sort", "limit", "groupBy"];
        self.filter.add(name, value).map_err(|error| match pm_wire::nearest(name, known) {
            Some(near) if !Filter::is_name(name) => {
                Stop::Usage(format!("unknown name `{name}`; did you mean `{near}`?"))
            }
            _ => Stop::Usage(format!("{word:?}: {error}")),
        })?;
        self.parameters.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// The same as a query, without a limit.
    pub(crate) fn query(&self) -> Query {
        self.unsorted().sort(&self.sort)
    }

    /// The same without an order, for streams.
    pub(crate) fn unsorted(&self) -> Query {
        if self.names_only { self.filters().fields(NAME_FIELDS) } else { self.filters() }
    }

    /// Refuses words that say how a list is written, where there is none.
    pub(crate) fn only_filters(words: &[String], why: &str) -> Result<(), Stop> {
        let is_other = |word: &&String| ["sort=", "limit=", "groupBy="].iter().any(|name| word.starts_with(name));
        match words.iter().find(is_other) {
            Some(word) => Err(Stop::Usage(format!("{word}: {why}"))),
            None => Ok(()),
        }
    }

    /// The filters alone.
    pub(crate) fn filters(&self) -> Query {
        self.parameters.iter().fold(Query::new(), |query, (name, value)| query.also(name, value))
    }
}

fn read_group(text: &str) -> Result<String, Stop> {
    let is_attr = text.strip_prefix("attr.").is_some_and(|name| !name.is_empty());
    match is_attr || matches!(text, "kind" | "state" | "status" | "outcome") {
        true => Ok(text.to_owned()),
        false => Err(Stop::Usage("groupBy is kind, state, status, outcome or attr.NAME".to_owned())),
    }
}

fn read_limit(text: &str) -> Result<Option<u64>, Stop> {
    match text {
        "all" => Ok(None),
        digits => match digits.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Stop::Usage(format!("limit={text}: it is a number, or `all`"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Wanted, String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Wanted::read(&words, false).map_err(|stop| match stop {
            Stop::Usage(text) => text,
            Stop::Io(error) => error.to_string(),
        })
    }

    #[test]
    fn words_are_conditions_an_order_and_a_limit() {
        let wanted = read(&["kind=import,export", "status=waiting for *", "sort=-statusAge,id", "limit=5"]).unwrap();
        assert_eq!(wanted.limit, Some(5));
        assert_eq!(wanted.query().to_string(), "kind=import%2Cexport&status=waiting%20for%20%2A&sort=-statusAge%2Cid");
        assert_eq!(read(&["limit=all"]).unwrap().limit, None);
        // Both must hold, so both are sent.
        assert_eq!(read(&["id=a*", "id=*"]).unwrap().filters().to_string(), "id=a%2A&id=%2A");
    }

    #[test]
    fn what_is_wrong_is_told_as_the_server_would() {
        for (word, expected) in [
            ("knd=x", "\"knd=x\": unknown name `knd`; did you mean `kind`?"),
            ("limt=5", "unknown name `limt`; did you mean `limit`?"),
            ("req-2", "`req-2` is not a condition at 1; write it as name=value"),
            ("state=runing", "\"state=runing\": unknown state `runing` at 1; did you mean `running`?"),
            ("minAge=soon", "\"minAge=soon\": `soon` is not a duration at 1; write it as 500ms"),
            ("sort=size", "`size` is nothing to sort by; there are age"),
            ("groupBy=size", "groupBy is kind, state"),
            ("limit=-1", "limit=-1: it is a number"),
            ("", "\"\" says nothing"),
        ] {
            let error = read(&[word]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
