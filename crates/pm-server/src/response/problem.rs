//! Writes problem JSON (RFC 9457).

use std::fmt::Write as _;

use http::StatusCode;

/// The media type.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// A problem that is being written.
pub(super) struct Problem(String);

impl Problem {
    /// `code` is stable: programs match on it.
    pub(super) fn new(status: StatusCode, code: &str, detail: &str) -> Self {
        let mut text = format!(r#"{{"type":"urn:pm:problem:{code}","title":""#);
        text.push_str(status.canonical_reason().unwrap_or_default());
        let _ = write!(text, r#"","status":{}"#, status.as_u16());
        Self(text).text("detail", detail).text("code", code)
    }

    /// A member that is a text.
    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        let _ = write!(self.0, r#","{name}":""#);
        for letter in value.chars() {
            match letter {
                '"' | '\\' => self.0.extend(['\\', letter]),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                control if control < ' ' => {
                    let _ = write!(self.0, "\\u{:04x}", u32::from(control));
                }
                other => self.0.push(other),
            }
        }
        self.0.push('"');
        self
    }

    /// A member that is JSON already.
    pub(super) fn json(mut self, name: &str, value: &impl std::fmt::Display) -> Self {
        let _ = write!(self.0, r#","{name}":{value}"#);
        self
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
