//! What went wrong at an endpoint: in words with the next step, and as JSON.

use std::error::Error as _;
use std::fmt::Write as _;

use pm_client::ClientError;
use serde_json::{Value, json};

/// The endpoint, the cause, and what to do next.
pub(crate) fn sentence(endpoint: &str, error: &ClientError) -> String {
    let what = format!("{endpoint}: {}", with_causes(error));
    if says_it_itself(error) { what } else { format!("{what}; {}", next_step(error)) }
}

/// Whether the error's own text says what to do.
fn says_it_itself(error: &ClientError) -> bool {
    match error {
        ClientError::Problem { problem, .. } => problem.hint.is_some(),
        ClientError::PreconditionFailed { .. }
        | ClientError::Unauthorized { .. }
        | ClientError::Forbidden { .. }
        | ClientError::TooMany { .. }
        | ClientError::Token { .. }
        | ClientError::Tls { .. } => true,
        _ => false,
    }
}

/// For programs.
pub(crate) fn json(error: &ClientError) -> Value {
    json!({ "code": code(error), "message": with_causes(error), "hint": next_step(error) })
}

fn with_causes(error: &ClientError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let _ = write!(text, ": {next}");
        cause = next.source();
    }
    text
}

pub(crate) fn code(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unreachable { .. } => "unreachable",
        ClientError::TimedOut { .. } => "timedOut",
        ClientError::NotFound { .. } => "notFound",
        ClientError::NotCancellable { .. } => "notCancellable",
        ClientError::Ambiguous { .. } => "ambiguous",
        ClientError::PreconditionFailed { .. } => "preconditionFailed",
        ClientError::Unauthorized { .. } => "unauthorized",
        ClientError::Forbidden { .. } => "forbidden",
        ClientError::TooMany { .. } => "tooMany",
        ClientError::NoV1 { .. } => "noV1",
        ClientError::Problem { .. } => "problem",
        ClientError::Token { .. } => "token",
        ClientError::Tls { .. } => "tls",
        ClientError::Unsendable { .. } => "unsendable",
        ClientError::Redirected { .. } => "redirected",
        ClientError::Status { .. } => "status",
        ClientError::NotPm { .. } => "notPm",
        ClientError::BrokenJson { .. } => "brokenJson",
        ClientError::Cut { .. } => "cut",
        ClientError::TooLarge { .. } => "tooLarge",
        _ => "unknown",
    }
}

fn next_step(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unreachable { .. } => {
            "see that the program runs and serves its list there, or name another with -e"
        }
        ClientError::TimedOut { stage: pm_client::Stage::Connect, .. } => {
            "see that its machine is up, or wait longer with --connect-timeout"
        }
        ClientError::TimedOut { .. } => "try again, or wait longer with --timeout",
        ClientError::NotFound { .. } => "`pm ls` shows the ids that run now",
        ClientError::NotCancellable { .. } => "it ends by itself, or with its program",
        ClientError::Ambiguous { .. } => "say which one with --serial; `pm ls` shows them too",
        ClientError::PreconditionFailed { .. } => "look again with `pm ls`",
        ClientError::Problem { problem, .. } => match &problem.hint {
            Some(_) => "do as its message says",
            None => "look into the log of that program",
        },
        ClientError::NoV1 { .. } => "ask it for what it has: ls, show, history, kill and wait",
        ClientError::Unauthorized { .. } => "set PM_TOKEN, or PM_TOKEN_FILE to a file with the token",
        ClientError::Forbidden { .. } => "use a token with the scope `cancel`",
        ClientError::TooMany { .. } => "wait a moment and try again",
        ClientError::Token { .. } => "see that PM_TOKEN_FILE names a file that you can read",
        ClientError::Tls { .. } => "see that the certificate is for this name and signed by whom you trust",
        ClientError::Redirected { .. } => "name the place it points to with -e",
        ClientError::Status { .. } => "look into the log of that program",
        ClientError::NotPm { .. } => "check the port, and the path if the list is mounted below one",
        ClientError::BrokenJson { .. } | ClientError::Cut { .. } => "try again; look into the log of that program",
        _ => "look into the log of that program",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_word_and_the_next_step_is_told_once() {
        let problem = r#"{"code":"bad-filter","status":400,"detail":"no value","hint":"write minAge=5s"}"#;
        let problem = Box::new(serde_json::from_str(problem).unwrap());
        let error = ClientError::Problem { url: "u".to_owned(), problem };
        assert_eq!(json(&error)["code"], "problem");
        assert_eq!(sentence("db1", &error), "db1: u refuses: no value (400 bad-filter); write minAge=5s");
        let error = ClientError::NoV1 { url: "u".to_owned() };
        assert_eq!(json(&error)["code"], "noV1");
        assert!(sentence("db1", &error).ends_with("; ask it for what it has: ls, show, history, kill and wait"));
        let error = ClientError::Unauthorized { url: "u".to_owned(), text: String::new(), with_token: false };
        assert_eq!(json(&error)["code"], "unauthorized");
        assert_eq!(sentence("db1", &error).matches("PM_TOKEN_FILE").count(), 1);
    }
}
