//! Errors of endpoints, as messages with a next step and as JSON.

use std::error::Error as _;
use std::fmt::Write as _;

use pm_client::ClientError;
use serde_json::{Value, json};

/// Endpoint, cause and next step.
pub(crate) fn message(endpoint: &str, error: &ClientError) -> String {
    let text = format!("{endpoint}: {}", with_causes(error));
    if has_next_step(error) { text } else { format!("{text}; {}", next_step(error)) }
}

/// Returns whether the error's own text includes the next step.
fn has_next_step(error: &ClientError) -> bool {
    match error {
        ClientError::Problem { problem, .. } => problem.hint.is_some(),
        ClientError::PreconditionFailed { .. }
        | ClientError::Unauthorized { .. }
        | ClientError::Forbidden { .. }
        | ClientError::TooMany { .. }
        | ClientError::Token { .. }
        | ClientError::Tls { .. }
        | ClientError::TooLarge { .. }
        | ClientError::TooMuch { .. } => true,
        _ => false,
    }
}

/// The error as JSON.
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
        ClientError::TooMuch { .. } => "tooMuch",
        ClientError::EndlessPages { .. } => "endlessPages",
        _ => "unknown",
    }
}

fn next_step(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unreachable { .. } => {
            "check that the program is running and serves its list there, or name another endpoint with -e"
        }
        ClientError::TimedOut { stage: pm_client::Stage::Connect, .. } => {
            "check that its host is up, or raise --connect-timeout"
        }
        ClientError::TimedOut { .. } => "try again, or raise --timeout",
        ClientError::NotFound { .. } => "`pm ls` lists running tasks",
        ClientError::NotCancellable { .. } => "it can only end by itself or with its program",
        ClientError::Ambiguous { .. } => "`pm ls -o wide` shows serials",
        ClientError::PreconditionFailed { .. } => "check it with `pm ls`",
        ClientError::Problem { problem, .. } => match &problem.hint {
            Some(_) => "follow the hint in the message",
            None => "check the program's log",
        },
        ClientError::NoV1 { .. } => "a Go original supports ls, show, history, kill and wait",
        ClientError::Unauthorized { .. } => "set PM_TOKEN or PM_TOKEN_FILE",
        ClientError::Forbidden { .. } => "use a token with the permission `cancel`",
        ClientError::TooMany { .. } => "wait a moment and try again",
        ClientError::Token { .. } => "check that PM_TOKEN_FILE names a readable file",
        ClientError::Tls { .. } => {
            "check that the certificate is valid for this name and signed by a trusted authority"
        }
        ClientError::Redirected { .. } => "name the target of the redirect with -e",
        ClientError::Status { .. } => "check the program's log",
        ClientError::NotPm { .. } => "check the port, and the path if the list is mounted below one",
        ClientError::BrokenJson { .. } | ClientError::Cut { .. } => "try again, or check the program's log",
        ClientError::TooLarge { .. } | ClientError::TooMuch { .. } => "filters or limit=N select fewer tasks",
        ClientError::EndlessPages { .. } => "check that it is pm that answers there",
        _ => "check the program's log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_code_and_one_next_step() {
        let problem = r#"{"code":"bad-filter","status":400,"detail":"no value","hint":"write minAge=5s"}"#;
        let problem = Box::new(serde_json::from_str(problem).unwrap());
        let error = ClientError::Problem { url: "u".to_owned(), problem };
        assert_eq!(json(&error)["code"], "problem");
        assert_eq!(message("db1", &error), "db1: u refuses: no value (400 bad-filter); write minAge=5s");
        let error = ClientError::NoV1 { url: "u".to_owned() };
        assert_eq!(json(&error)["code"], "noV1");
        assert!(message("db1", &error).ends_with("; a Go original supports ls, show, history, kill and wait"));
        let error = ClientError::Unauthorized { url: "u".to_owned(), text: String::new(), with_token: false };
        assert_eq!(json(&error)["code"], "unauthorized");
        assert_eq!(message("db1", &error).matches("PM_TOKEN_FILE").count(), 1);
    }
}
