//! Completion of filters: names of the grammar, and values of current tasks.

use std::collections::BTreeMap;

use pm_wire::attr_text;
use pm_wire::filter::Filter;

use crate::feed::{Store, Task};
use crate::out::format;

/// The most completions offered.
const MAX_OFFERS: usize = 8;
/// The most tasks searched for values; few enough to do so at every key.
const MAX_TASKS: usize = 20_000;

/// A completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The text that replaces the last word.
    pub(crate) word: String,
    /// The number of tasks with this value, or a description of the name.
    pub(crate) note: String,
}

/// Completions of the last word of `text`, most likely first, and the length of that word in characters.
pub(crate) fn offers(text: &str, store: &Store) -> (Vec<Offer>, usize) {
    let word = last_word(text);
    let length = word.chars().count();
    let mut offers = match word.split_once('=') {
        None => names(word, store),
        Some((name, value)) => values(name, value, store),
    };
    offers.retain(|offer| offer.word != word);
    offers.truncate(MAX_OFFERS);
    (offers, length)
}

/// The last word; white space within quotes does not end it.
fn last_word(text: &str) -> &str {
    let (mut from, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => from = at + c.len_utf8(),
            _ => {}
        }
    }
    &text[from..]
}

fn names(word: &str, store: &Store) -> Vec<Offer> {
    let about = |name: &str| match name {
        "state" => "running, cancelling",
        "minAge" | "maxAge" => "a duration, as 5s or 2m",
        "minStatusAge" | "maxStatusAge" => "time in its status, as 5s",
        "attr." => "an attribute",
        "parent" | "serial" => "a serial",
        _ => "",
    };
    let mut offers: Vec<Offer> = Filter::names()
        .iter()
        .filter(|name| name.to_lowercase().starts_with(&word.to_lowercase()) && **name != "outcome")
        .map(|name| Offer {
            word: if name.ends_with('.') { (*name).to_owned() } else { format!("{name}=") },
            note: about(name).to_owned(),
        })
        .collect();
    if let Some(name) = word.strip_prefix("attr.") {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, task) in store.iter().take(MAX_TASKS) {
            for attr in task.row.attrs.keys().filter(|attr| attr.starts_with(name)) {
                *seen.entry(attr).or_default() += 1;
            }
        }
        offers.extend(
            ranked(seen).map(|(name, count)| Offer { word: format!("attr.{}=", quoted(name)), note: tasks(count) }),
        );
    }
    // A word that is not a name is taken as a value to search for.
    if offers.is_empty() && !word.is_empty() && !word.starts_with('"') {
        for name in ["id", "kind", "status"] {
            let count = counted(name, word, store).values().sum::<usize>();
            offers.push(Offer { word: format!("{name}={}*", quoted(word)), note: tasks(count) });
        }
        offers.sort_by_key(|offer| offer.note == tasks(0));
    }
    offers
}

fn values(name: &str, value: &str, store: &Store) -> Vec<Offer> {
    let (before, value) = match value.rsplit_once(',') {
        Some((before, value)) if !value.contains('"') && !before.contains('"') => (format!("{before},"), value),
        _ => (String::new(), value),
    };
    if name == "state" {
        return ["running", "cancelling"]
            .into_iter()
            .filter(|state| state.starts_with(value))
            .map(|state| Offer { word: format!("state={before}{state}"), note: String::new() })
            .collect();
    }
    let start = value.trim_matches('"').trim_end_matches('*');
    ranked(counted(name, start, store))
        .map(|(value, count)| Offer {
            word: format!("{name}={before}{}", quoted(&pm_client::Query::literal(&value))),
            note: tasks(count),
        })
        .collect()
}

/// The values of this name with this prefix, and the number of tasks with each.
fn counted<'s>(name: &str, start: &str, store: &'s Store) -> BTreeMap<std::borrow::Cow<'s, str>, usize> {
    let mut seen = BTreeMap::new();
    for (_, task) in store.iter().take(MAX_TASKS) {
        if let Some(value) = value(task, name)
            && value.starts_with(start)
        {
            *seen.entry(value).or_default() += 1;
        }
    }
    seen
}

fn value<'t>(task: &'t Task, name: &str) -> Option<std::borrow::Cow<'t, str>> {
    let row = &task.row;
    Some(match name {
        "id" => row.id.as_str().into(),
        "kind" => row.kind.as_deref()?.into(),
        "status" => row.status.as_str().into(),
        "serial" => row.serial?.to_string().into(),
        "parent" => row.parent?.to_string().into(),
        name => {
            let name = name.strip_prefix("attr.")?.trim_matches('"');
            attr_text(row.attrs.get(name)?)
        }
    })
}

/// The most frequent values first.
fn ranked<K: Ord>(seen: BTreeMap<K, usize>) -> impl Iterator<Item = (K, usize)> {
    let mut seen: Vec<(K, usize)> = seen.into_iter().collect();
    seen.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    seen.truncate(MAX_OFFERS);
    seen.into_iter()
}

fn quoted(text: &str) -> String {
    if text.contains(|c: char| c.is_whitespace() || c == '"') {
        format!("\"{}\"", text.replace('"', "\\\""))
    } else {
        text.to_owned()
    }
}

fn tasks(count: usize) -> String {
    format::count(count as u64, "task", "tasks")
}

#[cfg(test)]
mod tests {
    use super::super::model::{Column, List, Shape};
    use super::*;
    use crate::feed::Update;

    fn offered(text: &str) -> Vec<String> {
        let row = |serial: u64, kind: &str, status: &str| {
            let json = serde_json::json!({
                "serial": serial.to_string(), "id": format!("job-{serial}"), "kind": kind, "status": status,
                "attrs": { "host": "db1", "the shard": 7 },
            });
            serde_json::from_value(json).unwrap()
        };
        let rows = vec![row(1, "import", "waiting for lock"), row(2, "import", "reading"), row(3, "index", "a,b")];
        let mut store = Store::new(["a".to_owned()]);
        store.apply(0, 0.0, Update::Snapshot { rows, begins: true, ends: true });
        let (offers, length) = offers(text, &store);
        for offer in &offers {
            let rest: String = text.chars().take(text.chars().count() - length).collect();
            let whole = format!("{rest}{}", offer.word);
            assert!(whole.ends_with(['=', '.']) || Filter::parse(&whole).is_ok(), "{whole}");
        }
        offers.into_iter().map(|offer| offer.word).collect()
    }

    #[test]
    fn names_and_values_are_offered_and_every_offer_is_valid() {
        assert_eq!(offered("ki"), ["kind="]);
        assert_eq!(offered("kind="), ["kind=import", "kind=index"]);
        assert_eq!(offered("kind=index,im"), ["kind=index,import"]);
        assert_eq!(offered("state=c"), ["state=cancelling"]);
        assert_eq!(offered("kind=x status=wai"), ["status=\"waiting for lock\""]);
        assert_eq!(offered("status=\"waiting f"), ["status=\"waiting for lock\""]);
        assert_eq!(offered("status=a"), ["status=a\\,b"]);
        assert_eq!(offered("attr.ho"), ["attr.host="]);
        assert_eq!(offered("attr.t"), ["attr.\"the shard\"="]);
        assert_eq!(offered("attr.host="), ["attr.host=db1"]);
        assert_eq!(offered("job"), ["id=job*", "kind=job*", "status=job*"]);
    }

    #[test]
    fn every_offered_value_matches_its_task() {
        let values = serde_json::json!(["NaN", 1e300, 2.0, -0.0, 7, true, "a,b*", "two words"]);
        let values = values.as_array().unwrap();
        let row = |(serial, value)| {
            let json = serde_json::json!({ "serial": serial, "id": "a", "attrs": { "x": value } });
            serde_json::from_value(json).unwrap()
        };
        let rows = (1..).map(|serial: u64| serial.to_string()).zip(values).map(row).collect();
        let mut store = Store::new(["a".to_owned()]);
        store.apply(0, 0.0, Update::Snapshot { rows, begins: true, ends: true });
        let words: Vec<String> = offers("attr.x=", &store).0.into_iter().map(|offer| offer.word).collect();
        assert_eq!(words.len(), values.len());
        for word in words {
            let mut list = List::new(Filter::parse(&word).unwrap(), (Column::Serial, false), Shape::Flat);
            list.refresh(&mut store, 0.0);
            assert_eq!(list.matching(), 1, "{word}");
        }
    }
}
