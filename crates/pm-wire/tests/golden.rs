//! The shapes of `/procs/` compared with files that show them.

use pm_wire::{CancelBody, HistoryReply, TaskList, VerdictReply};

fn golden<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_list_is_written_as_it_was_read() {
    let text = include_str!("golden/list.json");
    assert_eq!(serde_json::to_string(&golden::<TaskList>(text)).unwrap(), text.trim_end());
}

#[test]
fn a_history_is_written_as_it_was_read() {
    let text = include_str!("golden/history.json");
    assert_eq!(serde_json::to_string(&golden::<HistoryReply>(text)).unwrap(), text.trim_end());
}

#[test]
fn a_verdict_is_written_as_it_was_read() {
    let text = include_str!("golden/verdict.json");
    assert_eq!(serde_json::to_string(&golden::<VerdictReply>(text)).unwrap(), text.trim_end());
}

#[test]
fn a_cancel_body_is_written_as_the_original_client_does() {
    let text = include_str!("golden/cancel.json");
    assert_eq!(serde_json::to_string(&CancelBody::new("two words")).unwrap(), text.trim_end());
    assert_eq!(CancelBody::from_lenient(text.as_bytes()).message, "two words");
}

#[test]
fn the_original_list_is_understood() {
    let list: TaskList = golden(include_str!("golden/original-list.json"));
    assert_eq!(list.server_time.to_string(), "2026-11-24T04:03:36.846606932Z");
    let [plain, request, killed] = &list.procs[..] else { panic!("three tasks") };
    assert_eq!((plain.id.as_str(), plain.status.as_str()), ("noattr", "init"));
    assert!(plain.attrs.is_empty() && !plain.cancelling && plain.serial.is_none() && plain.is_cancellable());
    assert_eq!(request.attrs["uri"], "/hosts/1?x=<y>&z='q'");
    assert_eq!(request.status, "reading \"quoted\" \u{2028} \u{1} tab\t nl\n <b>");
    assert_eq!(request.proc_time.to_string(), "2026-11-24T04:03:36.213743871Z");
    assert!(killed.cancelling);
}

#[test]
fn the_original_empty_list_is_written_the_same() {
    let text = include_str!("golden/original-empty-list.json");
    assert_eq!(serde_json::to_string(&golden::<TaskList>(text)).unwrap(), text.trim_end());
}

#[test]
fn the_original_history_is_understood() {
    let reply: HistoryReply = golden(include_str!("golden/original-history.json"));
    assert_eq!(reply.history[1].status, "[cancel request: m]");
    assert_eq!(reply.history[1].ts.to_string(), "2026-11-24T04:03:38.216775787Z");
    assert_eq!(reply.dropped, 0);
}

#[test]
fn fields_of_a_later_version_are_ignored() {
    let list: TaskList = golden(
        r#"{"procs":[{"id":"a","attrs":null,"procTime":"2026-11-24T04:03:36Z","statusTime":"2026-11-24T04:03:36Z",
            "status":"init","later":{"x":[1]},"progress":{"done":1,"later":2}}],
            "serverTime":"2026-11-24T04:03:36Z","later":true}"#,
    );
    assert_eq!(list.procs[0].progress.as_ref().map(|p| (p.done, p.total)), Some((1, 0)));
}
