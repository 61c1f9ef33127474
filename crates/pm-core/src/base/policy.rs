//! The effect that a cancel request has on a task, beyond asking it.

use std::fmt;
use std::time::Duration;

use super::limits::nanos;

/// The effect of a cancel request on a task: whether it is only asked to stop, or its future is dropped as well.
///
/// A request always *asks* first: it is stored, the task is woken, and observes it at its next status or checkpoint, or
/// through [`cancelled`](crate::TaskHandle::cancelled). Dropping is for code that does not look: a future that [runs as
/// a task](crate::TaskBuilder::run) then ends at the await where it is suspended. Its destructors run; the code behind
/// that await does not. What it spawned as no task of pm, and threads that it started, continue.
///
/// Tasks that are not futures (threads, closures, spans) are only ever asked: `Drop` and `AskThenDrop` do to them what
/// `Ask` does.
///
/// The policy of a task is that of its [builder](crate::TaskBuilder::on_cancel); else [that of its
/// kind](crate::Options::on_cancel_of); else [that of the list](crate::Options::on_cancel), by default `Drop`. It is
/// fixed when the task starts. The default fits a future that may be dropped anyway, as a request whose client hangs up
/// and whatever stands in a `select!`, under a timeout or behind an `abort` may be. A job that was never dropped before
/// may need `Ask`, or a [protected section](crate::protect).
///
/// ```
/// use pm_core::{CancelPolicy, Options, ProcessList};
/// use std::time::Duration;
///
/// let list = ProcessList::with_options(
///     Options::new()
///         .on_cancel(CancelPolicy::AskThenDrop(Duration::from_secs(5)))
///         .on_cancel_of("import*", CancelPolicy::Ask)
///         .on_cancel_of("migration", CancelPolicy::Refuse),
/// );
/// let migration = list.task("migrate-7").kind("migration").start();
/// assert!(list.cancel("migrate-7", "too slow").is_err());
/// let import = list.task("import-42").kind("import orders").start();
/// assert!(list.cancel("import-42", "too slow").is_ok());
/// assert!(import.checkpoint().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelPolicy {
    /// The task is asked, and ends when it does: it is never dropped by a cancel. For code that must reach its end, or
    /// that looks for a request itself.
    Ask,
    /// The task is asked; if it still runs after this time, its future is dropped at the next await. For code that
    /// looks for a request and has something to tidy up. A duration of zero is [`Drop`](Self::Drop).
    AskThenDrop(Duration),
    /// The future is dropped at once, where it awaits.
    #[default]
    Drop,
    /// A request is refused, also one that comes from a parent.
    Refuse,
}

impl fmt::Display for CancelPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask => f.write_str("ask"),
            Self::AskThenDrop(grace) => write!(f, "ask, then drop after {grace:?}"),
            Self::Drop => f.write_str("drop"),
            Self::Refuse => f.write_str("refuse"),
        }
    }
}

/// A policy in one word: the nanoseconds from the request to the drop, or one of the words above all of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed(pub(crate) u64);

/// A grace that never ends.
pub(crate) const NEVER: u64 = u64::MAX;
const REFUSE: u64 = NEVER - 1;

impl Packed {
    pub(crate) const ASK: Self = Self(NEVER);

    /// Returns `true` if a request is refused.
    #[inline]
    pub(crate) const fn refuses(self) -> bool {
        self.0 == REFUSE
    }

    /// Returns the nanoseconds from a request to the drop, or [`NEVER`].
    #[inline]
    pub(crate) const fn grace(self) -> u64 {
        if self.refuses() { NEVER } else { self.0 }
    }
}

impl From<CancelPolicy> for Packed {
    fn from(policy: CancelPolicy) -> Self {
        match policy {
            CancelPolicy::Ask => Self::ASK,
            CancelPolicy::AskThenDrop(grace) => Self(nanos(grace).min(REFUSE - 1)),
            CancelPolicy::Drop => Self(0),
            CancelPolicy::Refuse => Self(REFUSE),
        }
    }
}

/// The policies of chosen kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KindPolicies(Vec<(Box<str>, Packed)>);

impl KindPolicies {
    /// Adds a policy for a kind, or for all that begin so with a `*` at the end.
    pub(crate) fn add(&mut self, kind: &str, policy: CancelPolicy) {
        self.0.push((kind.into(), policy.into()));
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the policy of a kind: the first that fits.
    pub(crate) fn of(&self, kind: &str) -> Option<Packed> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(beginning) => kind.starts_with(beginning),
            None => kind == pattern,
        };
        self.0.iter().find(|(pattern, _)| fits(pattern)).map(|(_, policy)| *policy)
    }
}
