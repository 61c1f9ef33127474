//! The examples, run to completion: they print what `docs/examples.md` shows.
//!
//! `PM_BLESS=1 cargo test -p pm --all-features --test examples` writes their current output into that file, once
//! `cargo build -p pm --all-features --examples` has built them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A limit so that a failing test ends; a passing test never waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serialises access to the document.
static DOCUMENT: Mutex<()> = Mutex::new(());

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples.md")
}

/// Returns the output of an example. Cargo builds examples along with tests, beside the directory of the tests.
fn smoke(name: &str) -> String {
    let mut path = PathBuf::from(std::env::current_exe().unwrap().parent().unwrap().parent().unwrap());
    path.extend(["examples", &format!("{name}{}", std::env::consts::EXE_SUFFIX)]);
    let child = Command::new(&path).arg("--smoke").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{}: {error}; `cargo test -p pm` builds it", path.display()));
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (send, ended) = channel();
    // Each pipe on its own thread, as either may be full before the other is closed.
    let log = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
    });
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        send.send(stdout.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned()))
    });
    let Ok(text) = ended.recv_timeout(PATIENCE) else {
        child.kill().unwrap();
        panic!("{name} does not end");
    };
    let (text, status, log) = (text.unwrap(), child.wait().unwrap(), log.join().unwrap().unwrap());
    assert!(status.success(), "{name}: {text}\n{log}");
    text
}

/// Masks what differs from run to run: durations, dates, ports, process ids, random ids.
fn masked(text: &str) -> String {
    let mut lines: Vec<_> = text.replace(&*std::env::temp_dir().to_string_lossy(), "/tmp").lines().map(mask).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}

fn mask(line: &str) -> String {
    /// The strings before a number that differs.
    const BEFORE: [&str; 7] = ["127.0.0.1:", "process ", "pm-unix-", "pm-mtls-", "tonic/", "uid:", "cert:"];
    /// The units after a duration.
    const UNITS: [&str; 5] = ["ns", "µs", "ms", "s", " s"];
    if line.starts_with("date: ") {
        return "date: …".to_owned();
    }
    let (mut out, mut rest) = (String::new(), line.trim_end());
    while let Some(first) = rest.chars().next() {
        let hex = |text: &str| text.find(|c: char| !c.is_ascii_hexdigit() && c != '.').unwrap_or(text.len());
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let id = rest.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(rest.len());
        let begins = !out.ends_with(|c: char| c.is_alphanumeric());
        let unit = UNITS.iter().find(|unit| {
            let behind = rest[number..].strip_prefix(**unit);
            behind.is_some_and(|behind| !behind.starts_with(|c: char| c.is_alphanumeric()))
        });
        let skipped = if hex(rest) > 0 && BEFORE.iter().any(|before| out.ends_with(before)) {
            hex(rest)
        } else if let (true, true, Some(unit)) = (begins, first.is_ascii_digit(), unit) {
            // A unit that is attached to its number differs, too.
            number + if unit.starts_with(' ') { 0 } else { unit.len() }
        } else if begins && is_date(rest) {
            rest.find('Z').map_or(rest.len(), |end| end + 1)
        } else if begins && id >= 32 {
            id
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.push('…');
        rest = &rest[skipped..];
    }
    out
}

/// Returns `true` for a date such as `2026-11-27T15:10:17.42Z`.
fn is_date(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(byte, shape): (u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == *shape };
    text.len() > SHAPE.len() && text.bytes().zip(SHAPE).all(fits)
}

/// Returns the section of the document about an example, and the range of its output in that.
fn section<'d>(document: &'d str, name: &str) -> (&'d str, std::ops::Range<usize>) {
    let begin = document.find(&format!("\n## {name}\n")).unwrap_or_else(|| panic!("no part `## {name}`")) + 1;
    let end = document[begin..].find("\n## ").map_or(document.len(), |length| begin + length);
    let section = &document[begin..end];
    let text = section.find("```text\n").unwrap_or_else(|| panic!("{name} shows no text")) + "```text\n".len();
    let length = section[text..].find("\n```").unwrap_or_else(|| panic!("the text of {name} has no end"));
    (section, begin + text..begin + text + length)
}

/// Runs the example, which must print these lines, and everything that the document shows.
#[track_caller]
fn assert_shows(name: &str, lines: &[&str]) {
    let text = smoke(name);
    for line in lines {
        assert!(text.contains(line), "{name} does not show {line:?}:\n{text}");
    }
    let text = masked(&text);
    let _alone = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let document_text = std::fs::read_to_string(document()).unwrap();
    let (_, place) = section(&document_text, name);
    if std::env::var_os("PM_BLESS").is_some() {
        let (before, behind) = (&document_text[..place.start], &document_text[place.end..]);
        std::fs::write(document(), format!("{before}{text}{behind}")).unwrap();
    } else {
        let shown = &document_text[place];
        assert_eq!(
            shown, text,
            "docs/examples.md shows what {name} printed once; PM_BLESS=1 writes what it prints now"
        );
    }
}

#[test]
fn the_document_lists_all_examples_with_the_features_they_need() {
    let _alone = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let document = std::fs::read_to_string(document()).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let files = root.join("examples").read_dir().unwrap().map(|file| file.unwrap().path());
    let mut names: Vec<_> = files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.retain(|name| !["contract", "page", "attacked"].contains(&name.as_str())); // they are for `cargo xtask`
    for name in &names {
        let needs = manifest.split(&format!("[[example]]\nname = \"{name}\"\nrequired-features = [")).nth(1);
        let needs = needs.unwrap_or_else(|| panic!("{name} has no required-features")).split(']').next().unwrap();
        let needs: Vec<_> = needs.split(", ").map(|name| name.trim_matches('"')).filter(|it| *it != "server").collect();
        let features = if needs.is_empty() { String::new() } else { format!(" --features {}", needs.join(",")) };
        let command = format!("cargo run -p pm{features} --example {name}\n");
        assert!(section(&document, name).0.contains(&command), "{name}: {command}");
    }
    assert_eq!(document.matches("\n## ").count(), names.len(), "{names:?}");
}

#[test]
fn values_that_differ_from_run_to_run_are_masked() {
    for (line, shown) in [
        ("curl http://127.0.0.1:4711/v1/tasks?sort=-age", "curl http://127.0.0.1:…/v1/tasks?sort=-age"),
        (
            "waiting for 3 tasks since 0.5 s, 12.5ms, 7µs: x (task 2, 0.0 s)",
            "waiting for 3 tasks since … s, …, …: x (task 2, … s)",
        ),
        (r#"{"at":"2026-11-27T15:10:17.42Z","n":3}"#, r#"{"at":"…","n":3}"#),
        ("2  a062b9d69f8d194f3b1b41cf499f6515-33d37389369c31bd  GET  ", "2  …  GET"),
        ("block 3 of 10, file-25, 3 stopped", "block 3 of 10, file-25, 3 stopped"),
    ] {
        assert_eq!(mask(line), shown);
    }
}

#[test]
#[cfg(feature = "axum")]
fn axum() {
    let lines = ["req-1  GET /reports/{host}  page 1 of 60", "HTTP/1.1 503", r#""detail":"just to show it""#];
    assert_shows("axum", &lines);
}

#[test]
#[cfg(feature = "tower")]
fn hyper() {
    let lines = ["req-1  GET /  handling", "/backend  below 1", "GET /backend  waiting to be killed", ": 503"];
    assert_shows("hyper", &lines);
}

#[test]
#[cfg(feature = "tower")]
fn tonic() {
    assert_shows("tonic", &["req-1  POST /demo.Waiter/Wait  waiting for Godot", "Cancelled", "just to show it"]);
}

#[test]
fn threads() {
    assert_shows(
        "threads",
        &[
            "nightly import",
            "part-3   import part      opening",
            "part 2 gives up: cancelled: too slow",
            "part-2   cancelled",
            "nightly  finished",
        ],
    );
}

#[test]
#[cfg(feature = "tokio")]
fn jobs() {
    assert_shows(
        "jobs",
        &[
            "import   reading block 3          3 of 10",
            "backup   queued",
            "cleanup: cancelled: not tonight",
            "export: no space left on the disk",
            "report: cancelled: deadline",
            "2 finished, 1 failed, 2 cancelled",
        ],
    );
}

#[test]
#[cfg(feature = "tower")]
fn queue() {
    assert_shows("queue", &["job-3  waiting for the printer", "job-3: cancelled: no paper"]);
}

#[test]
fn pool() {
    assert_shows("pool", &["resize-5   [(\"width\", I64(3840))] queued", "5 finished, 1 cancelled"]);
}

#[test]
#[cfg(feature = "indicatif")]
fn job() {
    assert_shows(
        "job",
        &["import: reading file-25, Some(Progress { done: 26, total: 50", "import: checking", "70000 bytes"],
    );
}

#[test]
#[cfg(feature = "tracing")]
fn tracing() {
    let lines = ["live   req-2-1  request  db.query  path=", "ended  req-3-1", "failed: /nowhere: no such page"];
    assert_shows("tracing", &lines);
}

#[test]
#[cfg(unix)]
fn unix() {
    let lines = ["mode 600", "backup  backup  copying", "the task observes: cancelled: disk is full", "by uid:"];
    assert_shows("unix", &lines);
}

#[test]
#[cfg(feature = "tls")]
fn mtls() {
    let lines = [
        "payroll  payroll  adding up",
        "this certificate may read, not cancel",
        "without a certificate: ",
        "requires a token",
        "from cert:",
    ];
    assert_shows("mtls", &lines);
}

#[test]
#[cfg(all(unix, feature = "tokio"))]
fn drain() {
    let lines = ["waiting for ", "tidy: cancelled: deploy", "drained in ", "1 stopped, 1 dropped, 0 still running"];
    assert_shows("drain", &lines);
}

#[test]
fn custom_list() {
    let lines = [
        "req-1 [(\"customer\", Text(\"***\")), (\"host\", Text(\"db1\")), (\"rows\", I64(42))]: reading",
        "ended: req-1",
    ];
    assert_shows("custom_list", &lines);
}

#[test]
fn from_go() {
    let lines = [
        r#"["init", "reading", "reading block 1"]"#,
        r#""id":"req-1","#,
        r#"Err("cancelled: too slow")"#,
        r#"Err("cancelled: deploy")"#,
    ];
    assert_shows("from_go", &lines);
}
