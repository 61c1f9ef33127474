//! Calls of a tonic client to a tonic server, both with our layers, cancelled in each phase.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{self, StreamExt as _};
use http::uri::PathAndQuery;
use pm::ProcessList;
use pm::tower::{Calls, CallsLayer, TasksLayer};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tower_layer::Layer as _;

/// A message, with its codec.
#[path = "../examples/tonic.rs"]
#[allow(dead_code, reason = "it is a program of its own")]
mod example;
use example::Plain;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// Follows the instruction in the message of a call.
#[derive(Clone, Default)]
struct Demo {
    begun: Arc<Notify>,
}

impl ServerStreamingService<Bytes> for Demo {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = Boxed<Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let begun = Arc::clone(&self.begun);
        Box::pin(async move {
            let first = || stream::iter([Ok(Bytes::from_static(b"first"))]);
            let messages: Messages = match &request.get_ref()[..] {
                b"wait" => {
                    begun.notify_one();
                    std::future::pending().await
                }
                b"stream" => Box::pin(first().chain(stream::pending())),
                b"one" => Box::pin(first()),
                b"break" => Box::pin(first().chain(stream::iter([Err(Status::internal("broken"))]))),
                _ => return Err(Status::not_found("no such demo")),
            };
            Ok(Response::new(messages))
        })
    }
}

impl tower_service::Service<http::Request<Body>> for Demo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let demo = self.clone();
        Box::pin(async move { Ok(Grpc::new(Plain).server_streaming(demo, request).await) })
    }
}

impl NamedService for Demo {
    const NAME: &'static str = "demo.Demo";
}

/// A server and a client, with a list each.
struct Pair {
    serving: ProcessList,
    calling: ProcessList,
    begun: Arc<Notify>,
    client: tonic::client::Grpc<Calls<Channel>>,
}

impl Pair {
    async fn new() -> Self {
        let (serving, calling) = (ProcessList::new(), ProcessList::new());
        let demo = Demo::default();
        let begun = Arc::clone(&demo.begun);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr: SocketAddr = listener.local_addr().unwrap();
        let layer = TasksLayer::new().list(&serving);
        let server = Server::builder().layer(layer).add_service(demo);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let channel = Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
        let client = tonic::client::Grpc::new(CallsLayer::new().list(&calling).layer(channel));
        Self { serving, calling, begun, client }
    }

    async fn call(&mut self, what: &'static str) -> Result<tonic::Streaming<Bytes>, Status> {
        self.client.ready().await.unwrap();
        let request = Request::new(Bytes::from_static(what.as_bytes()));
        let path = PathAndQuery::from_static("/demo.Demo/Do");
        self.client.server_streaming(request, path, Plain).await.map(Response::into_inner)
    }
}

fn kill_all(list: &ProcessList) {
    let mut serials = Vec::new();
    list.for_each(|task| serials.push(task.serial()));
    assert_eq!(serials.len(), 1);
    list.cancel(serials[0], "100 % slow").unwrap();
}

/// Returns how the tasks of a list ended.
fn ends(list: &ProcessList) -> Vec<String> {
    let ended = list.ended();
    ended.iter().map(|task| list.history(task.serial()).unwrap().entries.pop().unwrap().status).collect()
}

#[tokio::test]
async fn a_call_cancelled_before_the_head_gets_the_status_cancelled_with_the_reason() {
    let mut pair = Pair::new().await;
    let (serving, begun) = (pair.serving.clone(), Arc::clone(&pair.begun));
    let (status, ()) = tokio::join!(pair.call("wait"), async {
        begun.notified().await;
        kill_all(&serving);
    });
    let status = status.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Cancelled, "cancelled: 100 % slow"));
    assert_eq!(ends(&serving), ["killed: 100 % slow"]);
    assert_eq!(ends(&pair.calling), ["failed: grpc-status 1 cancelled: 100 % slow"]);
}

#[tokio::test]
async fn a_stream_cancelled_after_the_head_ends_with_the_status() {
    let mut pair = Pair::new().await;
    let mut messages = pair.call("stream").await.unwrap();
    assert_eq!(messages.message().await.unwrap().unwrap(), "first");
    kill_all(&pair.serving);
    let status = messages.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Cancelled, "cancelled: 100 % slow"));
    assert_eq!(ends(&pair.serving), ["killed: 100 % slow"]);
}

#[tokio::test]
async fn a_client_that_cancels_its_call_ends_it_on_both_sides() {
    let mut pair = Pair::new().await;
    let mut messages = pair.call("stream").await.unwrap();
    assert_eq!(messages.message().await.unwrap().unwrap(), "first");
    let (sender, ended) = tokio::sync::oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let _hook = pair.serving.on_end(move |task| {
        if let Some(sender) = sender.lock().unwrap().take() {
            let _ = sender.send(task.outcome().unwrap());
        }
    });
    kill_all(&pair.calling);
    assert!(messages.message().await.is_err());
    assert_eq!(ends(&pair.calling), ["killed: 100 % slow"]);
    drop(messages);
    assert_eq!(ended.await.unwrap(), pm::Outcome::Dropped);
}

#[tokio::test]
async fn calls_end_according_to_their_grpc_status() {
    for (what, served, called) in [
        ("one", "ended", "ended"),
        ("break", "failed: grpc-status 13 broken", "failed: grpc-status 13 broken"),
        ("nothing", "ended", "failed: grpc-status 5 no such demo"),
    ] {
        let mut pair = Pair::new().await;
        if let Ok(mut messages) = pair.call(what).await {
            while let Ok(Some(_)) = messages.message().await {}
        }
        assert_eq!((&ends(&pair.serving)[..], &ends(&pair.calling)[..]), (&[served.into()][..], &[called.into()][..]));
    }
}

/// Returns the kinds of a list.
fn kinds(list: &ProcessList) -> Vec<String> {
    let mut kinds: Vec<_> = list.kinds().into_iter().filter_map(|kind| kind.kind).collect();
    kinds.sort();
    kinds
}

#[tokio::test]
async fn the_path_of_a_method_is_its_kind_and_invented_paths_add_few() {
    let mut pair = Pair::new().await;
    for number in 0..200 {
        pair.client.ready().await.unwrap();
        let path = PathAndQuery::try_from(format!("/invented.Service{number}/Do")).unwrap();
        let answer = pair.client.server_streaming(Request::new(Bytes::new()), path, Plain).await;
        assert_eq!(answer.map(drop).unwrap_err().code(), Code::Unimplemented);
    }
    for _ in 0..2 {
        let _ = pair.call("nothing").await;
    }
    let kinds = kinds(&pair.serving);
    assert!(kinds.contains(&"POST /demo.Demo/Do".to_owned()) && kinds.contains(&"grpc".to_owned()), "{kinds:?}");
    assert!(kinds.len() <= 66, "{}", kinds.len());
}

/// Serves a request's address as tonic knows it, over guarded connections.
#[tokio::test]
async fn over_guarded_connections_a_call_knows_its_client_and_a_kill_is_answered() {
    let serving = ProcessList::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let layer = TasksLayer::new()
        .list(&serving)
        .peer(|request| request.extensions.get::<tonic::transport::server::TcpConnectInfo>()?.remote_addr());
    let incoming = TcpIncoming::from(listener).map(|stream| stream.map(pm::tower::Connection::new));
    let server = Server::builder().layer(layer).add_service(Demo::default());
    tokio::spawn(server.serve_with_incoming(incoming));
    let channel = Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/demo.Demo/Do");
    let request = Request::new(Bytes::from_static(b"stream"));
    let mut messages = client.server_streaming(request, path, Plain).await.unwrap().into_inner();
    assert_eq!(messages.message().await.unwrap().unwrap(), "first");
    let mut peers = Vec::new();
    serving.for_each(|task| {
        peers.extend(task.attrs().find(|(name, _)| *name == "peer").map(|(_, peer)| format!("{peer:?}")))
    });
    assert!(peers.len() == 1 && peers[0].contains("127.0.0.1:"), "{peers:?}");
    kill_all(&serving);
    let status = messages.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Cancelled, "cancelled: 100 % slow"));
}
