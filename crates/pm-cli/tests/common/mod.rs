//! The built command, and servers to run it against: fake and real ones.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

#[path = "../../../pm/tests/common/ports.rs"]
mod ports;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

#[allow(unused_imports, reason = "each test file uses a part")]
pub use ports::kept_address;

/// The command without the user's variables and config file.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pm"));
    for name in [
        "PM_ENDPOINTS",
        "PM_TIMEOUT",
        "PM_CONNECT_TIMEOUT",
        "PM_OUTPUT",
        "PM_COLOR",
        "PM_THEME",
        "PM_TOKEN",
        "PM_TOKEN_FILE",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command.env("PM_CONFIG", "").args(args);
    command
}

pub fn pm(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

pub fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A server that answers every request by a function of its head and body.
pub struct Fake {
    pub endpoint: String,
    requests: Receiver<String>,
}

impl Fake {
    pub fn new(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let (send, requests) = channel();
        thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(mut socket) = socket else { return };
                let Some(request) = read(&mut socket) else { continue };
                // The client may disconnect early.
                let _ = socket.write_all(&answer(&request)).and_then(|()| socket.shutdown(Shutdown::Write));
                if send.send(request).is_err() {
                    return;
                }
            }
        });
        Fake { endpoint, requests }
    }

    /// A server that sends the same reply to every request.
    pub fn replying(reply: impl Into<Vec<u8>>) -> Fake {
        let reply = reply.into();
        Fake::new(move |_| reply.clone())
    }

    /// A Go original with this list and this history.
    pub fn original(list: &str, history: &str) -> Fake {
        let (list, history) = (list.to_owned(), history.to_owned());
        Fake::new(move |request| match request.split_whitespace().nth(1).unwrap_or_default() {
            "/procs/" => reply("200 OK", "application/json", &list),
            path if path.starts_with("/procs/") && path.ends_with("/history") => {
                reply("200 OK", "application/json", &history)
            }
            path if path.starts_with("/procs/") => reply("200 OK", "text/plain", ""),
            _ => reply("404 Not Found", "text/plain; charset=utf-8", "404 page not found\n"),
        })
    }

    /// The next request.
    pub fn request(&self) -> String {
        self.requests.recv().unwrap()
    }
}

fn read(socket: &mut TcpStream) -> Option<String> {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if body.len() >= length.map_or(0, |digits| digits.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        match socket.read(&mut part) {
            Ok(0) | Err(_) => return None,
            Ok(count) => request.extend_from_slice(&part[..count]),
        }
    }
}

pub fn reply(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// An endpoint that refuses connections until this process ends.
pub fn closed_address() -> String {
    ports::closed_address().to_string()
}

/// A real server for a list.
pub fn serve(list: &pm::ProcessList) -> (pm::Server, String) {
    let server = pm::Server::builder().list(list).listen("127.0.0.1:0").start().unwrap();
    let endpoint = server.addr().to_string();
    (server, endpoint)
}
