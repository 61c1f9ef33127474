//! Guarded connections: kills of requests whose client does not read, upgraded connections, what the list shows of
//! them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::{any, get};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use pm::tower::{Connection, TasksLayer};
use pm::{CancelPolicy, Clock, Options, ProcessList, Serial};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower_layer::Layer as _;

/// A list whose ended tasks a test waits for.
struct Bench {
    list: ProcessList,
    ended: mpsc::UnboundedReceiver<Serial>,
    _hook: pm::Subscription,
}

impl Bench {
    fn new(options: Options) -> Self {
        let list = ProcessList::with_options(options);
        let (sender, ended) = mpsc::unbounded_channel();
        let hook = list.on_end(move |task| {
            let _ = sender.send(task.serial());
        });
        Self { list, ended, _hook: hook }
    }

    fn layer(&self) -> TasksLayer {
        TasksLayer::new().list(&self.list)
    }

    /// Returns the path and the last status of the next task that ends.
    async fn ended(&mut self) -> (String, String) {
        let serial = self.ended.recv().await.unwrap();
        let last = self.list.history(serial).unwrap().entries.pop().unwrap().status;
        (self.path(serial), last)
    }

    fn path(&self, serial: Serial) -> String {
        let path = |task: &pm::TaskView<'_>| {
            task.attrs().find(|(name, _)| *name == "path").map(|(_, value)| format!("{value:?}"))
        };
        self.list.view(serial, path).flatten().unwrap_or_default()
    }

    /// Waits until a task for a path has a status.
    async fn until(&self, path: &str, status: &str) -> Serial {
        loop {
            let mut found = None;
            self.list.for_each(|task| {
                let is_path = task.attrs().any(|(name, value)| name == "path" && format!("{value:?}").contains(path));
                if is_path && task.status().to_string() == status {
                    found = Some(task.serial());
                }
            });
            match found {
                Some(serial) => return serial,
                None => tokio::task::yield_now().await,
            }
        }
    }
}

const WAITING: &str = "waiting for the client to read";
const CHUNK: Bytes = Bytes::from_static(&[7; 64 << 10]);

/// A body without end, which always has more.
fn endless() -> Body {
    Body::from_stream(stream::repeat(Ok::<_, Infallible>(CHUNK)))
}

/// A body without end, which is not ready each time.
fn hesitant() -> Body {
    Body::from_stream(stream::repeat(()).then(async |()| {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(CHUNK)
    }))
}

/// A body of 16 MiB.
fn long() -> Body {
    Body::from_stream(stream::iter((0..256).map(|_| Ok::<_, Infallible>(CHUNK))))
}

fn app(layer: TasksLayer) -> Router {
    Router::new()
        .route("/endless", get(async || endless()))
        .route("/hesitant", get(async || hesitant()))
        .route("/long", get(async || long()))
        .route(
            "/burst",
            get(async || {
                Body::from_stream(stream::iter((0..256).map(|_| Ok::<_, Infallible>(CHUNK))).chain(stream::pending()))
            }),
        )
        .route("/peer", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()))
        .layer(layer)
}

/// Serves an application over guarded connections until the test ends.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { pm::tower::serve(listener, app).await.unwrap() });
    addr
}

/// Sends a request, and reads nothing.
async fn ask(addr: SocketAddr, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    client
}

async fn rest(client: &mut TcpStream) -> usize {
    let mut answer = Vec::new();
    // The connection may be reset.
    let _ = client.read_to_end(&mut answer).await;
    answer.len()
}

#[tokio::test]
async fn a_kill_reaches_a_download_whose_client_does_not_read() {
    let mut bench = Bench::new(Options::new());
    let addr = serve(app(bench.layer())).await;
    for path in ["/endless", "/hesitant"] {
        let mut client = ask(addr, path).await;
        let serial = bench.until(path, WAITING).await;
        bench.list.cancel(serial, "too slow").unwrap();
        assert_eq!(bench.ended().await.1, "killed: too slow");
        rest(&mut client).await;
    }
}

#[tokio::test]
async fn the_policy_of_a_download_whose_client_does_not_read_holds() {
    let (clock, hand) = Clock::manual();
    let mut bench = Bench::new(Options::new().clock(clock));
    let layer = bench
        .layer()
        .on_cancel_of("GET /long", CancelPolicy::Ask)
        .on_cancel_of("GET /end*", CancelPolicy::AskThenDrop(Duration::from_secs(5)));
    let addr = serve(app(layer)).await;

    let _client = ask(addr, "/endless").await;
    let serial = bench.until("/endless", WAITING).await;
    bench.list.cancel(serial, "too slow").unwrap();
    for _ in 0..4 {
        hand.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
        assert!(bench.list.view(serial, |task| task.outcome().is_none()).unwrap());
    }
    hand.advance(Duration::from_secs(2));
    assert_eq!(bench.ended().await.1, "killed: too slow");

    let mut client = ask(addr, "/long").await;
    let serial = bench.until("/long", WAITING).await;
    bench.list.cancel(serial, "too slow").unwrap();
    assert!(rest(&mut client).await > 16 << 20, "it is only asked, and ends by itself");
    assert!(!bench.ended().await.1.starts_with("killed"));
}

#[tokio::test]
async fn a_client_that_reads_again_ends_the_wait_and_the_bytes_are_shown() {
    let bench = Bench::new(Options::new());
    let addr = serve(app(bench.layer())).await;
    let mut client = ask(addr, "/burst").await;
    bench.until("/burst", WAITING).await;
    let reading = tokio::spawn(async move { rest(&mut client).await });
    let serial = bench.until("/burst", "responding").await;
    let progress = bench.list.view(serial, |task| task.progress().map(|progress| (progress.done, progress.total)));
    let (done, total) = progress.flatten().unwrap();
    // A meter is behind by a 64th at most.
    assert!((16 << 20) - done <= 16 << 14 && total == 0, "{done} of {total}");
    reading.abort();
}

#[tokio::test]
async fn the_bytes_of_an_upload_are_shown_while_it_is_received() {
    let mut bench = Bench::new(Options::new());
    let upload = axum::routing::post(async |body: Bytes| body.len().to_string());
    let addr = serve(Router::new().route("/upload", upload).layer(bench.layer())).await;
    let mut client = TcpStream::connect(addr).await.unwrap();
    let head = "POST /upload HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2000\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let serial = bench.until("/upload", "handling").await;
    let received = || {
        bench
            .list
            .view(serial, |task| task.progress().map(|progress| (progress.done, progress.unit.to_string())))
            .unwrap()
    };
    client.write_all(&[7; 1000]).await.unwrap();
    while received() != Some((1000, "bytes received".to_owned())) {
        tokio::task::yield_now().await;
    }
    client.write_all(&[7; 1000]).await.unwrap();
    rest(&mut client).await;
    assert_eq!(bench.ended().await.1, "ended");
}

#[tokio::test]
async fn handlers_still_get_the_address_of_the_client() {
    let addr = serve(app(TasksLayer::new())).await;
    let mut client = ask(addr, "/peer").await;
    let own = client.local_addr().unwrap().to_string();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(&own), "{answer}");
}

/// The bytes of a response that an HTTP/2 client takes without reading them.
const WINDOW: u64 = 1 << 20;

type H2 = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

/// Serves one HTTP/2 connection, whose client takes a little of each response and no more.
async fn h2(bench: &Bench) -> H2 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let layer = bench.layer().routes(["/endless", "/long"]);
    tokio::spawn(async move {
        let connection = Connection::new(listener.accept().await.unwrap().0);
        let service = layer.connection(&connection).layer(tower::service_fn(async |request: Request<_>| {
            let _: hyper::body::Incoming = request.into_body();
            Ok::<_, Infallible>(Response::new(endless()))
        }));
        let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(service)).await;
    });
    let stream = TcpStream::connect(addr).await.unwrap();
    let mut http = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    http.initial_stream_window_size(WINDOW as u32);
    let (send, connection) = http.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    send
}

async fn get_h2(send: &mut H2, path: &str) -> hyper::body::Incoming {
    send.ready().await.unwrap();
    let request = Request::get(format!("http://x{path}")).body(Empty::new()).unwrap();
    let mut body = send.send_request(request).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    body
}

#[tokio::test]
async fn a_kill_of_one_of_several_requests_of_a_connection_reaches_no_other() {
    let mut bench = Bench::new(Options::new());
    let mut send = h2(&bench).await;
    let _first = get_h2(&mut send, "/first").await;
    let mut second = get_h2(&mut send, "/second").await;
    let serial = bench.until("/first", "responding").await;
    let sent = || bench.list.view(serial, |task| task.progress().map_or(0, |progress| progress.done)).unwrap();
    while sent() < WINDOW {
        tokio::task::yield_now().await;
    }
    bench.list.cancel(serial, "too slow").unwrap();
    for _ in 0..100 {
        second.frame().await.unwrap().unwrap();
    }
    drop(second);
    assert!(bench.ended().await.0.contains("second"));
    // It is alone now, and its client does not read.
    let (path, last) = bench.ended().await;
    assert!(path.contains("first") && last == "killed: too slow", "{path} {last}");
}

/// Answers with an upgrade, and echoes in a task of its own, as handlers of websockets do.
async fn upgrade(mut request: Request<Body>) -> Response<Body> {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut connection = TokioIo::new(upgraded.await.unwrap());
        let mut byte = [0];
        while connection.read_exact(&mut byte).await.is_ok() {
            connection.write_all(&byte).await.unwrap();
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [("connection", "upgrade"), ("upgrade", "echo")] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn an_upgraded_connection_is_the_task_without_a_line_in_its_handler_and_a_kill_closes_it() {
    let mut bench = Bench::new(Options::new());
    let addr = serve(Router::new().route("/echo", any(upgrade)).layer(bench.layer())).await;
    for is_killed in [false, true] {
        let mut client = TcpStream::connect(addr).await.unwrap();
        client
            .write_all(b"GET /echo HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhello")
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            client.read_buf(&mut answer).await.unwrap();
        }
        let serial = bench.until("/echo", "upgraded").await;
        if is_killed {
            bench.list.cancel(serial, "too long").unwrap();
            assert_eq!(rest(&mut client).await, 0);
        } else {
            drop(client);
        }
        assert_eq!(bench.ended().await.1, if is_killed { "killed: too long" } else { "ended" });
    }
}
