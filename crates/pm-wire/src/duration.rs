//! Lengths of time, as people write and read them.
//!
//! ```
//! use std::time::Duration;
//!
//! assert_eq!(pm_wire::duration::parse("1.5m"), Ok(Duration::from_secs(90)));
//! assert_eq!(pm_wire::duration::show(Duration::from_secs(90)), "1 min");
//! ```

use std::time::Duration;

const HINT: &str = "write it as 500ms, 10s, 1.5m or 2h";

/// Reads `500ms`, `10s`, `10`, `1.5m` or `2h`. Zero is no length.
///
/// # Errors
///
/// What is wrong with the text, and how to write it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(HINT.to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| HINT.to_owned())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(length) if !length.is_zero() => Ok(length),
        Ok(_) => Err("it must be more than nothing".to_owned()),
        Err(_) => Err("it is too long".to_owned()),
    }
}

/// A length as people say it: `340 ms`, `12.4 s`, `3 min`, `5.2 h`, `3 d`. Never rounded up.
#[must_use]
pub fn show(length: Duration) -> String {
    let (secs, millis) = (length.as_secs(), length.subsec_millis());
    match secs {
        0 => format!("{millis} ms"),
        1..60 => format!("{secs}.{} s", millis / 100),
        60..3_600 => format!("{} min", secs / 60),
        3_600..172_800 => format!("{}.{} h", secs / 3_600, secs % 3_600 / 360),
        _ => format!("{} d", secs / 86_400),
    }
}

/// A length in milliseconds as it travels, to the microsecond: what lies below is noise.
///
/// ```
/// assert_eq!(pm_wire::duration::millis(std::time::Duration::from_nanos(1_234_567)), 1.235);
/// ```
#[must_use]
pub fn millis(length: Duration) -> f64 {
    (length.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_carry_a_unit_or_are_seconds() {
        for (text, millis) in
            [("500ms", 500), ("10", 10_000), ("1.5s", 1_500), ("2m", 120_000), ("2min", 120_000), ("1.5h", 5_400_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "0", "0ms", "-1s", "5 parsecs", "1h30", "1e9s", "NaNs", "infs", ".", "1..2s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("99999999999999999999s"), Err("it is too long".to_owned()));
    }

    #[test]
    fn lengths_are_shown_with_a_unit() {
        for (millis, text) in [
            (0, "0 ms"),
            (340, "340 ms"),
            (12_499, "12.4 s"),
            (59_999, "59.9 s"),
            (239_000, "3 min"),
            (18_900_000, "5.2 h"),
            (259_200_000, "3 d"),
        ] {
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
    }
}
