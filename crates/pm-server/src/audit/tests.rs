//! Tests of the audit log.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::record::{LONGEST, line};
use super::writer::{BATCH, Sink, WAITING};
use super::*;
use crate::access::{Identity, Permission};

fn record(reason: &str) -> Record {
    Record {
        at: UNIX_EPOCH + Duration::from_millis(1500),
        peer: "127.0.0.1:50000".to_owned(),
        identity: Identity::Token("deploy".into()),
        permission: Some(Permission::Cancel),
        action: Action::Cancel,
        task: Some("import-42".to_owned()),
        serial: None,
        filter: None,
        reason: reason.to_owned(),
        result: "finished".to_owned(),
        allowed: true,
        refused_before: 0,
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A directory for one test, removed when it ends.
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
    let serial = pm_core::ProcessList::new().start("a").serial().unwrap();
    let mut record = record("too \"slow\"\n");
    record.serial = Some(serial);
    let start =
        r#"{"at":"1970-01-01T00:00:01.5Z","peer":"127.0.0.1:50000","identity":"token:deploy","scope":"cancel","#;
    let end = r#""reason":"too \"slow\"\n","result":"finished"}"#;
    let between = format!(r#""action":"cancel","task":"import-42","serial":"{serial}","#);
    assert_eq!(line(&record, 0, None), [start, &between, end, "\n"].concat().into_bytes());
    let refused = Record {
        identity: Identity::Unknown,
        permission: None,
        action: Action::CancelMany,
        task: None,
        serial: None,
        filter: Some("kind=a*".to_owned()),
        reason: String::new(),
        result: "unauthorized".to_owned(),
        allowed: false,
        ..record
    };
    let rest = r#""identity":"nobody","action":"cancelMany","filter":"kind=a*","reason":"","result":"unauthorized"}"#;
    let line = String::from_utf8(line(&refused, 0, None)).unwrap();
    assert!(line.trim_end().ends_with(rest), "{line}");
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
fn callers_that_may_not_cancel_push_no_record_out_and_are_counted() {
    let dir = Dir::new("unprivileged");
    let audit = Audit::with_file(&dir.file(), false).unwrap();
    block_on(audit.record(record("true"))).unwrap();
    for permission in [None, Some(Permission::Read)] {
        for _ in 0..5_000 {
            let refused = Record { allowed: false, permission, ..record(&"x".repeat(1000)) };
            block_on(audit.record(refused)).unwrap();
        }
    }
    // One who may cancel, and was wrong about the task.
    block_on(audit.record(Record { allowed: false, ..record("wrong") })).unwrap();
    let (newest, _) = audit.newest(usize::MAX);
    let reasons = [&newest[0].reason, &newest[newest.len() - 1].reason];
    assert_eq!(reasons, ["wrong", "true"], "newest first, and all the others in between");
    // As many as at once, and one a second while the test ran.
    assert!((52..200).contains(&newest.len()), "{}", newest.len());
    drop(audit);
    assert_eq!(dir.lines().len(), newest.len(), "the file has no more");
}

#[test]
fn long_strings_are_truncated_and_the_bytes_in_memory_are_bounded() {
    let audit = Audit::in_memory();
    let long = "ä".repeat(5_000);
    for _ in 0..1000 {
        let big = Record { task: Some(long.clone()), filter: Some(long.clone()), peer: long.clone(), ..record(&long) };
        block_on(audit.record(Record { result: long.clone(), ..big })).unwrap();
    }
    let (newest, dropped) = audit.newest(usize::MAX);
    assert!(newest.iter().all(|record| record.reason.len() <= LONGEST && record.reason.ends_with("ä…")));
    assert_eq!(newest.len() as u64 + dropped, 1000);
    let bytes: usize = newest.iter().map(|record| record.bytes()).sum();
    assert!(bytes <= KEPT.1 && bytes > KEPT.1 / 2 && bytes == lock(&audit.shared.records).others.bytes, "{bytes}");
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
        // Dropping it writes what is queued.
    }
    let reasons: Vec<_> = dir.lines().iter().map(|line| line["reason"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (0..2).flat_map(|round| (0..100).map(move |number| format!("{round}-{number}"))).collect();
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
fn a_file_that_was_moved_away_is_created_again() {
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
fn records_that_could_not_be_written_are_counted_and_reported_once() {
    let dir = Dir::new("gone");
    let audit = Audit::with_file(&dir.file(), true).unwrap();
    block_on(audit.record(record("a"))).unwrap();
    std::fs::remove_dir_all(&dir.0).unwrap();
    for lost in 1..=2 {
        let error = block_on(audit.record(record("b"))).unwrap_err().to_string();
        assert!(error.starts_with("could not write the audit log: "), "{error}");
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
    assert_eq!(audit.newest(9).0.len(), 5, "memory has all of them");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_refuses_strict_records_and_lets_others_pass() {
    let strict = Audit::with_file(Path::new("/dev/full"), true).unwrap();
    let error = block_on(strict.record(record("a"))).unwrap_err();
    assert_eq!(strict.health(), Health { written: 0, lost: 1, error: Some(error.reason) });
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

/// Writes a line for each message that it receives, and records it.
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
fn no_request_waits_for_a_disk_that_hangs() {
    for strict in [false, true] {
        let (open, gate) = mpsc::channel();
        let (lines, flushes) = (Arc::default(), Arc::default());
        let gate = Gate { open: gate, lines: Arc::clone(&lines), flushes: Arc::clone(&flushes) };
        let audit = Audit::new(Some(Writer::start(gate).unwrap()), strict);
        // One batch is with the sink, at most; the others fill the channel.
        let asked: Vec<_> = (0..WAITING + BATCH + 10).map(|_| audit.record(record("a"))).collect();
        let lost = audit.health().lost;
        assert!((10..=10 + BATCH as u64).contains(&lost), "{lost}");
        assert_eq!(audit.newest(usize::MAX).0.len(), KEPT.0);
        drop(open);
        let results: Vec<_> = asked.into_iter().map(block_on).collect();
        let refused = results.iter().filter(|result| result.is_err()).count() as u64;
        assert_eq!(refused, if strict { lost } else { 0 });
        drop(audit);
        let lines = lock(&lines);
        assert_eq!(lines.len() as u64 + lost, (WAITING + BATCH + 10) as u64);
        // Each of them is reported once, by one line or, if the thread was late, by two.
        let reported = lines.iter().filter(|line| line.contains("lostBefore"));
        let reported: Vec<serde_json::Value> = reported.map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(reported.iter().map(|line| line["lostBefore"].as_u64().unwrap()).sum::<u64>(), lost);
        assert_eq!(reported[0]["lostBecause"], "too many records wait for the disk");
        // Many records share a flush; those in the background need none.
        let flushes = flushes.load(Ordering::Relaxed);
        assert!(if strict { (1..=lines.len() / 8).contains(&flushes) } else { flushes == 0 }, "{flushes}");
    }
}

#[test]
fn strict_records_are_refused_at_once_while_the_disk_does_not_answer() {
    let (open, gate) = mpsc::channel();
    let gate = Gate { open: gate, lines: Arc::default(), flushes: Arc::default() };
    let audit = Audit::new(Some(Writer::start(gate).unwrap()), true);
    let first = audit.record(record("a"));
    assert_eq!(audit.unresponsive(), None, "not for long");
    let busy_since = Arc::clone(&audit.shared.writer.as_ref().unwrap().busy_since);
    while lock(&busy_since).is_none() {
        std::thread::yield_now();
    }
    *lock(&busy_since) = Instant::now().checked_sub(Duration::from_secs(7));
    let why = audit.unresponsive().unwrap();
    assert_eq!(why, "the disk has not answered for 7 s");
    assert_eq!(block_on(audit.record(record("b"))).unwrap_err().reason, why);
    drop(open);
    assert_eq!(block_on(first), Ok(()));
    while lock(&busy_since).is_some() {
        std::thread::yield_now();
    }
    assert_eq!(block_on(audit.record(record("c"))), Ok(()));
}

#[cfg(feature = "tracing")]
#[test]
fn each_record_is_an_event() {
    // In a process of its own: tracing caches for the whole process which events are wanted, and other tests emit some.
    const ALONE: &str = "PM_AUDIT_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let name = "audit::tests::each_record_is_an_event";
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
        drop(audit.record(Record { allowed: false, permission: None, ..record("b") }));
    });
    let seen = lock(&seen.0);
    let levels: Vec<_> = seen.iter().map(|(level, target, _)| (*level, target.as_str())).collect();
    assert_eq!(levels, [(Level::INFO, "pm::audit"), (Level::WARN, "pm::audit")]);
    for part in ["identity=token:deploy", "scope=\"cancel\"", "task=\"import-42\"", "reason=\"slow\""] {
        assert!(seen[0].2.contains(part), "{}", seen[0].2);
    }
    assert!(!seen[1].2.contains("scope"), "{}", seen[1].2);
}
