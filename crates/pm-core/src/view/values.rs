//! The values of a task: text, attributes, status, progress.

use std::fmt;

/// A string of a task: UTF-8, in the memory of the reader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub(super) &'a [u8]);

impl<'a> Text<'a> {
    /// Returns the bytes: valid UTF-8.
    #[inline]
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Returns the string, after a check of its bytes.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        // Only whole `&str`s are written, so the check passes.
        std::str::from_utf8(self.0).unwrap_or("\u{fffd}")
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

/// The value of an attribute as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ValueView<'a> {
    /// A text.
    Text(Text<'a>),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A floating-point number, which may be infinite or not a number.
    F64(f64),
    /// True or false.
    Bool(bool),
}

/// Shows the value as text: the text itself, an integer in decimal, `true` or `false`, and a floating-point number as
/// the shortest decimal that reads back as the same number (`0.1`, `2`, `-0`), with an exponent when it is below 1e-6
/// or from 1e21 on (`1e300`), or as `NaN`, `inf` or `-inf`.
///
/// It is what filters compare, and what every list shows.
///
/// ```
/// assert_eq!(pm_core::ValueView::F64(1e300).to_string(), "1e300");
/// ```
impl fmt::Display for ValueView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Text(text) => f.pad(text.as_str()),
            Self::I64(number) => write!(f, "{number}"),
            Self::U64(number) => write!(f, "{number}"),
            Self::F64(number) => {
                let size = number.abs();
                let is_far = size.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size);
                if is_far { write!(f, "{number:e}") } else { write!(f, "{number}") }
            }
            Self::Bool(yes) => write!(f, "{yes}"),
        }
    }
}

/// The status of a task: its newest history entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusText<'a> {
    /// It has set none since its start. Shown as `init`.
    Init,
    /// The status that it set last.
    Set(Text<'a>),
    /// It was cancelled and has set none since. Shown as `[cancel request]` or `[cancel request: why]`.
    CancelRequest(Option<Text<'a>>),
}

impl fmt::Display for StatusText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init => f.write_str("init"),
            Self::Set(text) => text.fmt(f),
            Self::CancelRequest(None) => f.write_str("[cancel request]"),
            Self::CancelRequest(Some(why)) => write!(f, "[cancel request: {why}]"),
        }
    }
}

/// The progress that a task reported. Readers compute rate and time left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// Units done.
    pub done: u64,
    /// Units in all; 0 when the task does not know.
    pub total: u64,
    /// The unit, such as `bytes` or `files`; may be empty.
    pub unit: Text<'a>,
}
