//! Rust source without comments and texts: enough to find a word in the code, not a parser.

/// The line of the first `unsafe` in the code, if any; the first line is 1.
pub(crate) fn first_unsafe(source: &str) -> Option<usize> {
    let code = code_only(source);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let at = code.match_indices("unsafe").find(|(at, word)| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    });
    at.map(|(at, _)| code[..at].matches('\n').count() + 1)
}

/// The source with a space for every comment, text and character, and with all its line breaks.
fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let len = skipped(rest, after_word);
        if len == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            code.extend(rest[..len].chars().filter(|c| *c == '\n'));
            rest = &rest[len..];
        }
    }
    code
}

/// The length of the comment, text or character that begins here; 0 if none does.
fn skipped(rest: &str, after_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') {
        // A lifetime has no second quote after its first character.
        let mut chars = rest.chars().skip(1);
        let (first, second) = (chars.next(), chars.next());
        return if first == Some('\\') || second == Some('\'') { quoted(rest, '\'') } else { 0 };
    }
    // r"..", r#".."#, br#".."#: the letter must not be the end of a name.
    let hashes = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')).filter(|_| !after_word);
    let Some(hashes) = hashes else { return 0 };
    let text = hashes.trim_start_matches('#');
    let Some(text) = text.strip_prefix('"') else { return 0 };
    let begin = rest.len() - text.len();
    let end = format!("\"{}", &hashes[..hashes.len() - text.len() - 1]);
    text.find(&end).map_or(rest.len(), |at| begin + at + end.len())
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        let step = match here {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        depth += step.0;
        at += step.1;
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_found_with_its_line() {
        for (source, line) in [
            ("unsafe { f() }", 1),
            ("fn f<'a>(c: &'a char) {\n    unsafe impl", 2),
            ("/* a\n/* b */ */\nunsafe", 3),
            ("let quote = '\"'; unsafe {}", 1),
            ("let quote = '\\''; unsafe {}", 1),
            ("let text = \"a \\\" b\n\"; unsafe {}", 2),
            ("let text = r#\"a \" b\"#; unsafe {}", 1),
            ("let text = br\"\\\"; unsafe {}", 1),
            ("let é = 'é'; /* é */ unsafe {}", 1),
        ] {
            assert_eq!(first_unsafe(source), Some(line), "{source}");
        }
    }

    #[test]
    fn the_word_elsewhere_is_not_code() {
        for source in [
            "// unsafe",
            "//! unsafe\n/// unsafe",
            "/* /* */ unsafe */",
            "#![allow(unsafe_code, unused_unsafe)]",
            "let text = \"unsafe \\\" unsafe\";",
            "let text = r##\"unsafe \"# unsafe\"##;",
            "let text = br\"unsafe\";",
        ] {
            assert_eq!(first_unsafe(source), None, "{source}");
        }
    }
}
