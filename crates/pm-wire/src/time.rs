//! Times as text: RFC 3339 in UTC, with up to nine digits of a second and without trailing zeros.
//!
//! Written by hand because a list of 100,000 tasks has 200,000 of them. The calendar is the proleptic Gregorian one.
//! The range is that of nanoseconds since 1970 in 64 bits: until the year 2554.

use crate::out::PAIRS;

/// The length of `2026-11-24T04:03:36`.
const SECONDS_LEN: usize = 19;
/// The length of `2026-11-24T04:03:36.213750173Z`.
const LONGEST: usize = 30;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// Returns a time, given in nanoseconds since 1970, as RFC 3339 text in UTC.
///
/// Trailing zeros of the fraction of a second are left out.
///
/// ```
/// assert_eq!(pm_wire::time::rfc3339(1_500_000_000).as_str(), "1970-01-01T00:00:01.5Z");
/// ```
#[must_use]
pub fn rfc3339(unix_nanos: u64) -> Rfc3339 {
    Rfc3339::new(&seconds_text(unix_nanos / NANOS_PER_SECOND), (unix_nanos % NANOS_PER_SECOND) as u32)
}

/// Formats times like [`rfc3339`], and remembers the last second.
///
/// Another time in that second, which is the rule in a list, costs a copy and the digits after the point.
///
/// ```
/// let mut cache = pm_wire::time::Rfc3339Cache::new();
/// assert_eq!(cache.text(0).as_str(), "1970-01-01T00:00:00Z");
/// ```
#[derive(Clone, Debug)]
pub struct Rfc3339Cache {
    second: u64,
    text: [u8; SECONDS_LEN],
}

impl Rfc3339Cache {
    /// Makes a cache that holds the first second of 1970.
    #[must_use]
    pub fn new() -> Self {
        Self { second: 0, text: seconds_text(0) }
    }

    /// Returns a time, given in nanoseconds since 1970, as text.
    #[inline]
    #[must_use]
    pub fn text(&mut self, unix_nanos: u64) -> Rfc3339 {
        let second = unix_nanos / NANOS_PER_SECOND;
        if second != self.second {
            self.text = seconds_text(second);
            self.second = second;
        }
        Rfc3339::new(&self.text, (unix_nanos % NANOS_PER_SECOND) as u32)
    }
}

impl Default for Rfc3339Cache {
    fn default() -> Self {
        Self::new()
    }
}

/// A time as text, on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339 {
    text: [u8; LONGEST],
    len: usize,
}

impl Rfc3339 {
    #[inline]
    fn new(seconds: &[u8; SECONDS_LEN], nanos: u32) -> Self {
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        text[..SECONDS_LEN].copy_from_slice(seconds);
        if nanos == 0 {
            text[SECONDS_LEN] = b'Z';
            return Self { text, len: SECONDS_LEN + 1 };
        }
        text[20] = b'0' + (nanos / 100_000_000) as u8;
        text[21..23].copy_from_slice(&pair(nanos / 1_000_000));
        text[23..25].copy_from_slice(&pair(nanos / 10_000));
        text[25..27].copy_from_slice(&pair(nanos / 100));
        text[27..29].copy_from_slice(&pair(nanos));
        let mut end = LONGEST - 1;
        while text[end - 1] == b'0' {
            end -= 1;
        }
        text[end] = b'Z';
        Self { text, len: end + 1 }
    }

    /// Returns the text as bytes, which are ASCII.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The bytes are ASCII.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

fn pair(number: u32) -> [u8; 2] {
    PAIRS[(number % 100) as usize]
}

fn seconds_text(second: u64) -> [u8; SECONDS_LEN] {
    let (year, month, day) = civil_from_days(second / SECONDS_PER_DAY);
    let of_day = second % SECONDS_PER_DAY;
    let mut text = *b"0000-00-00T00:00:00";
    for (at, number) in [
        (0, year / 100),
        (2, year),
        (5, month),
        (8, day),
        (11, of_day / 3600),
        (14, of_day / 60 % 60),
        (17, of_day % 60),
    ] {
        text[at..at + 2].copy_from_slice(&pair((number % 100) as u32));
    }
    text
}

/// Returns the year, month and day of a day that is counted from 1970-01-01.
///
/// Years begin in March here, so that the leap day is the last of its year; 400 such years are an era.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097;
    let days = days + 719_468; // since 0000-03-01
    let era = days / DAYS_PER_ERA;
    let of_era = days % DAYS_PER_ERA;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unix_nanos: u64) -> String {
        rfc3339(unix_nanos).as_str().to_owned()
    }

    fn expected(unix_nanos: u64) -> String {
        jiff::Timestamp::from_nanosecond(i128::from(unix_nanos)).unwrap().to_string()
    }

    #[test]
    fn trailing_zeros_of_a_second_are_cut() {
        assert_eq!(text(1_000_000_000), "1970-01-01T00:00:01Z");
        assert_eq!(text(1_120_000_000), "1970-01-01T00:00:01.12Z");
        assert_eq!(text(1_000_000_001), "1970-01-01T00:00:01.000000001Z");
    }

    #[test]
    fn every_day_until_the_year_2554_is_the_same_as_in_jiff() {
        let mut cache = Rfc3339Cache::new();
        for day in 0..=u64::MAX / NANOS_PER_SECOND / SECONDS_PER_DAY {
            let nanos = day * SECONDS_PER_DAY * NANOS_PER_SECOND;
            assert_eq!(text(nanos), expected(nanos));
            assert_eq!(cache.text(nanos).as_str(), expected(nanos));
        }
    }

    #[test]
    fn arbitrary_times_are_the_same_as_in_jiff_with_and_without_the_cache() {
        let mut cache = Rfc3339Cache::default();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..200_000_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Half of the times are small, so that some share a second with the one before and hit the cache.
            let nanos = if round % 2 == 0 { random } else { random % (1 << (round % 63 + 1)) };
            assert_eq!(cache.text(nanos).as_str(), expected(nanos));
            assert_eq!(text(nanos), expected(nanos));
        }
        for nanos in [0, 1, u64::MAX, u64::MAX - 1, 951_782_400 * NANOS_PER_SECOND, 4_107_542_399 * NANOS_PER_SECOND] {
            assert_eq!(text(nanos), expected(nanos));
        }
    }
}
