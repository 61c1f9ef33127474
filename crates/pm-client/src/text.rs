//! Excerpts of answers, for messages.

/// The longest excerpt of an unexpected answer: one or two lines.
const EXCERPT_CHARS: usize = 160;

/// Returns the beginning of the body on one line.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let beginning = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT_CHARS)]);
    let mut line = one_line(&beginning, EXCERPT_CHARS);
    if body.len() > 4 * EXCERPT_CHARS && !line.ends_with('…') {
        line.push('…');
    }
    line
}

/// Returns the text with each run of whitespace as one space, cut to this many characters.
pub(crate) fn one_line(text: &str, chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cut: String = line.chars().take(chars).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    cut
}
