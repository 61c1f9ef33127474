//! How a server of ours explains a refusal: problem JSON of RFC 9457 with a code that stays.

use std::fmt;

use serde::Deserialize;

use crate::answer::one_line;

const TYPE: &str = "urn:pm:problem:";
/// As much as is said in one go; an explanation of ours is far shorter.
const WORDS_CHARS: usize = 1000;

/// What a server says about a request that it refuses.
///
/// Programs match on the [`code`](Self::code); the rest is for people. It is shown as one line, with the next step.
///
/// # Examples
///
/// ```
/// let text = r#"{"code":"bad-filter","status":400,"detail":"no value","hint":"write minAge=5s","parameter":"minAge"}"#;
/// let problem: pm_client::Problem = serde_json::from_str(text).unwrap();
/// assert_eq!(problem.to_string(), "no value, in `minAge` (400 bad-filter); write minAge=5s");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Problem {
    /// Which sort of problem it is, such as `missing-filter`; never changes.
    pub code: String,
    /// The sort in words.
    pub title: String,
    /// What is wrong this time.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// The parameter or field that is wrong.
    pub parameter: Option<String>,
    /// Where in the parameter it is wrong, counted from 0.
    pub position: Option<u64>,
    /// The tasks that it is about.
    pub serials: Vec<String>,
    #[serde(rename = "type")]
    kind: String,
}

impl Problem {
    /// What the body says, if it is an explanation at all. The status of the answer is the one that counts.
    pub(crate) fn read(body: &[u8], status: u16) -> Option<Problem> {
        let mut problem: Problem = serde_json::from_slice(body).ok()?;
        problem.status = status;
        for text in [&mut problem.title, &mut problem.detail].into_iter().chain(&mut problem.hint) {
            *text = one_line(text, WORDS_CHARS);
        }
        if problem.code.is_empty() {
            problem.code = problem.kind.strip_prefix(TYPE).unwrap_or_default().to_owned();
        }
        Some(problem)
    }

    /// What is wrong and what to do about it, as one text.
    pub(crate) fn words(&self) -> String {
        let what = if self.detail.is_empty() { &self.title } else { &self.detail };
        match self.hint.as_deref() {
            Some(hint) if what.is_empty() => hint.to_owned(),
            Some(hint) => format!("{what}; {hint}"),
            None => what.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.detail.as_str(), self.title.as_str()) {
            ("", "") => "no reason is given",
            ("", title) => title,
            (detail, _) => detail,
        })?;
        if let Some(parameter) = &self.parameter {
            write!(f, ", in `{parameter}`")?;
        }
        if let Some(position) = self.position {
            write!(f, ", at position {position}")?;
        }
        write!(f, " ({}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        f.write_str(")")?;
        if let Some(hint) = &self.hint { write!(f, "; {hint}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_stands_in_for_a_missing_code() {
        let problem = Problem::read(br#"{"type":"urn:pm:problem:task-not-found","new":[1]}"#, 404).unwrap();
        assert_eq!((problem.code.as_str(), problem.status), ("task-not-found", 404));
        assert_eq!(Problem::read(b"Not Found", 404), None);
        assert_eq!(Problem::read(br#"{"detail":5}"#, 404), None);
    }

    #[test]
    fn a_problem_without_words_is_still_shown() {
        assert_eq!(Problem::read(b"{}", 418).unwrap().to_string(), "no reason is given (418)");
    }
}
