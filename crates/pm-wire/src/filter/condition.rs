//! A condition in the form that is compared with tasks, its names and its limits.
//!
//! Equal conditions are equal values, and are shown by the same text: alternatives are sorted and have no duplicates,
//! and beside one that matches everything there are no others.

use std::time::Duration;

/// The most conditions in a filter: many more than there are names.
pub(super) const MAX_CONDITIONS: usize = 64;
/// The most alternatives in a condition: as many as a page of serials has.
pub(super) const MAX_ALTERNATIVES: usize = 256;
/// The most bytes of a filter's text, as it was given and as it is shown: those that fit into the head of a request.
pub(super) const MAX_BYTES: usize = 8 << 10;

/// The names, in the order in which they are listed to people; `attr.` stands for all names that begin with it.
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
/// The part of a name before that of an attribute.
pub(super) const ATTR: &str = "attr.";

/// The words of `state`. The index of a word is that of its bit in [`Words`].
pub(super) const STATES: &[&str] = &["running", "cancelling", "ended"];
/// The words of `outcome`, with the empty one for tasks that have not ended. As above, the index is that of the bit.
pub(super) const OUTCOMES: &[&str] = &["", "finished", "failed", "cancelled", "aborted", "dropped"];

/// Returns `true` if a condition may have this name.
pub(super) fn is_name(name: &str) -> bool {
    match name.strip_prefix(ATTR) {
        Some(attr) => !attr.is_empty(),
        None => NAMES.contains(&name),
    }
}

/// A condition. They are tried in the order of the variants: first those that are cheap and exclude many tasks.
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
    /// Returns `true` if the condition holds for every task.
    pub(super) fn lets_all_pass(&self) -> bool {
        match self {
            Self::State(words) | Self::Outcome(words) => *words == Words::ALL,
            Self::Serial(numbers) | Self::Parent(numbers) => *numbers == Numbers::All,
            Self::Kind(of) | Self::Id(of) | Self::Status(of) | Self::Attr(_, of) => of.is_all(),
            // Ages are counted in 64 bits of nanoseconds.
            Self::MaxAge(most) | Self::MaxStatusAge(most) => *most >= Duration::from_nanos(u64::MAX),
            Self::MinAge(_) | Self::MinStatusAge(_) => false,
        }
    }

    /// Returns `true` if the condition is on an age.
    pub(super) fn depends_on_time(&self) -> bool {
        matches!(self, Self::MinAge(_) | Self::MaxAge(_) | Self::MinStatusAge(_) | Self::MaxStatusAge(_))
    }
}

/// A set of words: a bit for each of those that a condition knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Words(u8);

impl Words {
    /// All words, including those that the list may have later.
    pub(super) const ALL: Self = Self(u8::MAX);

    /// Makes the set of the `known` words for which `is_meant` returns `true`.
    pub(super) fn of(known: &[&str], is_meant: impl Fn(&str) -> bool) -> Self {
        let bits = known.iter().enumerate().map(|(at, word)| u8::from(is_meant(word)) << at);
        let bits = bits.fold(0, |all, bit| all | bit);
        if u32::from(bits) + 1 == 1 << known.len() { Self::ALL } else { Self(bits) }
    }

    /// Returns `true` if the word with this index, at most 7, is in the set.
    #[inline]
    pub(super) fn has(self, index: u32) -> bool {
        self.0 >> index & 1 != 0
    }
}

/// A set of serials, in which 0 stands for having none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Numbers {
    All,
    /// Sorted, without duplicates.
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

/// A string that a value must be or, as a prefix, begin with.
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

    /// Returns what [`fits`](Self::fits) does, for a value in pieces.
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

/// Patterns of which one must fit: at least one, sorted, without duplicates.
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

    /// Returns what [`fit`](Self::fit) does, for a value in pieces.
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
        let patterns = ["", "a", "ab", "abc", "abcd", "b", "ac", "abd", "abcde"];
        let parts: [&[&[u8]]; 6] =
            [&[b"", b"", b""], &[b"a", b"", b"b"], &[b"a", b"b", b"c"], &[b"", b"abc", b"d"], &[b"abc"], &[b"b", b"c"]];
        for text in patterns {
            for is_prefix in [false, true] {
                let pattern = Pattern { text: text.to_owned(), is_prefix };
                for pieces in parts {
                    assert_eq!(pattern.fits_pieces(pieces), pattern.fits(&pieces.concat()), "{pattern:?} {pieces:?}");
                }
            }
        }
    }

    #[test]
    fn all_words_include_later_ones() {
        assert_eq!(Words::of(STATES, |_| true), Words::ALL);
        assert_eq!(Words::of(OUTCOMES, |_| true), Words::ALL);
        let failed = Words::of(OUTCOMES, |word| word == "failed");
        assert!(failed.has(2) && !failed.has(1) && !failed.has(7) && Words::ALL.has(7));
    }
}
