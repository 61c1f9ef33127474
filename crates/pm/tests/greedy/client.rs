//! The other end: sockets with little space, requests as bytes, and what the system reports of the program.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use serde_json::Value;

use crate::program;

/// A limit so that a failing test ends; a passing test never waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between two questions about something that takes a moment.
const SHORTLY: Duration = Duration::from_millis(1);
/// The pause between two questions about something that may take half a minute.
const LATER: Duration = Duration::from_millis(100);
/// The space for what a client has not read, in bytes: the system doubles it.
const RECEIVED: usize = 4 << 10;

/// The program in a process of its own, so that its memory is its own.
pub(crate) struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Program {
    pub(crate) fn start(address: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([program::ARGUMENT, address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        Self { child, input, output, address: line.trim().parse().unwrap() }
    }

    /// Changes some tasks.
    pub(crate) fn change(&mut self) {
        self.input.write_all(b"change\n").unwrap();
        self.output.read_line(&mut String::new()).unwrap();
    }

    /// Returns bytes of memory: `VmRSS`, or `VmHWM` for the peak.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    /// From now on the peak is that of the time since.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    pub(crate) fn get(&self, target: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&get(self.address, target, "Connection: close\r\n")).unwrap();
        Reply::read(&mut stream)
    }

    /// Returns counters of the server itself.
    pub(crate) fn own(&self) -> Value {
        let reply = self.get("/v1/info");
        assert_eq!(reply.status, 200, "/v1/info: {}", reply.body);
        serde_json::from_str::<Value>(&reply.body).unwrap()["own"].take()
    }

    /// Waits until a question about the counters is answered with yes.
    pub(crate) fn until(&self, what: &str, is_so: impl FnMut(&Value) -> bool) {
        self.until_asked_every(SHORTLY, what, is_so);
    }

    /// As [`until`](Self::until), for what may take half a minute.
    pub(crate) fn until_at_last(&self, what: &str, is_so: impl FnMut(&Value) -> bool) {
        self.until_asked_every(LATER, what, is_so);
    }

    fn until_asked_every(&self, pause: Duration, what: &str, mut is_so: impl FnMut(&Value) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let own = self.own();
            if is_so(&own) {
                return;
            }
            assert!(Instant::now() < end, "{what}: {own}");
            thread::sleep(pause);
        }
    }

    /// Waits until neither the responses nor the memory of the program grow any more.
    pub(crate) fn settle(&self) {
        let (mut last, mut count) = ((0, 0), 0);
        self.until("it settles", |own| {
            let now = (own["responseBytes"].as_u64().unwrap(), self.memory("VmHWM"));
            count = if now == last { count + 1 } else { 0 };
            last = now;
            count == 10
        });
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens a connection with little space for what is received.
pub(crate) fn connect(server: SocketAddr) -> TcpStream {
    let socket = socket_with(AddressFamily::of(server), SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, RECEIVED).unwrap();
    rustix::net::connect(&socket, &server).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

trait Of {
    fn of(server: SocketAddr) -> Self;
}

impl Of for AddressFamily {
    fn of(server: SocketAddr) -> Self {
        if server.is_ipv4() { Self::INET } else { Self::INET6 }
    }
}

/// Writes as much as the server takes.
pub(crate) fn write_some(stream: &mut TcpStream, mut bytes: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_nonblocking(false).unwrap();
}

pub(crate) fn get(server: SocketAddr, target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {server}\r\n{headers}\r\n").into_bytes()
}

pub(crate) fn post(server: SocketAddr, target: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: {server}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

/// A response whose length is known; of a success, only the status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    /// Reads a few bytes: the status. A refusal is read to its end.
    pub(crate) fn begin(stream: &mut TcpStream) -> Self {
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        match &first {
            b"HTTP/1.1 200" => Self { status: 200, head: BTreeMap::new(), body: String::new() },
            _ => Self::rest(first.to_vec(), stream),
        }
    }

    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        Self::rest(Vec::new(), stream)
    }

    fn rest(mut bytes: Vec<u8>, stream: &mut TcpStream) -> Self {
        let mut block = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let mut lines = head.lines();
                let status = lines.next().unwrap()[9..12].parse().unwrap();
                let head: BTreeMap<String, String> = lines
                    .filter_map(|line| line.split_once(": "))
                    .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                    .collect();
                let length: usize = head["content-length"].parse().unwrap();
                // Another response may follow.
                if let Some(body) = body.get(..length) {
                    return Self { status, head, body: body.to_owned() };
                }
            }
            match stream.read(&mut block).unwrap() {
                0 => panic!("the response ends early: {text}"),
                count => bytes.extend_from_slice(&block[..count]),
            }
        }
    }

    /// Returns the code of a refusal, after checking that it says what to do.
    pub(crate) fn code(&self) -> String {
        if self.head["content-type"] != "application/problem+json" {
            // The routes of VividCortex/pm: a line of text.
            let is_full = self.body.contains("for all responses are in use; ask for less");
            assert!(self.status == 503 && is_full && self.head.contains_key("retry-after"), "{self:?}");
            return "out-of-memory".to_owned();
        }
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        if self.status == 503 {
            assert!(self.head.contains_key("retry-after") && problem["retryAfterMs"].is_number(), "{self:?}");
        }
        problem["code"].as_str().unwrap().to_owned()
    }
}
