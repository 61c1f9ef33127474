//! Durations as people write and read them.
//!
//! ```
//! use std::time::Duration;
//!
//! assert_eq!(pm_wire::duration::parse("1.5m"), Ok(Duration::from_secs(90)));
//! assert_eq!(pm_wire::duration::show(Duration::from_secs(90)), "1 min");
//! ```

use std::fmt;
use std::time::Duration;

/// Reads a duration such as `500ms`, `10s`, `1.5m` or `2h`. A number without a unit counts seconds.
///
/// # Errors
///
/// [`DurationError`], if the text is not a number with a unit, or the duration is zero or longer than a [`Duration`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(DurationError::Format),
    };
    let number: f64 = number.parse().map_err(|_| DurationError::Format)?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err(DurationError::Zero),
        Err(_) => Err(DurationError::TooLong),
    }
}

/// The error of [`parse`]. Its text says how to write a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DurationError {
    /// The text is not a number with a unit.
    Format,
    /// The duration is zero.
    Zero,
    /// The duration is longer than [`Duration::MAX`].
    TooLong,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "write it as 500ms, 10s, 1.5m or 2h",
            Self::Zero => "it must be more than zero",
            Self::TooLong => "it is too long",
        })
    }
}

impl std::error::Error for DurationError {}

/// Returns a duration as text for people: `340 ms`, `12.4 s`, `3 min`, `5.2 h`, `3 d`. Always rounded down.
#[must_use]
pub fn show(duration: Duration) -> String {
    let (secs, millis) = (duration.as_secs(), duration.subsec_millis());
    match secs {
        0 => format!("{millis} ms"),
        1..60 => format!("{secs}.{} s", millis / 100),
        60..3_600 => format!("{} min", secs / 60),
        3_600..172_800 => format!("{}.{} h", secs / 3_600, secs % 3_600 / 360),
        _ => format!("{} d", secs / 86_400),
    }
}

/// Returns a duration in milliseconds, rounded to the microsecond, as JSON has it.
///
/// ```
/// assert_eq!(pm_wire::duration::millis(std::time::Duration::from_nanos(1_234_567)), 1.235);
/// ```
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        for (text, millis) in
            [("500ms", 500), ("10", 10_000), ("1.5s", 1_500), ("2m", 120_000), ("2min", 120_000), ("1.5h", 5_400_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "0", "0ms", "-1s", "5 parsecs", "1h30", "1e9s", "NaNs", "infs", ".", "1..2s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("99999999999999999999s"), Err(DurationError::TooLong));
    }

    #[test]
    fn durations_are_shown_with_a_unit() {
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
