//! One request over its own connection, and its answer as plain bytes.
//!
//! The connection is driven from within the call, so there is no task to spawn and nothing is left when the caller
//! drops the call.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::client::Client;
use crate::error::{ClientError, Stage};

const USER_AGENT: &str = concat!("pm-client/", env!("CARGO_PKG_VERSION"));

/// An answer of any status, complete.
pub(crate) struct Answer {
    pub(crate) url: String,
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
}

/// Sends the request and reads the whole answer, within the client's limits. `path` is encoded and has no slash first.
pub(crate) async fn call(client: &Client, method: Method, path: &str, body: Bytes) -> Result<Answer, ClientError> {
    let endpoint = &client.endpoint;
    let authority = endpoint.authority();
    let target = format!("{}{path}", endpoint.prefix);
    let url = format!("http://{authority}{target}");

    let begun = Instant::now();
    let connect = client.connect_timeout.min(client.timeout);
    let stream = match timeout_at(begun + connect, TcpStream::connect((endpoint.host.as_str(), endpoint.port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(source)) => return Err(ClientError::Unreachable { url, source }),
        Err(_) => return Err(ClientError::TimedOut { url, after: connect, stage: Stage::Connect }),
    };

    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close");
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    // Endpoint and ids were made of valid parts; a path beyond 64 KiB is what is left to fail.
    let request = request
        .body(Full::new(body))
        .map_err(|error| ClientError::Unreachable { url: url.clone(), source: io::Error::other(error) })?;

    match timeout_at(begun + client.timeout, exchange(stream, request, &url, client.max_body)).await {
        Ok(answer) => answer,
        Err(_) => Err(ClientError::TimedOut { url, after: client.timeout, stage: Stage::Answer }),
    }
}

async fn exchange(
    stream: TcpStream,
    request: Request<Full<Bytes>>,
    url: &str,
    max_body: u64,
) -> Result<Answer, ClientError> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| early_end(url, 0, error))?;
    let work = async {
        let response = sender.send_request(request).await.map_err(|error| early_end(url, 0, error))?;
        let (head, mut incoming) = response.into_parts();
        let text = |name| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let too_large = || ClientError::TooLarge { url: url.to_owned(), limit: max_body };
        if incoming.size_hint().lower() > max_body {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| early_end(url, body.len() as u64, error))?;
            if let Ok(data) = frame.into_data() {
                if (body.len() + data.len()) as u64 > max_body {
                    return Err(too_large());
                }
                body.extend_from_slice(&data);
            }
        }
        Ok(Answer {
            url: url.to_owned(),
            status: head.status,
            content_type: text(header::CONTENT_TYPE),
            location: text(header::LOCATION),
            body: body.freeze(),
        })
    };
    drive(connection, work).await
}

fn early_end(url: &str, received: u64, error: hyper::Error) -> ClientError {
    let url = url.to_owned();
    if error.is_parse() && received == 0 {
        let source = Some(error.into());
        return ClientError::NotPm { url, content_type: None, excerpt: String::new(), source };
    }
    ClientError::Cut { url, received, source: error.into() }
}

/// Runs `work` to its end, and `connection` beside it for as long as it has something to do.
async fn drive<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    let mut connection = pin!(connection);
    let mut work = pin!(work);
    let mut connected = true;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            // What ended the connection, `work` hears too: poll it once more.
            if connected && connection.as_mut().poll(cx).is_ready() {
                connected = false;
                continue;
            }
            return Poll::Pending;
        }
    })
    .await
}
