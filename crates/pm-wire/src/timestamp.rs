//! A point in time: RFC 3339 text in JSON, nanoseconds in memory.
//!
//! Reads any offset and up to nine digits of a second's fraction. Writes UTC with a `Z`, without trailing zeros of the
//! fraction, as VividCortex/pm does. The library that knows the calendar is private to this file.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time, to the nanosecond, between the years -9999 and 9999.
///
/// Timestamps that were written with different offsets are equal if they are the same time. The default is
/// 1970-01-01T00:00:00Z.
///
/// # Examples
///
/// ```
/// let at: pm_wire::Timestamp = "2026-11-23T23:03:36.213750000-05:00".parse().unwrap();
/// assert_eq!(at.to_string(), "2026-11-24T04:03:36.21375Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl From<pm_core::Timestamp> for Timestamp {
    fn from(at: pm_core::Timestamp) -> Self {
        Self::try_from_unix_nanos(i128::from(at.unix_nanos())).unwrap_or_default()
    }
}

impl Timestamp {
    /// Makes the timestamp that is this many nanoseconds after 1970-01-01T00:00:00Z, or before it if negative.
    #[must_use]
    pub fn from_unix_nanos(nanos: i64) -> Self {
        Self::try_from_unix_nanos(i128::from(nanos)).unwrap_or_default()
    }

    /// Makes a timestamp like [`from_unix_nanos`](Self::from_unix_nanos), for the whole range; `None` beyond it.
    #[must_use]
    pub fn try_from_unix_nanos(nanos: i128) -> Option<Self> {
        jiff::Timestamp::from_nanosecond(nanos).ok().map(Self)
    }

    /// Returns the nanoseconds since 1970-01-01T00:00:00Z; negative before it.
    #[must_use]
    pub fn unix_nanos(self) -> i128 {
        self.0.as_nanosecond()
    }

    /// Returns [`unix_nanos`](Self::unix_nanos) if 64 bits can hold them: in the years 1678 to 2261.
    #[must_use]
    pub fn unix_nanos_i64(self) -> Option<i64> {
        i64::try_from(self.unix_nanos()).ok()
    }

    /// Returns the time from `earlier` to this timestamp; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        let nanos = u128::try_from(self.unix_nanos() - earlier.unix_nanos()).unwrap_or(0);
        let (secs, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        // Both fit: the range of a timestamp is less than 2^64 seconds.
        Duration::new(secs as u64, nanos as u32)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The error of making a [`Timestamp`]: the text is not an RFC 3339 time, or the time is out of range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampError {
    text: String,
}

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an RFC 3339 time in range", self.text)
    }
}

impl std::error::Error for TimestampError {}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| TimestampError { text: text.chars().take(64).collect() })
    }
}

/// Fails only if the system's clock cannot represent the time, never on Unix.
impl TryFrom<Timestamp> for SystemTime {
    type Error = TimestampError;

    fn try_from(at: Timestamp) -> Result<SystemTime, Self::Error> {
        let system = match at >= Timestamp::default() {
            true => SystemTime::UNIX_EPOCH.checked_add(at.since(Timestamp::default())),
            false => SystemTime::UNIX_EPOCH.checked_sub(Timestamp::default().since(at)),
        };
        system.ok_or_else(|| TimestampError { text: at.to_string() })
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = TimestampError;

    fn try_from(at: SystemTime) -> Result<Self, Self::Error> {
        jiff::Timestamp::try_from(at).map(Self).map_err(|_| TimestampError { text: format!("{at:?}") })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Timestamp>().unwrap().to_string()
    }

    #[test]
    fn any_offset_becomes_utc() {
        assert_eq!(shown("2026-11-23T23:03:36.213750173-05:00"), "2026-11-24T04:03:36.213750173Z");
        assert_eq!(shown("2026-11-24T09:33:36+05:30"), "2026-11-24T04:03:36Z");
    }

    #[test]
    fn trailing_zeros_of_the_fraction_are_cut() {
        assert_eq!(shown("2026-11-24T04:03:36.500000000Z"), "2026-11-24T04:03:36.5Z");
        assert_eq!(shown("2026-11-24T04:03:36.000000000Z"), "2026-11-24T04:03:36Z");
        assert_eq!(shown("2026-11-24T04:03:36.000000001Z"), "2026-11-24T04:03:36.000000001Z");
    }

    #[test]
    fn what_is_not_a_time_is_an_error() {
        for text in ["", "yesterday", "2026-11-24", "2026-13-24T04:03:36Z", "2026-11-24T04:03:36"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn nanoseconds_come_back_unchanged() {
        for nanos in [0, 1, -1, 1_795_493_016_213_750_173, i64::MAX, i64::MIN] {
            let at = Timestamp::from_unix_nanos(nanos);
            assert_eq!(at.unix_nanos_i64(), Some(nanos));
            assert_eq!(Timestamp::try_from(SystemTime::try_from(at).unwrap()).unwrap(), at);
            assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
        }
        assert_eq!(Timestamp::try_from_unix_nanos(i128::MAX), None);
    }

    #[test]
    fn the_zero_time_of_go_is_readable_though_64_bits_cannot_hold_it() {
        let at: Timestamp = "0001-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(at.unix_nanos_i64(), None);
        assert_eq!(at.to_string(), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn a_duration_is_never_negative() {
        let (early, late) = (Timestamp::from_unix_nanos(5), Timestamp::from_unix_nanos(2_000_000_007));
        assert_eq!(late.since(early), Duration::new(2, 2));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
