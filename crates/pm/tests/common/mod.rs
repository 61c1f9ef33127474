//! A client that sends exactly the given bytes over a plain socket.
#![allow(dead_code, reason = "each test file uses its own part of it")]

mod ports;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use pm::{ProcessList, Server};
#[allow(unused_imports, reason = "each test file uses its own part of it")]
pub(crate) use ports::kept_address;

/// A limit so that a failing test ends; a passing test never waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns a new list and its server.
pub(crate) fn served() -> (ProcessList, Server) {
    let list = ProcessList::new();
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    (list, server)
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// Parses the bytes received until the end of the connection.
    pub(crate) fn parse(bytes: &[u8]) -> Reply {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {text:?}"));
        let status = head.strip_prefix("HTTP/1.1 ").or(head.strip_prefix("HTTP/1.0 ")).unwrap()[..3].parse().unwrap();
        let mut reply = Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() };
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = unchunked(body);
        }
        reply
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    loop {
        let (length, after) = rest.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            assert_eq!(after, "\r\n");
            return body;
        }
        body.push_str(&after[..length]);
        rest = after[length..].strip_prefix("\r\n").unwrap();
    }
}

pub(crate) fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends these bytes and returns all that is received until the server closes.
pub(crate) fn raw(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(server.addr());
    stream.write_all(bytes).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    reply
}

/// Sends one request with these additional header lines and this body.
pub(crate) fn request(server: &Server, method: &str, target: &str, headers: &[&str], body: &str) -> Reply {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", server.addr());
    for line in headers {
        text += line;
        text += "\r\n";
    }
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body;
    Reply::parse(&raw(server, text.as_bytes()))
}

pub(crate) fn ask(server: &Server, method: &str, target: &str) -> Reply {
    request(server, method, target, &[], "")
}

pub(crate) fn get(server: &Server, target: &str) -> Reply {
    ask(server, "GET", target)
}

pub(crate) fn delete(server: &Server, target: &str, body: &str) -> Reply {
    request(server, "DELETE", target, &[], body)
}

pub(crate) fn post(server: &Server, target: &str, body: &str) -> Reply {
    request(server, "POST", target, &[], body)
}

/// As [`served`], with a clock that moves only when the test advances it.
pub(crate) fn served_by_hand() -> (ProcessList, pm::ManualClock, Server) {
    let (clock, hand) = pm::Clock::manual();
    let list = ProcessList::with_options(pm::Options::new().clock(clock));
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    (list, hand, server)
}

/// Returns the code of a problem, after checking its form.
#[track_caller]
pub(crate) fn code_of(reply: &Reply, status: u16) -> String {
    assert_eq!((reply.status, reply.header("content-type")), (status, Some("application/problem+json")), "{reply:?}");
    let json = reply.json();
    let code = json["code"].as_str().unwrap().to_owned();
    assert_eq!(json["type"], format!("urn:pm:problem:{code}"));
    assert_eq!(json["status"], status);
    assert!(json["title"].is_string() && json["detail"].is_string(), "{json}");
    code
}
