//! The service under test, the reports of its handlers, and the view of its requests that pm's server has.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::StatusCode;
use http_body_util::Channel;
use pm::tower::TasksLayer;
use pm::{ProcessList, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::clients::{Client, Exchange};

pub(crate) type Lines = Channel<Bytes, std::convert::Infallible>;
pub(crate) type Writer = http_body_util::channel::Sender<Bytes, std::convert::Infallible>;

/// A report of a handler to the test.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    /// It waits until it is dropped.
    Waits,
    /// It received a part of the request's body.
    Part(Bytes),
    /// The future of the handler was dropped.
    Dropped,
}

/// Reports the end of a handler.
pub(crate) struct OnDrop(mpsc::UnboundedSender<Seen>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(Seen::Dropped);
    }
}

/// An axum service whose requests are tasks, and pm's server beside it.
pub(crate) struct Bench {
    pub(crate) list: ProcessList,
    pub(crate) watch: Server,
    pub(crate) address: SocketAddr,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    pub(crate) ended: mpsc::UnboundedReceiver<String>,
    pub(crate) answers: mpsc::UnboundedReceiver<Writer>,
    /// Lets the concurrent request continue.
    beside: Mutex<Option<Writer>>,
    _hook: pm::Subscription,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let list = ProcessList::new();
        let watch = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
        let (report, seen) = mpsc::unbounded_channel();
        let (report_answer, answers) = mpsc::unbounded_channel();
        let (report_end, ended) = mpsc::unbounded_channel();
        let hook = list.on_end(move |task| drop(report_end.send(task.id().to_string())));
        let (waits, uploads) = (report.clone(), report);
        let app = Router::new()
            .route("/", get(async || "hello"))
            .route(
                "/wait",
                get(async move || {
                    let _on_drop = OnDrop(waits.clone());
                    waits.send(Seen::Waits).unwrap();
                    std::future::pending::<()>().await;
                }),
            )
            .route(
                "/upload",
                any(async move |body: Body| {
                    let _on_drop = OnDrop(uploads.clone());
                    let mut parts = body.into_data_stream();
                    while let Some(part) = parts.next().await {
                        // As axum's extractors answer an incomplete body.
                        let part = part.map_err(|_| StatusCode::BAD_REQUEST)?;
                        uploads.send(Seen::Part(part)).unwrap();
                    }
                    Ok::<_, StatusCode>("got it")
                }),
            )
            .route(
                "/lines",
                get(async move || {
                    let (writer, lines) = Lines::new(4);
                    report_answer.send(writer).unwrap();
                    Body::new(lines)
                }),
            )
            .layer(TasksLayer::new().list(&list));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let beside = Mutex::default();
        Self { list, watch, address, seen, ended, answers, beside, _hook: hook }
    }

    /// Waits for the next report of a handler.
    pub(crate) async fn seen(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// Begins a request that runs beside all others.
    pub(crate) async fn begin_beside(&mut self) -> Exchange {
        let mut beside = Client::Hyper.ask(self.address, &[("/lines", "beside")], None);
        let mut writer = self.answers.recv().await.unwrap();
        writer.send_data("still ".into()).await.unwrap();
        beside.read_until("still ").await;
        *self.beside.lock().unwrap() = Some(writer);
        beside
    }

    /// Ends it, and asserts that it was not affected.
    pub(crate) async fn end_beside(&mut self, beside: Exchange) {
        let mut writer = self.beside.lock().unwrap().take().unwrap();
        writer.send_data("here".into()).await.unwrap();
        drop(writer);
        let got = beside.rest().await;
        assert!(got.whole && got.text.ends_with("here"), "{got:?}");
        self.assert_ended("beside", "finished", &["init", "handling", "responding", "ended"]).await;
        assert_eq!(self.list.counters().live, 0);
    }

    /// Asserts kind and status that pm's server shows of a running request.
    pub(crate) async fn assert_listed(&self, by: Client, id: &str, kind: &str, status: &str) {
        let (code, answer) = by.call(self.watch.addr(), "GET", "/v1/tasks", "").await;
        let tasks = answer["tasks"].as_array().unwrap();
        let task = tasks.iter().find(|task| task["id"] == id).unwrap_or_else(|| panic!("{answer}"));
        assert_eq!((code, &task["kind"], &task["status"]), (200, &json!(kind), &json!(status)), "{answer}");
    }

    /// Asserts the outcome and history of the next request that ends.
    pub(crate) async fn assert_ended(&mut self, id: &str, outcome: &str, history: &[&str]) {
        assert_eq!(self.ended.recv().await.unwrap(), id);
        let (_, answer) = Client::Hyper.call(self.watch.addr(), "GET", &format!("/v1/ended?id={id}"), "").await;
        // Newest first.
        let task = &answer["tasks"][0];
        assert_eq!((&task["id"], &task["outcome"]), (&json!(id), &json!(outcome)), "{answer}");
        let path = format!("/v1/tasks/{}/history", task["serial"].as_str().unwrap());
        let (_, answer) = Client::Hyper.call(self.watch.addr(), "GET", &path, "").await;
        let statuses: Vec<&Value> =
            answer["history"].as_array().unwrap().iter().map(|entry| &entry["status"]).collect();
        assert_eq!(statuses, history, "{answer}");
    }

    /// Cancels a request over HTTP, and returns the verdict: with hyper by `/procs/`, with curl by `/v1`.
    pub(crate) async fn kill(&self, by: Client, id: &str) -> (u16, Value) {
        let (method, path, body) = match by {
            Client::Hyper => ("DELETE", format!("/procs/{id}"), r#"{"message":"too slow"}"#),
            Client::Curl => ("POST", format!("/v1/tasks/{id}/cancel"), r#"{"reason":"too slow","wait":"20s"}"#),
        };
        by.call(self.watch.addr(), method, &path, body).await
    }

    /// Cancels a running request.
    pub(crate) async fn kill_live(&self, by: Client, id: &str) {
        let (code, verdict) = self.kill(by, id).await;
        assert_eq!(code, 200, "{verdict}");
        if by == Client::Curl {
            assert_eq!(verdict["verdict"], "dropped", "{verdict}");
        }
    }
}

/// A slow connection to the service: holds the last byte of a request's head back until the test releases it.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    /// Reports when only the last byte remains, then when the service has closed the connection.
    pub(crate) reached: mpsc::UnboundedReceiver<()>,
    pub(crate) release: Arc<tokio::sync::Notify>,
}

impl Line {
    pub(crate) async fn to(service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (report, reached) = mpsc::unbounded_channel();
        let release = Arc::new(tokio::sync::Notify::new());
        let released = Arc::clone(&release);
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut service = TcpStream::connect(service).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert_ne!(client.read_buf(&mut head).await.unwrap(), 0);
            }
            let last = head.pop().unwrap();
            service.write_all(&head).await.unwrap();
            report.send(()).unwrap();
            tokio::select! {
                () = released.notified() => {
                    service.write_all(&[last]).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut service).await;
                }
                end = client.read_u8() => {
                    assert!(end.is_err(), "it sends nothing more");
                    service.shutdown().await.unwrap();
                    let _ = service.read_to_end(&mut Vec::new()).await;
                    report.send(()).unwrap();
                }
            }
        });
        Self { address, reached, release }
    }
}
