//! The words in JSON, as enums that keep a word they do not know.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        ///
        /// A word that a newer server adds is kept, and written as it was read.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A word that this version does not know.
            Unknown(Box<str>),
        }

        impl $name {
            /// The words that this version knows, in the order of the variants.
            pub const KNOWN: &'static [&'static str] = &[$($text),*];

            /// Returns the word as it is written in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($text => Self::$variant,)*
                    other => Self::Unknown(other.into()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Word(PhantomData))
            }
        }
    )*};
}

words! {
    /// The state of a task.
    TaskState {
        /// The task runs, and was not cancelled.
        Running = "running",
        /// The task was cancelled, and still runs.
        Cancelling = "cancelling",
        /// The task has ended.
        Ended = "ended",
    }

    /// How a task ended.
    Outcome {
        /// The task finished its work.
        Finished = "finished",
        /// The task reported a failure.
        Failed = "failed",
        /// The task was cancelled, and stopped or was stopped.
        Cancelled = "cancelled",
        /// The task panicked.
        Aborted = "aborted",
        /// The owner of the task's future dropped it before it was done.
        Dropped = "dropped",
    }

    /// How a cancel request came out.
    Verdict {
        /// The task ended by itself.
        Finished = "finished",
        /// The future of the task was dropped.
        Dropped = "dropped",
        /// The task still runs.
        Cancelling = "cancelling",
        /// The task was not cancelled: it refuses that.
        Refused = "refused",
        /// There is no such task.
        NotFound = "notFound",
    }

    /// The kind of a resource that tasks wait for.
    ResourceKind {
        /// A lock that one task holds.
        Mutex = "mutex",
        /// A lock that one writer or several readers hold.
        RwLock = "rwLock",
        /// A number of permits.
        Semaphore = "semaphore",
        /// A channel.
        Channel = "channel",
        /// Anything else.
        Other = "other",
    }

    /// The permission of a caller, which JSON calls the `scope`.
    Permission {
        /// Reading tasks.
        Read = "read",
        /// Reading and cancelling tasks.
        Cancel = "cancel",
    }

    /// The action in a record of the audit log.
    AuditAction {
        /// A cancel of one task.
        Cancel = "cancel",
        /// A cancel of all tasks that a filter selects.
        CancelMany = "cancelMany",
    }

    /// The reason why events are missing from a stream.
    GapReason {
        /// The client read too slowly.
        Slow = "slow",
        /// Too much happened while the connection was lost.
        Resume = "resume",
    }

    /// The reason why a server ends a stream of events.
    ByeReason {
        /// The server stops.
        Shutdown = "shutdown",
        /// The server has no memory to compare the tasks with what the client knows of them.
        OutOfMemory = "outOfMemory",
    }
}

/// Reads a string into `T`.
struct Word<T>(PhantomData<T>);

impl<T: for<'t> From<&'t str>> Visitor<'_> for Word<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        Ok(word.into())
    }
}

impl From<pm_core::TaskState> for TaskState {
    fn from(state: pm_core::TaskState) -> Self {
        state.as_str().into()
    }
}

impl From<pm_core::Outcome> for Outcome {
    fn from(outcome: pm_core::Outcome) -> Self {
        outcome.as_str().into()
    }
}

impl From<&pm_core::Verdict> for Verdict {
    fn from(verdict: &pm_core::Verdict) -> Self {
        verdict.as_str().into()
    }
}

impl From<pm_core::ResourceKind> for ResourceKind {
    fn from(kind: pm_core::ResourceKind) -> Self {
        kind.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_newer_server_is_kept_and_written_as_it_was_read() {
        for text in [r#""running""#, r#""paused""#, r#""""#] {
            let state: TaskState = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&state).unwrap(), text);
        }
        assert_eq!(TaskState::from("paused"), TaskState::Unknown("paused".into()));
        assert!(serde_json::from_str::<TaskState>("5").is_err());
    }

    #[test]
    fn all_words_of_the_list_are_known() {
        use pm_core::{CancelError, Outcome as Core, TaskState as State, Verdict as CoreVerdict};
        let known = |known: &[&str], word: &str| assert!(known.contains(&word), "{word}");
        for state in [State::Running, State::Cancelling, State::Ended] {
            known(TaskState::KNOWN, TaskState::from(state).as_str());
        }
        for outcome in [Core::Finished, Core::Failed, Core::Cancelled, Core::Aborted, Core::Dropped] {
            known(Outcome::KNOWN, Outcome::from(outcome).as_str());
        }
        for verdict in [CoreVerdict::Refused(CancelError::NotFound), CoreVerdict::NotFound] {
            known(Verdict::KNOWN, Verdict::from(&verdict).as_str());
        }
    }
}
