//! The sorts of work: their limits, and the words of their refusals.

use std::time::Duration;

use http::StatusCode;

use crate::response::Failure;

/// A sort of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Cancels, which run hooks of the program.
    Cancels,
    /// Pages of long lists.
    Lists,
    /// Other passes over long lists, which may take longer: metrics, trees, dry runs.
    Reports,
    /// Work of some milliseconds: a search for one task, a compression.
    Pieces,
    /// Parts of responses that are written while they are sent.
    Parts,
}

#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// As many threads as are of use; with none, work runs in place.
    pub(super) threads: usize,
    /// The most work that waits.
    pub(super) waiting: usize,
    /// For work that may hold a thread for as long as it likes.
    pub(super) held: Option<Held>,
}

/// The limits of threads that are held.
#[derive(Clone, Copy)]
pub(super) struct Held {
    /// So many threads in all may be held.
    pub(super) threads: usize,
    /// There is one more of them each time that no work was begun for so long, although some waits.
    pub(super) thread_after: Duration,
    /// With all of them held for so long, work is refused.
    pub(super) refused_after: Duration,
}

impl Limits {
    pub(super) const IN_PLACE: Self = Self { threads: 0, waiting: 256, held: None };
}

impl Sort {
    pub(super) fn limits(self) -> Limits {
        const HELD: Held =
            Held { threads: 16, thread_after: Duration::from_millis(100), refused_after: Duration::from_secs(5) };
        let (threads, held) = match self {
            Self::Cancels => (4, Some(HELD)),
            Self::Lists | Self::Pieces | Self::Parts => (2, None),
            Self::Reports => (1, None),
        };
        Limits { threads, waiting: 256, held }
    }

    /// 503, with the code of the sort.
    fn refused(self, detail: String) -> Failure {
        const STATUS: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Self::Cancels => Failure::new(STATUS, "too-many-cancels", detail),
            _ => Failure::new(STATUS, "too-many-readings", detail),
        }
        .retry_after(1)
    }

    /// 503: too much work waits.
    pub(super) fn full(self, waiting: usize) -> Failure {
        let (detail, hint) = match self {
            Self::Cancels => {
                ("cancels wait for others, the limit; no task was cancelled", "ask again; a bulk cancel counts as one")
            }
            _ => (
                "readings of the list wait for others, the limit",
                "ask again later, or less often; /v1/events sends the changes without asking",
            ),
        };
        self.refused(format!("{waiting} {detail}")).hint(hint)
    }

    /// 503: no thread has returned for a while.
    pub(super) fn held(self, threads: usize) -> Failure {
        let detail = "cancels have not returned for some seconds, the limit; no task was cancelled by this one";
        self.refused(format!("{threads} {detail}"))
            .hint("a hook (`on_cancel`) or a waker of the program blocks: see where its threads `pm-worker` are")
    }

    /// 500: the work has panicked.
    pub(super) fn panicked(self) -> Failure {
        let detail = match self {
            Self::Cancels => "code of the program panicked during the cancel, which may have reached its task",
            _ => "reading the list has panicked",
        };
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "panicked", detail)
    }
}
