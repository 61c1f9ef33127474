//! An axum server whose requests are tasks: `cargo run -p pm --features axum --example axum`.
//!
//! With `--smoke` it sends itself a request, prints the list, kills that request, and ends.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::Path;
use axum::{Router, routing::get};
use pm::tower::{CancelledResponse, CurrentTask, TasksLayer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Takes a minute, and reports its progress.
async fn report(Path(host): Path<String>, task: CurrentTask) -> Result<String, CancelledResponse> {
    for page in 1..=60 {
        pm::status!(task, "page {page} of 60")?;
        task.progress(page, 60, "pages");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(format!("all is well with {host}\n"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let watch = pm::serve("127.0.0.1:0")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;

    let app = Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route("/reports/{host}", get(report))
        .layer(TasksLayer::new().header("x-tenant"));
    // Like `axum::serve`, and a kill reaches requests whose client does not read.
    let server = pm::tower::serve(listener, app);
    let server = tokio::spawn(server.into_future());

    println!("start a task:  curl -H 'X-Request-Id: req-1' http://{addr}/reports/db1");
    println!("show it:       curl http://{}/v1/tasks", watch.addr());
    println!("stop it:       curl -X DELETE http://{}/procs/req-1", watch.addr());
    if std::env::args().any(|word| word == "--smoke") {
        smoke(addr).await?;
    } else {
        tokio::signal::ctrl_c().await?;
    }
    server.abort();
    Ok(())
}

async fn smoke(addr: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let mut client = TcpStream::connect(addr).await?;
    let request =
        "GET /reports/db1 HTTP/1.1\r\nhost: x\r\nx-request-id: req-1\r\nx-tenant: t7\r\nconnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await?;
    while pm::global().find("req-1").is_empty() {
        tokio::task::yield_now().await;
    }
    println!("\nthe list:");
    pm::global().for_each(|task| {
        let kind = task.kind().map(|kind| kind.to_string()).unwrap_or_default();
        println!("{}  {kind}  {}  {:?}", task.id(), task.status(), task.attrs_sorted());
    });
    pm::global().cancel("req-1", "just to show it")?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    println!("\nthe answer after a kill:\n{answer}");
    Ok(())
}
