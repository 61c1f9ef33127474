//! Rust source as tokens: enough to find words, paths and comments, not a parser.

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier, a keyword or a number.
    Word,
    /// One character of punctuation.
    Mark,
    /// A string, byte string or character, with its quotes.
    Literal,
    /// A comment that is not documentation.
    Comment,
    /// `///`, `//!`, `/** */` or `/*! */`.
    Doc,
}

/// A token, and the line on which it begins; the first line is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Kind,
    pub(crate) text: &'s str,
    pub(crate) line: usize,
}

impl Token<'_> {
    /// Returns `true` if this is the word or the mark `text`, outside strings and comments.
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Mark) && self.text == text
    }
}

/// Returns all tokens of a source.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match begin(rest) {
            Some(found) => found,
            None if first.is_whitespace() => {
                line += usize::from(first == '\n');
                rest = &rest[first.len_utf8()..];
                continue;
            }
            None if is_word(first) => (Kind::Word, rest.find(|c| !is_word(c)).unwrap_or(rest.len())),
            None => (Kind::Mark, first.len_utf8()),
        };
        let text = &rest[..length];
        tokens.push(Token { kind, text, line });
        line += text.matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// Returns the tokens of the code that is compiled outside tests: no comments, no items under `#[cfg(test)]`.
pub(crate) fn code_outside_tests(source: &str) -> Vec<Token<'_>> {
    let mut tokens = tokens(source);
    tokens.retain(|token| !matches!(token.kind, Kind::Comment | Kind::Doc));
    let mut code = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match attribute(&tokens[at..]) {
            Some((length, true)) => at += length + item(&tokens[at + length..]),
            Some((length, false)) => {
                code.extend_from_slice(&tokens[at..at + length]);
                at += length;
            }
            None => {
                code.push(tokens[at]);
                at += 1;
            }
        }
    }
    code
}

/// Returns the line of the first `unsafe` in the code.
pub(crate) fn first_unsafe(source: &str) -> Option<usize> {
    tokens(source).iter().find(|token| token.kind == Kind::Word && token.text == "unsafe").map(|token| token.line)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the kind and the length of the comment or literal that begins here.
fn begin(rest: &str) -> Option<(Kind, usize)> {
    if rest.starts_with("//") {
        let length = rest.find('\n').unwrap_or(rest.len());
        let is_doc = rest.starts_with("//!") || rest.starts_with("///") && !rest.starts_with("////");
        return Some((if is_doc { Kind::Doc } else { Kind::Comment }, length));
    }
    if rest.starts_with("/*") {
        let is_doc = rest.starts_with("/*!") || rest.starts_with("/**") && !rest.starts_with("/**/");
        return Some((if is_doc { Kind::Doc } else { Kind::Comment }, block_comment(rest)));
    }
    let prefix = ["br", "cr", "r", "b", "c", ""]
        .into_iter()
        .find(|prefix| rest.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['"', '\'', '#'])))?;
    let quoted = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        // `r#name` has no quote.
        let text = quoted.trim_start_matches('#').strip_prefix('"')?;
        let begin = rest.len() - text.len();
        let end = format!("\"{}", &quoted[..quoted.len() - text.len() - 1]);
        return Some((Kind::Literal, text.find(&end).map_or(rest.len(), |at| begin + at + end.len())));
    }
    if quoted.starts_with('\'') {
        // A lifetime has no second quote after its first character.
        let mut chars = quoted.chars().skip(1);
        let (first, second) = (chars.next(), chars.next());
        if first != Some('\\') && second != Some('\'') {
            return None;
        }
    } else if !quoted.starts_with('"') {
        return None;
    }
    Some((Kind::Literal, prefix.len() + literal(quoted)))
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let (change, step) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        depth += change;
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Returns the length of a literal that begins with its quote.
fn literal(rest: &str) -> usize {
    let quote = rest.chars().next();
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if Some(c) == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Returns the length of the attribute that begins here, and `true` if what it is on exists in tests only.
fn attribute(tokens: &[Token<'_>]) -> Option<(usize, bool)> {
    if !(tokens.first()?.is("#") && tokens.get(1)?.is("[")) {
        return None;
    }
    let length = 1 + group(&tokens[1..]);
    let inner = &tokens[2..length];
    let is_cfg = inner.first().is_some_and(|token| token.is("cfg"));
    let has = |word| inner.iter().any(|token| token.is(word));
    Some((length, is_cfg && has("test") && !has("not")))
}

/// Returns the length of the item, field, variant or statement that begins here, its further attributes included.
fn item(tokens: &[Token<'_>]) -> usize {
    const TO_SEMICOLON: [&str; 5] = ["use", "const", "static", "type", "let"];
    const TO_BRACES: [&str; 10] =
        ["fn", "impl", "mod", "struct", "enum", "trait", "union", "extern", "unsafe", "macro_rules"];
    let mut at = 0;
    while let Some((length, _)) = attribute(&tokens[at..]) {
        at += length;
    }
    let (mut ends_with_braces, mut ends_with_comma) = (true, true);
    while let Some(token) = tokens.get(at) {
        if TO_BRACES.iter().any(|word| token.is(word)) {
            // Also of `const fn`.
            (ends_with_braces, ends_with_comma) = (true, false);
        } else if TO_SEMICOLON.iter().any(|word| token.is(word)) && ends_with_comma {
            (ends_with_braces, ends_with_comma) = (false, false);
        }
        match token.text {
            ";" => return at + 1,
            "," if ends_with_comma => return at + 1,
            "{" if ends_with_braces => return at + group(&tokens[at..]),
            "(" | "[" | "{" => at += group(&tokens[at..]),
            // The end of what the item is in.
            ")" | "]" | "}" => return at,
            _ => at += 1,
        }
    }
    at
}

/// Returns the length of the group whose opening bracket is here.
fn group(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Mark) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(source: &str) -> String {
        code_outside_tests(source).iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn unsafe_code_is_found_with_its_line() {
        for (source, line) in [
            ("unsafe { f() }", 1),
            ("fn f<'a>(c: &'a char) {\n    unsafe impl", 2),
            ("/* a\n/* b */ */\nunsafe", 3),
            ("let quote = '\"'; unsafe {}", 1),
            ("let quote = '\\''; unsafe {}", 1),
            ("let byte = b'\"'; unsafe {}", 1),
            ("let text = \"a \\\" b\n\"; unsafe {}", 2),
            ("let text = r#\"a \" b\"#; unsafe {}", 1),
            ("let text = br\"\\\"; unsafe {}", 1),
            ("let é = 'é'; /* é */ unsafe {}", 1),
            ("let r#type = 1; unsafe {}", 1),
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
            "let text = c\"unsafe\";",
        ] {
            assert_eq!(first_unsafe(source), None, "{source}");
        }
    }

    #[test]
    fn documentation_differs_from_other_comments() {
        let kinds = |source| tokens(source).iter().map(|token| token.kind).collect::<Vec<_>>();
        assert_eq!(kinds("/// a\n//! b\n/** c */ /*! d */"), [Kind::Doc; 4]);
        assert_eq!(kinds("// a\n//// b\n/* c */ /**/"), [Kind::Comment; 4]);
    }

    #[test]
    fn items_of_tests_are_left_out() {
        for (source, expected) in [
            ("#[cfg(test)] mod tests { fn f() {} } fn g() {}", "fn g ( ) { }"),
            ("#[cfg(test)] mod tests; use a;", "use a ;"),
            ("#[cfg(test)] use a::{b, c}; use d;", "use d ;"),
            ("#[cfg(all(test, unix))] #[allow(x)] impl<A, B> C for D<A> { } f", "f"),
            ("#[cfg(test)] const fn f() -> [u8; 2] { [1, 2] } g", "g"),
            ("#[cfg(test)] const X: [u8; 2] = { [1, 2] }; g", "g"),
            ("struct A { #[cfg(test)] pub b: (u8, u8), c: u8 }", "struct A { c : u8 }"),
            ("enum A { B, #[cfg(test)] C }", "enum A { B , }"),
            ("#[cfg(not(test))] use a;", "# [ cfg ( not ( test ) ) ] use a ;"),
            ("#[test] fn f() {}", "# [ test ] fn f ( ) { }"),
        ] {
            assert_eq!(code(source), expected, "{source}");
        }
    }
}
