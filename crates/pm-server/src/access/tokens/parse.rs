//! The text of a token file.

use std::sync::Arc;

use super::error::{LineProblem, Problem};
use super::token::{LONGEST, LONGEST_NAME, SHORTEST, Token, digest};
use crate::access::{Permission, short_hex};

/// The byte order mark that some editors put first.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Parses the text of the variable: as that of a file, but the last line need not end, and `;` or `,` ends a line, too.
pub(super) fn parse_variable(text: &str) -> Result<Arc<[Token]>, Problem> {
    parse((text.replace([';', ','], "\n") + "\n").as_bytes())
}

/// Parses a file, in which every line ends.
pub(super) fn parse(text: &[u8]) -> Result<Arc<[Token]>, Problem> {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let mut tokens: Vec<Token> = Vec::new();
    let mut lines = text.split(|&byte| byte == b'\n');
    let after_the_last = lines.next_back().unwrap_or_default();
    let mut count = 0;
    for line in lines {
        count += 1;
        let at = |problem| Problem::Line { line: count, problem };
        let line = std::str::from_utf8(line).map_err(|_| at(LineProblem::OddCharacter))?;
        if let Some(new) = parse_line(line).map_err(at)? {
            if tokens.iter().any(|token| token.digest == new.digest) {
                return Err(at(LineProblem::Duplicate));
            }
            tokens.push(new);
        }
    }
    match (after_the_last, tokens.is_empty()) {
        ([], false) => Ok(tokens.into()),
        ([], true) => Err(Problem::Empty),
        _ => Err(Problem::Line { line: count + 1, problem: LineProblem::NoLineBreak }),
    }
}

fn parse_line(line: &str) -> Result<Option<Token>, LineProblem> {
    let mut words = line.split_ascii_whitespace();
    let permission = match words.next() {
        None => return Ok(None),
        Some(word) if word.starts_with('#') => return Ok(None),
        // Not shown: it may be a token in the wrong place.
        Some(word) => Permission::parse(word).ok_or(LineProblem::Permission)?,
    };
    let token = words.next().ok_or(LineProblem::NoToken)?;
    let token = new(permission, token, words.next())?;
    match words.next() {
        None => Ok(Some(token)),
        Some(_) => Err(LineProblem::Trailing),
    }
}

/// Makes a token, and checks its parts.
pub(super) fn new(permission: Permission, token: &str, name: Option<&str>) -> Result<Token, LineProblem> {
    // RFC 6750, 2.1: what can travel in an `Authorization` header.
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    match token.len() {
        _ if !token.bytes().all(is_allowed) => return Err(LineProblem::OddCharacter),
        length @ ..SHORTEST => return Err(LineProblem::Short { length }),
        LONGEST.. => return Err(LineProblem::Long),
        _ => {}
    }
    let digest = digest(token.as_bytes());
    let name = match name {
        Some(name) => check_name(name)?.into(),
        None => short_hex(&digest).into(),
    };
    Ok(Token { digest, permission, name })
}

fn check_name(name: &str) -> Result<&str, LineProblem> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@".contains(&byte);
    if name.len() <= LONGEST_NAME && name.bytes().all(is_allowed) { Ok(name) } else { Err(LineProblem::Name) }
}
