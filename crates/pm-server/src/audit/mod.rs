//! The audit log: who asked for which cancel, and the result. The newest records are in memory, all of them in a file.
//!
//! | module | content |
//! |---|---|
//! | `mod.rs` | [`Audit`]: the newest records, in memory |
//! | `refusals.rs` | how many refused attempts get a record of their own |
//! | `record.rs` | one record, and its JSON |
//! | `writer.rs` | the thread that writes records, in strict mode and otherwise |
//! | `file.rs` | the file |
//! | `events.rs` | records as events of `tracing` |
//!
//! Memory holds the newest 1,000 records, and apart from them the newest 200 of callers that may not cancel, at most
//! 1 MiB; long strings are truncated. **Callers that may not cancel push no other record out and fill no disk**: of
//! their attempts, one a second has a record, which counts those before it (`refusedBefore`).
//!
//! The file gets a line of JSON for each record, from a thread of its own behind a bounded channel, so that no request
//! waits for a slow disk. Records that could not be written are counted, and reported once by the next line that could
//! be (`lostBefore`, `lostBecause`). The file may be moved away or deleted: the next record creates a new one.
//!
//! In strict mode, [`Audit::record`] resolves when the record is on the disk and fails when it won't be, so that a
//! cancel without a record can be refused; once the disk has not answered for some seconds, it fails at once.
//!
//! With the feature `tracing`, each record is also an event of the target `pm::audit`: from another thread where the
//! server has threads of its own, as the subscriber may block.
//!
//! Records are stored as they are given: mask secrets before ([`ProcessList::redacted`]).
//!
//! [`ProcessList::redacted`]: pm_core::ProcessList::redacted

#[cfg(feature = "tracing")]
mod events;
mod file;
mod record;
mod refusals;
mod writer;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
#[cfg(feature = "tracing")]
use std::sync::OnceLock;
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[cfg(feature = "tracing")]
use self::events::Events;
use self::file::LogFile;
pub(crate) use self::record::{Action, Record};
use self::refusals::Refusals;
pub(crate) use self::writer::{Health, NotRecorded};
use self::writer::{Queued, Writer};
use crate::access::Permission;
use crate::sync::lock;

/// Records in memory, and their bytes; those of callers that may not cancel are apart.
const KEPT: (usize, usize) = (1000, 768 << 10);
const KEPT_UNPRIVILEGED: (usize, usize) = (200, 256 << 10);

/// The audit log. Clones share it; dropping the last one writes what is queued, for at most 1 s.
#[derive(Clone)]
pub(crate) struct Audit {
    shared: Arc<Shared>,
}

struct Shared {
    records: Mutex<Records>,
    writer: Option<Writer>,
    strict: bool,
    /// If events are not emitted in place.
    #[cfg(feature = "tracing")]
    events: OnceLock<Events>,
}

impl Audit {
    /// Creates a log in memory only.
    pub(crate) fn in_memory() -> Self {
        Self::new(None, false)
    }

    /// Creates a log that is also appended to a file, which is created for its owner only if it is missing.
    ///
    /// # Errors
    ///
    /// The file can't be opened, or the thread that writes it can't be started.
    pub(crate) fn with_file(path: &Path, strict: bool) -> io::Result<Self> {
        let file = LogFile::open(path)?;
        Ok(Self::new(Some(Writer::start(file)?), strict))
    }

    fn new(writer: Option<Writer>, strict: bool) -> Self {
        let shared = Shared {
            records: Mutex::default(),
            writer,
            strict,
            #[cfg(feature = "tracing")]
            events: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Emits events of `tracing` from a thread of their own from now on.
    #[cfg(feature = "tracing")]
    pub(crate) fn with_thread_for_events(self) -> Self {
        let _ = self.shared.events.set(Events::default());
        self
    }

    /// Adds a record, unless it is one of too many of callers that may not cancel. In strict mode the future resolves
    /// when it is on the disk, otherwise at once.
    ///
    /// The record is queued before the future is polled; dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`NotRecorded`], in strict mode only: the record will not be in the file.
    pub(crate) fn record(&self, record: Record) -> impl Future<Output = Result<(), NotRecorded>> + Send + use<> {
        let record = lock(&self.shared.records).add(record.cut(), Instant::now());
        let queued = record.and_then(|record| {
            #[cfg(feature = "tracing")]
            match self.shared.events.get() {
                Some(events) => events.emit(Arc::clone(&record)),
                None => record.trace(),
            }
            self.shared.writer.as_ref().map(|writer| writer.write(record, self.shared.strict))
        });
        async {
            match queued {
                None | Some(Queued::InBackground) => Ok(()),
                Some(Queued::Refused(why)) => Err(why),
                Some(Queued::Waits(done)) => {
                    done.await.unwrap_or_else(|_| Err(NotRecorded { reason: "its thread has ended".to_owned() }))
                }
            }
        }
    }

    /// Returns the newest records, newest first, and the number of older ones that are no longer in memory.
    pub(crate) fn newest(&self, limit: usize) -> (Vec<Arc<Record>>, u64) {
        lock(&self.shared.records).newest(limit)
    }

    /// Returns `true` if a cancel without a record on the disk is to be refused.
    pub(crate) fn is_strict(&self) -> bool {
        self.shared.strict
    }

    /// Returns why requests wait for their strict records, if the disk hangs.
    pub(crate) fn unresponsive(&self) -> Option<String> {
        let writer = self.shared.writer.as_ref().filter(|_| self.shared.strict)?;
        writer.unresponsive_for().map(writer::unresponsive)
    }

    /// Returns how many records were written to the file; zeros without a file.
    pub(crate) fn health(&self) -> Health {
        self.shared.writer.as_ref().map(|writer| lock(&writer.health).clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit")
            .field("strict", &self.shared.strict)
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

/// The records in memory.
#[derive(Default)]
struct Records {
    others: Ring,
    unprivileged: Ring,
    refusals: Refusals,
    /// The number of the next record.
    next: u64,
}

impl Records {
    /// Adds a record, and returns it; `None` if it is only counted.
    fn add(&mut self, mut record: Record, now: Instant) -> Option<Arc<Record>> {
        let is_unprivileged = !record.allowed && record.permission != Some(Permission::Cancel);
        if is_unprivileged {
            record.refused_before = self.refusals.admit(now)?;
        }
        let record = Arc::new(record);
        let (ring, limits) =
            if is_unprivileged { (&mut self.unprivileged, KEPT_UNPRIVILEGED) } else { (&mut self.others, KEPT) };
        ring.push(self.next, Arc::clone(&record), limits);
        self.next += 1;
        Some(record)
    }

    fn newest(&self, limit: usize) -> (Vec<Arc<Record>>, u64) {
        let mut all: Vec<_> = self.others.newest.iter().chain(&self.unprivileged.newest).collect();
        all.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        let newest = all.into_iter().take(limit).map(|(_, record)| Arc::clone(record)).collect();
        (newest, self.others.dropped + self.unprivileged.dropped)
    }
}

#[derive(Default)]
struct Ring {
    /// The numbers of the records, and the records.
    newest: VecDeque<(u64, Arc<Record>)>,
    bytes: usize,
    dropped: u64,
}

impl Ring {
    fn push(&mut self, number: u64, record: Arc<Record>, (most, most_bytes): (usize, usize)) {
        self.bytes += record.bytes();
        self.newest.push_back((number, record));
        while self.newest.len() > most || self.bytes > most_bytes {
            let Some((_, oldest)) = self.newest.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests;
