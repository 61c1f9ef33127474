//! Several endpoints asked at once, what they said, and how that is told.

use std::error::Error as _;
use std::fmt::Write as _;
use std::future::Future;
use std::io::{self, Write as _};
use std::process::ExitCode;

use pm_client::{Client, ClientError};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::clean;
use crate::config::{Endpoint, Endpoints};

/// How the command ends. The numbers are a promise; `--help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    Failure = 1,
    Usage = 2,
    NotFound = 3,
    Refused = 4,
    Unreachable = 5,
    Partial = 6,
    StillRuns = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// What one endpoint said.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) endpoint: String,
    pub(crate) result: Result<T, ClientError>,
}

/// Asks every endpoint at once; the answers come in the order of the endpoints.
pub(crate) fn all<T, F, Asked>(endpoints: Endpoints, ask: F) -> io::Result<Vec<Answer<T>>>
where
    T: Send + 'static,
    F: Fn(Client) -> Asked,
    Asked: Future<Output = Result<T, ClientError>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answers = runtime.block_on(async {
        let mut asked = JoinSet::new();
        for (at, Endpoint { name: endpoint, client, .. }) in endpoints.into_iter().enumerate() {
            let asking = ask(client);
            asked.spawn(async move { (at, Answer { endpoint, result: asking.await }) });
        }
        let mut answers = asked.join_all().await;
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    });
    // A look-up of a name may hang on its own thread; do not wait for it.
    runtime.shutdown_background();
    Ok(answers)
}

/// What a set of answers means for the exit code, apart from what the verb makes of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) good: usize,
    pub(crate) not_found: usize,
    pub(crate) refused: usize,
    pub(crate) failed: usize,
}

impl Tally {
    pub(crate) fn of<T>(answers: &[Answer<T>]) -> Tally {
        let mut tally = Tally::default();
        for answer in answers {
            match &answer.result {
                Ok(_) => tally.good += 1,
                Err(ClientError::NotFound { .. }) => tally.not_found += 1,
                Err(
                    ClientError::NotCancellable { .. }
                    | ClientError::Ambiguous { .. }
                    | ClientError::PreconditionFailed { .. }
                    | ClientError::Unauthorized { .. }
                    | ClientError::Forbidden { .. },
                ) => tally.refused += 1,
                Err(_) => tally.failed += 1,
            }
        }
        tally
    }

    pub(crate) fn exit(self) -> Exit {
        let answered = self.good + self.not_found + self.refused;
        match self {
            Tally { refused: 1.., .. } => Exit::Refused,
            Tally { failed: 1.., .. } if answered == 0 => Exit::Unreachable,
            Tally { failed: 1.., .. } => Exit::Partial,
            Tally { good: 0, not_found: 1.., .. } => Exit::NotFound,
            _ => Exit::Ok,
        }
    }
}

/// Prints data. A reader that has gone away is no error: there is nobody left to tell.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Says a line of words; if nobody hears them, so be it.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "pm: {}", clean::line(text));
}

/// Names what did not answer, why, and what to do next.
pub(crate) fn say_error(endpoint: &str, error: &ClientError) {
    say(&format!("{endpoint}: {}; {}", with_causes(error), next_step(error)));
}

/// Prints the one JSON document: an entry for each endpoint, with what `show` makes of a good answer.
pub(crate) fn print_json<T>(answers: &[Answer<T>], show: impl Fn(&T) -> Value) -> io::Result<()> {
    let entries: Vec<Value> = answers
        .iter()
        .map(|answer| {
            let mut entry = match &answer.result {
                Ok(good) => show(good),
                Err(error) => json!({ "error": { "code": code(error), "message": with_causes(error) } }),
            };
            entry["endpoint"] = answer.endpoint.as_str().into();
            entry
        })
        .collect();
    print_value(&json!({ "endpoints": entries }))
}

/// Prints one value on a line of its own.
pub(crate) fn print_value(value: &Value) -> io::Result<()> {
    let mut text = clean::json(&value.to_string());
    text.push('\n');
    print(&text)
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

fn code(error: &ClientError) -> &'static str {
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
        ClientError::TimedOut { .. } => "try again, or wait longer with --timeout",
        ClientError::NotFound { .. } => "`pm ls` shows the ids that run now",
        ClientError::NotCancellable { .. } => "it ends by itself, or with its program",
        ClientError::Ambiguous { .. } => "say which one with --serial; `pm ls` shows them too",
        ClientError::PreconditionFailed { .. } => "look again with `pm ls`",
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

    fn exit(good: usize, not_found: usize, refused: usize, failed: usize) -> Exit {
        Tally { good, not_found, refused, failed }.exit()
    }

    #[test]
    fn the_exit_code_tells_the_worst_that_a_script_must_know() {
        assert_eq!(exit(2, 0, 0, 0), Exit::Ok);
        assert_eq!(exit(1, 1, 0, 0), Exit::Ok);
        assert_eq!(exit(0, 2, 0, 0), Exit::NotFound);
        assert_eq!(exit(0, 0, 0, 2), Exit::Unreachable);
        assert_eq!(exit(1, 0, 0, 1), Exit::Partial);
        assert_eq!(exit(0, 1, 0, 1), Exit::Partial);
        assert_eq!(exit(1, 0, 1, 1), Exit::Refused);
    }
}
