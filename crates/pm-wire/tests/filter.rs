//! Filters from random strings, and compared with a plain model of the same conditions on the same tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use pm_core::{Clock, Options, ProcessList, Task, Value};
use pm_wire::filter::Filter;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

fn cases(many: u32) -> ProptestConfig {
    ProptestConfig { cases: if cfg!(miri) { 4 } else { many }, failure_persistence: None, ..ProptestConfig::default() }
}

/// Pieces of filters, and of strings that only look like one.
const PIECES: &[&str] = &[
    "kind", "state", "running", "ended", "outcome", "failed", "parent", "serial", "attr.", "attr.x", "minAge", "5s",
    "500ms", "7", "=", "=", "=", "\"", "\"", ",", "*", "\\", "\\\\", "\\,", "\\\"", " ", " ", "\u{a0}", "\n", "é",
    "🦀", "a", "",
];

/// Strings that are sometimes a filter.
fn likely_text() -> impl Strategy<Value = String> {
    let name = prop_oneof![3 => select(Filter::names()), 1 => Just("attr.x"), 1 => select(PIECES)];
    let term = (name, prop_oneof![4 => Just("="), 1 => select(PIECES)], select(PIECES), select(PIECES));
    let term = term.prop_map(|(name, is, value, more)| format!("{name}{is}{value}{more}"));
    let terms = prop::collection::vec(term, 0..4).prop_map(|terms| terms.join(" "));
    prop_oneof![3 => terms, 1 => prop::collection::vec(select(PIECES), 0..12).prop_map(|pieces| pieces.concat())]
}

/// Short strings, many of them equal, with all special characters.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(select(vec!["a", "b", ",", "*", "\\", "\"", " ", "é", "="]), 0..4)
            .prop_map(|pieces| pieces.concat()),
        1 => select(vec!["init", "[cancel request", "[cancel request: a]", "42", "true", "1.5", "failed: a"])
            .prop_map(str::to_owned),
    ]
}

/// Reads back what a filter shows, and checks that an error lies within the string.
fn check(result: Result<Filter, pm_wire::filter::FilterError>, given: &str) {
    match result {
        Ok(filter) => {
            let shown = filter.to_string();
            assert_eq!(Filter::parse(&shown).as_ref(), Ok(&filter), "{given:?} {shown:?}");
            assert_eq!(Filter::parse(&shown).unwrap().to_string(), shown);
            assert_eq!(Filter::from_json(&json!(shown)), Ok(filter));
        }
        Err(error) => {
            assert!(error.position() <= given.chars().count(), "{given:?} {error:?}");
            let text = error.to_string();
            assert!(!text.ends_with('.') && !text.contains('\n') && text.len() < 400, "{text:?}");
            assert!(error.hint().is_none_or(|hint| text.ends_with(hint)));
        }
    }
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn a_likely_string_is_a_filter_that_can_be_shown_or_an_error_within_it(text in likely_text()) {
        check(Filter::parse(&text), &text);
    }

    #[test]
    fn any_string_is_a_filter_that_can_be_shown_or_an_error_within_it(text in any::<String>()) {
        check(Filter::parse(&text), &text);
    }

    #[test]
    fn any_parameter_is_a_filter_that_can_be_shown_or_an_error_within_its_value(
        name in prop_oneof![
            select(Filter::names()).prop_map(str::to_owned),
            word().prop_map(|name| format!("attr.{name}")),
            any::<String>(),
        ],
        value in prop_oneof![word(), likely_text(), any::<String>()],
    ) {
        let mut filter = Filter::default();
        let result = filter.add(&name, &value);
        prop_assert!(result.is_ok() || filter.is_empty());
        check(result.map(|()| filter), &value);
    }
}

#[derive(Clone, Copy, Debug)]
enum Datum {
    Number(u64),
    Negative(i64),
    Half,
    Whole,
    Huge,
    Unsayable,
    Yes,
}

impl Datum {
    fn value(self) -> (Value<'static>, String) {
        match self {
            Self::Number(number) => (number.into(), number.to_string()),
            Self::Negative(number) => (number.into(), number.to_string()),
            Self::Half => (1.5.into(), "1.5".to_owned()),
            Self::Whole => (2.0.into(), "2".to_owned()),
            Self::Huge => (1e300.into(), "1e300".to_owned()),
            Self::Unsayable => (f64::INFINITY.into(), "null".to_owned()),
            Self::Yes => (true.into(), "true".to_owned()),
        }
    }
}

/// The life of a task, whose three steps take `waits`, in milliseconds.
#[derive(Clone, Debug)]
struct Life {
    id: String,
    kind: Option<String>,
    attr: Option<String>,
    odd: Option<Datum>,
    parent: Option<usize>,
    waits: [u64; 3],
    status: Option<String>,
    cancel: Option<String>,
    ends: bool,
    failure: Option<String>,
}

fn life() -> impl Strategy<Value = Life> {
    let odd = prop_oneof![
        any::<u64>().prop_map(Datum::Number),
        any::<i64>().prop_map(Datum::Negative),
        select(vec![Datum::Number(42), Datum::Half, Datum::Whole, Datum::Huge, Datum::Unsayable, Datum::Yes]),
    ];
    let maybe = || prop::option::of(word());
    let words = (word(), maybe(), maybe(), prop::option::of(odd), maybe(), prop::option::weighted(0.3, word()));
    let rest = (prop::option::of(0..8_usize), prop::array::uniform3(0..3_000_u64), any::<bool>(), maybe());
    (words, rest).prop_map(|((id, kind, attr, odd, status, cancel), (parent, waits, ends, failure))| Life {
        id,
        kind,
        attr,
        odd,
        parent,
        waits,
        status,
        cancel,
        ends,
        failure,
    })
}

/// A task as the model knows it, without the list.
#[derive(Debug)]
struct Facts {
    values: BTreeMap<&'static str, String>,
    started: u64,
    status_at: u64,
    ended: Option<u64>,
}

struct World {
    list: ProcessList,
    facts: BTreeMap<u64, Facts>,
    live: Vec<Task>,
    now: u64,
}

impl World {
    fn of(lives: &[Life]) -> Self {
        let (clock, hand) = Clock::manual();
        let list = ProcessList::with_options(Options::new().clock(clock));
        let mut world = Self { list, facts: BTreeMap::new(), live: Vec::new(), now: 0 };
        for life in lives {
            let wait = |millis| hand.advance(Duration::from_millis(millis));
            let [first, second, third] = life.waits;
            let mut values = BTreeMap::from([("id", life.id.clone()), ("state", "running".to_owned())]);
            let mut task = world.list.task(&life.id).on_cancel(pm_core::CancelPolicy::Drop);
            if let Some(kind) = &life.kind {
                values.insert("kind", kind.clone());
                task = task.kind(kind);
            }
            if let Some(attr) = &life.attr {
                values.insert("attr.x", attr.clone());
                task = task.attr("x", attr);
            }
            if let Some(odd) = life.odd {
                let (value, shown) = odd.value();
                values.insert("attr.odd = name", shown);
                task = task.attr("odd = name", value);
            }
            // A cancel descends, so a cancelled task gets no children here.
            let parent = life.parent.and_then(|at| world.live.get(at)).filter(|parent| !parent.is_cancelled());
            task = match parent {
                Some(parent) => {
                    values.insert("parent", parent.serial().unwrap().to_string());
                    task.parent(parent)
                }
                None => task.detached(),
            };
            let task = task.start();
            let serial = task.serial().unwrap();
            values.insert("serial", serial.to_string());
            let started = world.now;
            values.insert("status", "init".to_owned());
            let mut status_at = started;
            let mut is_now = |text: String, now| {
                values.insert("status", text);
                status_at = now;
            };
            wait(first);
            if let Some(status) = &life.status {
                task.status(status).unwrap();
                is_now(status.clone(), started + first);
            }
            wait(second);
            if let Some(why) = &life.cancel {
                world.list.cancel(serial, why).unwrap();
                let shown =
                    if why.is_empty() { "[cancel request]".to_owned() } else { format!("[cancel request: {why}]") };
                is_now(shown, started + first + second);
            }
            wait(third);
            let now = started + first + second + third;
            world.now = now;
            let outcome = match (life.ends, &life.cancel, &life.failure) {
                (false, cancel, _) => {
                    values.insert("state", if cancel.is_some() { "cancelling" } else { "running" }.to_owned());
                    world.live.push(task);
                    None
                }
                (true, Some(_), _) => {
                    // A task that never observes the request ends as finished.
                    assert!(task.checkpoint().is_err());
                    drop(task);
                    Some("cancelled")
                }
                (true, None, Some(why)) => {
                    task.fail(why);
                    is_now(if why.is_empty() { "failed".to_owned() } else { format!("failed: {why}") }, now);
                    Some("failed")
                }
                (true, None, None) => {
                    task.finish();
                    Some("finished")
                }
            };
            if let Some(outcome) = outcome {
                values.insert("outcome", outcome.to_owned());
                values.insert("state", "ended".to_owned());
            }
            let facts = Facts { values, started, status_at, ended: outcome.map(|_| now) };
            world.facts.insert(serial.get(), facts);
        }
        world
    }
}

/// A condition before it is written down.
#[derive(Clone, Debug)]
enum Asked {
    /// A name, and strings of which the value must be one or, if the flag is set, begin with one.
    OneOf(&'static str, Vec<(String, bool)>),
    /// A name, and the indices of tasks whose serials are meant; `None` for the empty one.
    Serials(&'static str, Vec<Option<usize>>),
    /// A name, and a bound in milliseconds.
    Bound(&'static str, u64),
}

fn asked() -> impl Strategy<Value = Asked> {
    let names = select(vec!["kind", "id", "status", "attr.x", "attr.odd = name", "attr.missing"]);
    let states = select(vec![("running", false), ("cancelling", false), ("ended", false), ("c", true), ("", true)]);
    let outcomes = select(vec![
        ("finished", false),
        ("failed", false),
        ("cancelled", false),
        ("f", true),
        ("", true),
        ("", false),
    ]);
    let owned = |words: Vec<(&str, bool)>| words.into_iter().map(|(word, all)| (word.to_owned(), all)).collect();
    let bounds = select(vec!["minAge", "maxAge", "minStatusAge", "maxStatusAge"]);
    prop_oneof![
        4 => (names, prop::collection::vec((word(), any::<bool>()), 1..5))
            .prop_map(|(name, of)| Asked::OneOf(name, of)),
        1 => prop::collection::vec(states, 1..4).prop_map(move |of| Asked::OneOf("state", owned(of))),
        1 => prop::collection::vec(outcomes, 1..4).prop_map(move |of| Asked::OneOf("outcome", owned(of))),
        1 => prop::collection::vec(prop::option::of(0..8_usize), 1..4).prop_map(|of| Asked::Serials("parent", of)),
        1 => prop::collection::vec((0..8_usize).prop_map(Some), 1..4).prop_map(|of| Asked::Serials("serial", of)),
        1 => (bounds, 1..20_000_u64).prop_map(|(name, millis)| Asked::Bound(name, millis)),
    ]
}

impl Asked {
    fn name(&self) -> &'static str {
        match self {
            Self::OneOf(name, _) | Self::Serials(name, _) | Self::Bound(name, _) => name,
        }
    }

    /// Returns the alternatives as they are written outside quotes.
    fn values(&self, serials: &[u64]) -> Vec<String> {
        let escaped = |text: &str| text.replace('\\', r"\\").replace(',', r"\,").replace('*', r"\*");
        match self {
            Self::OneOf(_, of) => {
                of.iter().map(|(text, all)| format!("{}{}", escaped(text), if *all { "*" } else { "" })).collect()
            }
            Self::Serials(_, of) => {
                of.iter().map(|at| at.map_or(String::new(), |at| serials[at % serials.len()].to_string())).collect()
            }
            Self::Bound(_, millis) => vec![format!("{millis}ms")],
        }
    }

    fn holds(&self, facts: &Facts, now: u64, serials: &[u64]) -> bool {
        let text = facts.values.get(self.name()).map_or("", String::as_str);
        let until = facts.ended.unwrap_or(now);
        match self {
            Self::OneOf(_, of) => of.iter().any(|(word, all)| if *all { text.starts_with(word) } else { text == word }),
            Self::Serials(..) => self.values(serials).iter().any(|serial| serial == text),
            Self::Bound("minAge", millis) => until - facts.started >= *millis,
            Self::Bound("maxAge", millis) => until - facts.started <= *millis,
            Self::Bound("minStatusAge", millis) => until - facts.status_at >= *millis,
            Self::Bound(_, millis) => until - facts.status_at <= *millis,
        }
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn all_forms_match_the_tasks_that_the_model_does(
        lives in prop::collection::vec(life(), 1..8),
        asked in prop::collection::vec(asked(), 0..3),
    ) {
        let world = World::of(&lives);
        let serials: Vec<u64> = world.facts.keys().copied().collect();

        let (mut text, mut by_name) = (String::new(), Filter::default());
        for asked in &asked {
            let value = asked.values(&serials).join(",");
            by_name.add(asked.name(), &value).unwrap();
            let (name, value) = (asked.name().replace("odd = name", "\"odd = name\""), value.replace('"', "\\\""));
            text += &format!("{name}=\"{value}\" ");
        }
        let filter = Filter::parse(&text).unwrap();
        prop_assert_eq!(&filter, &by_name);
        check(Ok(filter.clone()), &text);
        // An object has each name once.
        let fields: BTreeMap<_, _> = asked.iter().map(|asked| (asked.name(), asked.values(&serials))).collect();
        if fields.len() == asked.len() {
            prop_assert_eq!(Filter::from_json(&json!(fields)), Ok(filter.clone()));
        }

        let (live, ended) = (world.list.snapshot(), world.list.ended());
        prop_assert_eq!(live.len() + ended.len(), lives.len());
        for task in live.iter().chain(ended.iter()) {
            let facts = &world.facts[&task.serial().get()];
            let expected = asked.iter().all(|asked| asked.holds(facts, world.now, &serials));
            prop_assert_eq!(filter.matches(&task), expected, "{} {:?}", filter, facts);
            prop_assert!(expected || !filter.lets_all_pass());
        }
    }
}
