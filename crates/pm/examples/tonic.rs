//! A tonic server whose calls are tasks: `cargo run -p pm --features tower --example tonic`.
//!
//! Its service is written by hand, with messages that are plain bytes, so that it needs no `protoc`. With `--smoke` it
//! calls itself, prints the list, kills that call, and ends.

use std::convert::Infallible;
use std::error::Error;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use pm::tower::TasksLayer;
use tokio::net::TcpListener;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

const WAIT: &str = "/demo.Waiter/Wait";

/// A codec that passes messages through.
#[derive(Default)]
pub(crate) struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Never answers: something to show, and to kill.
#[derive(Clone)]
struct Waiter;

impl UnaryService<Bytes> for Waiter {
    type Response = Bytes;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        Box::pin(async move {
            let name = String::from_utf8_lossy(request.get_ref()).into_owned();
            let _ = pm::status!(pm::current(), "waiting for {name}");
            std::future::pending().await
        })
    }
}

// The code that `protoc` would generate.
impl tower_service::Service<http::Request<tonic::body::Body>> for Waiter {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                WAIT => tonic::server::Grpc::new(Plain).unary(Waiter, request).await,
                _ => Status::unimplemented("the only method is Wait").into_http(),
            })
        })
    }
}

impl NamedService for Waiter {
    const NAME: &'static str = "demo.Waiter";
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let watch = pm::serve("127.0.0.1:0")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;

    // The kind of a call is its method.
    let layer = TasksLayer::new()
        .peer(|request| request.extensions.get::<tonic::transport::server::TcpConnectInfo>()?.remote_addr());
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = Server::builder().layer(layer).add_service(Waiter).serve_with_incoming(incoming);
    let server = tokio::spawn(server);

    println!("call {WAIT} at http://{addr}");
    println!("show it:  curl http://{}/v1/tasks", watch.addr());
    if std::env::args().any(|word| word == "--smoke") {
        smoke(addr).await?;
    } else {
        tokio::signal::ctrl_c().await?;
    }
    server.abort();
    Ok(())
}

async fn smoke(addr: std::net::SocketAddr) -> Result<(), Box<dyn Error>> {
    let channel = Endpoint::from_shared(format!("http://{addr}"))?.connect().await?;
    let call = tokio::spawn(async move {
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        let mut request = Request::new(Bytes::from_static(b"Godot"));
        request.metadata_mut().insert("x-request-id", tonic::metadata::MetadataValue::from_static("req-1"));
        client.unary(request, PathAndQuery::from_static(WAIT), Plain).await.map(Response::into_inner)
    });
    let waits = || {
        let serial = pm::global().find("req-1").pop();
        serial.and_then(|serial| pm::global().view(serial, |task| task.status().to_string() == "waiting for Godot"))
    };
    while waits() != Some(true) {
        tokio::task::yield_now().await;
    }
    println!("\nthe list:");
    pm::global().for_each(|task| {
        let kind = task.kind().map(|kind| kind.to_string()).unwrap_or_default();
        println!("{}  {kind}  {}  {:?}", task.id(), task.status(), task.attrs_sorted());
    });
    pm::global().cancel("req-1", "just to show it")?;
    println!(
        "\nthe answer after a kill: {:?}",
        call.await?.map_err(|status| (status.code(), status.message().to_owned()))
    );
    Ok(())
}
