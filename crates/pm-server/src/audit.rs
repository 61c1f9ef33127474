//! Who asked for which cancel, and what came of it: the newest records in memory, and all of them in a file.
//!
//! Memory holds the newest 1,000 records, at most 1 MiB of text; long texts are cut. The file gets one line of JSON for each
//! record, from a thread of its own behind a bounded channel, so that a slow disk makes nobody wait. What could not be
//! written is counted, and told once by the next line that could (`lostBefore`, `lostBecause`). The file may be moved away
//! or deleted: the next record makes a new one. In strict mode, [`Audit::record`] resolves when the record is on the disk,
//! and fails when it will not be, so that a cancel that nobody could account for can be refused.
//!
//! With the feature `tracing`, each record is also an event of the target `pm::audit`.
//!
//! Records are kept as they are given: mask what looks secret before ([`ProcessList::redacted`]).
//!
//! [`ProcessList::redacted`]: pm_core::ProcessList::redacted

use std::collections::VecDeque;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pm_core::Serial;
use tokio::sync::oneshot;

use super::access::{Identity, Scope};

/// Records in memory, and bytes of their texts.
const KEPT: usize = 1000;
const KEPT_BYTES: usize = 1 << 20;
/// Records that wait for the disk: more than one request can make.
const WAITING: usize = 12 << 10;
/// Records that share one flush to the disk.
const BATCH: usize = 64;
/// Bytes of a text; the limits of ids, statuses and reasons in a list.
const LONGEST: usize = 1024;
/// How long the last records may take when the log is dropped.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// To stop one task.
    Cancel,
    /// To stop all that a filter names.
    CancelMany,
}

impl Action {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::CancelMany => "cancelMany",
        }
    }
}

/// Somebody asked for a cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) at: SystemTime,
    /// Where the request came from, as an address.
    pub(crate) peer: String,
    pub(crate) identity: Identity,
    /// What the caller may do; `None` for who may do nothing.
    pub(crate) scope: Option<Scope>,
    pub(crate) action: Action,
    /// The id that was named, or that the task bears.
    pub(crate) task: Option<String>,
    pub(crate) serial: Option<Serial>,
    pub(crate) filter: Option<String>,
    pub(crate) reason: String,
    /// A verdict, or the code of an error.
    pub(crate) result: String,
    /// Whether the caller was allowed to ask.
    pub(crate) allowed: bool,
}

impl Record {
    /// The record as a JSON object.
    pub(crate) fn json(&self) -> String {
        let mut json = String::with_capacity(256);
        self.begin_json(&mut json);
        json.push('}');
        json
    }

    /// All but the brace at the end.
    fn begin_json(&self, json: &mut String) {
        let nanos = self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let at = pm_wire::time::rfc3339(u64::try_from(nanos).unwrap_or(u64::MAX));
        json.push_str("{\"at\":\"");
        json.push_str(at.as_str());
        json.push('"');
        let identity = self.identity.to_string();
        let serial = self.serial.map(|serial| serial.to_string());
        let members = [
            ("peer", Some(self.peer.as_str())),
            ("identity", Some(&identity)),
            ("scope", self.scope.map(Scope::name)),
            ("action", Some(self.action.name())),
            ("task", self.task.as_deref()),
            ("serial", serial.as_deref()),
            ("filter", self.filter.as_deref()),
            ("reason", Some(&self.reason)),
            ("result", Some(&self.result)),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                push_member(json, name, value);
            }
        }
    }

    fn cut(mut self) -> Self {
        let texts = [Some(&mut self.peer), self.task.as_mut(), self.filter.as_mut()];
        texts.into_iter().flatten().chain([&mut self.reason, &mut self.result]).for_each(cut);
        self
    }

    fn bytes(&self) -> usize {
        let texts =
            [Some(&self.peer), self.task.as_ref(), self.filter.as_ref(), Some(&self.reason), Some(&self.result)];
        size_of::<Self>() + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }

    #[cfg(feature = "tracing")]
    fn trace(&self) {
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    target: "pm::audit",
                    peer = self.peer,
                    identity = %self.identity,
                    scope = self.scope.map(Scope::name),
                    action = self.action.name(),
                    task = self.task,
                    serial = self.serial.map(Serial::get),
                    filter = self.filter,
                    reason = self.reason,
                    result = self.result,
                    "{}",
                    if self.allowed { "cancel asked for" } else { "cancel refused" },
                )
            };
        }
        if self.allowed { event!(info) } else { event!(warn) }
    }
}

fn push_member(json: &mut String, name: &str, value: &str) {
    json.push_str(",\"");
    json.push_str(name);
    json.push_str("\":");
    // A text always can be written.
    json.push_str(&serde_json::to_string(value).unwrap_or_else(|_| "\"\"".to_owned()));
}

fn cut(text: &mut String) {
    if text.len() > LONGEST {
        let end = (0..=LONGEST - "…".len()).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
}

/// Why a record is not on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotRecorded {
    because: String,
}

impl fmt::Display for NotRecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the audit log could not be written: {}", self.because)
    }
}

impl std::error::Error for NotRecorded {}

/// How the log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Records of which the file has the line.
    pub(crate) written: u64,
    /// Records of which it has not, and why the last of them.
    pub(crate) lost: u64,
    pub(crate) error: Option<String>,
}

/// The audit log. Clones are the same one; when the last of them is dropped, what waits is written, for at most 1 s.
#[derive(Clone)]
pub(crate) struct Audit {
    shared: Arc<Shared>,
}

struct Shared {
    ring: Mutex<Ring>,
    writer: Option<Writer>,
    strict: bool,
}

#[derive(Default)]
struct Ring {
    newest: VecDeque<Arc<Record>>,
    bytes: usize,
    dropped: u64,
}

/// The thread that writes.
struct Writer {
    /// Taken out on drop.
    lines: Option<SyncSender<Line>>,
    /// Behind a lock only to be shared; waited for on drop.
    ended: Mutex<Receiver<()>>,
    health: Arc<Mutex<Health>>,
}

struct Line {
    record: Arc<Record>,
    /// Wants to know when it is on the disk.
    done: Option<oneshot::Sender<Result<(), NotRecorded>>>,
}

impl Audit {
    /// A log in memory only.
    pub(crate) fn in_memory() -> Self {
        Self::new(None, false)
    }

    /// A log that is also written to this file, which is made if there is none, for its owner only, and appended to.
    ///
    /// # Errors
    ///
    /// The file can't be opened, or there is no thread to write it.
    pub(crate) fn with_file(path: &Path, strict: bool) -> io::Result<Self> {
        let file = LogFile::open(path)?;
        Ok(Self::new(Some(Writer::start(file)?), strict))
    }

    fn new(writer: Option<Writer>, strict: bool) -> Self {
        Self { shared: Arc::new(Shared { ring: Mutex::default(), writer, strict }) }
    }

    /// Keeps a record. In strict mode this resolves when it is on the disk; else at once.
    ///
    /// What is to be recorded is handed on before this is polled; dropping it loses nothing.
    ///
    /// # Errors
    ///
    /// [`NotRecorded`], in strict mode only: it will not be in the file.
    pub(crate) fn record(&self, record: Record) -> impl Future<Output = Result<(), NotRecorded>> + Send + use<> {
        let record = Arc::new(record.cut());
        #[cfg(feature = "tracing")]
        record.trace();
        lock(&self.shared.ring).push(Arc::clone(&record));
        let asked = self.shared.writer.as_ref().map(|writer| writer.write(record, self.shared.strict));
        async {
            match asked {
                None | Some(Asked::Later) => Ok(()),
                Some(Asked::Refused(why)) => Err(why),
                Some(Asked::Waits(done)) => {
                    done.await.unwrap_or_else(|_| Err(NotRecorded { because: "its thread is gone".to_owned() }))
                }
            }
        }
    }

    /// The newest records, newest first, and how many older ones are no longer kept.
    pub(crate) fn newest(&self, limit: usize) -> (Vec<Arc<Record>>, u64) {
        let ring = lock(&self.shared.ring);
        (ring.newest.iter().rev().take(limit).map(Arc::clone).collect(), ring.dropped)
    }

    /// Whether what is not on the disk must not happen.
    pub(crate) fn is_strict(&self) -> bool {
        self.shared.strict
    }

    /// How writing the file goes; nothing but zeros without one.
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whole at every step, also after a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

enum Asked {
    /// Nobody waits for it.
    Later,
    Waits(oneshot::Receiver<Result<(), NotRecorded>>),
    Refused(NotRecorded),
}

impl Writer {
    fn start(sink: impl Sink) -> io::Result<Self> {
        let (lines, to_write) = mpsc::sync_channel(WAITING);
        let (end, ended) = mpsc::sync_channel(1);
        let health = Arc::new(Mutex::new(Health::default()));
        let shared = Arc::clone(&health);
        std::thread::Builder::new().name("pm-audit".to_owned()).spawn(move || {
            write_all(&to_write, sink, &shared);
            let _ = end.send(());
        })?;
        Ok(Self { lines: Some(lines), ended: Mutex::new(ended), health })
    }

    fn write(&self, record: Arc<Record>, strict: bool) -> Asked {
        let (done, waits) = if strict { Some(oneshot::channel()) } else { None }.unzip();
        let sent = match &self.lines {
            Some(lines) => lines.try_send(Line { record, done }),
            None => return Asked::Later,
        };
        let because = match sent {
            Ok(()) => return waits.map_or(Asked::Later, Asked::Waits),
            Err(TrySendError::Full(_)) => "too many records wait for the disk",
            Err(TrySendError::Disconnected(_)) => "its thread is gone",
        };
        let mut health = lock(&self.health);
        health.lost += 1;
        health.error = Some(because.to_owned());
        if strict { Asked::Refused(NotRecorded { because: because.to_owned() }) } else { Asked::Later }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends when it has written what waits.
        self.lines = None;
        match lock(&self.ended).recv_timeout(LAST_WRITES) {
            // A disk that hangs must not hang the program.
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

/// Where lines go.
trait Sink: Send + 'static {
    /// Adds a line, with its end.
    fn write(&mut self, line: &[u8]) -> io::Result<()>;

    /// Sees to it that what was written survives.
    fn flush(&mut self) -> io::Result<()>;
}

fn write_all(lines: &Receiver<Line>, mut sink: impl Sink, health: &Mutex<Health>) {
    // How many of the lost records a line in the file has told of.
    let mut told = 0;
    while let Ok(first) = lines.recv() {
        let batch = std::iter::once(first).chain(lines.try_iter().take(BATCH - 1));
        let mut written = Vec::new();
        for Line { record, done } in batch {
            let Health { lost, error, .. } = lock(health).clone();
            match sink.write(line(&record, lost - told, error.as_deref()).as_bytes()) {
                Ok(()) => {
                    told = lost;
                    lock(health).written += 1;
                    written.extend(done);
                }
                Err(error) => {
                    let mut health = lock(health);
                    health.lost += 1;
                    health.error = Some(error.to_string());
                    drop(health);
                    answer(done, &Err(NotRecorded { because: error.to_string() }));
                }
            }
        }
        if written.is_empty() {
            continue;
        }
        let flushed = sink.flush().map_err(|error| NotRecorded { because: error.to_string() });
        if let Err(error) = &flushed {
            lock(health).error = Some(error.because.clone());
        }
        written.into_iter().for_each(|done| answer(Some(done), &flushed));
    }
}

fn answer(done: Option<oneshot::Sender<Result<(), NotRecorded>>>, result: &Result<(), NotRecorded>) {
    // Who asked may have gone.
    let _ = done.map(|done| done.send(result.clone()));
}

/// A record as a line of the file.
fn line(record: &Record, lost: u64, because: Option<&str>) -> String {
    let mut line = String::with_capacity(256);
    record.begin_json(&mut line);
    if lost > 0 {
        line.push_str(&format!(",\"lostBefore\":{lost}"));
        push_member(&mut line, "lostBecause", because.unwrap_or_default());
    }
    line.push_str("}\n");
    line
}

/// A file that lines are added to.
struct LogFile {
    path: PathBuf,
    file: File,
    /// The last line is not whole.
    torn: bool,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: open(path)?, torn: false })
    }

    /// Opens the file anew when there is another one in its place, or none.
    fn follow(&mut self) -> io::Result<()> {
        if !is_at(&self.file, &self.path) {
            self.file = open(&self.path)?;
            self.torn = false;
        }
        Ok(())
    }
}

impl Sink for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.follow()?;
        let (mut rest, mut any) = (line, false);
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    any = true;
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.torn |= any;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.file.sync_data() {
            // A pipe or a terminal has no disk behind it.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same =
        |ours: std::fs::Metadata, there: std::fs::Metadata| (ours.dev(), ours.ino()) == (there.dev(), there.ino());
    file.metadata().is_ok_and(|ours| std::fs::metadata(path).is_ok_and(|there| same(ours, there)))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn record(reason: &str) -> Record {
        Record {
            at: UNIX_EPOCH + Duration::from_millis(1500),
            peer: "127.0.0.1:50000".to_owned(),
            identity: Identity::Token("deploy".into()),
            scope: Some(Scope::Cancel),
            action: Action::Cancel,
            task: Some("import-42".to_owned()),
            serial: None,
            filter: None,
            reason: reason.to_owned(),
            result: "finished".to_owned(),
            allowed: true,
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// A file of the test's own in a directory that goes with it.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("pm-audit-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn file(&self) -> PathBuf {
            self.0.join("audit.jsonl")
        }

        fn lines(&self) -> Vec<serde_json::Value> {
            let text = std::fs::read_to_string(self.file()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_record_is_one_line_with_what_is_known() {
        let serial = pm_core::ProcessList::new().start("a").serial();
        let mut record = record("too \"slow\"\n");
        record.serial = Some(serial);
        let start =
            r#"{"at":"1970-01-01T00:00:01.5Z","peer":"127.0.0.1:50000","identity":"token:deploy","scope":"cancel","#;
        let end = r#""reason":"too \"slow\"\n","result":"finished"}"#;
        let between = format!(r#""action":"cancel","task":"import-42","serial":"{serial}","#);
        assert_eq!(record.json(), [start, &between, end].concat());
        let refused = Record {
            identity: Identity::Nobody,
            scope: None,
            action: Action::CancelMany,
            task: None,
            serial: None,
            filter: Some("kind=a*".to_owned()),
            reason: String::new(),
            result: "unauthorized".to_owned(),
            allowed: false,
            ..record
        };
        let rest =
            r#""identity":"nobody","action":"cancelMany","filter":"kind=a*","reason":"","result":"unauthorized"}"#;
        assert!(refused.json().ends_with(rest), "{}", refused.json());
    }

    #[test]
    fn memory_keeps_the_newest_and_counts_the_rest() {
        let audit = Audit::in_memory();
        for number in 0..1003 {
            block_on(audit.record(record(&number.to_string()))).unwrap();
        }
        let (newest, dropped) = audit.newest(2);
        assert_eq!(newest.iter().map(|record| record.reason.as_str()).collect::<Vec<_>>(), ["1002", "1001"]);
        assert_eq!((audit.newest(5000).0.len(), dropped), (1000, 3));
        assert_eq!(audit.health(), Health::default());
    }

    #[test]
    fn long_texts_are_cut_and_the_bytes_in_memory_have_a_ceiling() {
        let audit = Audit::in_memory();
        let long = "ä".repeat(5_000);
        for _ in 0..1000 {
            let big =
                Record { task: Some(long.clone()), filter: Some(long.clone()), peer: long.clone(), ..record(&long) };
            block_on(audit.record(Record { result: long.clone(), ..big })).unwrap();
        }
        let (newest, dropped) = audit.newest(usize::MAX);
        assert!(newest.iter().all(|record| record.reason.len() <= LONGEST && record.reason.ends_with("ä…")));
        assert_eq!(newest.len() as u64 + dropped, 1000);
        let bytes: usize = newest.iter().map(|record| record.bytes()).sum();
        assert!(bytes <= KEPT_BYTES && bytes > KEPT_BYTES / 2 && bytes == lock(&audit.shared.ring).bytes, "{bytes}");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_made_for_its_owner_and_has_a_line_for_each_record_in_order() {
        use std::os::unix::fs::PermissionsExt;
        let dir = Dir::new("file");
        for round in 0..2 {
            let audit = Audit::with_file(&dir.file(), false).unwrap();
            for number in 0..100 {
                block_on(audit.record(record(&format!("{round}-{number}")))).unwrap();
            }
            // Dropping it writes what waits.
        }
        let reasons: Vec<_> = dir.lines().iter().map(|line| line["reason"].as_str().unwrap().to_owned()).collect();
        let expected: Vec<_> =
            (0..2).flat_map(|round| (0..100).map(move |number| format!("{round}-{number}"))).collect();
        assert_eq!(reasons, expected);
        assert_eq!(std::fs::metadata(dir.file()).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_strict_record_is_in_the_file_when_it_resolves() {
        let dir = Dir::new("strict");
        let audit = Audit::with_file(&dir.file(), true).unwrap();
        assert!(audit.is_strict());
        for number in 1..=3 {
            block_on(audit.record(record("a"))).unwrap();
            assert_eq!(dir.lines().len(), number);
        }
        assert_eq!(audit.health(), Health { written: 3, lost: 0, error: None });
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let dir = Dir::new("moved");
        let audit = Audit::with_file(&dir.file(), true).unwrap();
        block_on(audit.record(record("a"))).unwrap();
        std::fs::rename(dir.file(), dir.0.join("audit.jsonl.1")).unwrap();
        block_on(audit.record(record("b"))).unwrap();
        std::fs::remove_file(dir.file()).unwrap();
        block_on(audit.record(record("c"))).unwrap();
        assert_eq!(dir.lines().len(), 1);
        assert_eq!(dir.lines()[0]["reason"], "c");
    }

    #[cfg(unix)]
    #[test]
    fn what_could_not_be_written_is_counted_and_told_once() {
        let dir = Dir::new("gone");
        let audit = Audit::with_file(&dir.file(), true).unwrap();
        block_on(audit.record(record("a"))).unwrap();
        std::fs::remove_dir_all(&dir.0).unwrap();
        for lost in 1..=2 {
            let error = block_on(audit.record(record("b"))).unwrap_err().to_string();
            assert!(error.starts_with("the audit log could not be written: "), "{error}");
            assert_eq!((audit.health().written, audit.health().lost), (1, lost));
        }
        std::fs::create_dir(&dir.0).unwrap();
        for _ in 0..2 {
            block_on(audit.record(record("c"))).unwrap();
        }
        let lines = dir.lines();
        assert_eq!(lines[0]["lostBefore"], 2);
        assert!(!lines[0]["lostBecause"].as_str().unwrap().is_empty());
        assert!(lines.len() == 2 && lines[1].get("lostBefore").is_none(), "{lines:?}");
        assert_eq!(audit.newest(9).0.len(), 5, "memory has them all");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_refuses_strict_records_and_lets_others_pass() {
        let strict = Audit::with_file(Path::new("/dev/full"), true).unwrap();
        let error = block_on(strict.record(record("a"))).unwrap_err();
        assert_eq!(strict.health(), Health { written: 0, lost: 1, error: Some(error.because) });
        let relaxed = Audit::with_file(Path::new("/dev/full"), false).unwrap();
        assert_eq!(block_on(relaxed.record(record("a"))), Ok(()));
        let health = Arc::clone(&relaxed.shared.writer.as_ref().unwrap().health);
        drop(relaxed);
        assert_eq!(lock(&health).lost, 1);
    }

    #[test]
    fn a_path_that_can_not_be_opened_is_an_error_at_the_start() {
        let dir = Dir::new("start");
        assert!(Audit::with_file(&dir.0, false).is_err());
        assert!(Audit::with_file(&dir.0.join("none").join("audit.jsonl"), false).is_err());
    }

    /// Writes a line for each word that it gets, and says what it wrote.
    struct Gate {
        open: Receiver<()>,
        lines: Arc<Mutex<Vec<String>>>,
        flushes: Arc<AtomicUsize>,
    }

    impl Sink for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<()> {
            let _ = self.open.recv();
            lock(&self.lines).push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.flushes.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_hangs_makes_nobody_wait() {
        for strict in [false, true] {
            let (open, gate) = mpsc::channel();
            let (lines, flushes) = (Arc::default(), Arc::default());
            let gate = Gate { open: gate, lines: Arc::clone(&lines), flushes: Arc::clone(&flushes) };
            let audit = Audit::new(Some(Writer::start(gate).unwrap()), strict);
            // One batch is with the sink, at most; the others fill the channel.
            let asked: Vec<_> = (0..WAITING + BATCH + 10).map(|_| audit.record(record("a"))).collect();
            let lost = audit.health().lost;
            assert!((10..=10 + BATCH as u64).contains(&lost), "{lost}");
            assert_eq!(audit.newest(usize::MAX).0.len(), KEPT);
            drop(open);
            let results: Vec<_> = asked.into_iter().map(block_on).collect();
            let refused = results.iter().filter(|result| result.is_err()).count() as u64;
            assert_eq!(refused, if strict { lost } else { 0 });
            drop(audit);
            let lines = lock(&lines);
            assert_eq!(lines.len() as u64 + lost, (WAITING + BATCH + 10) as u64);
            // Each of them is told once, by one line or, if the thread was late, by two.
            let told = lines.iter().filter(|line| line.contains("lostBefore"));
            let told: Vec<serde_json::Value> = told.map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(told.iter().map(|line| line["lostBefore"].as_u64().unwrap()).sum::<u64>(), lost);
            assert_eq!(told[0]["lostBecause"], "too many records wait for the disk");
            // Many records share a flush; those for which nobody waits need none.
            let flushes = flushes.load(Ordering::Relaxed);
            assert!(if strict { (1..=lines.len() / 8).contains(&flushes) } else { flushes == 0 }, "{flushes}");
        }
    }

    #[cfg(feature = "tracing")]
    #[test]
    fn each_record_is_an_event() {
        // In a process of its own: which events are wanted is cached for the whole process, and other tests have them, too.
        const ALONE: &str = "PM_AUDIT_TEST_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
            let name = "server::audit::tests::each_record_is_an_event";
            let output = alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
            return;
        }
        use tracing::field::{Field, Visit};
        use tracing::{Event, Level, Metadata, Subscriber, span};

        #[derive(Clone, Default)]
        struct Seen(Arc<Mutex<Vec<(Level, String, String)>>>);
        struct Fields(String);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.0 += &format!("{}={value:?} ", field.name());
            }
        }
        impl Subscriber for Seen {
            fn enabled(&self, _: &Metadata<'_>) -> bool {
                true
            }
            fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
                span::Id::from_u64(1)
            }
            fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
            fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
            fn event(&self, event: &Event<'_>) {
                let mut fields = Fields(String::new());
                event.record(&mut fields);
                lock(&self.0).push((*event.metadata().level(), event.metadata().target().to_owned(), fields.0));
            }
            fn enter(&self, _: &span::Id) {}
            fn exit(&self, _: &span::Id) {}
        }

        let seen = Seen::default();
        tracing::subscriber::with_default(seen.clone(), || {
            let audit = Audit::in_memory();
            drop(audit.record(record("slow")));
            drop(audit.record(Record { allowed: false, scope: None, ..record("b") }));
        });
        let seen = lock(&seen.0);
        let levels: Vec<_> = seen.iter().map(|(level, target, _)| (*level, target.as_str())).collect();
        assert_eq!(levels, [(Level::INFO, "pm::audit"), (Level::WARN, "pm::audit")]);
        for part in ["identity=token:deploy", "scope=\"cancel\"", "task=\"import-42\"", "reason=\"slow\""] {
            assert!(seen[0].2.contains(part), "{}", seen[0].2);
        }
        assert!(!seen[1].2.contains("scope"), "{}", seen[1].2);
    }
}
