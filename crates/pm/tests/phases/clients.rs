//! A hyper client and `curl`, with the same operations.

use std::net::SocketAddr;
use std::process::Stdio;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::bench::Lines;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Client {
    Hyper,
    Curl,
}

/// Returns the available clients.
pub(crate) fn clients() -> Vec<Client> {
    let curl = std::process::Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    if curl.is_ok_and(|status| status.success()) {
        return vec![Client::Hyper, Client::Curl];
    }
    let is_needed = std::env::var_os("PM_TEST_TOOLS").is_some_and(|value| value == "1");
    assert!(!is_needed, "PM_TEST_TOOLS=1, but there is no curl: install it");
    eprintln!("skipped for curl, which is not there");
    vec![Client::Hyper]
}

/// Returns each client with each client that cancels.
pub(crate) fn pairs() -> Vec<(Client, Client)> {
    let clients = clients();
    clients.iter().flat_map(|&client| clients.iter().map(move |&killer| (client, killer))).collect()
}

/// Requests that a client makes, one after the other on one connection.
pub(crate) struct Exchange {
    output: Box<dyn AsyncRead + Send + Unpin>,
    /// When it is closed, the request's body ends.
    input: Option<mpsc::UnboundedSender<Bytes>>,
    run: Run,
}

/// When it is dropped, the client and its connection are gone.
pub(crate) enum Run {
    Hyper(tokio::task::JoinHandle<bool>),
    Curl(Child),
}

/// The bytes received until the end, and whether the client considers them complete.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) text: String,
    pub(crate) whole: bool,
}

impl Got {
    /// Asserts a complete answer to a cancelled request.
    pub(crate) fn assert_is_problem(&self) {
        let (head, body) = self.text.rsplit_once("\r\n\r\n").unwrap();
        assert!(self.whole && head.contains("HTTP/1.1 503 "), "{self:?}");
        assert!(head.contains("content-type: application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&problem["code"], &problem["detail"]), (&json!("cancelled"), &json!("too slow")));
    }
}

impl Client {
    /// Requests paths, each with an id, one after the other on one connection; with a body that the test sends if there
    /// is an `input`.
    pub(crate) fn ask(self, address: SocketAddr, targets: &[(&str, &str)], input: Option<()>) -> Exchange {
        let (send, parts) = mpsc::unbounded_channel();
        let input = input.map(|()| send);
        let has_body = input.is_some();
        let targets: Vec<_> = targets.iter().map(|(path, id)| (path.to_string(), id.to_string())).collect();
        let (output, run) = match self {
            Self::Hyper => {
                let (output, to) = tokio::io::duplex(64 << 10);
                let run = tokio::spawn(exchange(address, targets, has_body.then_some(parts), to));
                (Box::new(output) as Box<dyn AsyncRead + Send + Unpin>, Run::Hyper(run))
            }
            Self::Curl => {
                let mut curl = Command::new("curl");
                for (number, (path, id)) in targets.iter().enumerate() {
                    curl.args(["--next"].iter().filter(|_| number > 0));
                    curl.args(["-q"].iter().filter(|_| number == 0));
                    curl.args(["-siN", "--noproxy", "*", "-H"]).arg(format!("X-Request-Id: {id}"));
                    if has_body {
                        // `.`: curl does not wait for its input, so that it sees an answer that comes before the end.
                        curl.args(["-T", ".", "-H", "Expect: 100-continue", "--expect100-timeout", "30"]);
                    }
                    curl.arg(format!("http://{address}{path}"));
                }
                let mut curl = curl
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()
                    .expect("curl is there");
                let output = Box::new(curl.stdout.take().unwrap());
                tokio::spawn(feed(curl.stdin.take().unwrap(), parts));
                (output as Box<dyn AsyncRead + Send + Unpin>, Run::Curl(curl))
            }
        };
        Exchange { output, input, run }
    }

    /// Makes one request, and returns the status, and the JSON if there is any.
    pub(crate) async fn call(self, address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (code, text) = match self {
            Self::Hyper => {
                let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
                let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                let request = Request::builder().method(method).uri(path).header("host", address.to_string());
                let answer = sender.send_request(request.body(body.to_owned()).unwrap()).await.unwrap();
                let code = answer.status().as_u16();
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                (code, String::from_utf8(body.to_vec()).unwrap())
            }
            Self::Curl => {
                let mut curl = Command::new("curl");
                curl.args(["-q", "-s", "--noproxy", "*", "-w", "\n%{http_code}", "-X", method]);
                if !body.is_empty() {
                    curl.args(["--data-binary", body, "-H", "Content-Type: application/json"]);
                }
                let output = curl.arg(format!("http://{address}{path}")).output().await.unwrap();
                assert!(output.status.success(), "{output:?}");
                let text = String::from_utf8(output.stdout).unwrap();
                let (text, code) = text.rsplit_once('\n').unwrap();
                (code.parse().unwrap(), text.to_owned())
            }
        };
        (code, serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

/// Writes the test's input to curl, until one of them ends.
pub(crate) async fn feed(mut stdin: tokio::process::ChildStdin, mut parts: mpsc::UnboundedReceiver<Bytes>) {
    while let Some(part) = parts.recv().await {
        if stdin.write_all(&part).await.is_err() || stdin.flush().await.is_err() {
            break;
        }
    }
}

/// Does as curl with hyper; returns `true` if all answers were complete.
pub(crate) async fn exchange(
    address: SocketAddr,
    targets: Vec<(String, String)>,
    mut parts: Option<mpsc::UnboundedReceiver<Bytes>>,
    mut to: tokio::io::DuplexStream,
) -> bool {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    // Ends with this future.
    let mut runs = tokio::task::JoinSet::new();
    runs.spawn(connection);
    for (path, id) in targets {
        let (mut writer, body) = Lines::new(1);
        let request = Request::get(path).header("host", address.to_string()).header("x-request-id", id);
        let request = match parts.take() {
            None => request.body(http_body_util::Either::Left(http_body_util::Empty::<Bytes>::new())),
            Some(mut parts) => {
                runs.spawn(async move {
                    while let Some(part) = parts.recv().await {
                        if writer.send_data(part).await.is_err() {
                            break;
                        }
                    }
                    Ok(())
                });
                request.method("PUT").body(http_body_util::Either::Right(body))
            }
        };
        let Ok(mut answer) = sender.send_request(request.unwrap()).await else { return false };
        let mut head = format!("HTTP/1.1 {}\r\n", answer.status());
        for (name, value) in answer.headers() {
            head += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        to.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        while let Some(frame) = answer.frame().await {
            let Ok(frame) = frame else { return false };
            to.write_all(frame.data_ref().unwrap()).await.unwrap();
        }
        if sender.ready().await.is_err() {
            return true;
        }
    }
    true
}

impl Exchange {
    pub(crate) fn send(&self, part: &'static str) {
        self.input.as_ref().unwrap().send(part.into()).unwrap();
    }

    /// Reads until the received text contains `wanted`.
    pub(crate) async fn read_until(&mut self, wanted: &str) {
        let mut text = Vec::new();
        while !text.windows(wanted.len()).any(|part| part == wanted.as_bytes()) {
            let length = self.output.read_buf(&mut text).await.unwrap();
            assert_ne!(length, 0, "ended after {}", String::from_utf8_lossy(&text));
        }
    }

    /// Reads the rest.
    pub(crate) async fn rest(mut self) -> Got {
        let mut text = String::new();
        self.output.read_to_string(&mut text).await.unwrap();
        let whole = match &mut self.run {
            Run::Hyper(run) => run.await.unwrap(),
            Run::Curl(curl) => curl.wait().await.unwrap().success(),
        };
        Got { text, whole }
    }

    /// Kills the client: curl with SIGKILL, hyper's by dropping its connection.
    pub(crate) async fn die(self) {
        match self.run {
            Run::Hyper(run) => run.abort(),
            Run::Curl(mut curl) => curl.kill().await.unwrap(),
        }
    }
}
