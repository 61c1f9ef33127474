//! The parser: from text, parameters and JSON to conditions.
//!
//! One function reads the values of all forms; the text form only adds quotes, and an end at white space. Positions are
//! counted in characters.

use std::time::Duration;

use serde_json::Value;

use super::condition::{
    ATTR, Condition, MAX_ALTERNATIVES, MAX_BYTES, MAX_CONDITIONS, Numbers, OUTCOMES, Pattern, Patterns, STATES, Words,
    is_name,
};
use super::error::{self, FilterError, quoted};
use crate::duration;

/// Reads the conditions of a filter in the text form.
pub(super) fn text(text: &str) -> Result<Vec<Condition>, FilterError> {
    let mut reader = Reader::new(text, Form::Text)?;
    let mut conditions = Vec::new();
    loop {
        reader.skip_blanks();
        let at = reader.at;
        if reader.rest.is_empty() {
            return Ok(conditions);
        }
        if conditions.len() == MAX_CONDITIONS {
            return Err(error::too_many_conditions().at(at));
        }
        let name = reader.name()?;
        if !is_name(&name) {
            return Err(error::unknown_name(&name).at(at));
        }
        let mut alternatives = Vec::new();
        reader.value(&name, &mut alternatives)?;
        conditions.push(condition(&name, alternatives)?);
    }
}

/// Reads the condition of a parameter, of whose values one must match.
pub(super) fn parameter<S: AsRef<str>>(name: &str, values: &[S]) -> Result<Condition, FilterError> {
    if !is_name(name) {
        return Err(error::unknown_name(name));
    }
    let mut alternatives = Vec::new();
    for value in values {
        let reader = Reader::new(value.as_ref(), Form::Parameter);
        reader.map_err(|error| error.named(name))?.value(name, &mut alternatives)?;
    }
    condition(name, alternatives)
}

/// Reads the conditions of a filter in the JSON form.
pub(super) fn json(value: &Value) -> Result<Vec<Condition>, FilterError> {
    match value {
        Value::String(text) => self::text(text),
        Value::Object(fields) if fields.len() > MAX_CONDITIONS => Err(error::too_many_conditions()),
        Value::Object(fields) => fields.iter().map(|(name, value)| field(name, value)).collect(),
        _ => Err(FilterError::new("a filter is a string or an object")
            .hinting(r#"write it as "kind=import" or {"kind":"import"}"#)),
    }
}

fn field(name: &str, value: &Value) -> Result<Condition, FilterError> {
    match value {
        // Before the values, since the error is in the name.
        _ if !is_name(name) => Err(error::unknown_name(name)),
        Value::Array(values) if values.is_empty() => {
            Err(FilterError::new(format!("{} has no alternative", quoted(name))).named(name))
        }
        Value::Array(values) if values.len() > MAX_ALTERNATIVES => Err(error::too_many_alternatives(name)),
        Value::Array(values) => {
            parameter(name, &values.iter().map(|value| field_text(name, value)).collect::<Result<Vec<_>, _>>()?)
        }
        value => parameter(name, &[field_text(name, value)?]),
    }
}

fn field_text<'v>(name: &str, value: &'v Value) -> Result<&'v str, FilterError> {
    if let Value::String(text) = value {
        return Ok(text);
    }
    let error = FilterError::new(format!("{} takes a string or an array of strings", quoted(name))).named(name);
    let is_plain = value.is_number() || value.is_boolean();
    Err(if is_plain { error.hinting(format!("write it as \"{value}\"")) } else { error })
}

/// One of the alternatives in a value, and its position.
struct Alternative {
    pattern: Pattern,
    at: usize,
}

impl Alternative {
    /// Returns the alternative in quotes, for an error.
    fn shown(&self) -> String {
        quoted(&format!("{}{}", self.pattern.text, if self.pattern.is_prefix { "*" } else { "" }))
    }
}

/// Makes the condition with this name, which is known, and these alternatives, at least one.
fn condition(name: &str, alternatives: Vec<Alternative>) -> Result<Condition, FilterError> {
    Ok(match name {
        "state" => Condition::State(words(name, STATES, &alternatives)?),
        "outcome" => Condition::Outcome(words(name, OUTCOMES, &alternatives)?),
        "kind" => Condition::Kind(patterns(alternatives)),
        "id" => Condition::Id(patterns(alternatives)),
        "status" => Condition::Status(patterns(alternatives)),
        "parent" => Condition::Parent(numbers(name, true, &alternatives)?),
        "serial" => Condition::Serial(numbers(name, false, &alternatives)?),
        "minAge" => Condition::MinAge(one_duration(name, &alternatives)?),
        "maxAge" => Condition::MaxAge(one_duration(name, &alternatives)?),
        "minStatusAge" => Condition::MinStatusAge(one_duration(name, &alternatives)?),
        "maxStatusAge" => Condition::MaxStatusAge(one_duration(name, &alternatives)?),
        _ => {
            let attr = name.strip_prefix(ATTR).ok_or_else(|| error::unknown_name(name))?;
            Condition::Attr(attr.to_owned(), patterns(alternatives))
        }
    })
}

fn patterns(alternatives: Vec<Alternative>) -> Patterns {
    Patterns::of(alternatives.into_iter().map(|alternative| alternative.pattern).collect())
}

fn words(name: &str, known: &[&str], alternatives: &[Alternative]) -> Result<Words, FilterError> {
    for alternative in alternatives {
        if !known.iter().any(|word| alternative.pattern.fits(word.as_bytes())) {
            return Err(error::unknown_word(name, &alternative.pattern.text, known).at(alternative.at));
        }
    }
    Ok(Words::of(known, |word| alternatives.iter().any(|alternative| alternative.pattern.fits(word.as_bytes()))))
}

fn numbers(name: &str, may_be_none: bool, alternatives: &[Alternative]) -> Result<Numbers, FilterError> {
    let mut numbers = Vec::new();
    let mut all = false;
    for alternative in alternatives {
        let Alternative { pattern, at } = alternative;
        let number = match pattern.text.as_str() {
            "" if pattern.is_prefix => {
                all = true;
                continue;
            }
            "" if may_be_none => Some(0),
            digits if !pattern.is_prefix && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|number| *number != 0)
            }
            _ => None,
        };
        numbers.push(number.ok_or_else(|| {
            let error = FilterError::new(format!("{} is not a serial", alternative.shown())).named(name).at(*at);
            error.hinting("a serial is a whole number above 0")
        })?);
    }
    Ok(if all { Numbers::All } else { Numbers::of(numbers) })
}

fn one_duration(name: &str, alternatives: &[Alternative]) -> Result<Duration, FilterError> {
    if let Some(second) = alternatives.get(1) {
        return Err(FilterError::new(format!("`{name}` takes one duration")).named(name).at(second.at));
    }
    let Some(alternative) = alternatives.first() else { return Err(FilterError::new("no duration").named(name)) };
    // A star is never part of a duration, so the parser of durations refuses it and says how to write one.
    let star = if alternative.pattern.is_prefix { "*" } else { "" };
    duration::parse(&format!("{}{star}", alternative.pattern.text)).map_err(|why| {
        let error = FilterError::new(format!("{} is not a duration", alternative.shown())).named(name);
        error.at(alternative.at).hinting(why.to_string())
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// White space ends a value, and quotes may be around a part of it.
    Text,
    /// All characters are one value.
    Parameter,
}

/// A reader of a text, by characters.
struct Reader<'t> {
    /// The text that is not read yet.
    rest: &'t str,
    /// The number of characters that are read.
    at: usize,
    form: Form,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, form: Form) -> Result<Self, FilterError> {
        if text.len() > MAX_BYTES {
            return Err(error::too_long());
        }
        Ok(Self { rest: text, at: 0, form })
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.at += 1;
        Some(next)
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// Reads a name and the `=` behind it.
    fn name(&mut self) -> Result<String, FilterError> {
        let start = self.at;
        let mut name = String::new();
        // The position of the opening quote, until it is closed.
        let mut quote = None;
        loop {
            let at = self.at;
            match self.next() {
                None if quote.is_some() => return Err(unclosed(quote)),
                None => return Err(no_condition(&name, start)),
                Some('"') => quote = if quote.is_some() { None } else { Some(at) },
                Some('\\') => match self.next() {
                    Some(c @ ('"' | '\\')) if quote.is_some() => name.push(c),
                    _ => {
                        let error = FilterError::new(r"a `\` in a name").at(at);
                        return Err(error.hinting(r#"write the name in quotes, with `\\` for the character"#));
                    }
                },
                Some(c) if quote.is_some() => name.push(c),
                Some('=') => return Ok(name),
                Some(c) if c.is_whitespace() => return Err(no_condition(&name, start)),
                Some(c) => name.push(c),
            }
        }
    }

    /// Reads a value to its end and adds its alternatives.
    fn value(&mut self, name: &str, alternatives: &mut Vec<Alternative>) -> Result<(), FilterError> {
        let mut text = String::new();
        let mut start = self.at;
        // The position of a star, which must be the last character.
        let mut star = None;
        // The position of the opening quote, until it is closed.
        let mut quote = None;
        let is_text = self.form == Form::Text;
        loop {
            let at = self.at;
            let next = self.peek().filter(|c| !is_text || quote.is_some() || !c.is_whitespace());
            if next.is_some() {
                self.next();
            }
            match next {
                None if quote.is_some() => return Err(unclosed(quote).named(name)),
                None | Some(',') => {
                    if alternatives.len() == MAX_ALTERNATIVES {
                        return Err(error::too_many_alternatives(name).at(start));
                    }
                    let pattern = Pattern { text: std::mem::take(&mut text), is_prefix: star.take().is_some() };
                    alternatives.push(Alternative { pattern, at: start });
                    start = self.at;
                    if next.is_none() {
                        return Ok(());
                    }
                }
                Some('"') if is_text => quote = if quote.is_some() { None } else { Some(at) },
                Some(_) if star.is_some() => {
                    let error = FilterError::new("a `*` that is not the last").named(name).at(star);
                    return Err(error.hinting(r"only a trailing `*` is meant; write `\*` for the character"));
                }
                Some('*') => star = Some(at),
                Some('\\') => match self.next() {
                    Some(c @ (',' | '*' | '\\')) => text.push(c),
                    Some('"') if quote.is_some() => text.push('"'),
                    _ => {
                        let error = FilterError::new(r"a `\` that escapes nothing").named(name).at(at);
                        return Err(error.hinting(r"write `\\` for the character"));
                    }
                },
                Some(c) => text.push(c),
            }
        }
    }
}

fn unclosed(quote: Option<usize>) -> FilterError {
    FilterError::new("quotes that are not closed").at(quote)
}

fn no_condition(word: &str, at: usize) -> FilterError {
    let error = FilterError::new(format!("{} is not a condition", quoted(word))).at(at);
    error.hinting("write it as name=value, as in `kind=import`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Filter;

    fn same(text: &str, name: &str, value: &str) {
        let mut filter = Filter::default();
        filter.add(name, value).unwrap();
        assert_eq!(Filter::parse(text), Ok(filter), "{text}");
    }

    #[test]
    fn text_parameters_and_json_are_forms_of_one_filter() {
        same("kind=GET*,POST*", "kind", "POST*,GET*");
        same(r#"status="waiting for *""#, "status", "waiting for *");
        same(r#"status=waiting" for "*"#, "status", "waiting for *");
        same(r#"kind="GET /a b","POST, x""#, "kind", "GET /a b,POST, x");
        same(r#"kind="a\"b\\\*\,""#, "kind", r#"a"b\\\*\,"#);
        same(r"kind=a\,b\*\\", "kind", r"a\,b\*\\");
        same(r#"attr."odd name"=x"#, "attr.odd name", "x");
        same(r#""attr.a=\"\\"=x"#, r#"attr.a="\"#, "x");
        same("attr.a.b*,c=x", "attr.a.b*,c", "x");
        same("kind==x=y", "kind", "=x=y");
        same("kind=", "kind", "");
        same("kind=\"\"", "kind", "");
        same("kind=a,", "kind", ",a");
        same("\u{a0}id=é\u{2003}", "id", "é");
        let json = Filter::from_json(&json!({"kind": ["GET*", "a,b"], "minAge": ["5s"], "state": "running"}));
        assert_eq!(json, Filter::parse("state=running minAge=5s kind=GET*,a,b"));
        assert_eq!(Filter::from_json(&json!({})), Ok(Filter::default()));
    }

    #[test]
    fn words_and_numbers_have_one_form() {
        same("outcome=f*", "outcome", "finished,failed");
        same("state=c*", "state", "cancelling");
        same("state=*", "state", "running,cancelling,ended");
        same("serial=007,7", "serial", "7");
        same("minAge=120s", "minAge", "2m");
    }

    #[test]
    fn errors_have_a_position_and_a_hint() {
        for (text, name, expected) in [
            ("  knd=x", Some("knd"), "unknown name `knd` at 3; did you mean `kind`?"),
            ("kind", None, "`kind` is not a condition at 1; write it as name=value, as in `kind=import`"),
            ("id=é kind = x", None, "`kind` is not a condition at 6; write it as name=value, as in `kind=import`"),
            ("=x", Some(""), "a name is missing at 1"),
            ("\"\"=x", Some(""), "a name is missing at 1"),
            ("attr.=x", Some("attr."), "`attr.` names no attribute at 1; write it as `attr.host`"),
            (
                "kind=a*b",
                Some("kind"),
                r"a `*` that is not the last at 7; only a trailing `*` is meant; write `\*` for the character",
            ),
            (
                "kind=**",
                Some("kind"),
                r"a `*` that is not the last at 6; only a trailing `*` is meant; write `\*` for the character",
            ),
            (r"kind=é\n", Some("kind"), r"a `\` that escapes nothing at 7; write `\\` for the character"),
            (r#"kind=\""#, Some("kind"), r"a `\` that escapes nothing at 6; write `\\` for the character"),
            (r"kind=x\", Some("kind"), r"a `\` that escapes nothing at 7; write `\\` for the character"),
            (r"attr.a\=x", None, r"a `\` in a name at 7; write the name in quotes, with `\\` for the character"),
            ("kind=\"a b", Some("kind"), "quotes that are not closed at 6"),
            ("attr.\"a b=x", None, "quotes that are not closed at 6"),
            ("state=ended,runing", Some("state"), "unknown state `runing` at 13; did you mean `running`?"),
            ("state=", Some("state"), "unknown state `` at 7; it is one of running, cancelling, ended"),
            ("outcome=canceled", Some("outcome"), "unknown outcome `canceled` at 9; did you mean `cancelled`?"),
            ("serial=x", Some("serial"), "`x` is not a serial at 8; a serial is a whole number above 0"),
            ("serial=1,", Some("serial"), "`` is not a serial at 10; a serial is a whole number above 0"),
            ("parent=+1", Some("parent"), "`+1` is not a serial at 8; a serial is a whole number above 0"),
            ("parent=1,2*", Some("parent"), "`2*` is not a serial at 10; a serial is a whole number above 0"),
            ("parent=0", Some("parent"), "`0` is not a serial at 8; a serial is a whole number above 0"),
            ("minAge=5x", Some("minAge"), "`5x` is not a duration at 8; write it as 500ms, 10s, 1.5m or 2h"),
            ("minAge=*", Some("minAge"), "`*` is not a duration at 8; write it as 500ms, 10s, 1.5m or 2h"),
            ("minAge=0", Some("minAge"), "`0` is not a duration at 8; it must be more than zero"),
            ("minAge=5s,6s", Some("minAge"), "`minAge` takes one duration at 11"),
        ] {
            let error = Filter::parse(text).expect_err(text);
            assert_eq!((error.to_string().as_str(), error.name()), (expected, name), "{text}");
            assert!(error.position() <= text.chars().count());
        }
    }

    #[test]
    fn json_of_another_shape_is_refused_with_a_hint() {
        for (json, name, expected) in [
            (json!(5), None, r#"a filter is a string or an object; write it as "kind=import" or {"kind":"import"}"#),
            (
                json!({"serial": 5}),
                Some("serial"),
                r#"`serial` takes a string or an array of strings; write it as "5""#,
            ),
            (
                json!({"kind": ["a", true]}),
                Some("kind"),
                r#"`kind` takes a string or an array of strings; write it as "true""#,
            ),
            (json!({"kind": null}), Some("kind"), "`kind` takes a string or an array of strings"),
            (json!({"kind": []}), Some("kind"), "`kind` has no alternative"),
            (json!({"knd": 5}), Some("knd"), "unknown name `knd`; did you mean `kind`?"),
            (
                json!({"state": ["ended", "x"]}),
                Some("state"),
                "unknown state `x` at 1; it is one of running, cancelling, ended",
            ),
        ] {
            let error = Filter::from_json(&json).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.name()), (expected, name), "{json}");
        }
    }
}
