//! How the command ends. The numbers are a promise; `--help` and `docs/cli.md` list them.

use std::io;
use std::process::ExitCode;

use pm_client::ClientError;

use super::Answer;
use crate::config::ConfigError;

/// The exit codes.
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

/// Why a verb cannot go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The command line, the environment or the config file is not understood.
    Usage(String),
    /// What was to be printed could not be, or the system is out of something.
    Io(io::Error),
}

impl From<ConfigError> for Stop {
    fn from(error: ConfigError) -> Stop {
        Stop::Usage(error.to_string())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
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
            tally.add(&answer.result);
        }
        tally
    }

    /// One answer more.
    pub(crate) fn add<T>(&mut self, result: &Result<T, ClientError>) {
        match result {
            Ok(_) => self.good += 1,
            Err(ClientError::NotFound { .. }) => self.not_found += 1,
            Err(
                ClientError::NotCancellable { .. }
                | ClientError::Ambiguous { .. }
                | ClientError::PreconditionFailed { .. }
                | ClientError::Unauthorized { .. }
                | ClientError::Forbidden { .. },
            ) => self.refused += 1,
            Err(_) => self.failed += 1,
        }
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

    /// The exit code of a verb that lists: nothing found is worth a code of its own, but only if all answered.
    pub(crate) fn exit_with(self, items: usize) -> Exit {
        match self.exit() {
            Exit::Ok if items == 0 => Exit::NotFound,
            exit => exit,
        }
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
