//! The selection of tasks: the parameters of `/v1` as arguments, `kind=import minAge=5s sort=-age limit=50`.
//!
//! Errors are found before any endpoint is queried, and worded as a server would word them.

mod order;

use pm_client::Query;
use pm_wire::filter::Filter;
use pm_wire::v1::{GroupBy, GroupByError};

use crate::exit::Stop;

pub(crate) use order::Order;

/// Which tasks, in which order, and how many.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) filter: Filter,
    pub(crate) order: Order,
    /// The most tasks; `None` for all.
    pub(crate) limit: Option<u64>,
    /// Set if an argument gave the limit.
    pub(crate) limit_is_given: bool,
    /// Counts tasks by kind, state, status, outcome or an attribute instead of listing them.
    pub(crate) group_by: Option<GroupBy>,
    /// Fetches only the fields that names and orders need.
    pub(crate) names_only: bool,
    parameters: Vec<(String, String)>,
    sort: String,
}

/// The fields that names and orders need.
const NAME_FIELDS: &[&str] = &["id", "kind", "state", "startedAt", "ageMs", "statusAgeMs", "status", "endedAt"];

impl Selection {
    /// Parses arguments. By default the oldest running and the newest ended tasks come first.
    pub(crate) fn parse(words: &[String], of_ended: bool) -> Result<Selection, Stop> {
        let default = if of_ended { "-endedAt" } else { "-age" };
        let mut selection = Selection {
            filter: Filter::default(),
            order: Order::parse(default, of_ended).expect("it is a valid order"),
            limit: None,
            limit_is_given: false,
            group_by: None,
            names_only: false,
            parameters: Vec::new(),
            sort: default.to_owned(),
        };
        for word in words {
            match word.split_once('=') {
                Some(("sort", keys)) => {
                    selection.order = Order::parse(keys, of_ended).map_err(Stop::Usage)?;
                    keys.clone_into(&mut selection.sort);
                }
                Some(("limit", number)) => {
                    selection.limit = parse_limit(number)?;
                    selection.limit_is_given = true;
                }
                Some(("groupBy", key)) => {
                    let key = key.parse().map_err(|error: GroupByError| Stop::Usage(error.to_string()))?;
                    selection.group_by = Some(key);
                }
                _ => selection.add_filter(word)?,
            }
        }
        Ok(selection)
    }

    /// Narrows the selection by one condition, `name=value`.
    pub(crate) fn add_filter(&mut self, word: &str) -> Result<(), Stop> {
        let Some((name, value)) = word.split_once('=') else {
            // The error shows how a condition is written.
            let why = Filter::parse(word).err().map_or_else(|| format!("{word:?} is empty"), |why| why.to_string());
            return Err(Stop::Usage(why));
        };
        let known = ["sort", "limit", "groupBy"];
        if known.contains(&name) {
            return Err(Stop::Usage(format!("`{name}` does not select tasks; it is for pm ls and pm ended")));
        }
        self.filter.add(name, value).map_err(|error| match pm_wire::nearest(name, known) {
            Some(near) if !Filter::is_name(name) => {
                Stop::Usage(format!("unknown name `{name}`; did you mean `{near}`?"))
            }
            _ => Stop::Usage(format!("{word:?}: {error}")),
        })?;
        self.parameters.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// The whole query, without a limit.
    pub(crate) fn query(&self) -> Query {
        self.unsorted().sort(&self.sort)
    }

    /// The query without an order, for streams.
    pub(crate) fn unsorted(&self) -> Query {
        if self.names_only { self.filters().fields(NAME_FIELDS) } else { self.filters() }
    }

    /// Rejects `sort`, `limit` and `groupBy`, with the reason.
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

fn parse_limit(text: &str) -> Result<Option<u64>, Stop> {
    match text {
        "all" => Ok(None),
        digits => match digits.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Stop::Usage(format!("limit={text}: write a number or `all`"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Selection, String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Selection::parse(&words, false).map_err(|stop| match stop {
            Stop::Usage(text) => text,
            Stop::Io(error) => error.to_string(),
        })
    }

    #[test]
    fn words_are_conditions_an_order_and_a_limit() {
        let selection =
            parse(&["kind=import,export", "status=waiting for *", "sort=-statusAge,id", "limit=5"]).unwrap();
        assert_eq!(selection.limit, Some(5));
        assert_eq!(
            selection.query().to_string(),
            "kind=import%2Cexport&status=waiting%20for%20%2A&sort=-statusAge%2Cid"
        );
        assert_eq!(parse(&["limit=all"]).unwrap().limit, None);
        // Both must match, so both are sent.
        assert_eq!(parse(&["id=a*", "id=*"]).unwrap().filters().to_string(), "id=a%2A&id=%2A");
    }

    #[test]
    fn errors_are_worded_as_by_the_server() {
        for (word, expected) in [
            ("knd=x", "\"knd=x\": unknown name `knd`; did you mean `kind`?"),
            ("limt=5", "unknown name `limt`; did you mean `limit`?"),
            ("req-2", "`req-2` is not a condition at 1; write it as name=value"),
            ("state=runing", "\"state=runing\": unknown state `runing` at 1; did you mean `running`?"),
            ("minAge=soon", "\"minAge=soon\": `soon` is not a duration at 1; write it as 500ms"),
            ("sort=size", "`size` is not a key to sort by; sort by age"),
            ("groupBy=size", "groupBy is kind, state"),
            ("limit=-1", "limit=-1: write a number"),
            ("", "\"\" is empty"),
        ] {
            let error = parse(&[word]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
