//! The names of a shape's members, taken from its type.

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// Returns the names that the members of `T` have in JSON, in the order of the fields.
///
/// Serves to compare a description of a shape, such as a schema, with its type. There are none for a type that is not a
/// struct, or that flattens one of its fields.
///
/// ```
/// assert_eq!(pm_wire::members_of::<pm_wire::Progress>(), ["done", "total", "unit"]);
/// ```
#[must_use]
pub fn members_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut members: &'static [&'static str] = &[];
    // Fails always; by then, the names have been passed to the probe.
    let _ = T::deserialize(Probe(&mut members));
    members
}

/// A deserializer without a value, which records the names that it is asked for.
struct Probe<'m>(&'m mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = members;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
