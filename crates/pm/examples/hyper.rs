//! A hyper server whose requests are tasks, and whose calls to another service are tasks below them:
//! `cargo run -p pm --features tower --example hyper`.
//!
//! With `--smoke` it sends itself a request, prints the list, kills that request, and ends.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use pm::tower::{CallsLayer, Connection, TasksLayer};
use tokio::net::TcpListener;
use tower::{ServiceExt as _, service_fn};
use tower_layer::Layer as _;

type Answer = Response<Full<Bytes>>;

/// `/` calls `/backend` over the network, which never answers: something to show, and to kill.
async fn handle(request: Request<Incoming>, own: SocketAddr) -> Result<Answer, Infallible> {
    match request.uri().path() {
        "/" => Ok(front(own).await.unwrap_or_else(|error| Response::new(format!("failed: {error}\n").into()))),
        "/backend" => {
            let _ = pm::current().status("waiting to be killed");
            std::future::pending().await
        }
        _ => {
            let mut missing = Answer::default();
            *missing.status_mut() = http::StatusCode::NOT_FOUND;
            Ok(missing)
        }
    }
}

async fn front(own: SocketAddr) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    let client = CallsLayer::new().layer(Client::builder(TokioExecutor::new()).build_http());
    let uri: Uri = format!("http://{own}/backend?token=not-for-everyone").parse()?;
    let request = Request::builder().uri(uri).body(Empty::<Bytes>::new())?;
    let body = client.oneshot(request).await?.into_body().collect().await?;
    Ok(Response::new(body.to_bytes().into()))
}

async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let own = listener.local_addr()?;
    let layer = TasksLayer::new().routes(["/", "/backend"]);
    loop {
        let (stream, peer) = listener.accept().await?;
        // A kill reaches requests whose client does not read.
        let connection = Connection::new(stream);
        let service = layer.clone().connection(&connection).layer(service_fn(move |request| handle(request, own)));
        // The layer takes the peer from the request's extensions.
        let service = tower::util::MapRequest::new(service, move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(connection), TowerToHyperService::new(service)),
        );
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let watch = pm::serve("127.0.0.1:0")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let server = tokio::spawn(serve(listener));

    println!("start tasks:   curl -H 'X-Request-Id: req-1' http://{addr}/");
    println!("show them:     curl http://{}/v1/tree", watch.addr());
    if std::env::args().any(|word| word == "--smoke") {
        smoke(addr).await?;
    } else {
        tokio::signal::ctrl_c().await?;
    }
    server.abort();
    Ok(())
}

async fn smoke(addr: SocketAddr) -> Result<(), Box<dyn Error>> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request = Request::builder().uri(format!("http://{addr}/")).header("x-request-id", "req-1");
    let answer = tokio::spawn(client.request(request.body(Empty::new())?));
    // The request, its call, and the called request, which has the same id.
    while pm::global().counters().live < 3 || pm::global().find("req-1").len() < 2 {
        tokio::task::yield_now().await;
    }
    println!("\nthe list:");
    let mut front = None;
    pm::global().for_each(|task| {
        let kind = task.kind().map(|kind| kind.to_string()).unwrap_or_default();
        let parent = task.parent().map(|parent| format!("below {parent}")).unwrap_or_default();
        println!("{}  {}  {kind}  {}  {parent}", task.serial(), task.id(), task.status());
        front = front.or(Some(task.serial()));
    });
    pm::global().cancel(front.ok_or("no task")?, "just to show it")?;
    let answer = answer.await??;
    println!("\nthe answer after a kill: {}", answer.status());
    println!("{}", String::from_utf8_lossy(&answer.into_body().collect().await?.to_bytes()));
    Ok(())
}
