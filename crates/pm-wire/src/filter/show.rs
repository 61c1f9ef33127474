//! A filter as text: in a fixed order, with no more quotes than needed, and read back as an equal filter.

use std::fmt::{self, Display, Formatter, Write as _};
use std::time::Duration;

use super::Filter;
use super::condition::{ATTR, Condition, Numbers, OUTCOMES, Patterns, STATES, Words};

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, condition) in self.conditions.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            write!(f, "{condition}")?;
        }
        Ok(())
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(words) => write_words(f, "state=", STATES, *words),
            Self::Outcome(words) => write_words(f, "outcome=", OUTCOMES, *words),
            Self::Serial(numbers) => write_numbers(f, "serial=", numbers),
            Self::Parent(numbers) => write_numbers(f, "parent=", numbers),
            Self::Kind(patterns) => write_patterns(f, "kind=", patterns),
            Self::Id(patterns) => write_patterns(f, "id=", patterns),
            Self::MinAge(least) => write_duration(f, "minAge=", *least),
            Self::MaxAge(most) => write_duration(f, "maxAge=", *most),
            Self::Status(patterns) => write_patterns(f, "status=", patterns),
            Self::MinStatusAge(least) => write_duration(f, "minStatusAge=", *least),
            Self::MaxStatusAge(most) => write_duration(f, "maxStatusAge=", *most),
            Self::Attr(name, patterns) => {
                f.write_str(ATTR)?;
                if name.contains(|c: char| matches!(c, '=' | '"' | '\\') || c.is_whitespace()) {
                    f.write_char('"')?;
                    write_escaped(f, name, &['"', '\\'])?;
                    f.write_char('"')?;
                } else {
                    f.write_str(name)?;
                }
                write_patterns(f, "=", patterns)
            }
        }
    }
}

fn write_words(f: &mut Formatter<'_>, name: &str, known: &[&str], words: Words) -> fmt::Result {
    f.write_str(name)?;
    if words == Words::ALL {
        return f.write_char('*');
    }
    // The empty word, if there is one, is the first, so a value that begins with a comma means it.
    let meant = (0..).zip(known).filter(|(index, _)| words.has(*index));
    write_list(f, meant.map(|(_, word)| word))
}

fn write_numbers(f: &mut Formatter<'_>, name: &str, numbers: &Numbers) -> fmt::Result {
    f.write_str(name)?;
    match numbers {
        Numbers::All => f.write_char('*'),
        Numbers::Of(numbers) => {
            let shown = |number: &u64| if *number == 0 { String::new() } else { number.to_string() };
            write_list(f, numbers.iter().map(shown))
        }
    }
}

fn write_list(f: &mut Formatter<'_>, items: impl Iterator<Item = impl Display>) -> fmt::Result {
    for (index, item) in items.enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

fn write_patterns(f: &mut Formatter<'_>, name: &str, patterns: &Patterns) -> fmt::Result {
    f.write_str(name)?;
    let quotes = patterns.iter().any(|pattern| pattern.text.contains(|c: char| c == '"' || c.is_whitespace()));
    if quotes {
        f.write_char('"')?;
    }
    for (index, pattern) in patterns.iter().enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        write_escaped(f, &pattern.text, &[',', '*', '\\', '"'])?;
        if pattern.is_prefix {
            f.write_char('*')?;
        }
    }
    if quotes { f.write_char('"') } else { Ok(()) }
}

/// Writes the text with a backslash before each special character.
fn write_escaped(f: &mut Formatter<'_>, text: &str, special: &[char]) -> fmt::Result {
    for part in text.split_inclusive(special) {
        let plain = part.strip_suffix(special);
        f.write_str(plain.unwrap_or(part))?;
        if let Some(plain) = plain {
            write!(f, "\\{}", &part[plain.len()..])?;
        }
    }
    Ok(())
}

/// Writes a duration in the largest unit in which it is a whole number, or else in seconds. It is read back to the
/// nanosecond.
fn write_duration(f: &mut Formatter<'_>, name: &str, duration: Duration) -> fmt::Result {
    const EXACT: u64 = 1 << 40;
    f.write_str(name)?;
    let (secs, nanos) = (duration.as_secs(), duration.subsec_nanos());
    match (secs, nanos) {
        (0, _) if nanos % 1_000_000 == 0 => write!(f, "{}ms", nanos / 1_000_000),
        // Seconds are read without a multiplication, which would round very large numbers.
        (EXACT.., 0) => write!(f, "{secs}s"),
        (_, 0) if secs % 3_600 == 0 => write!(f, "{}h", secs / 3_600),
        (_, 0) if secs % 60 == 0 => write!(f, "{}m", secs / 60),
        (_, 0) => write!(f, "{secs}s"),
        _ => write!(f, "{secs}.{}s", format!("{nanos:09}").trim_end_matches('0')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_shown_in_a_fixed_order_with_the_quotes_it_needs() {
        for (text, shown) in [
            ("", ""),
            ("status=\"b\",a kind=x", "kind=x status=a,b"),
            (r#"status="waiting for *""#, r#"status="waiting for *""#),
            (r#"attr."a b"=x attr."c"="y""#, r#"attr."a b"=x attr.c=y"#),
            (r#""attr.a\\"=x"#, r#"attr."a\\"=x"#),
            (r#"kind="a\"",b\,\*\\*"#, r#"kind="a\",b\,\*\\*""#),
            ("outcome=failed, state=ended,cancelling", "state=cancelling,ended outcome=,failed"),
            ("parent=12,,3 serial=*,5", "serial=* parent=,3,12"),
            ("kind=a,*,b", "kind=*"),
            ("kind=", "kind="),
        ] {
            let filter = Filter::parse(text).unwrap();
            assert_eq!(filter.to_string(), shown, "{text}");
            assert_eq!(Filter::parse(shown), Ok(filter));
        }
    }

    #[test]
    fn durations_are_read_back_to_the_nanosecond() {
        for (text, shown) in [
            ("500ms", "500ms"),
            ("1500ms", "1.5s"),
            ("0.25ms", "0.00025s"),
            ("90s", "90s"),
            ("120", "2m"),
            ("1.5h", "90m"),
            ("48h", "48h"),
            ("4194304.000000001s", "4194304.000000001s"),
            ("18446744073709549568s", "18446744073709549568s"),
        ] {
            let filter = Filter::parse(&format!("minAge={text}")).unwrap();
            assert_eq!(filter.to_string(), format!("minAge={shown}"), "{text}");
            assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
        }
    }
}
