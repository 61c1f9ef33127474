//! Serde helpers for values that JSON has no type for: durations and serials; and for members that are left out.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use pm_core::Serial;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration as a number of milliseconds, with a fraction down to the microsecond; `12.0` if there is none.
pub(crate) mod millis {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(crate::duration::millis(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        f64::deserialize(deserializer).map(from_millis)
    }

    /// A duration that may be absent.
    pub(crate) mod option {
        use super::*;

        pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            duration.map(crate::duration::millis).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<f64>::deserialize(deserializer)?.map(from_millis))
        }
    }
}

/// A duration as a whole number of milliseconds. A fraction is accepted, and written back.
pub(crate) mod whole_millis {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(duration.as_millis()) {
            Ok(millis) if duration.subsec_nanos().is_multiple_of(1_000_000) => serializer.serialize_u64(millis),
            _ => super::millis::serialize(duration, serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        super::millis::deserialize(deserializer)
    }

    /// A duration that may be absent.
    pub(crate) mod option {
        use super::*;

        struct Whole(Duration);

        impl Serialize for Whole {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                super::serialize(&self.0, serializer)
            }
        }

        pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            duration.map(Whole).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            millis::option::deserialize(deserializer)
        }
    }
}

fn from_millis(millis: f64) -> Duration {
    match millis.fract() == 0.0 && (0.0..1e15).contains(&millis) {
        true => Duration::from_millis(millis as u64),
        false if millis > 0.0 => Duration::try_from_secs_f64(millis / 1e3).unwrap_or(Duration::MAX),
        // Negative or NaN: a duration cannot be.
        false => Duration::ZERO,
    }
}

/// A duration as a string with its unit, in the body of a request. Zero, which is not accepted there, is written as one
/// millisecond.
pub(crate) mod text {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| format!("{}ms", duration.as_millis().max(1))).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| crate::duration::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

/// A serial as a string of digits, since JavaScript cannot hold all of them as numbers.
pub(crate) mod serial {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(serial: &Serial, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(serial)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Serial, D::Error> {
        Digits::deserialize(deserializer).map(|Digits(serial)| serial)
    }

    /// A serial that may be unknown: written as the empty string, and read from whatever is not a serial.
    pub(crate) mod option {
        use super::*;

        pub(crate) fn serialize<S: Serializer>(serial: &Option<Serial>, serializer: S) -> Result<S::Ok, S::Error> {
            match serial {
                Some(serial) => serializer.collect_str(serial),
                None => serializer.serialize_str(""),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Serial>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            Ok(text.and_then(|text| text.parse().ok()))
        }
    }

    /// An array of serials.
    pub(crate) mod list {
        use super::*;

        pub(crate) fn serialize<S: Serializer>(serials: &[Serial], serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(serials.iter().map(|serial| Digits(*serial)))
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Serial>, D::Error> {
            let serials = Vec::<Digits>::deserialize(deserializer)?;
            Ok(serials.into_iter().map(|Digits(serial)| serial).collect())
        }
    }
}

struct Digits(Serial);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |_| serde::de::Error::custom(format!("{text:?} is not a serial"));
        text.parse().map(Self).map_err(wrong)
    }
}

/// Reads an array of at most so many elements. A short text may have millions of empty ones, which take hundreds of
/// times as much memory; a reader that has less refuses it before, by [`memory_of`](crate::memory_of).
pub(crate) fn at_most<'de, const MOST: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct AtMost<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for AtMost<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an array of at most {MOST} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Vec<T>, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = array.next_element()? {
                if elements.len() == MOST {
                    return Err(serde::de::Error::invalid_length(MOST + 1, &self));
                }
                elements.push(element);
            }
            Ok(elements)
        }
    }
    deserializer.deserialize_seq(AtMost::<T, MOST>(PhantomData))
}

pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

pub(crate) fn is_zero(count: &u64) -> bool {
    *count == 0
}
