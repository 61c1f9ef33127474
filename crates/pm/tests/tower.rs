//! Requests and calls as tasks, over real connections: their description, their outcome, the answers to clients.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use axum::extract::{Path, State};
use axum::routing::{any, get};
use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Channel, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use pm::tower::{CallsLayer, CancelledResponse, CurrentTask, TaskLayer, TasksLayer};
use pm::{CancelPolicy, Cancelled, Outcome, ProcessList, Serial, SpawnExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tower::{ServiceExt as _, service_fn};
use tower_layer::Layer as _;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// The part of a list that a test observes.
struct Bench {
    list: ProcessList,
    ended: mpsc::UnboundedReceiver<Story>,
    _hook: pm::Subscription,
}

#[derive(Debug, PartialEq)]
struct Story {
    serial: Serial,
    id: String,
    kind: String,
    outcome: Outcome,
    last: String,
}

impl Bench {
    fn new() -> Self {
        let list = ProcessList::new();
        let (sender, ended) = mpsc::unbounded_channel();
        let hook = list.on_end(move |task| {
            let _ = sender.send(Story {
                serial: task.serial(),
                id: task.id().to_string(),
                kind: task.kind().map(|kind| kind.to_string()).unwrap_or_default(),
                outcome: task.outcome().unwrap(),
                last: String::new(),
            });
        });
        Self { list, ended, _hook: hook }
    }

    fn layer(&self) -> TasksLayer {
        TasksLayer::new().list(&self.list)
    }

    /// Waits for the next task that ends.
    async fn ended(&mut self) -> Story {
        let mut story = self.ended.recv().await.unwrap();
        story.last = self.statuses(story.serial).pop().unwrap();
        story
    }

    /// Returns the statuses of a task.
    fn statuses(&self, serial: Serial) -> Vec<String> {
        self.list.history(serial).unwrap().entries.into_iter().map(|entry| entry.status).collect()
    }

    fn only(&self) -> Serial {
        let mut serials = Vec::new();
        self.list.for_each(|task| serials.push(task.serial()));
        assert_eq!(serials.len(), 1, "{serials:?}");
        serials[0]
    }

    fn live(&self) -> u64 {
        self.list.counters().live
    }

    fn attr(&self, serial: Serial, name: &str) -> Option<String> {
        self.list.view(serial, |task| {
            let found = task.attrs().find(|(found, _)| *found == name)?;
            Some(format!("{:?}", found.1))
        })?
    }
}

/// Returns the debug text of a string attribute.
fn text(value: &str) -> Option<String> {
    Some(format!("Text({value:?})"))
}

/// Serves on its own port until the test ends.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    addr
}

async fn connect(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.unwrap()
}

/// Sends raw bytes, and reads until the connection ends.
async fn exchange(addr: SocketAddr, request: &str) -> String {
    let mut connection = connect(addr).await;
    connection.write_all(request.as_bytes()).await.unwrap();
    rest(&mut connection).await
}

async fn rest(connection: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // An aborted connection may be reset.
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// Reads until the received text contains `wanted`.
async fn read_until(connection: &mut TcpStream, wanted: &str) -> String {
    let mut answer = String::new();
    while !answer.contains(wanted) {
        let mut part = [0; 1024];
        let length = connection.read(&mut part).await.unwrap();
        assert_ne!(length, 0, "ended after {answer:?}");
        answer.push_str(std::str::from_utf8(&part[..length]).unwrap());
    }
    answer
}

fn get_request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

/// A wait for handlers, which reports to the test when it begins and when it is dropped.
#[derive(Clone, Default)]
struct Waiting {
    begun: Arc<Notify>,
    dropped: Arc<Notify>,
}

impl Waiting {
    async fn forever<T>(&self) -> T {
        struct OnDrop(Arc<Notify>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let _on_drop = OnDrop(Arc::clone(&self.dropped));
        self.begun.notify_one();
        std::future::pending().await
    }

    fn handler(&self) -> axum::routing::MethodRouter {
        let waiting = self.clone();
        any(move || async move { waiting.forever::<String>().await })
    }
}

type Sender = http_body_util::channel::Sender<Bytes, Infallible>;

/// Returns a handler whose single answer the test writes.
fn written() -> (Sender, axum::routing::MethodRouter) {
    let (sender, body) = Channel::new(4);
    let body = Arc::new(Mutex::new(Some(body)));
    let handler = get(move || async move {
        let body: Channel<Bytes, Infallible> = body.lock().unwrap().take().unwrap();
        Body::new(body)
    });
    (sender, handler)
}

// How a request is described.

#[tokio::test]
async fn a_request_is_described_and_its_statuses_advance_automatically() {
    let mut bench = Bench::new();
    let app = Router::new()
        .route(
            "/hosts/{id}",
            get(async |Path(id): Path<String>, task: CurrentTask| -> Result<String, CancelledResponse> {
                pm::status!(task, "asking {id}")?;
                assert_eq!(pm::current().serial(), task.serial());
                Ok(id)
            }),
        )
        .layer(bench.layer().header("X-Tenant").header("no such name").header("x-api-key"));
    let addr = serve(app).await;
    let mut connection = connect(addr).await;
    let request = "GET /hosts/db1?token=abc HTTP/1.1\r\nhost: x\r\nuser-agent: test/1\r\nx-request-id: req-7\r\n\
                   x-tenant: t7\r\nx-api-key: abc\r\nconnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    let answer = rest(&mut connection).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\ndb1"), "{answer}");

    let story = bench.ended().await;
    assert!(answer.contains(&format!("\r\npm-task-id: {}\r\n", story.serial)), "{answer}");
    assert_eq!((story.id.as_str(), story.kind.as_str()), ("req-7", "GET /hosts/{id}"));
    assert_eq!(bench.statuses(story.serial), ["init", "handling", "asking db1", "responding", "ended"]);
    let attr = |name| bench.attr(story.serial, name);
    assert_eq!(attr("method"), text("GET"));
    assert_eq!(attr("path"), text("/hosts/db1"));
    assert_eq!(attr("user_agent"), text("test/1"));
    assert_eq!(attr("x-tenant"), text("t7"));
    assert_eq!(attr("x-api-key"), text("***"), "what looks like a secret is masked");
    assert!(attr("peer").unwrap().starts_with("Text(\"127.0.0.1:"));
    assert_eq!(attr("code").as_deref(), Some("U64(200)"));
}

#[tokio::test]
async fn the_id_is_from_the_client_or_the_trace_or_generated() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut bench = Bench::new();
    let mut service = bench
        .layer()
        .layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))));
    let trace_id = &TRACE[3..52];
    for (fields, id) in [
        (&[("x-request-id", "req-1"), ("traceparent", TRACE)][..], Some("req-1")),
        (&[("x-request-id", ""), ("traceparent", TRACE)], Some(trace_id)),
        (&[("traceparent", TRACE)], Some(trace_id)),
        (&[("traceparent", "nonsense")], None),
        (&[], None),
    ] {
        let mut request = Request::new(());
        for (name, value) in fields {
            request.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        let _ = service.call(request).await.unwrap();
        let story = bench.ended().await;
        let made = format!("GET-{}", story.serial);
        assert_eq!(story.id, id.unwrap_or(&made));
        assert_eq!(
            bench.attr(story.serial, "traceparent"),
            text(TRACE).filter(|_| fields.iter().any(|f| f.1 == TRACE))
        );
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_create_no_kinds() {
    let mut bench = Bench::new();
    let addr = serve(Router::new().route("/known", get(async || "")).layer(bench.layer())).await;
    for (method, path, kind) in [
        ("GET", "/known", "GET /known"),
        ("INVENTED", "/known", "OTHER /known"),
        ("GET", "/invented", "GET"),
        ("INVENTED", "/invented", "OTHER"),
    ] {
        exchange(addr, &format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        let story = bench.ended().await;
        assert_eq!(story.kind, kind);
        assert_eq!(bench.attr(story.serial, "method"), text(method));
    }
}

#[tokio::test]
async fn options_choose_the_source_of_route_id_peer_and_more() {
    let mut bench = Bench::new();
    let peer: SocketAddr = "192.0.2.1:7".parse().unwrap();
    let layer = bench
        .layer()
        .id(|request| Some(request.uri.path().get(1..)?.into()))
        .route(|_| Some("/template".into()))
        .peer(move |_| Some(peer))
        .query(true)
        .reply_header(false)
        .describe(|task, _| task.attr("more", 1).on_cancel(pm::CancelPolicy::Refuse));
    let list = bench.list.clone();
    let service = layer.layer(service_fn(move |request: Request<()>| {
        let serial = request.extensions().get::<CurrentTask>().unwrap().serial();
        assert!(list.cancel(serial, "test").is_err());
        std::future::ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
    }));
    let request = Request::builder().uri("/own-id?x=1&token=abc").body(()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert!(response.headers().is_empty());
    let story = bench.ended().await;
    assert_eq!((story.id.as_str(), story.kind.as_str()), ("own-id", "GET /template"));
    assert_eq!(bench.attr(story.serial, "path"), text("/own-id?x=1&token=***"));
    assert_eq!(bench.attr(story.serial, "peer"), text("192.0.2.1:7"));
    assert_eq!(bench.attr(story.serial, "more").as_deref(), Some("I64(1)"));
}

#[tokio::test]
async fn a_nested_router_reports_the_full_route_and_two_layers_make_one_task() {
    let mut bench = Bench::new();
    let inner = Router::new().route("/hosts/{id}", get(async || "x")).layer(bench.layer());
    let app = Router::new().nest("/api", inner).layer(bench.layer());
    let addr = serve(app).await;
    let answer = exchange(addr, &get_request("/api/hosts/db1")).await;
    assert_eq!(answer.matches("pm-task-id").count(), 1, "{answer}");
    assert_eq!(bench.ended().await.kind, "GET /api/hosts/{id}");
    assert_eq!(bench.list.counters().started, 1);
}

#[tokio::test]
async fn a_disabled_list_changes_nothing() {
    let bench = Bench::new();
    bench.list.set_enabled(false);
    let addr = serve(Router::new().route("/", get(async || "x")).layer(bench.layer())).await;
    let answer = exchange(addr, &get_request("/")).await;
    assert!(answer.ends_with("\r\n\r\nx") && !answer.contains("pm-task-id"), "{answer}");
}

// How a request ends.

#[tokio::test]
async fn the_task_lives_until_the_last_byte_of_the_body() {
    let mut bench = Bench::new();
    let (mut sender, handler) = written();
    let app = Router::new().route("/", handler);
    let addr = serve(app.layer(bench.layer())).await;
    let mut connection = connect(addr).await;
    connection.write_all(get_request("/").as_bytes()).await.unwrap();
    sender.send_data("first".into()).await.unwrap();
    read_until(&mut connection, "first").await;
    let serial = bench.only();
    assert_eq!(bench.list.view(serial, |task| task.status().to_string()).as_deref(), Some("responding"));
    sender.send_data("last".into()).await.unwrap();
    drop(sender);
    rest(&mut connection).await;
    assert_eq!(bench.ended().await.outcome, Outcome::Finished);
}

#[tokio::test]
async fn answers_without_a_body_and_bodies_not_polled_to_their_end_finish() {
    let mut bench = Bench::new();
    let endless = |length: Option<u64>, status: StatusCode| {
        let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"12345")))];
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = status;
        if let Some(length) = length {
            response.headers_mut().insert("content-length", length.into());
        }
        response
    };
    let app = Router::new()
        .route("/exact", any(async move || endless(Some(5), StatusCode::OK)))
        .route("/chunked", any(async move || endless(None, StatusCode::OK)))
        .route("/none", any(async move || endless(None, StatusCode::NO_CONTENT)))
        .route("/same", any(async move || endless(None, StatusCode::NOT_MODIFIED)))
        .route("/empty", any(async || ()));
    let addr = serve(app.layer(bench.layer())).await;
    for method in ["GET", "HEAD"] {
        for path in ["/exact", "/chunked", "/none", "/same", "/empty"] {
            exchange(addr, &format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
            assert_eq!(bench.ended().await.outcome, Outcome::Finished, "{method} {path}");
        }
    }
}

/// A body of 10 bytes in one or two frames, for a head that promises another number.
#[tokio::test]
async fn a_body_of_another_length_than_the_head_promises_fails() {
    let mut bench = Bench::new();
    for (length, frames, expected) in [
        (10, 1, "ended"),
        (10, 2, "ended"),
        (12, 1, "failed: the body ended after 10 of 12 bytes"),
        (12, 2, "failed: the body ended after 10 of 12 bytes"),
        (12, 0, "failed: the body ended after 0 of 12 bytes"),
        (8, 1, "failed: the body is longer than its 8 bytes"),
        (8, 2, "failed: the body is longer than its 8 bytes"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let is_head = method == Method::HEAD;
            let service = bench.layer().layer(service_fn(async |_: Request<()>| {
                let part = Bytes::from_static(&b"0123456789"[..10 / frames.max(1)]);
                let parts = futures_util::stream::iter((0..frames).map(move |_| Ok::<_, Infallible>(part.clone())));
                let body = if frames == 0 { Body::empty() } else { Body::from_stream(parts) };
                Ok::<_, Infallible>(Response::builder().header("content-length", length).body(body).unwrap())
            }));
            let request = Request::builder().method(method).body(()).unwrap();
            let body = service.oneshot(request).await.unwrap().into_body();
            if is_head {
                drop(body)
            } else {
                drop(body.collect().await.unwrap())
            }
            assert_eq!(bench.ended().await.last, if is_head { "ended" } else { expected }, "{length} {frames}");
        }
    }
}

#[tokio::test]
async fn templates_and_policies_of_a_layer_apply_by_route() {
    let mut bench = Bench::new();
    let layer = bench
        .layer()
        .routes(["/hosts/{id}", "/files/{*path}"])
        .on_cancel(CancelPolicy::Ask)
        .on_cancel_of("GET /hosts/*", CancelPolicy::Refuse);
    let list = bench.list.clone();
    let service = layer.layer(service_fn(move |request: Request<()>| {
        let task = request.extensions().get::<CurrentTask>().unwrap().handle();
        let is_refused = list.cancel(task.serial().unwrap(), "test").is_err();
        async move {
            let code = if is_refused { StatusCode::FORBIDDEN } else { StatusCode::OK };
            Ok::<_, Infallible>(Response::builder().status(code).body(Empty::<Bytes>::new()).unwrap())
        }
    }));
    for (path, kind, code) in
        [("/hosts/db1", "GET /hosts/{id}", 403), ("/files/a/b", "GET /files/{*path}", 200), ("/x", "GET", 200)]
    {
        let request = Request::builder().uri(path).body(()).unwrap();
        assert_eq!(
            service.clone().oneshot(request).await.unwrap().status(),
            code,
            "a request that is only asked answers"
        );
        assert_eq!(bench.ended().await.kind, kind);
    }
}

#[tokio::test]
async fn a_5xx_fails_with_its_status_and_a_4xx_does_not() {
    let mut bench = Bench::new();
    let app = Router::new()
        .route("/broken", get(async || (StatusCode::BAD_GATEWAY, "no luck")))
        .route("/bare", get(async || StatusCode::INTERNAL_SERVER_ERROR));
    let addr = serve(app.layer(bench.layer())).await;
    for (path, outcome, last) in [
        ("/broken", Outcome::Failed, "failed: 502 Bad Gateway"),
        ("/bare", Outcome::Failed, "failed: 500 Internal Server Error"),
        ("/missing", Outcome::Finished, "ended"),
    ] {
        exchange(addr, &get_request(path)).await;
        let story = bench.ended().await;
        assert_eq!((story.outcome, story.last.as_str()), (outcome, last));
    }
}

#[tokio::test]
async fn a_body_that_fails_halfway_fails_the_task_and_closes_the_connection() {
    let mut bench = Bench::new();
    let app = Router::new().route(
        "/",
        get(async || {
            let parts = [Ok(Bytes::from_static(b"half")), Err(io::Error::other("disk full"))];
            Body::from_stream(futures_util::stream::iter(parts))
        }),
    );
    let addr = serve(app.layer(bench.layer())).await;
    let answer = exchange(addr, &get_request("/")).await;
    assert!(!answer.ends_with("0\r\n\r\n"), "the end is missing: {answer}");
    let story = bench.ended().await;
    assert_eq!((story.outcome, story.last.as_str()), (Outcome::Failed, "failed: disk full"));
}

#[tokio::test]
async fn a_service_that_fails_fails_the_task_and_passes_its_error_on() {
    let mut bench = Bench::new();
    let service = bench
        .layer()
        .layer(service_fn(async |_: Request<()>| Err::<Response<Empty<Bytes>>, _>(io::Error::other("no backend"))));
    assert_eq!(service.oneshot(Request::new(())).await.unwrap_err().to_string(), "no backend");
    assert_eq!(bench.ended().await.last, "failed: no backend");
}

#[tokio::test]
async fn a_panic_propagates_and_ends_the_task_as_aborted() {
    let mut bench = Bench::new();
    let panics = get(async || -> String { panic!("expected by the test") });
    let addr = serve(Router::new().route("/", panics).layer(bench.layer())).await;
    assert_eq!(exchange(addr, &get_request("/")).await, "");
    assert_eq!(bench.ended().await.outcome, Outcome::Aborted);

    // In `call` itself, and in the drop of a future that is ready.
    let service = bench.layer().layer(service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<Empty<Bytes>>, Infallible>> {
            panic!("expected by the test")
        },
    ));
    assert!(tokio::spawn(service.oneshot(Request::new(()))).await.unwrap_err().is_panic());
    assert_eq!(bench.ended().await.outcome, Outcome::Aborted);

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("expected by the test");
        }
    }
    struct Armed(Bomb);
    impl Future for Armed {
        type Output = Result<Response<Empty<Bytes>>, Infallible>;
        fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Ready(Ok(Response::new(Empty::new())))
        }
    }
    let service = bench.layer().layer(service_fn(|_: Request<()>| Armed(Bomb)));
    assert!(tokio::spawn(service.oneshot(Request::new(()))).await.unwrap_err().is_panic());
    assert_eq!(bench.ended().await.outcome, Outcome::Aborted);
}

#[tokio::test]
async fn a_client_that_disconnects_before_the_head_drops_the_handler() {
    let mut bench = Bench::new();
    let waiting = Waiting::default();
    let addr = serve(Router::new().route("/", waiting.handler()).layer(bench.layer())).await;
    let mut connection = connect(addr).await;
    connection.write_all(get_request("/").as_bytes()).await.unwrap();
    waiting.begun.notified().await;
    drop(connection);
    waiting.dropped.notified().await;
    let story = bench.ended().await;
    assert_eq!((story.outcome, story.last.as_str()), (Outcome::Dropped, "dropped"));
}

#[tokio::test]
async fn a_client_that_disconnects_in_the_body_drops_it_and_one_after_it_changes_nothing() {
    let mut bench = Bench::new();
    let (mut sender, handler) = written();
    let app = Router::new().route("/", handler).route("/whole", get(async || "whole"));
    let addr = serve(app.layer(bench.layer())).await;
    let mut connection = connect(addr).await;
    connection.write_all(get_request("/").as_bytes()).await.unwrap();
    sender.send_data("first".into()).await.unwrap();
    read_until(&mut connection, "first").await;
    drop(connection);
    while sender.send_data("more".into()).await.is_ok() {}
    assert_eq!(bench.ended().await.outcome, Outcome::Dropped);

    let mut connection = connect(addr).await;
    connection.write_all(b"GET /whole HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_until(&mut connection, "whole").await;
    drop(connection);
    assert_eq!(bench.ended().await.outcome, Outcome::Finished);
    assert_eq!(bench.live(), 0);
}

#[tokio::test]
async fn over_http2_each_stream_is_a_task_and_a_reset_one_is_dropped() {
    let mut bench = Bench::new();
    let waiting = Waiting::default();
    let app = Router::new().route("/wait", waiting.handler()).route("/", get(async || "hello"));
    let app = TowerToHyperService::new(app.layer(bench.layer()));
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    tokio::spawn(server.serve_connection(TokioIo::new(theirs), app));
    let client = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(ours));
    let (client, connection) = client.await.unwrap();
    tokio::spawn(connection);
    let ask = |path: &str| {
        let request = Request::get(format!("http://x{path}")).body(Empty::<Bytes>::new()).unwrap();
        client.clone().send_request(request)
    };

    let reset = tokio::spawn(ask("/wait"));
    waiting.begun.notified().await;
    assert_eq!(ask("/").await.unwrap().into_body().collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(bench.ended().await.outcome, Outcome::Finished);
    reset.abort();
    waiting.dropped.notified().await;
    assert_eq!(bench.ended().await.outcome, Outcome::Dropped);

    let killed = tokio::spawn(ask("/wait"));
    waiting.begun.notified().await;
    bench.list.cancel(bench.only(), "too slow").unwrap();
    assert_eq!(killed.await.unwrap().unwrap().status(), 503);
}

#[tokio::test]
async fn pipelined_requests_are_a_task_each() {
    let mut bench = Bench::new();
    let addr = serve(Router::new().route("/{n}", get(async |Path(n): Path<String>| n)).layer(bench.layer())).await;
    let both = format!("GET /one HTTP/1.1\r\nhost: x\r\n\r\n{}", get_request("/two"));
    let answer = exchange(addr, &both).await;
    assert!(answer.contains("\r\n\r\none") && answer.ends_with("\r\n\r\ntwo"), "{answer}");
    for path in ["/one", "/two"] {
        let story = bench.ended().await;
        assert_eq!((story.outcome, bench.attr(story.serial, "path")), (Outcome::Finished, text(path)));
    }
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it_and_can_be_cancelled_while_it_sends() {
    let mut bench = Bench::new();
    let app = Router::new().route("/", any(async |body: Bytes| body)).layer(bench.layer());
    let addr = serve(app).await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n";
    let mut connection = connect(addr).await;
    connection.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut connection, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    connection.write_all(b"body").await.unwrap();
    assert!(rest(&mut connection).await.ends_with("\r\n\r\nbody"));
    assert_eq!(bench.ended().await.outcome, Outcome::Finished);

    let mut connection = connect(addr).await;
    connection.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut connection, "100 Continue\r\n\r\n").await;
    bench.list.cancel(bench.only(), "too slow").unwrap();
    let answer = rest(&mut connection).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(bench.ended().await.last, "killed: too slow");
}

#[tokio::test]
async fn a_service_is_cloned_for_each_connection_and_its_tasks_are_in_one_list() {
    let mut bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let waiting = Waiting::default();
    let service = {
        let waiting = waiting.clone();
        bench.layer().layer(service_fn(move |request: Request<Incoming>| {
            let waiting = waiting.clone();
            async move {
                if request.uri().path() == "/wait" {
                    waiting.forever::<()>().await;
                }
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
            }
        }))
    };
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(connection), service));
        }
    });
    let mut first = connect(addr).await;
    first.write_all(get_request("/wait").as_bytes()).await.unwrap();
    waiting.begun.notified().await;
    assert!(exchange(addr, &get_request("/")).await.ends_with("hello"));
    assert_eq!(bench.ended().await.outcome, Outcome::Finished);
    bench.list.cancel(bench.only(), "").unwrap();
    let answer = rest(&mut first).await;
    assert!(answer.contains(r#""detail":"the request was cancelled""#), "{answer}");
    assert_eq!(bench.ended().await.last, "killed");
}

/// A service that the test makes ready.
#[derive(Clone)]
struct Busy {
    ready: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Service<Request<()>> for Busy {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        context.waker().wake_by_ref();
        if self.ready.load(Ordering::SeqCst) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, _request: Request<()>) -> Self::Future {
        std::future::ready(Ok(Response::new(Empty::new())))
    }
}

#[test]
fn backpressure_is_passed_on_and_is_not_a_task() {
    let bench = Bench::new();
    let busy = Busy { ready: Arc::default(), asked: Arc::default() };
    let mut service = bench.layer().layer(busy.clone());
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_pending());
    assert_eq!((busy.asked.load(Ordering::SeqCst), bench.list.counters().started), (1, 0));
    busy.ready.store(true, Ordering::SeqCst);
    assert!(service.poll_ready(&mut context).is_ready());
    let mut future = std::pin::pin!(service.call(Request::new(())));
    assert_eq!(bench.live(), 1);
    assert!(future.as_mut().poll(&mut context).is_ready());
    assert_eq!(bench.list.counters().finished, 1);
    assert!(future.as_mut().poll(&mut context).is_pending(), "polled again, it stays pending");
}

// Cancellation.

#[tokio::test]
async fn a_cancelled_request_gets_503_with_the_reason_as_problem_json() {
    let mut bench = Bench::new();
    let waiting = Waiting::default();
    let addr = serve(Router::new().route("/", waiting.handler()).layer(bench.layer())).await;
    let mut connection = connect(addr).await;
    connection.write_all(get_request("/").as_bytes()).await.unwrap();
    waiting.begun.notified().await;
    let serial = bench.only();
    bench.list.cancel(serial, "say \"when\"").unwrap();
    waiting.dropped.notified().await;
    let answer = rest(&mut connection).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/problem+json\r\n"), "{head}");
    assert!(head.contains(&format!("\r\npm-task-id: {serial}\r\n")) && !head.contains("retry-after"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["code"], "cancelled");
    assert_eq!(body["status"], 503);
    assert_eq!(body["detail"], "say \"when\"");
    assert_eq!(body["serial"], serial.to_string());
    assert_eq!(bench.ended().await.last, "killed: say \"when\"");
}

#[tokio::test]
async fn a_handler_that_is_unwound_deep_below_is_answered_with_503() {
    fn deep_below() {
        pm::current().cancel("too slow").unwrap();
        pm::current().checkpoint_or_unwind();
    }
    let mut bench = Bench::new();
    let handler = || async {
        deep_below();
        "not reached"
    };
    let addr = serve(Router::new().route("/", axum::routing::get(handler)).layer(bench.layer())).await;
    let answer = exchange(addr, &get_request("/")).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains(r#""detail":"too slow""#), "{answer}");
    assert_eq!(bench.ended().await.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_handler_that_observes_the_cancellation_answers_within_its_grace_period() {
    let mut bench = Bench::new();
    let layer = bench.layer().describe(|task, _| task.on_cancel(pm::CancelPolicy::Ask));
    let begun = Arc::new(Notify::new());
    let handler = {
        let begun = Arc::clone(&begun);
        get(async move |task: CurrentTask| {
            begun.notify_one();
            Err::<(), _>(CancelledResponse::from(task.cancelled().await))
        })
    };
    let addr = serve(Router::new().route("/", handler).layer(layer)).await;
    let mut connection = connect(addr).await;
    connection.write_all(get_request("/").as_bytes()).await.unwrap();
    begun.notified().await;
    bench.list.cancel(bench.only(), "tidy up").unwrap();
    let answer = rest(&mut connection).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains(r#""detail":"tidy up""#), "{answer}");
    let story = bench.ended().await;
    assert_eq!((story.outcome, story.last.as_str()), (Outcome::Cancelled, "killed: tidy up"));
}

#[test]
fn a_request_cancelled_before_its_first_poll_never_runs_and_is_answered() {
    let bench = Bench::new();
    let polled = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&polled);
    let mut service = bench.layer().layer(service_fn(move |_: Request<()>| {
        let seen = Arc::clone(&seen);
        async move {
            seen.store(true, Ordering::SeqCst);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    }));
    let mut future = std::pin::pin!(service.call(Request::new(())));
    bench.list.cancel(bench.only(), "at once").unwrap();
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { panic!() };
    assert_eq!(response.status(), 503);
    assert!(!polled.load(Ordering::SeqCst));
    assert_eq!(bench.list.counters().cancelled, 1);
}

#[tokio::test]
async fn a_request_below_a_cancelled_task_is_not_even_called() {
    let bench = Bench::new();
    let mut service = bench.layer().layer(service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<Empty<Bytes>>, Infallible>> { unreachable!() },
    ));
    let parent = bench.list.start("parent");
    parent.handle().cancel("all of it").unwrap();
    let entered = parent.enter();
    let future = service.call(Request::new(()));
    drop(entered);
    let response = future.await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(bench.list.counters().cancelled, 1);
}

#[test]
fn a_cancellation_at_the_time_of_the_head_is_answered_rather_than_aborted() {
    let bench = Bench::new();
    let list = bench.list.clone();
    for (body, status) in [(Full::from("data"), 503), (Full::default(), 200)] {
        let list = list.clone();
        let service = bench.layer().layer(service_fn(move |request: Request<()>| {
            let (list, body) = (list.clone(), body.clone() as Full<Bytes>);
            async move {
                let task = request.extensions().get::<CurrentTask>().unwrap();
                list.cancel(task.serial(), "late").unwrap();
                Ok::<_, Infallible>(Response::new(body))
            }
        }));
        let response = futures_util::FutureExt::now_or_never(service.oneshot(Request::new(()))).unwrap().unwrap();
        assert_eq!(response.status(), status, "an answer that is whole is given");
    }
    assert_eq!(bench.live(), 0);
}

#[tokio::test]
async fn a_cancellation_after_the_head_aborts_the_connection() {
    let mut bench = Bench::new();
    let (mut sender, handler) = written();
    let app = Router::new().route("/", handler);
    let addr = serve(app.layer(bench.layer())).await;
    let mut connection = connect(addr).await;
    connection.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sender.send_data("first".into()).await.unwrap();
    read_until(&mut connection, "first").await;
    bench.list.cancel(bench.only(), "too slow").unwrap();
    assert!(!rest(&mut connection).await.contains("0\r\n\r\n"), "the end is missing");
    assert_eq!(bench.ended().await.last, "killed: too slow");
    assert!(sender.send_data("more".into()).await.is_err(), "the body was dropped");
}

#[tokio::test]
async fn a_cancelled_grpc_call_gets_its_status_alone_or_as_trailers() {
    let mut bench = Bench::new();
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(4);
    let body = Arc::new(Mutex::new(Some(body)));
    let waiting = Waiting::default();
    let service = {
        let waiting = waiting.clone();
        bench.layer().layer(service_fn(move |request: Request<()>| {
            let (waiting, body) = (waiting.clone(), Arc::clone(&body));
            async move {
                if request.uri().path() == "/wait" {
                    waiting.forever::<()>().await;
                }
                Ok::<_, Infallible>(Response::new(body.lock().unwrap().take().unwrap()))
            }
        }))
    };
    let request = |path: &str| {
        let request = Request::post(path).header("content-type", "application/grpc+proto");
        request.body(()).unwrap()
    };
    let call = tokio::spawn(service.clone().oneshot(request("/wait")));
    waiting.begun.notified().await;
    bench.list.cancel(bench.only(), "100 %").unwrap();
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "1");
    assert_eq!(response.headers()["grpc-message"], "cancelled: 100 %25");
    assert_eq!(response.headers()["content-type"], "application/grpc+proto");
    assert!(http_body::Body::is_end_stream(response.body()));
    bench.ended().await;

    let mut body = service.oneshot(request("/stream")).await.unwrap().into_body();
    sender.send_data("message".into()).await.unwrap();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    bench.list.cancel(bench.only(), "100 %").unwrap();
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "1");
    assert_eq!(trailers["grpc-message"], "cancelled: 100 %25");
    assert!(body.frame().await.is_none());
    assert_eq!(bench.ended().await.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_grpc_status_in_trailers_sets_the_outcome_of_the_call() {
    let mut bench = Bench::new();
    for (code, last) in [("0", "ended"), ("5", "ended"), ("13", "failed: grpc-status 13 broken")] {
        let service = bench.layer().layer(service_fn(async |_: Request<()>| {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static(code));
            trailers.insert("grpc-message", HeaderValue::from_static("broken"));
            let body = Full::from("message").with_trailers(std::future::ready(Some(Ok(trailers))));
            Ok::<_, Infallible>(Response::new(body as http_body_util::combinators::WithTrailers<Full<Bytes>, _>))
        }));
        let request = Request::post("/").header("content-type", "application/grpc").body(()).unwrap();
        service.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(bench.ended().await.last, last);
    }
}

// Upgrades.

/// Serves an echo protocol over upgraded connections, each by `upgraded`.
async fn serve_echo<F>(
    layer: TasksLayer,
    upgraded: impl Fn(CurrentTask, Request<Body>) -> F + Clone + Send + Sync + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let handler = any(move |task: CurrentTask, request: Request<Body>| async move {
        let is_connect = request.method() == Method::CONNECT;
        tokio::spawn(upgraded(task, request));
        let status = if is_connect { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        if !is_connect {
            response.headers_mut().insert("connection", HeaderValue::from_static("upgrade"));
            response.headers_mut().insert("upgrade", HeaderValue::from_static("echo"));
        }
        response
    });
    serve(Router::new().route("/", handler.clone()).fallback_service(handler).layer(layer)).await
}

async fn echo(mut request: Request<Body>) {
    let Ok(connection) = hyper::upgrade::on(&mut request).await else { return };
    let mut connection = TokioIo::new(connection);
    let mut byte = [0];
    while connection.read_exact(&mut byte).await.is_ok() {
        connection.write_all(&byte).await.unwrap();
    }
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

async fn say_hello(connection: &mut TcpStream) {
    connection.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    connection.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
}

#[tokio::test]
async fn an_upgraded_connection_is_the_task_while_it_lives_and_a_cancellation_aborts_it() {
    let mut bench = Bench::new();
    let addr = serve_echo(bench.layer(), async |task, request| {
        let _ = task.upgraded(echo(request)).await;
    })
    .await;
    for (request, kind) in [(UPGRADE, "GET /"), ("CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n", "CONNECT")] {
        for kill in [false, true] {
            let mut connection = connect(addr).await;
            connection.write_all(request.as_bytes()).await.unwrap();
            read_until(&mut connection, "\r\n\r\n").await;
            say_hello(&mut connection).await;
            let serial = bench.only();
            assert_eq!(bench.list.view(serial, |task| task.status().to_string()).as_deref(), Some("upgraded"));
            if kill {
                bench.list.cancel(serial, "too long").unwrap();
                assert_eq!(rest(&mut connection).await, "");
            }
            drop(connection);
            let story = bench.ended().await;
            let last = if kill { "killed: too long" } else { "ended" };
            assert_eq!((story.kind.as_str(), story.last.as_str()), (kind, last));
        }
    }
}

#[tokio::test]
async fn an_upgraded_connection_that_only_holds_the_task_keeps_it_visible() {
    let mut bench = Bench::new();
    let addr = serve_echo(bench.layer(), async |task, request| {
        echo(request).await;
        drop(task);
    })
    .await;
    let mut connection = connect(addr).await;
    connection.write_all(UPGRADE.as_bytes()).await.unwrap();
    read_until(&mut connection, "\r\n\r\n").await;
    say_hello(&mut connection).await;
    assert_eq!(bench.live(), 1);
    drop(connection);
    assert_eq!(bench.ended().await.outcome, Outcome::Finished);
}

#[tokio::test]
async fn an_upgrade_whose_task_is_not_held_ends_with_the_answer() {
    let mut bench = Bench::new();
    let addr = serve_echo(bench.layer(), |task, mut request: Request<Body>| {
        drop(task);
        let upgrade = hyper::upgrade::on(&mut request);
        drop(request);
        async move {
            let _open = upgrade.await;
            std::future::pending().await
        }
    })
    .await;
    let mut connection = connect(addr).await;
    connection.write_all(UPGRADE.as_bytes()).await.unwrap();
    read_until(&mut connection, "\r\n\r\n").await;
    assert_eq!(bench.ended().await.outcome, Outcome::Finished);
}

/// Returns the task that the answer to an upgrade handed over.
fn upgraded_by_hand(bench: &Bench) -> CurrentTask {
    let (sender, receiver) = std::sync::mpsc::channel();
    let service = bench.layer().layer(service_fn(move |request: Request<()>| {
        sender.send(request.extensions().get::<CurrentTask>().unwrap().clone()).unwrap();
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        std::future::ready(Ok::<_, Infallible>(response))
    }));
    let request = Request::builder().header("connection", "upgrade").header("upgrade", "echo").body(()).unwrap();
    let answer = futures_util::FutureExt::now_or_never(service.oneshot(request)).unwrap();
    assert_eq!(answer.unwrap().status(), 101);
    receiver.recv().unwrap()
}

#[tokio::test]
async fn work_after_an_upgrade_can_be_cancelled_or_dropped_before_it_is_polled() {
    let mut bench = Bench::new();
    let going_on = upgraded_by_hand(&bench).upgraded(std::future::pending::<()>());
    assert_eq!(bench.live(), 1);
    bench.list.cancel(bench.only(), "too long").unwrap();
    assert_eq!(going_on.await.unwrap_err().reason(), "too long");
    assert_eq!(bench.ended().await.last, "killed: too long");

    drop(upgraded_by_hand(&bench).upgraded(std::future::pending::<()>()));
    assert_eq!(bench.ended().await.last, "dropped");

    let task = upgraded_by_hand(&bench);
    let mut other = std::pin::pin!(task.clone().upgraded(std::future::pending::<()>()));
    task.upgraded(async {
        let current = pm::current().serial();
        let polled = other.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "in a second one the task is only current");
        assert_eq!(pm::current().serial(), current);
    })
    .await
    .unwrap();
    assert_eq!(bench.ended().await.last, "ended");
    drop(upgraded_by_hand(&bench));
    assert_eq!(bench.ended().await.last, "ended", "the task is not held any more");
}

#[tokio::test]
async fn holding_the_task_after_an_ordinary_answer_does_not_keep_it_alive() {
    let mut bench = Bench::new();
    let (sender, mut held) = mpsc::unbounded_channel();
    let handler = get(async move |task: CurrentTask| {
        let (waits, held) = oneshot::channel::<()>();
        sender.send((task.clone(), waits)).unwrap();
        tokio::spawn(task.upgraded(async move { drop(held.await) }));
        "x"
    });
    let addr = serve(Router::new().route("/", handler).layer(bench.layer())).await;
    exchange(addr, &get_request("/")).await;
    assert_eq!(bench.ended().await.outcome, Outcome::Finished);
    let (task, _waits) = held.recv().await.unwrap();
    assert!(!task.is_live());
    assert_eq!(bench.live(), 0);
}

#[tokio::test]
async fn a_handler_without_a_layer_gets_the_current_task_or_an_inert_one() {
    let app = Router::new().route("/", get(async |task: CurrentTask| (!task.is_live()).to_string()));
    let answer = exchange(serve(app).await, &get_request("/")).await;
    assert!(answer.ends_with("true"), "{answer}");
}

// Calls.

type Wire = Client<HttpConnector, Empty<Bytes>>;

fn client() -> Wire {
    Client::builder(TokioExecutor::new()).build_http()
}

fn ask(addr: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://{addr}{path}")).body(Empty::new()).unwrap()
}

/// A server that calls another one, with the heads that the other one received.
struct Chain {
    front: Bench,
    front_addr: SocketAddr,
    back: Bench,
    heads: mpsc::UnboundedReceiver<HeaderMap>,
    waiting: Waiting,
}

impl Chain {
    async fn new() -> Self {
        let (front, back) = (Bench::new(), Bench::new());
        let (sender, heads) = mpsc::unbounded_channel();
        let waiting = Waiting::default();
        let quick = get(async move |headers: HeaderMap| {
            sender.send(headers).unwrap();
            "from the back"
        });
        let app = Router::new().route("/quick", quick).route("/wait", waiting.handler()).layer(back.layer());
        let back_addr = serve(app).await;

        let calls = CallsLayer::new().list(&front.list).layer(client());
        let list = front.list.clone();
        let handler = get(async move |State(path): State<&'static str>| -> Result<Vec<u8>, StatusCode> {
            // In a spawned child, as is common.
            let call = list.task("step").spawn(async move { call_twice(&calls, back_addr, path).await.unwrap() });
            match call.await {
                Ok(Ok(all)) => Ok(all),
                _ => Err(StatusCode::BAD_GATEWAY),
            }
        });
        let app = Router::new()
            .route("/", handler.clone().with_state("/quick"))
            .route("/wait", handler.with_state("/wait?token=abc"))
            .layer(front.layer());
        let front_addr = serve(app).await;
        Self { front, front_addr, back, heads, waiting }
    }
}

async fn call_twice(calls: &pm::tower::Calls<Wire>, addr: SocketAddr, path: &str) -> Result<Vec<u8>, BoxError> {
    let mut all = Vec::new();
    for _ in 0..2 {
        let body = calls.clone().oneshot(ask(addr, path)).await?.into_body();
        all.extend(body.collect().await?.to_bytes());
    }
    Ok(all)
}

#[tokio::test]
async fn a_call_is_a_child_of_the_calling_task_and_passes_trace_and_request_id_on() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut chain = Chain::new().await;
    let head = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-request-id: req-1\r\ntraceparent: {TRACE}\r\n\
         tracestate: rojo=00f067aa0ba902b7\r\ntracestate: congo=t61rcWkgMzE\r\nconnection: close\r\n\r\n"
    );
    let answer = exchange(chain.front_addr, &head).await;
    assert!(answer.ends_with("from the backfrom the back"), "{answer}");
    let mut spans = Vec::new();
    for _ in 0..2 {
        let head = chain.heads.recv().await.unwrap();
        assert_eq!(head["x-request-id"], "req-1");
        let span = head["traceparent"].to_str().unwrap().to_owned();
        assert_eq!((&span[..36], &span[52..]), (&TRACE[..36], "-01"), "the trace and its flags stay");
        assert_eq!(head["tracestate"], "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
        assert_eq!(chain.back.ended().await.id, "req-1");
        let call = chain.front.ended().await;
        assert_eq!((call.id.as_str(), call.kind.as_str()), (&span[3..52], "GET 127.0.0.1"));
        let statuses = chain.front.statuses(call.serial);
        assert!(statuses[1].starts_with("waiting for http://127.0.0.1:") && statuses[1].ends_with("/quick"));
        assert_eq!(statuses[2..], ["receiving", "ended"]);
        spans.push(span);
    }
    assert_ne!(spans[0], spans[1]);
    assert!(!spans.contains(&TRACE.to_owned()));
}

#[tokio::test]
async fn without_a_trace_the_calls_of_a_task_share_a_generated_one_and_a_generated_id_is_not_passed_on() {
    let mut chain = Chain::new().await;
    exchange(chain.front_addr, &get_request("/")).await;
    let (first, second) = (chain.heads.recv().await.unwrap(), chain.heads.recv().await.unwrap());
    assert_eq!(first["traceparent"].as_bytes()[..36], second["traceparent"].as_bytes()[..36]);
    assert!(!first.contains_key("x-request-id") && !first.contains_key("tracestate"));
    assert_eq!(chain.back.ended().await.id.as_bytes(), &first["traceparent"].as_bytes()[3..52], "both sides agree");
}

#[tokio::test]
async fn a_request_with_its_own_trace_and_id_keeps_them() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let list = ProcessList::new();
    let above = list.task("above").attr("traceparent", &*TRACE.replace('7', "8")).attr("tracestate", "above=1").start();
    let _entered = above.enter();
    let service = CallsLayer::new().list(&list).layer(service_fn(async |request: Request<()>| {
        assert_eq!(request.headers()["traceparent"], TRACE);
        assert_eq!(request.headers()["x-request-id"], "own");
        assert_eq!(request.headers()["tracestate"], "own=1");
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    }));
    let request = Request::get("https://user:pass@api.example.com:8443/hosts?token=abc");
    let request = request
        .header("traceparent", TRACE)
        .header("tracestate", "own=1")
        .header("x-request-id", "own")
        .body(())
        .unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    let ended = list.ended();
    let task = ended.iter().next().unwrap();
    assert_eq!(task.kind().unwrap(), "GET api.example.com");
    let history = list.history(task.serial()).unwrap();
    assert_eq!(history.entries[1].status, "waiting for https://***@api.example.com:8443/hosts");
}

#[tokio::test]
async fn a_call_is_dropped_when_the_request_above_it_is_cancelled() {
    let mut chain = Chain::new().await;
    let mut connection = connect(chain.front_addr).await;
    connection.write_all(get_request("/wait").as_bytes()).await.unwrap();
    chain.waiting.begun.notified().await;
    assert_eq!(chain.front.live(), 3, "the request, its step, the call");
    let mut request = None;
    chain.front.list.for_each(|task| request = request.or(Some(task.serial()).filter(|_| task.parent().is_none())));
    chain.front.list.cancel(request.unwrap(), "too slow").unwrap();
    assert!(rest(&mut connection).await.starts_with("HTTP/1.1 503 "));
    for _ in 0..3 {
        assert_eq!(chain.front.ended().await.last, "killed: too slow");
    }
    chain.waiting.dropped.notified().await;
    assert_eq!(chain.back.ended().await.outcome, Outcome::Dropped, "its client is gone");
}

#[tokio::test]
async fn a_cancelled_call_returns_the_reason_as_its_error_before_and_after_the_head() {
    let mut bench = Bench::new();
    let (mut sender, handler) = written();
    let waiting = Waiting::default();
    let app = Router::new().route("/stream", handler).route("/wait", waiting.handler());
    let addr = serve(app).await;
    let calls = CallsLayer::new().list(&bench.list).layer(client());

    let call = tokio::spawn(calls.clone().oneshot(ask(addr, "/wait")));
    waiting.begun.notified().await;
    bench.list.cancel(bench.only(), "too slow").unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.downcast_ref::<Cancelled>().unwrap().reason(), "too slow");
    waiting.dropped.notified().await;
    bench.ended().await;

    let mut body = calls.clone().oneshot(ask(addr, "/stream")).await.unwrap().into_body();
    sender.send_data("first".into()).await.unwrap();
    assert!(body.frame().await.unwrap().is_ok());
    bench.list.cancel(bench.only(), "too slow").unwrap();
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.downcast_ref::<Cancelled>().unwrap().reason(), "too slow");
    assert_eq!(bench.ended().await.last, "killed: too slow");
}

#[tokio::test]
async fn a_failed_call_reports_why_and_an_unread_one_is_dropped() {
    let mut bench = Bench::new();
    let calls = CallsLayer::new().list(&bench.list).layer(client());
    // Its port is taken, but nothing listens.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    calls.clone().oneshot(ask(closed.local_addr().unwrap(), "/")).await.unwrap_err();
    assert_eq!(bench.ended().await.outcome, Outcome::Failed);

    let broken = Router::new().route("/", get(async || (StatusCode::BAD_GATEWAY, "no luck")));
    let addr = serve(broken).await;
    let response = calls.clone().oneshot(ask(addr, "/")).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(bench.ended().await.last, "failed: 502 Bad Gateway");

    drop(calls.oneshot(ask(addr, "/")).await.unwrap());
    assert_eq!(bench.ended().await.outcome, Outcome::Dropped);
}

// Services of any request.

#[tokio::test]
async fn a_call_of_any_service_is_a_task_to_its_end() {
    let kill = |id: &str| pm::global().cancel(id, "too slow").unwrap();
    let service = TaskLayer::new(|job: &&'static str| pm::task(job).kind("any service")).layer(service_fn(
        async |job: &'static str| match job {
            "any-wait" => std::future::pending().await,
            "any-fail" => Err(io::Error::other("disk full")),
            _ => Ok(pm::current().view(|task| task.id().to_string())),
        },
    ));
    assert_eq!(service.clone().oneshot("any-works").await.unwrap().as_deref(), Some("any-works"));
    assert_eq!(service.clone().oneshot("any-fail").await.unwrap_err().to_string(), "disk full");
    let mut call = Box::pin(service.clone().oneshot("any-wait"));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    kill("any-wait");
    assert_eq!(call.await.unwrap_err().downcast_ref::<Cancelled>().unwrap().reason(), "too slow");
    let mut call = Box::pin(service.oneshot("any-wait"));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(call);
    let kinds = pm::global().kinds();
    let kind = kinds.iter().find(|kind| kind.kind.as_deref() == Some("any service")).unwrap();
    assert_eq!((kind.finished, kind.failed, kind.cancelled, kind.dropped, kind.running), (1, 1, 1, 1, 0));
}
