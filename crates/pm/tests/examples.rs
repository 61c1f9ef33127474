//! The examples, run to their ends.

use std::path::PathBuf;
use std::process::Command;

/// What an example prints. Cargo builds examples along with tests, beside the directory in which the tests are.
fn smoke(name: &str) -> String {
    let mut path = PathBuf::from(std::env::current_exe().unwrap().parent().unwrap().parent().unwrap());
    path.extend(["examples", &format!("{name}{}", std::env::consts::EXE_SUFFIX)]);
    let output = Command::new(&path).arg("--smoke").output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}; `cargo test -p pm` builds it", path.display()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    text
}

fn assert_shows(name: &str, lines: &[&str]) {
    let text = smoke(name);
    for line in lines {
        assert!(text.contains(line), "{name} does not show {line:?}:\n{text}");
    }
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
fn pool() {
    assert_shows("pool", &["resize-5   [(\"width\", I64(3840))] queued", "finished: 5", "cancelled: 1"]);
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
