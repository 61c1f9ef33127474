//! The calls of /v1: their requests, the answers they read, and the error that each refusal becomes.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use pm_client::{
    BulkCancel, CancelOptions, Client, ClientError, Event, Expect, Outcome, Permission, Query, Serial, TaskRef, Update,
    Verdict,
};
use server::{Dir, answer, meet, problem, reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

mod server;

const TIME: &str = "\"serverTime\":\"2026-11-24T04:03:36Z\"";

fn serial(number: u64) -> Serial {
    Serial::from_u64(number).unwrap()
}

/// Returns the value that a call reads from this JSON, and the first line of its request.
async fn ask<T, Call: Future<Output = Result<T, ClientError>>>(
    body: &str,
    call: impl FnOnce(Client) -> Call,
) -> (T, String) {
    let body = body.replace("TIME", TIME);
    let (result, request) = meet(reply("200 OK", "application/json", &body), call).await;
    (result.unwrap(), request.lines().next().unwrap().to_owned())
}

async fn refused(reply: impl AsRef<[u8]>) -> ClientError {
    meet(reply, |client| async move { client.v1().tasks(&Query::new()).await }).await.0.unwrap_err()
}

async fn cancel_refused(status: &str, body: &str) -> ClientError {
    let reply = problem(status, "", body);
    meet(reply, |client| async move { client.v1().cancel(TaskRef::id("a"), &CancelOptions::default()).await })
        .await
        .0
        .unwrap_err()
}

#[tokio::test]
async fn a_page_of_tasks_knows_the_next_page() {
    let body = r#"{"tasks":[{"serial":"1","id":"a"},{"serial":"2"}],TIME,"total":9,"truncated":true,"nextCursor":"c/2",
        "groups":[{"value":"x","count":3},{"count":6}],"missing":{"tasksNotShown":4},"later":[]}"#;
    let query = Query::new().filter("kind", "imp*").min_age(Duration::from_secs(5)).sort("-age").limit(2);
    let (tasks, line) = ask(body, async |client| client.v1().tasks(&query).await).await;
    assert_eq!(line, "GET /v1/tasks?kind=imp%2A&minAge=5000ms&sort=-age&limit=2 HTTP/1.1");
    assert_eq!((tasks.tasks.len(), tasks.total, tasks.truncated), (2, 9, true));
    let group = &tasks.groups.as_ref().unwrap()[1];
    assert_eq!((group.value.as_deref(), group.count), (None, 6));
    assert_eq!(tasks.missing.as_ref().unwrap().tasks_not_shown, 4);
    let next = query.next_page(&tasks).unwrap();
    let (_, line) = ask(r#"{"tasks":[],TIME}"#, async |client| client.v1().tasks(&next).await).await;
    assert!(line.contains("kind=imp%2A") && line.contains("cursor=c%2F2"), "{line}");
}

#[tokio::test]
async fn one_task_is_named_by_serial_or_id() {
    let body = r#"{"task":{"serial":"7","id":"a/b"},TIME}"#;
    let (task, line) = ask(body, async |client| client.v1().task(serial(7)).await).await;
    assert_eq!((task.task.id.as_str(), line.as_str()), ("a/b", "GET /v1/tasks/serial:7 HTTP/1.1"));
    let (_, line) = ask(body, async |client| client.v1().task(TaskRef::id("a/b")).await).await;
    assert_eq!(line, "GET /v1/tasks/id:a%2Fb HTTP/1.1");
    let (_, line) = ask(body, async |client| client.v1().task(&task.task).await).await;
    assert_eq!(line, "GET /v1/tasks/serial:7 HTTP/1.1");
}

#[tokio::test]
async fn a_history_says_what_was_dropped_and_where() {
    let body = r#"{"serial":"7","history":[{"at":"2026-11-24T04:03:36Z","status":"s"}],"dropped":5,"droppedAfter":1,
        "outcome":"failed",TIME}"#;
    let (history, line) = ask(body, async |client| client.v1().history(serial(7)).await).await;
    assert_eq!(line, "GET /v1/tasks/serial:7/history HTTP/1.1");
    assert_eq!((history.dropped, history.dropped_after, history.history[0].status.as_str()), (5, Some(1), "s"));
}

#[tokio::test]
async fn a_cancel_has_its_options_and_returns_a_verdict() {
    let verdict = r#"{"verdict":"cancelling","serial":"7","id":"a","tookMs":1.5,"below":2}"#;
    let options = CancelOptions::new("why").wait(Duration::from_secs(1)).expect(Expect::new().status("s"));
    let options = options.idempotency_key("k-1");
    let (result, request) = meet(reply("202 Accepted", "application/json", verdict), async |client| {
        client.v1().cancel(TaskRef::id("a"), &options).await
    })
    .await;
    let verdict = result.unwrap();
    let took = Some(Duration::from_micros(1500));
    assert_eq!((verdict.verdict, verdict.took, verdict.below), (Some(Verdict::Cancelling), took, 2));
    assert!(request.starts_with("POST /v1/tasks/id:a/cancel HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("idempotency-key: k-1\r\n"), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
    assert!(request.ends_with(r#"{"reason":"why","wait":"1000ms","expect":{"status":"s"}}"#), "{request}");
}

#[tokio::test]
async fn a_key_that_cannot_be_a_header_is_not_sent() {
    let client = Client::new("127.0.0.1:1").unwrap();
    let error = client.v1().cancel(serial(7), &CancelOptions::default().idempotency_key("a\nb")).await.unwrap_err();
    assert!(matches!(error, ClientError::Unsendable { .. }), "{error:?}");
    let error = client.v1().task(TaskRef::id("x".repeat(70_000))).await.unwrap_err();
    assert!(matches!(error, ClientError::Unsendable { .. }), "{error:?}");
    assert!(error.to_string().len() < 400);
}

#[tokio::test]
async fn a_cancel_of_many_has_the_verdict_of_each() {
    let body = r#"{"dryRun":false,"total":2,"counts":{"finished":1,"refused":1},
        "verdicts":[{"serial":"1","id":"a","verdict":"finished","outcome":"cancelled","tookMs":3},
        {"serial":"2","verdict":"new"}]}"#;
    let bulk = BulkCancel::new("kind=a").expect_total(2);
    let (done, line) = ask(body, async |client| client.v1().cancel_many(&bulk).await).await;
    assert_eq!(line, "POST /v1/cancel HTTP/1.1");
    let verdict = done.verdicts[1].verdict.as_ref().map(Verdict::as_str);
    assert_eq!((done.total, done.counts["refused"], verdict), (2, 1, Some("new")));
}

#[tokio::test]
async fn the_other_answers_are_read() {
    let query = Query::new().root(&TaskRef::id("a")).brief();
    let tree = r#"{"tasks":[{"serial":"1","depth":0},{"serial":"2","depth":1}],TIME}"#;
    let (tree, line) = ask(tree, async |client| client.v1().tree(&query).await).await;
    assert_eq!((tree.tasks[1].depth, line.as_str()), (Some(1), "GET /v1/tree?root=id%3Aa&view=brief HTTP/1.1"));

    let ended =
        r#"{"tasks":[{"serial":"1","state":"ended","outcome":"failed","endedAt":"2026-11-24T04:03:36Z"}],TIME}"#;
    let failed = Query::new().filter("outcome", "failed");
    let (ended, line) = ask(ended, async |client| client.v1().ended(&failed).await).await;
    assert_eq!(ended.tasks[0].outcome, Some(Outcome::Failed));
    assert_eq!(line, "GET /v1/ended?outcome=failed HTTP/1.1");

    let kinds = r#"{"kinds":[{"kind":"k","running":1,"started":5,"latency":{"count":4,"p99Ms":7.5,
        "buckets":[{"leastMs":1,"belowMs":2,"count":3},{"leastMs":2,"count":1}]},"statuses":[{"entered":2,"timeMs":4}]},
        {"other":true}],TIME}"#;
    let (kinds, line) = ask(kinds, async |client| client.v1().kinds().await).await;
    let kind = &kinds.kinds[0];
    let p99 = Some(Duration::from_micros(7_500));
    assert_eq!((kind.started, kind.latency.p99, kind.latency.buckets[1].upper), (5, p99, None));
    assert_eq!(
        (kind.statuses[0].status.as_deref(), kinds.kinds[1].other, line.as_str()),
        (None, true, "GET /v1/kinds HTTP/1.1")
    );

    let waits = r#"{"waits":[{"serial":"1","id":"a","resource":"lock:x","resourceKind":"mutex","units":1,"waitMs":2.5,
        "isStuck":true,"inCycle":true,"holders":[{"serial":"2","id":"b","units":1,"heldMs":7}],"unknownHolders":3}],
        "cycles":[{"steps":[{"serial":"1","id":"a","resource":"lock:x","heldBy":"2"}]}],
        "tree":[{"depth":0,"serial":"2","id":"b"},{"depth":1,"serial":"1","id":"a","resource":"lock:x","waitMs":2.5}],
        "total":1,"truncated":false,"notShown":4,TIME}"#;
    let (waits, line) = ask(waits, async |client| client.v1().waits(Some(5)).await).await;
    let wait = &waits.waits[0];
    assert_eq!((wait.waited, wait.holders[0].held), (Duration::from_micros(2_500), Duration::from_millis(7)));
    assert_eq!((wait.unknown_holders, wait.more_holders), (3, 0));
    assert_eq!((waits.cycles[0].steps[0].held_by, waits.tree[1].depth, waits.not_shown), (Some(serial(2)), 1, 4));
    assert_eq!((TaskRef::from(wait), line.as_str()), (TaskRef::serial(serial(1)), "GET /v1/waits?limit=5 HTTP/1.1"));
    let (_, line) = ask(r#"{"waits":[],TIME}"#, async |client| client.v1().waits(None).await).await;
    assert_eq!(line, "GET /v1/waits HTTP/1.1");

    let audit = r#"{"records":[{"at":"2026-11-24T04:03:36Z","peer":"127.0.0.1:9","identity":"ops","scope":"cancel",
        "action":"cancelMany","filter":"kind=a","reason":"r","result":"2 finished"}],TIME,"dropped":1}"#;
    let (audit, line) = ask(audit, async |client| client.v1().audit(5).await).await;
    assert_eq!((audit.records[0].filter.as_deref(), audit.dropped), (Some("kind=a"), 1));
    assert_eq!(line, "GET /v1/audit?limit=5 HTTP/1.1");

    let info = r#"{"version":"0.1.0","boot":"b","uptimeMs":5,"limits":{"maxBytes":10000,"new":1},"scope":"read",TIME}"#;
    let (info, line) = ask(info, async |client| client.v1().info().await).await;
    assert_eq!((info.limits.max_bytes, info.permission), (10_000, Some(Permission::Read)));
    assert_eq!(line, "GET /v1/info HTTP/1.1");
}

#[tokio::test]
async fn metrics_are_text_and_health_is_an_answer() {
    let text = "# TYPE pm_tasks gauge\npm_tasks 3\n";
    let metrics = reply("200 OK", "text/plain; version=0.0.4", text);
    let (result, request) = meet(metrics, async |client| client.metrics().await).await;
    assert_eq!(result.unwrap(), text);
    assert!(request.starts_with("GET /metrics HTTP/1.1\r\n"), "{request}");
    let (result, request) = meet(reply("200 OK", "text/plain", "ok\n"), async |client| client.health().await).await;
    result.unwrap();
    assert!(request.starts_with("GET /healthz HTTP/1.1\r\n"), "{request}");
    let page = reply("200 OK", "text/html", "<p/>");
    let error = meet(&page, async |client| client.metrics().await).await.0.unwrap_err();
    assert!(matches!(error, ClientError::NotPm { .. }), "{error:?}");
    let error = meet(&page, async |client| client.health().await).await.0.unwrap_err();
    assert!(matches!(error, ClientError::NotPm { .. }), "{error:?}");
}

#[tokio::test]
async fn other_json_is_not_a_page_of_tasks() {
    let error = refused(reply("200 OK", "application/json", r#"{"ok":true}"#)).await;
    assert!(matches!(error, ClientError::NotPm { source: Some(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_of_vividcortex_pm_has_no_v1() {
    for answer in [
        reply("404 Not Found", "text/plain; charset=utf-8", "404 page not found\n"),
        reply("404 Not Found", "text/html", "<p/>"),
        reply("404 Not Found", "text/plain", "Not Found\n"),
    ] {
        let error = refused(answer).await;
        assert!(matches!(error, ClientError::NoV1 { .. }), "{error:?}");
        assert!(error.to_string().contains("/v1/tasks; the program may have an older pm"), "{error}");
    }
}

#[tokio::test]
async fn refusals_of_a_cancel_are_distinguished() {
    let detail = r#""detail":"the words","#;
    let error = cancel_refused("404 Not Found", &format!(r#"{detail}"code":"task-not-found""#)).await;
    assert!(matches!(&error, ClientError::NotFound { text, .. } if text == "the words"), "{error:?}");
    let error = cancel_refused("409 Conflict", r#""code":"ambiguous-id","serials":["7","9"]"#).await;
    assert!(
        matches!(&error, ClientError::Ambiguous { serials, .. } if *serials == [serial(7), serial(9)]),
        "{error:?}"
    );
    assert!(error.to_string().ends_with("; name one by its serial: 7, 9"), "{error}");
    let error = cancel_refused("403 Forbidden", &format!(r#"{detail}"code":"not-cancellable""#)).await;
    assert!(matches!(error, ClientError::NotCancellable { .. }), "{error:?}");
    let error = cancel_refused("403 Forbidden", &format!(r#"{detail}"code":"insufficient-scope""#)).await;
    assert!(matches!(error, ClientError::Forbidden { .. }), "{error:?}");
    let error = cancel_refused("412 Precondition Failed", &format!(r#"{detail}"hint":"look""#)).await;
    assert!(matches!(&error, ClientError::PreconditionFailed { text, .. } if text == "the words; look"), "{error:?}");
    let error = cancel_refused("409 Conflict", r#""type":"urn:pm:problem:too-many-victims","title":"Too many""#).await;
    assert!(matches!(&error, ClientError::Problem { problem, .. } if problem.code == "too-many-victims"), "{error:?}");
}

#[tokio::test]
async fn a_problem_is_shown_with_its_place_and_the_next_step() {
    let body = r#""code":"bad-filter","detail":"no\nvalue","parameter":"minAge","position":3,"hint":"write minAge=5s""#;
    let error = refused(problem("400 Bad Request", "", body)).await;
    let text = error.to_string();
    assert!(text.starts_with("http://127.0.0.1:"), "{text}");
    let words = "/v1/tasks refuses: no value, in `minAge`, at position 3 (400 bad-filter); write minAge=5s";
    assert!(text.ends_with(words), "{text}");
}

#[tokio::test]
async fn an_overloaded_server_names_the_time_to_wait() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let plain = format!("HTTP/1.1 {status}\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
        for answer in [problem(status, "Retry-After: 7\r\n", r#""detail":"x""#), plain] {
            let error = refused(answer).await;
            assert!(
                matches!(error, ClientError::TooMany { retry_after: Some(wait), .. } if wait.as_secs() == 7),
                "{error:?}"
            );
            assert!(error.to_string().ends_with("; try again in 7s"), "{error}");
        }
    }
    let error = refused(reply("503 Service Unavailable", "text/html", "<p/>")).await;
    assert!(matches!(error, ClientError::Status { status: 503, .. }), "{error:?}");
}

/// Returns the errors and requests of two calls, one of `/procs/` and one of `/v1`, that are refused with this.
async fn with_token(reply: &str, client: impl Fn(&str) -> Client) -> [(ClientError, String); 2] {
    let (old, old_request) = meet(reply, |there| {
        let client = client(there.endpoint());
        async move { client.procs().list().await.unwrap_err() }
    })
    .await;
    let (new, new_request) = meet(reply, |there| {
        let client = client(there.endpoint());
        async move { client.v1().info().await.unwrap_err() }
    })
    .await;
    [(old, old_request), (new, new_request)]
}

#[tokio::test]
async fn a_token_is_sent_and_never_shown() {
    let refusal = reply("401 Unauthorized", "text/plain", "no\n");
    for (error, request) in with_token(&refusal, |endpoint| {
        let client = Client::builder(endpoint).unwrap().token("s3cret").build();
        assert!(!format!("{client:?} {:?}", client.v1().events(&Query::new())).contains("s3cret"));
        client
    })
    .await
    {
        assert!(request.contains("\r\nauthorization: Bearer s3cret\r\n"), "{request}");
        assert!(matches!(error, ClientError::Unauthorized { with_token: true, .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn without_a_token_the_error_says_how_to_give_one() {
    let refusal = problem("401 Unauthorized", "WWW-Authenticate: Bearer\r\n", "");
    for (error, request) in with_token(&refusal, |endpoint| Client::new(endpoint).unwrap()).await {
        assert!(!request.to_ascii_lowercase().contains("authorization"), "{request}");
        assert!(matches!(error, ClientError::Unauthorized { with_token: false, .. }), "{error:?}");
        assert!(error.to_string().contains("PM_TOKEN"), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_may_not_cancel_is_not_a_task_that_cannot_be_cancelled() {
    let refusal =
        "HTTP/1.1 403 Forbidden\r\nWWW-Authenticate: Bearer error=\"insufficient_scope\"\r\nContent-Length: 0\r\n\r\n";
    let error = meet(refusal, async |client| client.procs().cancel("a", "").await).await.0.unwrap_err();
    assert!(matches!(error, ClientError::Forbidden { .. }), "{error:?}");
}

#[tokio::test]
async fn a_new_token_in_the_file_takes_effect_at_once() {
    let dir = Dir::new();
    let path = dir.write("tokens", "# ours\nread abc viewer\n");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let client = Client::builder(&endpoint).unwrap().token_file(&path).build();
    for token in ["abc", "def"] {
        let serve =
            async { answer(listener.accept().await.unwrap().0, reply("200 OK", "text/plain", "ok").as_bytes()).await };
        let (result, request) = tokio::join!(client.health(), serve);
        result.unwrap();
        assert!(request.contains(&format!("authorization: Bearer {token}\r\n")), "{request}");
        dir.write("tokens", "def\n");
    }
    dir.write("tokens", "\n");
    let error = client.health().await.unwrap_err();
    assert!(error.to_string().contains("has no token"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = client.health().await.unwrap_err();
    assert!(matches!(error, ClientError::Token { source: Some(_), .. }) && error.source().is_some(), "{error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_an_endpoint() {
    let dir = Dir::new();
    let path = dir.path("pm.sock");
    let client = Client::new(&format!("unix:{}", path.display())).unwrap();
    let error = client.v1().info().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("could not connect to unix:{}:/v1/info", path.display()));

    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let body = format!("{{\"version\":\"1\",{TIME}}}");
    let serve = async {
        answer(listener.accept().await.unwrap().0, reply("200 OK", "application/json", &body).as_bytes()).await
    };
    let (info, request) = tokio::join!(client.v1().info(), serve);
    assert_eq!(info.unwrap().version, "1");
    assert!(request.starts_with("GET /v1/info HTTP/1.1\r\nhost: localhost\r\n"), "{request}");
}

#[tokio::test]
async fn events_come_over_a_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::builder(&listener.local_addr().unwrap().to_string()).unwrap().token("abc").build();
    let mut events = client.v1().events(&Query::new().filter("state", "running"));
    let serve = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0);
        }
        let data = "event: unseen\ndata: {\"count\":5}\n\n";
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        socket.write_all(format!("{head}{:x}\r\n{data}\r\n", data.len()).as_bytes()).await.unwrap();
        (String::from_utf8(request).unwrap(), socket)
    };
    let read = async {
        assert!(matches!(events.next().await, Some(Ok(Update::Connected))));
        assert!(matches!(events.next().await, Some(Ok(Update::Event(Event::Unseen(5))))));
    };
    let ((request, socket), ()) = tokio::join!(serve, read);
    assert!(request.starts_with("GET /v1/events?state=running HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer abc\r\n"), "{request}");
    drop(socket);
    assert!(matches!(events.next().await, Some(Ok(Update::Lost { error: ClientError::Cut { .. }, .. }))));
}
