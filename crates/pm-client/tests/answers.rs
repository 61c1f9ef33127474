//! The answers of all sorts of servers, each a few lines over a bare socket.

use std::time::Duration;

use pm_client::{CancelOptions, Ceiling, Client, ClientError, Query, Stage, TaskRef};
use server::{closed_address, meet, reply};
use tokio::net::TcpListener;

mod server;

const LIST: &str = include_str!("../../pm-wire/tests/golden/original-list.json");
const HISTORY: &str = include_str!("../../pm-wire/tests/golden/original-history.json");

async fn list_error(reply: impl AsRef<[u8]>) -> ClientError {
    meet(reply, |client| async move { client.procs().list().await }).await.0.unwrap_err()
}

async fn cancel_error(reply: impl AsRef<[u8]>) -> ClientError {
    meet(reply, |client| async move { client.procs().cancel("a", "why").await }).await.0.unwrap_err()
}

#[tokio::test]
async fn the_list_of_the_original_is_read() {
    let (list, request) =
        meet(reply("200 OK", "application/json", LIST), |client| async move { client.procs().list().await }).await;
    let list = list.unwrap();
    assert_eq!(list.procs.len(), 3);
    assert_eq!(list.server_time.to_string(), "2026-11-24T04:03:36.846606932Z");
    let request = request.to_ascii_lowercase();
    assert!(request.starts_with("get /procs/ http/1.1\r\n"), "{request}");
    for header in ["host: 127.0.0.1:", "user-agent: pm-client/", "accept: application/json\r\n"] {
        assert!(request.contains(header), "{request}");
    }
}

#[tokio::test]
async fn a_chunked_answer_is_read() {
    let (a, b) = LIST.split_at(100);
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{a}\r\n{:x}\r\n{b}\r\n0\r\n\r\n",
        a.len(),
        b.len()
    );
    let (list, _) = meet(reply, |client| async move { client.procs().list().await }).await;
    assert_eq!(list.unwrap().procs[1].id, "req1");
}

#[tokio::test]
async fn an_answer_of_http_1_0_is_read_until_the_end() {
    let reply = format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{LIST}");
    let (list, _) = meet(reply, |client| async move { client.procs().list().await }).await;
    assert_eq!(list.unwrap().procs.len(), 3);
}

#[tokio::test]
async fn a_history_is_read_and_the_id_is_one_segment() {
    let (history, request) = meet(reply("200 OK", "application/json; charset=utf-8", HISTORY), |client| async move {
        client.procs().history("a/b?50%").await
    })
    .await;
    assert_eq!(history.unwrap().history.len(), 2);
    assert!(request.starts_with("GET /procs/a%2Fb%3F50%25/history HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn a_cancel_always_has_a_message() {
    for (reason, body) in [("two words", r#"{"message":"two words"}"#), ("", r#"{"message":""}"#)] {
        let reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (result, request) = meet(reply, |client| async move { client.procs().cancel("job?1", reason).await }).await;
        result.unwrap();
        assert!(request.starts_with("DELETE /procs/job%3F1 HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with(body), "{request}");
    }
}

#[tokio::test]
async fn the_empty_id_is_not_the_list() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (_, request) = meet(reply, |client| async move { client.procs().cancel("", "").await }).await;
    assert!(request.starts_with("DELETE /procs// HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn refusals_are_distinguished() {
    let plain = |status, body| reply(status, "text/plain; charset=utf-8", body);
    let error = cancel_error(plain("404 Not Found", "Not Found\n")).await;
    assert!(matches!(error, ClientError::NotFound { .. }), "{error}");
    let error = cancel_error(plain("403 Forbidden", "Forbidden\n")).await;
    assert!(matches!(error, ClientError::NotCancellable { .. }), "{error}");
    let error = cancel_error(plain("409 Conflict", "serials 7, 9\n")).await;
    assert!(matches!(&error, ClientError::Ambiguous { text, .. } if text == "serials 7, 9"), "{error}");
    let error = cancel_error(plain("500 Internal Server Error", "no\nluck")).await;
    assert!(matches!(&error, ClientError::Status { status: 500, excerpt, .. } if excerpt == "no luck"), "{error}");
}

#[tokio::test]
async fn the_missing_task_of_the_original_is_not_found() {
    let body = "Not Found\n{\"history\":[],\"serverTime\":\"2026-11-24T04:03:36Z\"}";
    let reply = reply("404 Not Found", "text/plain", body);
    let (result, _) = meet(reply, |client| async move { client.procs().history("a").await }).await;
    assert!(matches!(result, Err(ClientError::NotFound { .. })));
}

#[tokio::test]
async fn a_web_page_is_not_a_process_list() {
    let page = "<html><title>Router</title></html>";
    let error = list_error(reply("200 OK", "text/html; charset=utf-8", page)).await;
    assert!(matches!(&error, ClientError::NotPm { excerpt, .. } if excerpt == page), "{error}");
    for status in ["200 OK", "404 Not Found"] {
        let error = cancel_error(reply(status, "text/html", page)).await;
        assert!(matches!(error, ClientError::NotPm { .. }), "{error}");
    }
    let error = cancel_error(reply("404 Not Found", "text/plain", "404 page not found\n")).await;
    assert!(matches!(error, ClientError::NotPm { .. }), "{error}");
}

#[tokio::test]
async fn other_json_is_not_a_process_list() {
    for body in ["{\"ok\":true}", "[]", "{\"procs\":[{\"id\":5}]}"] {
        let error = list_error(reply("200 OK", "application/json", body)).await;
        assert!(matches!(error, ClientError::NotPm { source: Some(_), .. }), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_not_a_process_list() {
    let error = list_error("SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
    assert!(matches!(error, ClientError::NotPm { .. }), "{error:?}");
}

#[tokio::test]
async fn broken_json_is_an_error() {
    for body in [&LIST[..LIST.len() / 2], "", "{\"procs\":[}", "\u{1}"] {
        let error = list_error(reply("200 OK", "application/json", body)).await;
        assert!(matches!(error, ClientError::BrokenJson { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_cut_connection_is_an_error() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    let error = list_error(format!("{head}{{\"procs\":[")).await;
    assert!(matches!(error, ClientError::Cut { received: 10, .. }), "{error}");
    let error = list_error("").await;
    assert!(matches!(error, ClientError::Cut { received: 0, .. }), "{error:?}");
}

#[tokio::test]
async fn a_redirect_is_reported_and_not_followed() {
    let error = list_error("HTTP/1.1 301 Gone\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(&error, ClientError::Redirected { status: 301, location: Some(to), .. } if to == "http://x/"));
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused() {
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{}\r\n0\r\n\r\n", "x".repeat(64));
    for reply in [reply("200 OK", "application/json", LIST), chunked] {
        let (result, _) = meet(reply, |client| async move {
            Client::builder(client.endpoint()).unwrap().max_body_bytes(63).build().procs().list().await
        })
        .await;
        assert!(matches!(result, Err(ClientError::TooLarge { limit: 63, .. })));
    }
}

#[tokio::test]
async fn a_short_answer_that_would_take_too_much_memory_is_refused_by_every_call() {
    let rows = "{},".repeat(300_000);
    let body = format!(
        r#"{{"tasks":[{rows}{{}}],"kinds":[],"waits":[],"records":[],"history":[],"procs":[],"task":{{}},
           "serverTime":"2026-11-24T04:03:39Z"}}"#
    );
    let reply = reply("200 OK", "application/json", &body);
    macro_rules! error_of {
        ($client:ident => $call:expr) => {
            meet(&reply, |$client| async move { $call.await.map(drop) }).await.0.unwrap_err()
        };
    }
    let query = &Query::new();
    for error in [
        error_of!(client => client.v1().tasks(query)),
        error_of!(client => client.v1().tree(query)),
        error_of!(client => client.v1().ended(query)),
        error_of!(client => client.v1().task(TaskRef::id("a"))),
        error_of!(client => client.v1().history(TaskRef::id("a"))),
        error_of!(client => client.v1().kinds()),
        error_of!(client => client.v1().waits(None)),
        error_of!(client => client.v1().audit(1)),
        error_of!(client => client.v1().info()),
        error_of!(client => client.v1().cancel(TaskRef::id("a"), &CancelOptions::new(""))),
        error_of!(client => client.procs().list()),
        error_of!(client => client.procs().history("a")),
    ] {
        let is_memory =
            matches!(error, ClientError::TooMuch { ceiling: Ceiling::Memory, limit, .. } if limit == 128 << 20);
        assert!(is_memory, "{error}");
    }
    let (page, _) = meet(&reply, |client| async move {
        let client = Client::builder(client.endpoint()).unwrap().max_memory_bytes(1 << 30).build();
        client.v1().tasks(query).await
    })
    .await;
    assert_eq!(page.unwrap().tasks.len(), 300_001);
}

#[tokio::test]
async fn a_silent_server_does_not_hold_the_caller() {
    // Connections wait in the queue of the listener, which accepts none.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    // Enough to connect, also on a machine that is busy.
    let limit = Duration::from_secs(1);
    let client = Client::builder(&endpoint).unwrap().timeout(limit).build();
    let error = client.procs().list().await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { stage: Stage::Answer, after, .. } if after == limit), "{error}");
}

#[tokio::test]
async fn a_port_without_a_listener_is_unreachable() {
    let endpoint = closed_address();
    let error = Client::new(&endpoint).unwrap().procs().list().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert_eq!(error.to_string(), format!("could not connect to http://{endpoint}/procs/"));
}
