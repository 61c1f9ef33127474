//! What one condition is, in the form that is compared with tasks.
//!
//! Every condition has one form only: alternatives are sorted, none is there twice, and what lets everything pass says
//! nothing else. So equal conditions are equal values, and one text shows each.

use std::time::Duration;

/// The names in the order in which they are told to people; `attr.` stands for all that begin so.
pub(super) const NAMES: &[&str] = &[
    "state",
    "outcome",
    "kind",
    "id",
    "status",
    "parent",
    "serial",
    ATTR,
    "minAge",
    "maxAge",
    "minStatusAge",
    "maxStatusAge",
];
/// What the name of an attribute stands behind.
pub(super) const ATTR: &str = "attr.";

/// The words of `state`; their places are their bits in [`Words`].
pub(super) const STATES: &[&str] = &["running", "cancelling", "ended"];
/// The words of `outcome`; the empty one is that of a task that has not ended.
pub(super) const OUTCOMES: &[&str] = &["", "finished", "failed", "cancelled", "aborted", "dropped"];

/// One condition. The order of the variants is the order in which they are tried: cheap ones, which exclude much, first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    State(Words),
    Outcome(Words),
    Serial(Numbers),
    Parent(Numbers),
    Kind(Patterns),
    Id(Patterns),
    MinAge(Duration),
    MaxAge(Duration),
    Status(Patterns),
    MinStatusAge(Duration),
    MaxStatusAge(Duration),
    Attr(String, Patterns),
}

impl Condition {
    pub(super) fn lets_all_pass(&self) -> bool {
        match self {
            Self::State(words) | Self::Outcome(words) => *words == Words::ALL,
            Self::Serial(numbers) | Self::Parent(numbers) => *numbers == Numbers::All,
            Self::Kind(texts) | Self::Id(texts) | Self::Status(texts) | Self::Attr(_, texts) => texts.is_all(),
            // Ages are counted in 64 bits of nanoseconds.
            Self::MaxAge(length) | Self::MaxStatusAge(length) => *length >= Duration::from_nanos(u64::MAX),
            Self::MinAge(_) | Self::MinStatusAge(_) => false,
        }
    }

    pub(super) fn depends_on_time(&self) -> bool {
        matches!(self, Self::MinAge(_) | Self::MaxAge(_) | Self::MinStatusAge(_) | Self::MaxStatusAge(_))
    }
}

/// Some of the words that a condition knows, a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Words(u8);

impl Words {
    /// All words, those that the list may learn later included.
    pub(super) const ALL: Self = Self(u8::MAX);

    /// Those of `known` for which `is_meant` is true.
    pub(super) fn of(known: &[&str], is_meant: impl Fn(&str) -> bool) -> Self {
        let bits = known.iter().enumerate().map(|(at, word)| u8::from(is_meant(word)) << at);
        let bits = bits.fold(0, |all, bit| all | bit);
        if u32::from(bits) + 1 == 1 << known.len() { Self::ALL } else { Self(bits) }
    }

    /// Whether the word at this place is among them; there are none from 8 on.
    #[inline]
    pub(super) fn has(self, place: u32) -> bool {
        self.0 >> place & 1 != 0
    }
}

/// Serials, sorted; 0 stands for having none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Numbers {
    All,
    Of(Vec<u64>),
}

impl Numbers {
    pub(super) fn of(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        Self::Of(numbers)
    }

    #[inline]
    pub(super) fn has(&self, number: u64) -> bool {
        match self {
            Self::All => true,
            Self::Of(numbers) => numbers.binary_search(&number).is_ok(),
        }
    }
}

/// A text, or the beginning of texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) is_prefix: bool,
}

impl Pattern {
    #[inline]
    pub(super) fn fits(&self, value: &[u8]) -> bool {
        let text = self.text.as_bytes();
        if self.is_prefix { value.starts_with(text) } else { value == text }
    }

    /// As [`fits`](Self::fits), for a value in pieces.
    fn fits_pieces(&self, pieces: &[&[u8]]) -> bool {
        let mut rest = self.text.as_bytes();
        for piece in pieces {
            match rest.strip_prefix(*piece) {
                Some(after) => rest = after,
                None => return self.is_prefix && piece.starts_with(rest),
            }
        }
        rest.is_empty()
    }

    pub(super) fn is_all(&self) -> bool {
        self.is_prefix && self.text.is_empty()
    }
}

/// Patterns, sorted, at least one, of which one must fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Patterns(Vec<Pattern>);

impl Patterns {
    pub(super) fn of(mut patterns: Vec<Pattern>) -> Self {
        if patterns.iter().any(Pattern::is_all) {
            patterns.retain(Pattern::is_all);
        }
        patterns.sort_unstable();
        patterns.dedup();
        Self(patterns)
    }

    #[inline]
    pub(super) fn fit(&self, value: &[u8]) -> bool {
        self.0.iter().any(|pattern| pattern.fits(value))
    }

    /// As [`fit`](Self::fit), for a value in pieces.
    pub(super) fn fit_pieces(&self, pieces: &[&[u8]]) -> bool {
        self.0.iter().any(|pattern| pattern.fits_pieces(pieces))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }

    fn is_all(&self) -> bool {
        self.0.iter().all(Pattern::is_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_pieces_fits_as_one_in_one_piece_does() {
        let texts = ["", "a", "ab", "abc", "abcd", "b", "ac", "abd", "abcde"];
        let parts: [&[&[u8]]; 6] =
            [&[b"", b"", b""], &[b"a", b"", b"b"], &[b"a", b"b", b"c"], &[b"", b"abc", b"d"], &[b"abc"], &[b"b", b"c"]];
        for text in texts {
            for is_prefix in [false, true] {
                let pattern = Pattern { text: text.to_owned(), is_prefix };
                for pieces in parts {
                    assert_eq!(pattern.fits_pieces(pieces), pattern.fits(&pieces.concat()), "{pattern:?} {pieces:?}");
                }
            }
        }
    }

    #[test]
    fn all_words_are_those_to_come_as_well() {
        assert_eq!(Words::of(STATES, |_| true), Words::ALL);
        assert_eq!(Words::of(OUTCOMES, |_| true), Words::ALL);
        let failed = Words::of(OUTCOMES, |word| word == "failed");
        assert!(failed.has(2) && !failed.has(1) && !failed.has(7) && Words::ALL.has(7));
    }
}
