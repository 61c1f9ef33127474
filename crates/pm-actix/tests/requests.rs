//! Requests of an actix-web server as tasks, over real connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{AppService, HttpServiceFactory, ResourceDef, ServiceRequest, fn_service};
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use pm_actix::Tasks;
use pm_core::{ProcessList, Serial};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// A body of parts, and whether it stays open after them.
struct Parts(usize, BodySize, bool);

impl MessageBody for Parts {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.1
    }

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Poll::Ready(Some(Ok(Bytes::from_static(b"12345"))))
            }
            None if self.2 => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

async fn part(name: web::Path<String>) -> HttpResponse<Parts> {
    let (status, body) = match name.as_str() {
        "all" => (200, Parts(2, BodySize::Sized(10), false)),
        "short" => (200, Parts(2, BodySize::Sized(12), false)),
        "chunked" => (200, Parts(2, BodySize::Stream, false)),
        "open" => (200, Parts(2, BodySize::Stream, true)),
        "socket" => (101, Parts(1, BodySize::Stream, true)),
        _ => (502, Parts(2, BodySize::Sized(10), false)),
    };
    HttpResponse::with_body(StatusCode::from_u16(status).unwrap(), body)
}

async fn wait() -> String {
    let _ = pm_core::current().status("waiting");
    std::future::pending().await
}

/// A service at the root for all other paths, as that of files is.
struct Files;

impl HttpServiceFactory for Files {
    fn register(self, config: &mut AppService) {
        let file = async |request: ServiceRequest| {
            Ok::<_, actix_web::Error>(request.into_response(HttpResponse::Ok().body("a file")))
        };
        config.register_service(ResourceDef::root_prefix(""), None, fn_service(file), None);
    }
}

struct Bench {
    list: ProcessList,
    ended: mpsc::UnboundedReceiver<Serial>,
    addr: SocketAddr,
    _hook: pm_core::Subscription,
}

impl Bench {
    fn new() -> Self {
        let list = ProcessList::new();
        let (sender, ended) = mpsc::unbounded_channel();
        let hook = list.on_end(move |task| {
            let _ = sender.send(task.serial());
        });
        let tasks = list.clone();
        let server = HttpServer::new(move || {
            App::new()
                .wrap(Tasks::new().list(&tasks))
                .route("/parts/{name}", web::get().to(part))
                .route("/wait", web::get().to(wait))
                .service(Files)
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let addr = server.addrs()[0];
        actix_web::rt::spawn(server.run());
        Self { list, ended, addr, _hook: hook }
    }

    async fn ask(&self, path: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-request-id: req-1\r\nconnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    /// Waits until the request has a status.
    async fn until(&self, status: &str) {
        let has = |serial| self.list.view(serial, |task| task.status().to_string() == status) == Some(true);
        while !self.list.find("req-1").first().is_some_and(|serial| has(*serial)) {
            tokio::task::yield_now().await;
        }
    }

    /// Returns the kind and the last status of the next task that ends.
    async fn ended(&mut self) -> (String, String) {
        let serial = self.ended.recv().await.unwrap();
        let kind = self.list.view(serial, |task| task.kind().map(|kind| kind.to_string()).unwrap_or_default());
        (kind.unwrap(), self.list.history(serial).unwrap().entries.pop().unwrap().status)
    }
}

async fn rest(mut client: TcpStream) -> String {
    let mut answer = Vec::new();
    // An aborted connection may be reset.
    let _ = client.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn run(test: impl Future<Output = ()>) {
    actix_web::rt::System::new().block_on(test);
}

#[test]
fn a_request_is_a_task_until_the_last_byte_of_its_body() {
    run(async {
        let mut bench = Bench::new();
        for (path, last) in [
            ("/parts/all", "ended"),
            ("/parts/chunked", "ended"),
            ("/parts/short", "failed: the body ended after 10 of 12 bytes"),
            ("/parts/broken", "failed: 502 Bad Gateway"),
        ] {
            rest(bench.ask(path).await).await;
            assert_eq!(bench.ended().await, ("GET /parts/{name}".to_owned(), last.to_owned()));
        }
        let answer = rest(bench.ask("/unknown").await).await;
        assert!(answer.ends_with("a file"), "{answer}");
        assert_eq!(bench.ended().await, ("GET".to_owned(), "ended".to_owned()));
    });
}

#[test]
fn a_killed_handler_is_dropped_and_its_client_gets_503_with_the_reason() {
    run(async {
        let mut bench = Bench::new();
        let client = bench.ask("/wait").await;
        bench.until("waiting").await;
        bench.list.cancel("req-1", "too slow").unwrap();
        let answer = rest(client).await;
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains(r#""detail":"too slow","code":"cancelled""#),
            "{answer}"
        );
        assert_eq!(bench.ended().await.1, "killed: too slow");
    });
}

#[test]
fn a_kill_ends_bodies_and_websockets_and_a_reset_connection_its_body() {
    run(async {
        let mut bench = Bench::new();
        for (path, status) in [("/parts/open", "responding"), ("/parts/socket", "upgraded")] {
            let client = bench.ask(path).await;
            bench.until(status).await;
            bench.list.cancel("req-1", "too long").unwrap();
            assert_eq!(bench.ended().await.1, "killed: too long");
            rest(client).await;
        }
        let client = bench.ask("/parts/open").await;
        bench.until("responding").await;
        // With data that it has not read, it resets the connection.
        client.readable().await.unwrap();
        drop(client);
        assert_eq!(bench.ended().await.1, "dropped");
    });
}
