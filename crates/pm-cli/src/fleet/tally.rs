//! Counts the results of several endpoints, and derives the exit code.

use pm_client::ClientError;

use super::answer::Answer;
use crate::exit::Exit;

/// The number of results by category.
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

    /// Counts a result.
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

    /// The exit code of a verb that lists `items`: none found has its own code, if all endpoints answered.
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
    fn the_exit_code_reflects_the_most_important_failure() {
        assert_eq!(exit(2, 0, 0, 0), Exit::Ok);
        assert_eq!(exit(1, 1, 0, 0), Exit::Ok);
        assert_eq!(exit(0, 2, 0, 0), Exit::NotFound);
        assert_eq!(exit(0, 0, 0, 2), Exit::Unreachable);
        assert_eq!(exit(1, 0, 0, 1), Exit::Partial);
        assert_eq!(exit(0, 1, 0, 1), Exit::Partial);
        assert_eq!(exit(1, 0, 1, 1), Exit::Refused);
    }
}
