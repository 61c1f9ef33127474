//! The value of an attribute, and how it is recorded.

use std::sync::atomic::Ordering as StdOrdering;

use crate::base::redact::names::Form;
use crate::base::redact::{self, names};
use crate::layout::record;
use crate::slot::gate::{NoSpace, Writer};
use crate::store::{Store, recorded};

/// The value of an attribute. Made from strings, numbers and `bool` by `into`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A text; copied.
    Text(&'a str),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A floating-point number. Infinities and NaN are kept; JSON shows them as `null`.
    F64(f64),
    /// True or false.
    Bool(bool),
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Value<'_> {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

value_from!(
    i8 => I64, i16 => I64, i32 => I64, i64 => I64, u8 => U64, u16 => U64, u32 => U64, u64 => U64,
    f32 => F64, f64 => F64, bool => Bool,
);

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::U64(value as u64)
    }
}

impl From<isize> for Value<'_> {
    fn from(value: isize) -> Self {
        Self::I64(value as i64)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

#[inline(always)]
pub(super) fn set(writer: &Writer, store: &Store, name: &str, value: Value<'_>) {
    let result = match value {
        Value::Text(value) => writer.set_text(name, value),
        Value::I64(value) => writer.set_number(name, record::I64, value.cast_unsigned()),
        Value::U64(value) => writer.set_number(name, record::U64, value),
        Value::F64(value) => writer.set_number(name, record::F64, value.to_bits()),
        Value::Bool(value) => writer.set_number(name, record::BOOL, u64::from(value)),
    };
    if let Err(NoSpace) = result {
        store.counters.attrs_dropped.fetch_add(1, StdOrdering::Relaxed);
    }
}

/// The name of an attribute, and a first look at whether its value is secret.
#[derive(Clone, Copy)]
pub(super) struct Name<'n> {
    pub(super) text: &'n str,
    letters: u32,
    may_be_secret: bool,
}

impl<'n> Name<'n> {
    #[inline(always)]
    pub(super) fn of(text: &'n str) -> Self {
        let letters = names::letters(text);
        Self { text, letters, may_be_secret: names::may_be_secret(letters) }
    }
}

/// Returns `true` if an attribute is recorded unchanged.
#[inline(always)]
pub(super) fn is_plain(store: &Store, name: Name<'_>, value: Value<'_>) -> bool {
    let limits = &store.limits;
    name.text.len() <= limits.name
        && !name.may_be_secret
        && !store.secrets.may_have(name.letters)
        && if let Value::Text(value) = value { recorded::is_plain(value, limits.value) } else { true }
}

/// Hands over an attribute as it is to be recorded.
#[cold]
#[inline(never)]
pub(super) fn with_changed(store: &Store, name: &str, value: Value<'_>, set: &mut dyn FnMut(&str, Value<'_>)) {
    let form = if let Value::Text(text) = value { Form::of(text.as_bytes()) } else { Form::Number };
    let is_secret = store.limits.redact && store.secrets.is_secret(name, form);
    recorded::with_cut(store, name, store.limits.name, |name| match value {
        _ if is_secret => {
            store.counters.redacted.fetch_add(1, StdOrdering::Relaxed);
            set(name, Value::Text(redact::MASK));
        }
        Value::Text(value) => {
            recorded::with_recorded(store, value, store.limits.value, |value| set(name, Value::Text(value)));
        }
        number => set(name, number),
    });
}
