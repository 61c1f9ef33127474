//! Suggestions for misspelt names.

/// The longest word, in characters, that is compared: the longest known one has 12.
const MAX_MISSPELT: usize = 24;

/// Returns the known name that is closest to a misspelt one, or `None` if all are too different.
///
/// Case does not matter. Of several names that are equally close, it is the first.
///
/// ```
/// assert_eq!(pm_wire::nearest("stauts", ["state", "status"]), Some("status"));
/// assert_eq!(pm_wire::nearest("colour", ["state", "status"]), None);
/// ```
#[must_use]
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.chars().nth(MAX_MISSPELT).is_some() {
        return None;
    }
    let letters = |word: &str| word.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    let word = letters(word);
    let near =
        known.into_iter().filter(|known| !known.is_empty()).map(|known| (distance(&word, &letters(known)), known));
    near.filter(|(distance, _)| *distance <= 1 + word.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|near| near.1)
}

/// Returns the number of letters to add, remove, replace or swap with their neighbour to turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    // Rows of the usual table: the distance of the letters of `a` so far from each beginning of `b`.
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(a: &str, b: &str) -> usize {
        distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
    }

    #[test]
    fn distances_count_letters_added_removed_replaced_and_swapped() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kind", "kind", 0),
            ("knd", "kind", 1),
            ("kiind", "kind", 1),
            ("kond", "kind", 1),
            ("ikdn", "kind", 2),
            ("stauts", "status", 1),
            ("abc", "xyz", 3),
        ] {
            assert_eq!(apart(a, b), expected, "{a} {b}");
            assert_eq!(apart(b, a), expected, "{b} {a}");
        }
    }
}
