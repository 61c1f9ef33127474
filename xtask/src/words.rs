//! Finds words that are no longer used, and summaries that do not begin with a verb or a noun phrase.
//!
//! The words are in the glossary of `CONTRIBUTING.md`: the table with the columns "not", "say" and "except". A term in
//! the first column may be a phrase; in code it is also found as part of a name. What the last column has in backticks
//! is allowed: a phrase that holds the term anywhere, the term alone only where it is quoted, as the wire's words are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::files;
use crate::source::{Kind, tokens};
use crate::step::{Outcome, settle};

const GLOSSARY: &str = "CONTRIBUTING.md";
/// The document that names what earlier versions had: its code spans are not searched.
const CHANGES: &str = "CHANGELOG.md";
/// The heads of the table, in lower case.
const COLUMNS: [&str; 3] = ["not", "say", "except"];
/// Beginnings of a summary that say nothing in a list of items.
const SUMMARIES: [(&str, &str); 4] = [
    ("What", "a verb or a noun phrase"),
    ("Who", "a verb or a noun phrase"),
    ("Whether", "\"Returns `true` if\""),
    ("The same", "what the item does"),
];
const EXTENSIONS: [&str; 6] = ["rs", "md", "js", "mjs", "html", "css"];

/// Searches all sources and documents.
pub(crate) fn check() -> Outcome {
    check_below(&[])
}

/// Searches the sources and documents below these paths, or all of them if there are none, and prints the counts.
pub(crate) fn check_below(below: &[&str]) -> Outcome {
    let text = fs::read_to_string(GLOSSARY).map_err(|error| format!("{GLOSSARY}: {error}"))?;
    let rules = rules(&text)?;
    let mut errors = Vec::new();
    let mut counts: BTreeMap<PathBuf, [usize; 3]> = BTreeMap::new();
    for path in files::with_extensions(&EXTENSIONS)? {
        if !below.is_empty() && !below.iter().any(|below| path.starts_with(below)) {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let count = counts.entry(files::part(&path)).or_default();
        for Found { line, what, place } in search(&rules, &path, &text) {
            count[place as usize] += 1;
            errors.push(format!("{}:{line}: {what}", path.display()));
        }
    }
    println!("{:<28}{:>8}{:>8}{:>12}", "", "names", "prose", "summaries");
    for (part, [names, prose, summaries]) in counts {
        println!("{:<28}{names:>8}{prose:>8}{summaries:>12}", part.display());
    }
    settle(&errors)
}

/// A row of the glossary.
struct Rule {
    /// The words of each term, in lower case.
    terms: Vec<Vec<String>>,
    say: String,
    /// The words of each exception, in lower case.
    except: Vec<Vec<String>>,
}

/// Where a term was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Name,
    Prose,
    Summary,
}

struct Found {
    line: usize,
    what: String,
    place: Place,
}

/// Returns the rows of the glossary's table.
fn rules(text: &str) -> Result<Vec<Rule>, String> {
    let rows = text.lines().skip_while(|line| !is_head(line)).skip(2).map_while(cells);
    let all_words = |phrase: &str| words(phrase).map(|word| word.text).collect();
    let rule = |[not, say, except]: [String; 3]| Rule {
        terms: not.split(',').map(all_words).collect(),
        say,
        except: except.split('`').skip(1).step_by(2).map(all_words).collect(),
    };
    let rules: Vec<Rule> = rows.map(rule).collect();
    if rules.is_empty() {
        return Err(format!("{GLOSSARY} has no table with the columns {}", COLUMNS.join(", ")));
    }
    Ok(rules)
}

fn is_head(line: &str) -> bool {
    cells(line).is_some_and(|cells| cells.map(|cell| cell.to_lowercase()) == COLUMNS)
}

/// Returns the three cells of a row.
fn cells(line: &str) -> Option<[String; 3]> {
    let inner = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
    let cells: Vec<String> = inner.split('|').map(|cell| cell.trim().to_owned()).collect();
    cells.try_into().ok()
}

fn search(rules: &[Rule], path: &Path, text: &str) -> Vec<Found> {
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    // Where each name and each other piece of code begins, and whether it is a name.
    let mut pieces = BTreeMap::new();
    let mut found = Vec::new();
    if is_rust {
        let mut last_doc = None;
        for token in tokens(text) {
            pieces.insert(token.text.as_ptr() as usize - text.as_ptr() as usize, token.kind == Kind::Word);
            if token.kind == Kind::Doc {
                if last_doc.is_none_or(|last| token.line > last + 1)
                    && let Some(what) = summary(token.text)
                {
                    found.push(Found { line: token.line, what, place: Place::Summary });
                }
                last_doc = Some(token.line + token.text.matches('\n').count());
            }
        }
    }
    let is_name = |at: usize| pieces.range(..=at).next_back().is_some_and(|(_, is_name)| *is_name);
    let words: Vec<Word> = words(text).collect();
    let glossary = if path == Path::new(GLOSSARY) { table(text) } else { 0..0 };
    for rule in rules {
        for term in &rule.terms {
            for (number, word) in words.iter().enumerate() {
                let Some(run) = run(text, &words[number..], term) else { continue };
                let is_earlier_name = path == Path::new(CHANGES) && is_code_span(text, word.begin);
                if is_earlier_name || glossary.contains(&word.line) || is_excepted(rule, term, text, &words, number) {
                    continue;
                }
                let place = if is_name(run.start) { Place::Name } else { Place::Prose };
                let what = format!("`{}`: say {}", &text[run], rule.say);
                found.push(Found { line: word.line, what, place });
            }
        }
    }
    // In the order of the text, whatever the order of the rules.
    found.sort_by_key(|found| found.line);
    found
}

/// Returns the lines of the glossary's table.
fn table(text: &str) -> std::ops::Range<usize> {
    let begin = text.lines().position(is_head).map_or(0, |at| at + 1);
    let rows = text.lines().skip(begin).take_while(|line| line.starts_with('|')).count();
    begin..begin + rows + 1
}

/// Returns what is wrong with the first line of a documentation comment.
fn summary(doc: &str) -> Option<String> {
    let text = doc.trim_start_matches(['/', '*', '!']).trim_start();
    let (begin, say) = SUMMARIES.into_iter().find(|(begin, _)| {
        text.strip_prefix(begin).is_some_and(|rest| rest.starts_with(|c: char| !c.is_alphanumeric()))
    })?;
    Some(format!("a summary that begins with \"{begin}\": begin with {say}"))
}

/// A word in lower case, or a part of a name such as `end` in `endedAt`.
struct Word {
    text: String,
    line: usize,
    begin: usize,
    end: usize,
}

/// Returns the words of a text and the parts of its names.
fn words(text: &str) -> impl Iterator<Item = Word> + '_ {
    let (mut at, mut line) = (0, 1);
    std::iter::from_fn(move || {
        let begin = at + text[at..].find(|c: char| c.is_alphanumeric())?;
        line += text[at..begin].matches('\n').count();
        let mut previous = ' ';
        let mut chars = text[begin..].char_indices().peekable();
        at = text.len();
        while let Some((offset, c)) = chars.next() {
            let is_next_lower = chars.peek().is_some_and(|(_, next)| next.is_lowercase());
            let begins_part = c.is_uppercase() && (previous.is_lowercase() || previous.is_uppercase() && is_next_lower);
            if !c.is_alphanumeric() || begins_part {
                at = begin + offset;
                break;
            }
            previous = c;
        }
        Some(Word { text: text[begin..at].to_lowercase(), line, begin, end: at })
    })
}

/// Returns the place of the term if the words begin with it and only space and marks of comments and names are between.
fn run(text: &str, words: &[Word], term: &[String]) -> Option<std::ops::Range<usize>> {
    let words = words.get(..term.len())?;
    let gaps = words.windows(2).map(|pair| &text[pair[0].end..pair[1].begin]);
    let is_term = words.iter().zip(term).all(|(word, term)| word.text == *term)
        && gaps.into_iter().all(|gap| gap.chars().all(|c| c.is_whitespace() || "/*!#>_-\\".contains(c)));
    (is_term && !term.is_empty()).then(|| words[0].begin..words[words.len() - 1].end)
}

/// Returns `true` if this place of a document is between backticks.
fn is_code_span(text: &str, at: usize) -> bool {
    let line = &text[..at][text[..at].rfind('\n').map_or(0, |end| end + 1)..];
    line.matches('`').count() % 2 == 1
}

/// Returns `true` if an exception allows the term, which is the word with this number and those after it.
fn is_excepted(rule: &Rule, term: &[String], text: &str, words: &[Word], number: usize) -> bool {
    rule.except.iter().any(|phrase| {
        if phrase == term {
            let (begin, end) = (words[number].begin, words[number + term.len() - 1].end);
            let is_quote = |c: Option<char>| matches!(c, Some('"' | '\'' | '`' | '\\'));
            return is_quote(text[..begin].chars().next_back()) && is_quote(text[end..].chars().next());
        }
        // The phrase lies around the term.
        let places = phrase.windows(term.len()).enumerate().filter(|(_, words)| *words == term);
        places.into_iter().any(|(at, _)| {
            let begin = number.checked_sub(at);
            begin.is_some_and(|begin| run(text, &words[begin..], phrase).is_some())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
# Glossary

| term | meaning |
|---|---|
| task | a piece of work |

| not | say | except |
|---|---|---|
| blob, blobs | task | `blobs` of `/v1`, `too-many-blobs` |
| is nil | is not | `there is nil`, `is nil longer` |

The word blob.
";

    /// Returns the lines of what is found, as they are printed.
    fn found(path: &str, text: &str) -> Vec<String> {
        let rules = rules(TABLE).unwrap();
        search(&rules, Path::new(path), text).iter().map(|found| format!("{}: {}", found.line, found.what)).collect()
    }

    fn count(text: &str) -> usize {
        found("a.rs", text).len()
    }

    #[test]
    fn terms_are_found_in_prose_and_names_with_their_lines() {
        assert_eq!(found("a.rs", "// A\n// Blob.\n"), ["2: `Blob`: say task"]);
        assert_eq!(found("a.md", "the blobs"), ["1: `blobs`: say task"]);
        for text in
            ["fn a_blob_b() {}", "struct ABlob;", "let x = \"a blob\";", "/// is\n/// nil\nf", "is_nil", "isNil"]
        {
            assert_eq!(count(text), 1, "{text}");
        }
    }

    #[test]
    fn other_words_and_broken_phrases_pass() {
        for text in ["blobby", "ablob", "What it is. Nil", "is (nil)"] {
            assert_eq!(count(text), 0, "{text}");
        }
    }

    #[test]
    fn exceptions_pass() {
        for text in [
            "\"blobs\"",
            "{\\\"blobs\\\": 1}",
            "`blobs`",
            "too-many-blobs",
            "there is\n// nil",
            "TooManyBlobs",
            "it is nil longer",
        ] {
            assert_eq!(count(text), 0, "{text}");
        }
        for text in ["blobs", "\"the blobs\"", "many-blobs", "\"blob\""] {
            assert_eq!(count(text), 1, "{text}");
        }
    }

    #[test]
    fn names_and_prose_are_counted_apart() {
        let rules = rules(TABLE).unwrap();
        let found = search(&rules, Path::new("a.rs"), "let blob = \"blob\"; // blob");
        assert_eq!(
            found.iter().map(|found| found.place).collect::<Vec<_>>(),
            [Place::Name, Place::Prose, Place::Prose]
        );
    }

    #[test]
    fn the_table_itself_is_not_searched() {
        assert_eq!(found(GLOSSARY, TABLE), ["12: `blob`: say task"]);
    }

    #[test]
    fn the_changelog_may_name_what_earlier_versions_had() {
        assert_eq!(found(CHANGES, "`a::blob(x)` is\n`a` and blob `b`"), ["2: `blob`: say task"]);
        assert_eq!(found("README.md", "`a::blob(x)`").len(), 1);
    }

    #[test]
    fn a_document_without_the_table_is_an_error() {
        assert!(rules("| term | meaning |\n|---|---|\n| task | work |").is_err());
    }

    #[test]
    fn summaries_begin_with_a_verb_or_a_noun_phrase() {
        for text in [
            "/// What it is.",
            "//! Who it is.",
            "/// Whether it is.",
            "/// The same, but not.",
            "/** What it is. */",
            "//! Good.\n\n/// What it is.",
        ] {
            assert_eq!(count(text), 1, "{text}");
        }
        for text in
            ["/// Returns it.\n/// What it is.", "// What it is.", "/// Whatever.", "/// The sameness.", "//// What"]
        {
            assert_eq!(count(text), 0, "{text}");
        }
    }
}
