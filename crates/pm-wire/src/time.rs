//! Dates as they travel: RFC 3339, UTC, up to nine digits of a second, trailing zeros cut.
//!
//! Written by hand because a list of 100,000 tasks has 200,000 of them. The calendar is the proleptic Gregorian one, the
//! range is that of nanoseconds since 1970 in 64 bits: until the year 2554.

/// The length of `2026-11-24T04:03:36`.
const SECONDS_LEN: usize = 19;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// Appends the moment as RFC 3339 in UTC.
///
/// `unix_nanos` counts nanoseconds since 1970. Digits of a second are written as far as they are not zero.
///
/// ```
/// let mut out = Vec::new();
/// pm_wire::time::write_rfc3339(&mut out, 1_500_000_000);
/// assert_eq!(out, b"1970-01-01T00:00:01.5Z");
/// ```
pub fn write_rfc3339(out: &mut Vec<u8>, unix_nanos: u64) {
    out.extend_from_slice(&seconds_text(unix_nanos / NANOS_PER_SECOND));
    write_fraction(out, (unix_nanos % NANOS_PER_SECOND) as u32);
}

/// Writes moments like [`write_rfc3339`], and remembers the text of the second it wrote last.
///
/// Moments of the same second, which are the rule in a list, then cost a copy and the digits after the point.
///
/// ```
/// let mut cache = pm_wire::time::Rfc3339Cache::new();
/// let mut out = Vec::new();
/// cache.write(&mut out, 0);
/// assert_eq!(out, b"1970-01-01T00:00:00Z");
/// ```
#[derive(Clone, Debug)]
pub struct Rfc3339Cache {
    second: u64,
    text: [u8; SECONDS_LEN],
}

impl Rfc3339Cache {
    /// A cache that holds the first second of 1970.
    #[must_use]
    pub fn new() -> Self {
        Self { second: 0, text: seconds_text(0) }
    }

    /// Appends the moment, given in nanoseconds since 1970.
    #[inline]
    pub fn write(&mut self, out: &mut Vec<u8>, unix_nanos: u64) {
        let second = unix_nanos / NANOS_PER_SECOND;
        if second != self.second {
            self.text = seconds_text(second);
            self.second = second;
        }
        out.extend_from_slice(&self.text);
        write_fraction(out, (unix_nanos % NANOS_PER_SECOND) as u32);
    }
}

impl Default for Rfc3339Cache {
    fn default() -> Self {
        Self::new()
    }
}

const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

fn pair(number: u64) -> [u8; 2] {
    PAIRS[(number % 100) as usize]
}

/// `.5Z`, or `Z` at a whole second.
#[inline]
fn write_fraction(out: &mut Vec<u8>, nanos: u32) {
    if nanos == 0 {
        out.push(b'Z');
        return;
    }
    let mut text = *b".000000000Z";
    let nanos = u64::from(nanos);
    text[1] = b'0' + (nanos / 100_000_000) as u8;
    text[2..4].copy_from_slice(&pair(nanos / 1_000_000));
    text[4..6].copy_from_slice(&pair(nanos / 10_000));
    text[6..8].copy_from_slice(&pair(nanos / 100));
    text[8..10].copy_from_slice(&pair(nanos));
    let mut end = 10;
    while text[end - 1] == b'0' {
        end -= 1;
    }
    text[end] = b'Z';
    out.extend_from_slice(&text[..=end]);
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
        text[at..at + 2].copy_from_slice(&pair(number));
    }
    text
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Years are made to begin in March, so that the leap day is the last of its year; 400 such years are an era.
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
        let mut out = Vec::new();
        write_rfc3339(&mut out, unix_nanos);
        String::from_utf8(out).unwrap()
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
        let mut out = Vec::new();
        for day in 0..=u64::MAX / NANOS_PER_SECOND / SECONDS_PER_DAY {
            let nanos = day * SECONDS_PER_DAY * NANOS_PER_SECOND;
            assert_eq!(text(nanos), expected(nanos));
            out.clear();
            cache.write(&mut out, nanos);
            assert_eq!(out, expected(nanos).as_bytes());
        }
    }

    #[test]
    fn arbitrary_moments_are_the_same_as_in_jiff_with_and_without_the_cache() {
        let mut cache = Rfc3339Cache::default();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..200_000_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Every other moment is near the one before it, to meet the cache.
            let nanos = if round % 2 == 0 { random } else { random % (1 << (round % 63 + 1)) };
            let mut out = Vec::new();
            cache.write(&mut out, nanos);
            assert_eq!(out, expected(nanos).as_bytes());
            assert_eq!(text(nanos).as_bytes(), out);
        }
        for nanos in [0, 1, u64::MAX, u64::MAX - 1, 951_782_400 * NANOS_PER_SECOND, 4_107_542_399 * NANOS_PER_SECOND] {
            assert_eq!(text(nanos), expected(nanos));
        }
    }
}
