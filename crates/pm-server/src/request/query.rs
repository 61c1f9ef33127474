//! A query taken apart: names and values, decoded, and what each route makes of them.
//!
//! Unknown parameters are errors: a filter that is ignored shows too much, or kills it.

use http::StatusCode;
use pm_wire::decode_id;
use pm_wire::filter::{Filter, FilterError};

use crate::response::Failure;

const MAX_PARAMETERS: usize = 100;

/// The parameters of a query in their order.
pub(crate) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    let decode = |text: &str| {
        decode_id(text.replace('+', " ").as_bytes())
            .map_err(|error| Failure::bad("invalid-query", format!("the query is not readable: {error}")))
    };
    let all: Result<Vec<_>, _> = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .take(MAX_PARAMETERS + 1)
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect();
    let all = all?;
    if all.len() > MAX_PARAMETERS {
        let words = format!("there are more than {MAX_PARAMETERS} parameters");
        return Err(Failure::new(StatusCode::BAD_REQUEST, "invalid-query", words));
    }
    Ok(all)
}

/// What a filter got wrong, as an answer; `parameter` is where it was written.
pub(crate) fn invalid_filter(error: &FilterError, parameter: &str) -> Failure {
    let mut failure =
        Failure::bad("invalid-filter", error.detail()).with("parameter", parameter).with("position", error.position());
    if let Some(hint) = error.hint() {
        failure = failure.hint(hint);
    }
    failure
}

/// A parameter that a route does not know; `known` are those it does, beside the filter.
pub(crate) fn unknown(name: &str, known: &[&str], filtered: bool) -> Failure {
    let filter = if filtered { Filter::names() } else { &[] };
    let all = known.iter().chain(filter).copied();
    let words = format!("there is no parameter `{}` here", name.chars().take(60).collect::<String>());
    let failure = Failure::bad("unknown-parameter", words).with("parameter", name);
    match pm_wire::nearest(name, all.clone()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() && !filtered => failure.hint("this route takes none"),
        None => failure.hint(format!("there are {}", all.collect::<Vec<_>>().join(", "))),
    }
}

/// Refuses a query where none is expected.
pub(crate) fn none(query: Option<&str>) -> Result<(), Failure> {
    match pairs(query)?.first() {
        Some((name, _)) => Err(unknown(name, &[], false)),
        None => Ok(()),
    }
}

/// The `limit` of a query that may have nothing else.
pub(crate) fn only_limit(query: Option<&str>, most: u64) -> Result<Option<u64>, Failure> {
    let mut limit = None;
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "limit" => once("limit", &mut limit, number("limit", &value, most)?)?,
            name => return Err(unknown(name, &["limit"], false)),
        }
    }
    Ok(limit)
}

/// A number within bounds.
pub(crate) fn number(name: &str, value: &str, most: u64) -> Result<u64, Failure> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u64>() {
        Ok(number) if digits && number <= most => Ok(number),
        _ => Err(invalid(name, format!("{name} is a whole number from 0 to {most}"))),
    }
}

/// A parameter whose value can't be.
pub(crate) fn invalid(name: &str, words: impl Into<String>) -> Failure {
    Failure::bad("invalid-parameter", words).with("parameter", name)
}

/// Refuses a parameter that comes twice, of those that may come once.
pub(crate) fn once<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<(), Failure> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(invalid(name, format!("{name} is there twice"))),
    }
}
