//! A fixed model: two programs with tasks of all sorts, some with hostile strings.

use std::time::Duration;

use pm_client::Row;
use serde_json::{Value, json};

use crate::feed::{Key, Store, Update};
use crate::out::format;
use crate::top::app::{App, Mode, Options, Replayed, View};
use crate::top::model::{Column, List, Shape};
use crate::top::request::{Reply, TaskDetails};
use crate::top::theme::{Glyphs, Role, Theme};
use crate::verbs::Found;
use crate::verbs::kill::Fate;

/// The moment that is shown, on the local clock.
pub(super) const NOW: f64 = 100_000.0;
const SERVER: &str = "2026-11-24T10:32:05Z";

fn row(json: Value) -> Row {
    serde_json::from_value(json).unwrap()
}

fn task(serial: u64, id: &str, kind: &str, age: f64, in_status: f64, status: &str, more: Value) -> Row {
    let mut task = json!({
        "serial": serial.to_string(), "id": id, "kind": kind, "state": "running", "startedAt": "2026-11-24T10:00:00Z",
        "ageMs": age, "status": status, "statusAt": "2026-11-24T10:00:01Z", "statusAgeMs": in_status, "historyLen": 4,
    });
    for (name, value) in more.as_object().unwrap() {
        task[name] = value.clone();
    }
    row(task)
}

fn progress(done: u64, total: u64, unit: &str) -> Value {
    json!({ "progress": { "done": done, "total": total, "unit": unit } })
}

fn web() -> Vec<Row> {
    let mut rows = vec![
        task(1, "nightly", "import", 5_400e3, 12e3, "reading 7 of 9", progress(7, 9, "files")),
        task(
            2,
            "nightly/a",
            "import file",
            320e3,
            12e3,
            "parsing",
            json!({ "parent": "1", "attrs": { "file": "a.csv", "rows": 12000 } }),
        ),
        task(3, "nightly/b", "import file", 300e3, 290e3, "waiting for lock:customers", json!({ "parent": "1" })),
        task(9, "mail-queue", "mail", 90e3, 4e3, "sending", progress(420, 0, "mails")),
        task(12, "req-4711", "GET /report", 12_400.0, 3e3, "rendering page 3", progress(3, 10, "pages")),
        task(13, "req-4712", "GET /stuck", 9e3, 9e3, "waiting for approval", json!({})),
        task(
            14,
            "req-4713",
            "GET /stuck",
            8e3,
            8e3,
            "waiting for approval",
            json!({
                "state": "cancelling", "cancel": { "ageMs": 2_500, "reason": "too slow", "by": "ann", "origin": "request" },
            }),
        ),
        task(15, "payout-9", "transfer", 2e3, 340.0, "moving the money", json!({ "protected": true })),
        task(16, "watchdog", "system", 86_400e3 * 3.0, 1e3, "watching", json!({ "cancellable": false })),
        task(17, "日本語-1", "GET /search", 640.0, 640.0, "検索中", json!({})),
        task(18, "evil\u{1b}[2J\u{202e}", "GET /search", 512.0, 512.0, "a\nb\u{7}\u{9b}31m", json!({})),
        task(19, "zalgo e\u{301}\u{302}\u{303}", "GET /search", 256.0, 256.0, "ok", json!({})),
    ];
    rows.extend((20..32).map(|n| {
        task(
            n,
            &format!("req-{}", 4_700 + n),
            "GET /search",
            250.0 - n as f64,
            9.0,
            "searching",
            json!({ "attrs": { "q": "ünï" } }),
        )
    }));
    rows
}

fn db() -> Vec<Row> {
    vec![
        task(5, "vacuum", "maintenance", 640e3, 2e3, "table customers", progress(61, 100, "%")),
        task(6, "backup", "maintenance", 610e3, 600e3, "waiting for lock:customers", json!({})),
        task(
            7,
            "query-881",
            "query",
            15e3,
            15e3,
            "SELECT * FROM customers",
            json!({ "attrs": { "rows": 88213, "user": "ann" } }),
        ),
    ]
}

/// The app with its tasks, refreshed.
pub(super) fn app(theme: Theme, glyphs: Glyphs) -> App {
    let store = Store::new(["web1".to_owned(), "db1".to_owned()]);
    let list = List::new(Default::default(), (Column::Age, true), Shape::Flat);
    let columns = crate::top::options::COLUMNS.to_vec();
    let mut app = App::new(store, list, Options { theme, glyphs, columns, mouse: true });
    for (endpoint, rows) in [(0, web()), (1, db())] {
        app.apply(endpoint, NOW, Update::Live);
        app.apply(endpoint, NOW, Update::Snapshot { rows, begins: true, ends: true });
    }
    app.refresh(NOW);
    app
}

/// Replies to all requests.
pub(super) fn answers(app: &mut App) {
    match app.view {
        View::Running => {}
        View::Kinds => {
            for at in [NOW - 2e3, NOW - 1e3, NOW] {
                app.answer(at, Reply::Kinds { endpoint: 0, result: Ok(kinds(((at - NOW) / 1e3) as i64 + 2)) });
            }
            app.answer(
                NOW,
                Reply::Kinds { endpoint: 1, result: Err("db1: timed out after 10.0 s; try again".to_owned()) },
            );
        }
        View::Ended => {
            let rows = vec![
                row(
                    json!({ "serial": "11", "id": "req-4710", "kind": "GET /report", "state": "ended", "outcome": "failed",
                    "ageMs": 1_204, "endedAt": "2026-11-24T10:32:01Z", "status": "failed: no such page" }),
                ),
                row(
                    json!({ "serial": "10", "id": "req-4709", "kind": "GET /search", "state": "ended", "outcome": "finished",
                    "ageMs": 31, "endedAt": "2026-11-24T10:31:55Z", "status": "ended" }),
                ),
                row(
                    json!({ "serial": "8", "id": "req-4702", "kind": "GET /stuck", "state": "ended", "outcome": "cancelled",
                    "ageMs": 61e3, "endedAt": "2026-11-24T10:30:00Z", "status": "killed: too slow" }),
                ),
            ];
            app.answer(NOW, Reply::Ended { endpoint: 0, result: Ok((rows, SERVER.parse().unwrap())) });
            let rows = vec![row(json!({ "serial": "4", "id": "query-880", "kind": "query", "state": "ended",
                "outcome": "dropped", "ageMs": 400, "endedAt": "2026-11-24T10:31:58Z", "status": "dropped" }))];
            app.answer(NOW, Reply::Ended { endpoint: 1, result: Ok((rows, SERVER.parse().unwrap())) });
        }
        View::Waits => {
            app.answer(NOW, Reply::Waits { endpoint: 0, result: Ok(Some(waits())) });
            app.answer(NOW, Reply::Waits { endpoint: 1, result: Ok(None) });
        }
        View::About => {
            let info = json!({ "version": "0.1.0", "serverTime": SERVER, "uptimeMs": 7_200e3, "scope": "cancel",
                "dropped": { "tasksNotShown": 3 } });
            app.answer(NOW, Reply::About { endpoint: 0, result: Ok(Some(serde_json::from_value(info).unwrap())) });
            app.answer(NOW, Reply::About { endpoint: 1, result: Ok(None) });
        }
    }
    if let Some(key) = app.details.as_ref().map(|details| details.key) {
        app.answer(NOW, Reply::Details { key, result: Ok(Box::new(details(app, key))) });
    }
}

fn kinds(step: i64) -> pm_client::KindReport {
    let buckets: Vec<Value> = [1, 4, 9, 30, 22, 12, 7, 3, 1, 0, 0, 1]
        .iter()
        .enumerate()
        .map(|(at, count)| json!({ "leastMs": at, "belowMs": at + 1, "count": count }))
        .collect();
    serde_json::from_value(json!({ "serverTime": SERVER, "kinds": [
        { "kind": "GET /search", "running": 15, "started": 9_000, "finished": 8_900 + step * step * 40, "failed": 12,
          "latency": { "count": 8_900, "meanMs": 33, "p50Ms": 31, "p90Ms": 80, "p95Ms": 126, "p99Ms": 163, "maxMs": 2_000,
            "buckets": buckets },
          "statuses": [{ "status": "searching", "entered": 9_000, "timeMs": 80 }, { "status": "init", "entered": 9_000, "timeMs": 20 }] },
        { "kind": "GET /report", "running": 1, "started": 700, "finished": 650 + step, "cancelled": 3, "dropped": 2,
          "latency": { "count": 650, "p50Ms": 504, "p95Ms": 550, "p99Ms": 612.5, "maxMs": 1_240, "buckets": [
            { "leastMs": 256, "belowMs": 512, "count": 400 }, { "leastMs": 512, "belowMs": 1024, "count": 250 }] } },
        { "kind": "import", "running": 1, "started": 1, "latency": { "count": 0 } },
        { "running": 0, "started": 4, "finished": 4, "latency": { "count": 4, "p50Ms": 2, "p95Ms": 3, "p99Ms": 3, "maxMs": 3 } },
    ] }))
    .unwrap()
}

fn waits() -> pm_client::WaitReport {
    let wait = |serial: &str, id: &str, resource: &str| json!({ "serial": serial, "id": id, "resource": resource, "resourceKind": "mutex", "waitMs": 290e3, "isStuck": true, "inCycle": true });
    serde_json::from_value(json!({
        "serverTime": SERVER, "total": 3,
        "waits": [wait("3", "nightly/b", "lock:customers"), wait("30", "merge", "lock:orders")],
        "cycles": [{ "steps": [
            { "serial": "3", "id": "nightly/b", "resource": "lock:customers", "heldBy": "30" },
            { "serial": "30", "id": "merge", "resource": "lock:orders", "heldBy": "3" },
        ] }],
        "tree": [
            { "depth": 0, "serial": "3", "id": "nightly/b", "kind": "import file", "resource": "lock:customers", "waitMs": 290e3 },
            { "depth": 1, "serial": "30", "id": "merge", "resource": "lock:orders", "waitMs": 280e3 },
            { "depth": 2, "serial": "3", "id": "nightly/b", "kind": "import file", "resource": "lock:customers", "waitMs": 290e3, "repeated": true },
            { "depth": 0, "serial": "15", "id": "payout-9", "kind": "transfer" },
            { "depth": 1, "serial": "13", "id": "req-4712", "kind": "GET /stuck", "resource": "semaphore:payouts", "waitMs": 9e3 },
        ],
    }))
    .unwrap()
}

fn details(app: &App, key: Key) -> TaskDetails {
    let task = app.store.find(key).unwrap();
    let at = |seconds: u64| format!("2026-11-24T10:{:02}:{:02}Z", 26 + seconds / 60, seconds % 60);
    let wait = json!({ "serial": format::serial(task.row.serial), "id": task.row.id, "resource": "lock:customers", "resourceKind": "mutex",
        "waitMs": 290e3, "holders": [{ "serial": "30", "id": "merge", "heldMs": 301e3 }] });
    let history = json!({ "serial": format::serial(task.row.serial), "serverTime": SERVER, "dropped": 12, "droppedAfter": 3, "history": [
        { "at": at(0), "status": "init" }, { "at": at(1), "status": "opening b.csv" }, { "at": at(4), "status": "parsing" },
        { "at": at(64), "status": "writing" }, { "at": at(75), "status": "waiting for lock:customers" },
    ] });
    TaskDetails {
        found: Found {
            row: Row::clone(&task.row),
            waits: vec![serde_json::from_value(wait).unwrap()],
            holds_up: vec![
                serde_json::from_value(json!({ "serial": "6", "id": "backup", "resource": "lock:orders",
                "resourceKind": "mutex", "waitMs": 600e3 }))
                .unwrap(),
            ],
            server_time: SERVER.parse().unwrap(),
            is_original: false,
        },
        history: Ok(serde_json::from_value(history).unwrap()),
    }
}

/// The first target stops, the second is still pending.
pub(super) fn verdicts(app: &mut App) {
    app.now = NOW + 1_500.0;
    let Mode::Kill(kill) = &app.mode else { return };
    let key = kill.targets[0].target.key;
    let text = "cancelled after 12 ms".to_owned();
    let now = app.now;
    app.answer(now, Reply::Verdict { key, text, role: Role::Good, fate: Some(Fate::Cancelled) });
}

/// Disconnects the second endpoint.
pub(super) fn lose(app: &mut App) {
    let why =
        "db1: could not connect to http://db1:6680/v1/events: connection refused; check that the program is running"
            .to_owned();
    app.apply(1, NOW, Update::Lost { why, retry_in: Duration::from_secs(4) });
    app.now = NOW + 2_500.0;
}

/// A paused replay.
pub(super) fn replay(app: &mut App) {
    let at = "2026-11-24T10:32:05Z".parse().unwrap();
    app.replayed = Some(Replayed { at, elapsed: 600e3, length: 3_600e3, speed: 2.0 });
    app.key(ratatui_crossterm::crossterm::event::KeyEvent::from(ratatui_crossterm::crossterm::event::KeyCode::Char(
        'p',
    )));
}
