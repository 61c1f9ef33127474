//! The thread that writes records to a file.

use std::fmt;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::record::{Record, line};
use crate::sync::lock;

/// Records that may wait for the disk: more than one request can make.
pub(super) const WAITING: usize = 12 << 10;
/// Records that share one flush to the disk.
pub(super) const BATCH: usize = 64;
/// How long the disk may take before strict records are refused at once.
const UNRESPONSIVE: Duration = Duration::from_secs(5);
/// How long writing the last records may take when the log is dropped.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// A record is not on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotRecorded {
    pub(super) reason: String,
}

impl fmt::Display for NotRecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not write the audit log: {}", self.reason)
    }
}

impl std::error::Error for NotRecorded {}

/// How many records are in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Records in the file.
    pub(crate) written: u64,
    /// Records that could not be written.
    pub(crate) lost: u64,
    /// Why the last of them could not.
    pub(crate) error: Option<String>,
}

/// Hands records to the thread that writes them.
pub(super) struct Writer {
    /// `None` while it is dropped.
    lines: Option<SyncSender<Line>>,
    /// Ends with the thread. Behind a lock only to be shared.
    ended: Mutex<Receiver<()>>,
    pub(super) health: Arc<Mutex<Health>>,
    /// Since when the thread has been writing what it has not finished.
    pub(super) busy_since: Arc<Mutex<Option<Instant>>>,
}

struct Line {
    record: Arc<Record>,
    /// Receives the result once it is on the disk.
    done: Option<oneshot::Sender<Result<(), NotRecorded>>>,
}

/// The state of a record that was handed over.
pub(super) enum Queued {
    /// In the background.
    InBackground,
    /// Resolves when it is on the disk.
    Waits(oneshot::Receiver<Result<(), NotRecorded>>),
    Refused(NotRecorded),
}

impl Writer {
    pub(super) fn start(sink: impl Sink) -> io::Result<Self> {
        let (lines, to_write) = mpsc::sync_channel(WAITING);
        let (end, ended) = mpsc::sync_channel(1);
        let health = Arc::new(Mutex::new(Health::default()));
        let busy_since = Arc::new(Mutex::new(None));
        let (shared, busy) = (Arc::clone(&health), Arc::clone(&busy_since));
        pm_core::spawn_thread("pm-audit", move || {
            write_all(&to_write, sink, &shared, &busy);
            let _ = end.send(());
        })?;
        Ok(Self { lines: Some(lines), ended: Mutex::new(ended), health, busy_since })
    }

    pub(super) fn write(&self, record: Arc<Record>, strict: bool) -> Queued {
        if strict && let Some(duration) = self.unresponsive_for() {
            lock(&self.health).lost += 1;
            return Queued::Refused(NotRecorded { reason: unresponsive(duration) });
        }
        let (done, waits) = if strict { Some(oneshot::channel()) } else { None }.unzip();
        let sent = match &self.lines {
            Some(lines) => lines.try_send(Line { record, done }),
            None => return Queued::InBackground,
        };
        let reason = match sent {
            Ok(()) => return waits.map_or(Queued::InBackground, Queued::Waits),
            Err(TrySendError::Full(_)) => "too many records wait for the disk",
            Err(TrySendError::Disconnected(_)) => "its thread has ended",
        };
        let mut health = lock(&self.health);
        health.lost += 1;
        health.error = Some(reason.to_owned());
        if strict { Queued::Refused(NotRecorded { reason: reason.to_owned() }) } else { Queued::InBackground }
    }

    /// Returns how long the disk has not answered; `None` if that is not long.
    pub(super) fn unresponsive_for(&self) -> Option<Duration> {
        let since = (*lock(&self.busy_since))?;
        Some(since.elapsed()).filter(|duration| *duration >= UNRESPONSIVE)
    }
}

/// Returns why a record is not written while the disk hangs.
pub(super) fn unresponsive(duration: Duration) -> String {
    format!("the disk has not answered for {} s", duration.as_secs())
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends once it has written what is queued.
        self.lines = None;
        match lock(&self.ended).recv_timeout(LAST_WRITES) {
            // A disk that hangs must not hang the program.
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

/// A destination of lines.
pub(super) trait Sink: Send + 'static {
    /// Appends a line, which includes its line break.
    fn write(&mut self, line: &[u8]) -> io::Result<()>;

    /// Makes what was written durable.
    fn flush(&mut self) -> io::Result<()>;
}

fn write_all(lines: &Receiver<Line>, mut sink: impl Sink, health: &Mutex<Health>, busy_since: &Mutex<Option<Instant>>) {
    // Lost records that a line of the file accounts for.
    let mut reported = 0;
    while let Ok(first) = lines.recv() {
        *lock(busy_since) = Some(Instant::now());
        let batch = std::iter::once(first).chain(lines.try_iter().take(BATCH - 1));
        let mut written = Vec::new();
        for Line { record, done } in batch {
            let Health { lost, error, .. } = lock(health).clone();
            match sink.write(&line(&record, lost - reported, error.as_deref())) {
                Ok(()) => {
                    reported = lost;
                    lock(health).written += 1;
                    written.extend(done);
                }
                Err(error) => {
                    let mut health = lock(health);
                    health.lost += 1;
                    health.error = Some(error.to_string());
                    drop(health);
                    answer(done, &Err(NotRecorded { reason: error.to_string() }));
                }
            }
        }
        if !written.is_empty() {
            let flushed = sink.flush().map_err(|error| NotRecorded { reason: error.to_string() });
            if let Err(error) = &flushed {
                lock(health).error = Some(error.reason.clone());
            }
            written.into_iter().for_each(|done| answer(Some(done), &flushed));
        }
        *lock(busy_since) = None;
    }
}

fn answer(done: Option<oneshot::Sender<Result<(), NotRecorded>>>, result: &Result<(), NotRecorded>) {
    // The request may have been dropped.
    let _ = done.map(|done| done.send(result.clone()));
}
