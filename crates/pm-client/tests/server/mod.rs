//! A server of a few lines over a bare socket, and a place for its files.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

#[path = "../../../pm/tests/common/ports.rs"]
mod ports;

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pm_client::Client;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// Runs `call` against a server that answers once with `reply`; returns its result and the request.
pub async fn meet<T, Call: Future<Output = T>>(
    reply: impl AsRef<[u8]>,
    call: impl FnOnce(Client) -> Call,
) -> (T, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&listener.local_addr().unwrap().to_string()).unwrap();
    let serve = async {
        let (socket, _) = listener.accept().await.unwrap();
        answer(socket, reply.as_ref()).await
    };
    tokio::join!(call(client), serve)
}

/// An endpoint that refuses connections until this process ends.
pub fn closed_address() -> String {
    ports::closed_address().to_string()
}

/// Reads one request, and answers it.
pub async fn answer(mut socket: impl AsyncRead + AsyncWrite + Unpin, reply: &[u8]) -> String {
    let mut request = Vec::new();
    while !is_complete(&request) {
        assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0);
    }
    socket.write_all(reply).await.unwrap();
    // Over TLS, the end is a message as well.
    let _ = socket.shutdown().await;
    String::from_utf8(request).unwrap()
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |digits| digits.parse().unwrap()) <= body.len()
}

pub fn reply(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Returns a refusal as pm's server writes it; `body` is the inner part of an object.
pub fn problem(status: &str, headers: &str, body: &str) -> String {
    let length = body.len() + 2;
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\n{headers}\
         Content-Length: {length}\r\n\r\n{{{body}}}"
    )
}

/// A directory of its own for one test, gone at its end. Its name is short, as paths of sockets must be.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new() -> Dir {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // Relaxed: only the number matters.
        let name = format!("pm-client-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Dir(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
