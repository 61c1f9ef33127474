//! The query, taken apart into decoded names and values.
//!
//! Unknown parameters are errors: a filter that is ignored would show too much, or cancel it.

use pm_wire::decode_id;
use pm_wire::filter::{Filter, FilterError};
use pm_wire::v1_rows::Fields;

use crate::response::Failure;

const MAX_PARAMETERS: usize = 100;

/// Returns the parameters of a query, in their order.
pub(crate) fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    let decode = |text: &str| {
        decode_id(text.replace('+', " ").as_bytes())
            .map_err(|error| Failure::bad("invalid-query", format!("could not decode the query: {error}")))
    };
    let all: Result<Vec<_>, _> = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .take(MAX_PARAMETERS + 1)
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok::<_, Failure>((decode(name)?, decode(value)?))
        })
        .collect();
    let all = all?;
    if all.len() > MAX_PARAMETERS {
        let detail = format!("the query has more than {MAX_PARAMETERS} parameters");
        return Err(Failure::bad("invalid-query", detail));
    }
    Ok(all)
}

/// 400 for an error of a filter in `parameter`.
pub(crate) fn invalid_filter(error: &FilterError, parameter: &str) -> Failure {
    let mut failure = Failure::bad("invalid-filter", error.detail()).parameter(parameter).position(error.position());
    if let Some(hint) = error.hint() {
        failure = failure.hint(hint);
    }
    failure
}

/// 400 for an unknown parameter; `known` are the parameters of the route, besides those of a filter.
pub(crate) fn unknown(name: &str, known: &[&str], filtered: bool) -> Failure {
    let filter = if filtered { Filter::names() } else { &[] };
    let all = known.iter().chain(filter).copied();
    let detail = format!("unknown parameter `{}`", name.chars().take(60).collect::<String>());
    let failure = Failure::bad("unknown-parameter", detail).parameter(name);
    match pm_wire::nearest(name, all.clone()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() && !filtered => failure.hint("this route has no parameters"),
        None => failure.hint(format!("the parameters are {}", all.collect::<Vec<_>>().join(", "))),
    }
}

/// Checks that there is no query.
pub(crate) fn none(query: Option<&str>) -> Result<(), Failure> {
    match pairs(query)?.first() {
        Some((name, _)) => Err(unknown(name, &[], false)),
        None => Ok(()),
    }
}

/// Returns the `limit` of a query that may have no other parameter.
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

/// Parses `fields` and `view`. Where both are given, `fields` selects the members, and `view` whether statuses are
/// truncated.
pub(crate) fn fields(fields: Option<&str>, view: Option<&str>) -> Result<Fields, Failure> {
    let named = fields.map(Fields::parse).transpose();
    let named = named.map_err(|error| invalid("fields", error.to_string()))?;
    match view {
        Some("brief") => Ok(named.map_or(Fields::BRIEF, Fields::with_brief_status)),
        None | Some("full") => Ok(named.unwrap_or(Fields::FULL)),
        Some(_) => Err(invalid("view", "view must be brief or full")),
    }
}

/// Parses a number from 0 to `most`.
pub(crate) fn number(name: &str, value: &str, most: u64) -> Result<u64, Failure> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u64>() {
        Ok(number) if digits && number <= most => Ok(number),
        _ => Err(invalid(name, format!("{name} must be a whole number from 0 to {most}"))),
    }
}

/// 400 for a value that a parameter can't have.
pub(crate) fn invalid(name: &str, detail: impl Into<String>) -> Failure {
    Failure::bad("invalid-parameter", detail).parameter(name)
}

/// Stores the value of a parameter that may occur once.
pub(crate) fn once<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<(), Failure> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(invalid(name, format!("{name} occurs twice"))),
    }
}
