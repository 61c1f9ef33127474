//! The audit log: who asked for which cancel, and the result. The newest records are in memory, all of them in a file.
//!
//! | module | content |
//! |---|---|
//! | `mod.rs` | [`Audit`]: the newest records, in memory |
//! | `record.rs` | one record, and its JSON |
//! | `writer.rs` | the thread that writes records, in strict mode and otherwise |
//! | `file.rs` | the file |
//!
//! Memory holds the newest 1,000 records, at most 1 MiB; long strings are truncated. The file gets a line of JSON for
//! each record, from a thread of its own behind a bounded channel, so that no request waits for a slow disk. Records
//! that could not be written are counted, and reported once by the next line that could be (`lostBefore`,
//! `lostBecause`). The file may be moved away or deleted: the next record creates a new one. In strict mode,
//! [`Audit::record`] resolves when the record is on the disk and fails when it won't be, so that a cancel without a
//! record can be refused.
//!
//! With the feature `tracing`, each record is also an event of the target `pm::audit`.
//!
//! Records are stored as they are given: mask secrets before ([`ProcessList::redacted`]).
//!
//! [`ProcessList::redacted`]: pm_core::ProcessList::redacted

mod file;
mod record;
mod writer;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use self::file::LogFile;
pub(crate) use self::record::{Action, Record};
pub(crate) use self::writer::{Health, NotRecorded};
use self::writer::{Queued, Writer};
use crate::sync::lock;

/// Records in memory, and their bytes.
const KEPT: usize = 1000;
const KEPT_BYTES: usize = 1 << 20;

/// The audit log. Clones share it; dropping the last one writes what is queued, for at most 1 s.
#[derive(Clone)]
pub(crate) struct Audit {
    shared: Arc<Shared>,
}

struct Shared {
    ring: Mutex<Ring>,
    writer: Option<Writer>,
    strict: bool,
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
        Self { shared: Arc::new(Shared { ring: Mutex::default(), writer, strict }) }
    }

    /// Adds a record. In strict mode the future resolves when it is on the disk, otherwise at once.
    ///
    /// The record is queued before the future is polled; dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`NotRecorded`], in strict mode only: the record will not be in the file.
    pub(crate) fn record(&self, record: Record) -> impl Future<Output = Result<(), NotRecorded>> + Send + use<> {
        let record = Arc::new(record.cut());
        #[cfg(feature = "tracing")]
        record.trace();
        lock(&self.shared.ring).push(Arc::clone(&record));
        let queued = self.shared.writer.as_ref().map(|writer| writer.write(record, self.shared.strict));
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
        let ring = lock(&self.shared.ring);
        (ring.newest.iter().rev().take(limit).map(Arc::clone).collect(), ring.dropped)
    }

    /// Returns `true` if a cancel without a record on the disk is to be refused.
    pub(crate) fn is_strict(&self) -> bool {
        self.shared.strict
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

#[derive(Default)]
struct Ring {
    newest: VecDeque<Arc<Record>>,
    bytes: usize,
    dropped: u64,
}

impl Ring {
    fn push(&mut self, record: Arc<Record>) {
        self.bytes += record.bytes();
        self.newest.push_back(record);
        while self.newest.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.newest.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests;
