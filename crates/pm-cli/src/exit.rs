//! Exit codes, and the errors that end the command. The codes are stable; `--help` and `docs/cli.md` list them.

use std::io;
use std::process::ExitCode;

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
    StillRunning = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error that ends a verb.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The command line, the environment or the config file is not understood.
    Usage(String),
    /// Output failed, or the system is out of a resource.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}
